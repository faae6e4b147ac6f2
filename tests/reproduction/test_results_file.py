import json
import multiprocessing
from pathlib import Path

import pytest
import torch

from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import cell_name, grid, settings
from pyg_agfn.reproduction.paper_targets import COMPARED
from pyg_agfn.reproduction.results_file import ResultsFile, check_record, pack, unpack
from pyg_agfn.training import TrainOptions

DOCUMENTS = Path(__file__).parents[2] / "docs" / "results.jsonl"
FERPLUS = {"root": Path("DATA"), "augment": False, "precision": "bf16", "warmup_epochs": 1}


def add_many(path: Path, writer: int) -> None:
    for i in range(50):
        ResultsFile(path).add({"cell": f"{writer}-{i}", "settings": {}, "padding": "x" * 5000})


def test_several_processes_write_at_once_and_no_line_is_torn(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add_many, args=(path, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    cells = [json.loads(line)["cell"] for line in path.read_text().splitlines()]
    assert sorted(cells) == sorted(f"{n}-{i}" for n in range(4) for i in range(50))


def test_half_a_line_of_a_dead_process_harms_no_other(tmp_path):
    results = ResultsFile(tmp_path / "results.jsonl")
    results.add({"cell": "a", "settings": {}})
    with results.path.open("a") as file:
        file.write('{"cell": "b", "sett')
    results.add({"cell": "c", "settings": {}})
    with results.path.open("ab") as file:
        file.write(b"\xff\xfe[1, 2]\n3\n")
    assert [record["cell"] for record in results.records()] == ["a", "c"]


def test_the_last_record_of_a_cell_counts(tmp_path, base):
    results = ResultsFile(tmp_path / "results.jsonl")
    assert results.records() == []
    base = base.for_method("agfn")
    record = {"cell": cell_name(base), "settings": settings(base)}
    results.add({**record, "error": "the loss is nan"})
    assert not results.has(base)
    results.add({**record, "metrics": {"n": 1}})
    results.add({**record, "subset": "occlusion", "accuracy": 0.5})
    assert results.has(base)
    assert [r.get("subset") for r in results.records()] == [None, "occlusion"]
    results.add({**record, "settings": {**settings(base), "lr": 9.0}, "metrics": {}})
    assert not results.has(base)  # the same name, but other settings


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--results .*file/results.jsonl: cannot be written"):
        ResultsFile(tmp_path / "file" / "results.jsonl").add({"cell": "a"})
    with pytest.raises(InputError, match="cannot be read"):
        ResultsFile(tmp_path).records()


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000])
def test_packed_booleans_come_back(n):
    torch.manual_seed(n)
    correct = torch.rand(n) < 0.7
    assert torch.equal(unpack(pack(correct), n), correct)
    assert len(pack(correct)) <= n / 6 + 8


def test_the_results_in_the_documents_are_of_runs():
    records = ResultsFile(DOCUMENTS).records()
    assert records
    for record in records:
        check_record(record)


#: The methods of which the documents have runs of FERPlus and MNIST.
MEASURED = "baseline label-smoothing gce center-loss scn eac threshold-gcn agfn agfn-nlc"


@pytest.mark.parametrize(
    ("target", "dataset", "given", "values", "methods", "seeds"),
    [
        ("ablation", "digits", {}, None, None, 3),
        ("table-2", "digits", {}, {"noise": [0.2]}, "baseline gce scn agfn agfn-nlc", 3),
        ("figure-4", "mnist", {"root": Path("DATA"), "precision": "bf16"}, None, MEASURED, 3),
        (
            "table-2",
            "ferplus",
            {"epochs": 10, "pretrain_epochs": 3, "lr": 0.05, **FERPLUS},
            None,
            MEASURED,
            1,
        ),
    ],
)
def test_no_run_of_the_documents_is_trained_again(target, dataset, given, values, methods, seeds):
    base = TrainOptions.for_dataset(dataset, **given)
    rows = methods.split() if methods else COMPARED
    results = ResultsFile(DOCUMENTS)
    for options in grid(target, base, rows, range(seeds), values):
        found = results.find(options)
        assert found is not None, cell_name(options)
        assert found["cell"].replace("-best-", "-nlc-")[:-9] == cell_name(options)[:-9]
    assert not results.has(options.changed(lr=0.123))
