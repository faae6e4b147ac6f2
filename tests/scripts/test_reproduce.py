import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.reproduction.results_file import ResultsFile

SMALL = [
    *("--dataset", "digits", "--seeds", "0", "--quick", "--feature-dim", "16"),
    *("--method", "baseline", "agfn"),
]


def test_a_table_is_run_once_and_rendered_with_its_command(script, tmp_path):
    first = script("reproduce.py", "--table", 2, *SMALL)
    assert first.returncode == 0, first.stderr
    assert "**10% wrong labels**" in first.stdout
    assert "| method | inductive | to baseline | shuffled |" in first.stdout
    again = script("reproduce.py", "--table", 2, *SMALL)
    assert again.stdout.count(": has a result") == 4
    table = again.stdout[again.stdout.index("**try-out (--quick)") :]
    assert table in first.stdout
    assert "scripts/reproduce.py --table 2 --dataset digits --seeds 0 --quick --feature" in table
    assert "(p " not in table  # a p-value of a try-out would mean nothing
    assert "does not tell where AGFN stands" in table
    results = tmp_path / "runs" / "reproduce-quick" / "results.jsonl"
    assert len(results.read_text().splitlines()) == 4

    rendered = script("render_results.py", results, "--table", 2, "--dataset", "digits")
    assert rendered.returncode == 0
    assert rendered.stdout.strip() == table.strip()


def test_a_suite_is_run_rendered_and_put_into_a_document(script, tmp_path):
    small = ["--suite", "digits", "--seeds", "0", "--quick", "--noise-rates", "0.2"]
    small += ["--method", "baseline", "agfn-nlc", "--feature-dim", "16"]
    first = script("reproduce.py", *small)
    assert first.returncode == 0, first.stderr
    assert "digits: sized for a CPU: 1,347 training images, a small network" in first.stdout
    table = first.stdout[first.stdout.index("scikit-learn's digits. **try-out") :]
    assert " --suite digits --seeds 0 --quick --feature-dim 16 --noise-rates 0.2\n" in table
    assert "| method | last five epochs | mean class accuracy | last epoch |" in table
    again = script("reproduce.py", *small)
    assert again.stdout.count(": has a result") == 2
    assert table in again.stdout

    results = tmp_path / "runs" / "reproduce-quick" / "results.jsonl"
    page = tmp_path / "page.md"
    end = "<!-- end of what is rendered -->"
    page.write_text(f"# Page\n<!-- rendered by: --suite digits -->\n{end}\n")
    rendered = script("render_results.py", results, "--into", page)
    assert rendered.returncode == 0, rendered.stderr
    assert rendered.stdout == f"{page}: rendered\n"
    mark = "<!-- rendered by: --suite digits -->"
    assert page.read_text() == f"# Page\n{mark}\n\n{table.strip()}\n\n{end}\n"
    assert script("render_results.py", results, "--into", page).stdout.endswith("is as it was\n")


def test_labels_of_people_are_a_condition_of_the_suite(script, tmp_path):
    """A folder in the layout of CIFAR-10, and a list that calls every second bird a frog."""
    rng, lines = np.random.default_rng(0), []
    for part, n in (("train", 64), ("test", 8)):
        for name in ("bird", "frog"):
            (tmp_path / "cifar" / part / name).mkdir(parents=True)
            for i in range(n):
                path = tmp_path / "cifar" / part / name / f"{i:04}.png"
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
                lines.append(f"train/{name}/{i:04}.png {'frog' if i % 2 else name}")
    (tmp_path / "worst.txt").write_text("\n".join(lines[:128]))
    given = ["--root", tmp_path / "cifar", "--noise-files", "clean", tmp_path / "worst.txt"]
    small = ["--seeds", "0", "--quick", "--method", "baseline", "--batch-size", "16"]
    result = script("reproduce.py", "--suite", "cifar10n", *given, *small, "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert "cifar10n: sized for a CPU, as there is no GPU: --backbone small-cnn" in result.stdout
    assert "**No wrong labels added**" in result.stdout
    assert "**Labels of worst.txt**" in result.stdout
    records = ResultsFile(tmp_path / "runs" / "reproduce-quick" / "results.jsonl").records()
    assert [record["settings"]["noise_file"] for record in records] == [None, "worst.txt"]
    assert [record["metrics"]["noise"] for record in records] == [0.0, 0.25]
    assert records[0]["settings"]["backbone"] == "small-cnn"


def test_a_default_that_is_given_is_heard(script, tmp_path):
    small = ("--dataset", "digits", "--seeds", "0", "--quick", "--feature-dim", "16")
    given = ("--method", "agfn-best", "--alpha", "1")  # agfn-nlc begins with 8 by default
    result = script("reproduce.py", "--table", 1, *small, *given)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "reproduce.py: --method agfn-best is now --method agfn-nlc\n"
    (record,) = ResultsFile(tmp_path / "runs" / "reproduce-quick" / "results.jsonl").records()
    assert record["settings"]["alpha"] == 1.0
    assert record["metrics"]["alpha"] == pytest.approx(1.0, abs=0.3)
    assert " --alpha 1.0 " in result.stdout


def test_records_of_an_older_version_are_not_trained_again(script, tmp_path, monkeypatch):
    def trains(*_):
        raise AssertionError("it was trained")

    monkeypatch.setattr("pyg_agfn.reproduction.run_grid.train_method", trains)
    documents = Path(__file__).parents[2] / "docs" / "results.jsonl"
    shutil.copy(documents, tmp_path / "results.jsonl")
    result = script("reproduce.py", "--ablation", "--results", "results.jsonl")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(": has a result") == 48
    assert "| no teacher | 99.04 ± 0.71 | +0.37 (p = 0.252) |" in result.stdout


def test_shards_share_the_runs_and_the_last_one_draws(script, tmp_path):
    arguments = ["--figure", 5, *SMALL, "--pictures", "pictures"]
    first = script("reproduce.py", *arguments, "--shard", "0/2")
    assert "figure-5 is not drawn: 1 of 2 runs have no result yet" in first.stdout
    assert first.returncode == 0
    second = script("reproduce.py", *arguments, "--shard", "1/2")
    assert "written: pictures/figure5_digits.*" in second.stdout
    results = tmp_path / "runs" / "reproduce-quick" / "results.jsonl"
    methods = [json.loads(line)["settings"]["method"] for line in results.read_text().splitlines()]
    assert methods == [["baseline"], ["agfn"]]


def test_a_figure_of_which_nothing_is_chosen_is_not_drawn(script):
    small = ("--dataset", "digits", "--seeds", "0", "--quick", "--method", "gce")
    result = script("reproduce.py", "--figure", 4, *small)
    assert result.returncode == 0, result.stderr
    assert "figure-4 is not drawn: it shows baseline, center-loss, agfn, and none" in result.stdout


@pytest.mark.slow
def test_the_ablation_is_run_and_rendered(script, monkeypatch):
    from pyg_agfn.reproduction import grid

    monkeypatch.setitem(grid.TARGETS, "ablation", few := grid.TARGETS["ablation"])
    for name in list(few.variants)[2:-1]:  # the last one sets an option that --quick sets too
        monkeypatch.delitem(few.variants, name)
    small = ["--seeds", "0", "--quick", "--feature-dim", "16"]
    result = script("reproduce.py", "--ablation", *small)
    assert result.returncode == 0, result.stderr
    assert "| all parts |" in result.stdout
    assert "| α, β fixed |" in result.stdout
    assert "| bank of the 256 images that agree most with their neighbours |" in result.stdout
    (row,) = (line for line in result.stdout.splitlines() if "α, β fixed" in line)
    assert row.endswith("| 8.00 | -4.00 |")


@pytest.mark.slow
def test_learning_rates_are_run_and_rendered(script, tmp_path):
    result = script("reproduce.py", "--sweep", "0.01", "0.05", *SMALL)
    assert result.returncode == 0, result.stderr
    table = result.stdout[result.stdout.index("**try-out (--quick)") :]
    assert "scripts/reproduce.py --sweep 0.01 0.05 --dataset digits --seeds 0" in table
    assert "| method | 0.01 | 0.05 | best to baseline's | leakage |" in table
    results = tmp_path / "runs" / "reproduce-quick" / "results.jsonl"
    assert len(results.read_text().splitlines()) == 4
    rendered = script("render_results.py", results, "--sweep", "--dataset", "digits")
    assert rendered.stdout.strip() == table.strip()


@pytest.mark.slow
@pytest.mark.parametrize("figure", [1, 3, 4, 5])
def test_figures_are_drawn_with_their_numbers(script, tmp_path, monkeypatch, figure):
    if figure == 3:
        from pyg_agfn.reproduction import grid

        target = grid.TARGETS["figure-3"]
        monkeypatch.setitem(target.varied, "batch_size", (32, 128))
        monkeypatch.setitem(grid.BACKBONES, "backbone", ("small-cnn", "resnet18"))
    result = script("reproduce.py", "--figure", figure, *SMALL, "--pictures", "pictures")
    assert result.returncode == 0, result.stderr
    base = tmp_path / "pictures" / f"figure{figure}_digits"
    for ending in (".png", ".svg", ".json"):
        assert base.with_suffix(ending).stat().st_size > 100
    numbers = json.loads(base.with_suffix(".json").read_text())
    if figure == 3:
        assert set(numbers["inductive accuracy by batch size"]["agfn"]) == {"32", "128"}
        assert set(numbers["by backbone"]["baseline"]) == {"small-cnn", "resnet18"}
    elif figure == 5:
        assert len(numbers["images"]) == 12
        assert set(numbers["most ambiguous tenth"]) == {"baseline", "agfn"}
    else:
        assert base.with_suffix(".html").is_file()
        assert numbers[1]["labels"] != numbers[1]["true_labels"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of the arguments --table --figure --sweep --ablation --suite is required"),
        (["--sweep", "0.1"], "--sweep 0.1: needs two learning rates or more"),
        (["--sweep", "0.1", "0.1"], "--sweep 0.1: needs two learning rates or more"),
        (["--sweep", "0.1", "x"], "argument --sweep: invalid float value: 'x'"),
        (["--sweep", "0.1", "-1"], "--sweep -1: must be above 0 and finite"),
        (["--sweep", "nan", "0.1"], "--sweep nan: must be above 0 and finite"),
        (["--sweep", "--lr", "0.1"], "--lr: sweep sets it itself"),
        (["--sweep", "--noise-rates", "0.1"], "--noise-rates: sweep takes one, by --noise"),
        (
            ["--table", "5", "--root", "x", "--method", "scn", "eac"],
            "--method: table-5 compares baseline, agfn, and none is chosen",
        ),
        (["--ablation", "--samples", "2"], "--samples: ablation sets it itself"),
        (["--ablation", "--label-source=given"], "--label-source: ablation sets it itself"),
        (["--sweep", "--recipe", "good"], "--recipe good: this option is gone; choose --method"),
        (["--table", "6"], "invalid choice"),
        (["--suite", "faces"], "invalid choice"),
        (["--suite", "digits", "--table", "1"], "not allowed with argument"),
        (["--suite", "digits", "--dataset", "mnist"], "--dataset: --suite digits is of digits"),
        (["--suite", "digits", "--noise", "0.1"], "--noise: digits sets it itself"),
        (["--suite", "digits", "--noise-rates", "1"], "--noise-rates 1: must be at least 0"),
        (["--suite", "digits", "--noise-files", "x"], "--noise-files: digits has no lists"),
        (["--suite", "mnist"], "--dataset mnist needs --root"),
        (["--suite", "ferplus-face", "--root", "x"], "--suite ferplus-face needs --weights FILE"),
        (["--suite", "cifar10n", "--root", "x"], "--suite cifar10n needs --noise-files with its"),
        (["--suite", "cifar10n", "--root", "x", "--noise-files", "y.txt"], "y.txt: there is no"),
        (["--suite", "cifar10n", "--noise-files", "clean", "clean"], "clean: another list has"),
        (["--suite", "cifar10n", "--noise-files", "clean", "--noise", "0.1"], "--noise: cifar"),
        (["--table", "1", "--noise", "0.3"], "--noise: table-1 sets it itself"),
        (["--table", "2", "--noise", "0.3"], "--noise: table-2 sets it itself"),
        (["--table", "2", "--noise-rates", "1"], "--noise-rates 1: must be above 0 and below 1"),
        (["--figure", "4", "--noise-rates", "0.3"], "--noise-rates: figure-4 sets the noise"),
        (["--table", "5", "--backbone=resnet18"], "--backbone: table-5 sets it itself"),
        (["--table", "1", "--seed", "3"], "--seed: table-1 sets it itself"),
        (["--table", "3"], "need --list"),
        (["--table", "1", "--list", "x.txt"], "need --list"),
        (["--table", "1", "--shard", "2/2"], "--shard 2/2: must be I/N"),
        (["--table", "1", "--shard", "x"], "--shard x: must be I/N"),
        (["--table", "1"], "--dataset ferplus needs --root"),
        (["--table", "1", "--epoch", "3"], "unrecognized arguments: --epoch"),
        (["--table", "1", "--root", "nowhere"], "--root nowhere: looked for"),
        (["--table", "1", *SMALL, "--epochs", "5"], "--epochs: --quick sets it itself"),
        (["--table", "1", *SMALL, "--device", "cuda:99"], "there is no such device"),
        (["--table", "1", *SMALL, "--results", "/proc/x.jsonl"], "--results /proc/x.jsonl: cannot"),
        (["--table", "1", *SMALL, "--results", "/dev/zero"], "/dev/zero: cannot be read (is no f"),
        (["--table", "1", *SMALL, "--results", "."], "cannot be read (is no file)"),
        (["--table", "1", *SMALL, "--results", __file__], "row 1: is no record of a run"),
        (["--table", "1", *SMALL, "--out", __file__], "--out"),
        (["--table", "1", *SMALL, "--out", "/proc/x"], "--out /proc/x: "),
        (["--figure", "5", *SMALL, "--pictures", "/proc/x"], "--pictures /proc/x/"),
        (["--figure", "5", *SMALL, "--pictures", __file__], "choose another place"),
        (["--table", "3", *SMALL, "--list", "nowhere.txt"], "nowhere.txt: cannot be read"),
        (["--table", "3", *SMALL, "--list", __file__], "bad"),
    ],
)
def test_bad_input_is_told_before_any_training(script, arguments, complaint, monkeypatch):
    def trains(*_):
        raise AssertionError("it was trained")

    monkeypatch.setattr("pyg_agfn.reproduction.run_grid.train_method", trains)
    result = script("reproduce.py", *arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert complaint == "bad" or len(result.stderr.splitlines()) == 1


def test_an_interrupted_grid_says_what_resumes_it(script, monkeypatch):
    def interrupted(*_):
        raise InterruptedRunError("interrupted; --resume runs/x", 130)

    with monkeypatch.context() as patch:
        patch.setattr("pyg_agfn.reproduction.run_grid.train_method", interrupted)
        result = script("reproduce.py", "--table", 1, *SMALL)
    assert result.returncode == 130
    assert result.stderr == ("reproduce.py: interrupted, and saved; the same command resumes it\n")


def test_figures_of_another_folder_are_not_written_over_untold(script, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "figure5_digits.json").write_text("mine")
    arguments = ["--figure", 5, *SMALL, "--pictures", "pictures", "--shard", "1/2"]
    result = script("reproduce.py", *arguments)
    assert result.returncode == 2
    assert "figure5_digits.json: exists already; --overwrite replaces it" in result.stderr
    assert (tmp_path / "pictures" / "figure5_digits.json").read_text() == "mine"
    assert not (tmp_path / "runs" / "reproduce-quick" / "results.jsonl").exists()


def test_results_that_another_process_holds_are_told_with_its_number(tmp_path):
    results = ResultsFile(tmp_path / "results.jsonl", patience=0.05)
    with FileLock(tmp_path / "results.jsonl.lock"):
        with pytest.raises(InputError, match=r"has held .*results.jsonl.lock for 0.05") as caught:
            results.check()
        if sys.platform == "linux":
            assert re.search(rf"process {os.getpid()} |another process", str(caught.value))
    assert results.check() == ""


def make_results(path: Path, kind: str) -> Path:
    content = {
        "binary": b"\x00\xff" * 999,
        "text": b"some words\nand more\n",
        "other": b'{"cell": "x", "settings": {}, "metrics": {}}\n',
    }
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    else:
        path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("binary", "row 1: is no record of a run"),
        ("text", "row 1: is no record of a run"),
        ("other", "row 1: the record of x is not that of a run"),
        ("pipe", "is no file"),
        ("folder", "is no file"),
        ("huge", "bytes, where 268,435,456 are the most"),
    ],
)
def test_what_is_no_results_file_is_one_line(script, tmp_path, kind, complaint):
    path = make_results(tmp_path / "results.jsonl", kind)
    result = script("render_results.py", path, "--table", 1)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["missing.jsonl", "--table", "1"], "missing.jsonl: there is no such file"),
        ([os.devnull, "--table", "1"], "is no file"),
        (["empty", "--table", "3"], "reproduce.py --table 3 --dataset ferplus --root DATA --list"),
        (["empty", "--sweep"], "no finished run of sweep on ferplus: run scripts/reproduce.py"),
        (["empty"], "--ablation and --suite is required, or --into"),
        (["empty", "--table", "1", "--into", "x.md"], "is required, or --into"),
        (["empty", "--into", "x.md"], "--into x.md: cannot be read"),
        (["empty", "--into", "empty"], "empty: nothing to render"),
        (["empty", "--suite", "mnist"], "reproduce.py --suite mnist --root DATA"),
        (["empty", "--suite", "mnist", "--dataset", "digits"], "--suite mnist is of mnist"),
        (["empty", "--ablation"], "no finished run of ablation on digits: run scripts/reprod"),
        (["empty", "--table", "1", "--dataset", "faces"], "invalid choice: 'faces'"),
    ],
)
def test_rendering_bad_input_is_one_line(script, tmp_path, arguments, complaint):
    (tmp_path / "empty").touch()
    result = script("render_results.py", *arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
