"""Two processes with half a batch each take the steps of one with the whole."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pyg_agfn.distributed import gather_rows, mean_of, own_rows, rank, world_size
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, make_fabric

sys.path.insert(0, str(Path(__file__).parent))
from worker import CASES, correction

WORKER = Path(__file__).parent / "worker.py"
SCRIPTS = Path(__file__).parents[2] / "scripts"

pytestmark = pytest.mark.slow  # each starts processes


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[dict]:
    """What one process has after its steps, then what each of two has."""
    folder = tmp_path_factory.mktemp("runs")
    processes = []
    for world in (1, 2):
        for number in range(world):
            out = folder / f"{world}-{number}.pt"
            command = [sys.executable, WORKER, number, world, folder / f"meet-{world}", out]
            processes.append((subprocess.Popen(list(map(str, command))), out))
    assert [process.wait(timeout=240) for process, _ in processes] == [0, 0, 0]
    return [torch.load(out, weights_only=True) for _, out in processes]


@pytest.mark.parametrize("case", [name for name in CASES if name != "agfn local"])
def test_losses_weights_and_momenta_are_those_of_one_process(runs, case):
    one, first, second = (run[case] for run in runs)
    mean_loss = (first.pop("losses") + second.pop("losses")) / 2
    torch.testing.assert_close(mean_loss, one.pop("losses"), atol=1e-9, rtol=1e-9)
    assert set(one) == set(first) == set(second)
    for name, expected in one.items():
        torch.testing.assert_close(first[name], expected, atol=1e-8, rtol=1e-7, msg=name)
        assert torch.equal(first[name], second[name]), name
    if case.startswith("agfn"):
        assert abs(one["weights agfn.edges.alpha"] - 2.0) > 1e-5  # it has moved


def test_a_local_graph_is_another_one_with_the_same_weights_everywhere(runs):
    one, first, second = (run["agfn local"] for run in runs)
    assert not torch.allclose(first["weights classifier.weight"], one["weights classifier.weight"])
    for name in set(first) - {"losses"}:
        assert torch.equal(first[name], second[name]), name


def test_second_derivatives_pass_through_all_processes(runs):
    one, first, second = (run["derivatives"] for run in runs)
    assert one[1].abs().max() > 1
    torch.testing.assert_close(torch.cat([first, second], dim=1), one)


def test_labels_are_corrected_in_all_processes_together_if_it_is_asked_for(runs):
    one, first, second = (run["gathered correction"] for run in runs)
    targets = torch.cat([first.pop("targets"), second.pop("targets")])
    torch.testing.assert_close(targets, one.pop("targets"))
    assert abs(float(one["edges.alpha"]) - 8.0) > 0.01  # it has moved
    for name, expected in one.items():
        torch.testing.assert_close(first[name], expected, msg=name)
        assert torch.equal(first[name], second[name]), name


def test_labels_are_corrected_by_each_process_alone_if_it_is_not(runs):
    for number, run in enumerate(runs[1:]):
        expected = correction(gather=False, rows=slice(60 * number, 60 * number + 60))
        for name, value in run["own correction"].items():
            torch.testing.assert_close(value, expected[name], msg=name)


def test_one_process_is_the_whole():
    x = torch.randn(4, 2, requires_grad=True)
    assert (world_size(), rank(), own_rows(4)) == (1, 0, slice(0, 4))
    assert gather_rows(x) is x
    assert mean_of(0.25) == 0.25


def torchrun(tmp_path: Path, processes: int, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(SCRIPTS / "train_pyg.py")]
    environment = {**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )


def test_torchrun_trains_one_run_that_one_process_would_train(tmp_path):
    options = ["--train-size", 240, "--epochs", 3, "--pretrain-epochs", 1, "--batch-size", 60]
    options += ["--method", "agfn", "--feature-dim", 16, "--lr", 0.02, "--bank-size", 64]
    losses, accuracies = [], []
    for processes in (1, 2):
        out = tmp_path / f"by {processes}"
        result = torchrun(tmp_path, processes, *options, "--out", out)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("epoch 3/3") == 1  # the first process speaks for all
        (folder,) = out.iterdir()
        log = (folder / "log" / "metrics.csv").read_text().splitlines()
        column = log[0].split(",").index("loss")
        losses.append([float(line.split(",")[column]) for line in log[1:]])
        accuracies.append(json.loads((folder / "metrics.json").read_text())["accuracy"]["bank"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.03)


def test_a_batch_that_cannot_be_divided_is_one_line(tmp_path):
    result = torchrun(tmp_path, 2, "--batch-size", 61)
    assert result.returncode != 0
    said = re.findall(r"^train_pyg\.py: error: .*$", result.stderr, re.M)
    assert said == [
        "train_pyg.py: error: --batch-size 61: must be a multiple of the 2 processes, with at "
        "least two images for each"
    ]


@pytest.mark.parametrize("propagation", ["edges", "tiles"])
def test_a_graph_that_processes_cannot_share_is_one_line(monkeypatch, propagation):
    monkeypatch.setenv("WORLD_SIZE", "2")
    options = TrainOptions(method=("baseline", "agfn"), propagation=propagation, device="cpu")
    with pytest.raises(InputError, match=f"--propagation {propagation}: 2 .* --graph-span local"):
        make_fabric(options)
