import csv
import json
import shutil

import pytest
from rich.console import Console
from small_run import small_run

from pyg_agfn.audit.audit_files import COLUMNS
from pyg_agfn.runs.folder import load_run
from pyg_agfn.training import TrainingResult, train_methods
from pyg_agfn.training.run_data import load_run_data

TRAINING = (
    "--dataset", "digits", "--noise", 0.2, "--train-size", 200, "--epochs", 3,
    "--pretrain-epochs", 1, "--feature-dim", 16, "--eval-draws", 1,
)  # fmt: skip


@pytest.mark.slow
def test_a_run_is_trained_audited_and_trained_again_on_the_cleaned_labels(script, tmp_path):
    done = script("audit_labels.py", *TRAINING, "--out", "runs", "--retrain")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "digits-agfn-nlc-audit"
    with (folder / "label_issues.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["rank"]) for row in rows] == list(range(1, 201))
    issues = {row["file"]: row["suggested_label"] for row in rows if row["is_issue"] == "True"}
    given = {row["file"]: row["given_label"] for row in rows}
    lines = (folder / "cleaned_labels.csv").read_text().splitlines()
    assert dict(line.split(",") for line in lines[1:]) == given | issues
    assert (folder / "label_issues.png").stat().st_size > 1000
    assert rows[0]["file"] in (folder / "label_issues.html").read_text()
    assert "of 200 labels are wrong, by 95% between" in done.stdout
    assert f"{folder.relative_to(tmp_path)}/label_issues.html" in done.stdout

    second = tmp_path / "runs" / "digits-agfn-nlc-audit-cleaned"
    options = json.loads((second / "config.json").read_text())
    assert options["noise_file"].endswith("digits-agfn-nlc-audit/cleaned_labels.csv")
    accuracies = [
        json.loads((run / "metrics.json").read_text())["accuracy"]["bank"]
        for run in (folder, second)
    ]
    assert (
        f"{accuracies[0]:.2%} on the given labels, {accuracies[1]:.2%} on the cleaned ones"
        in done.stdout
    )


@pytest.mark.parametrize("method", ["baseline", "agfn"])
def test_a_finished_run_is_audited_as_its_result_is(script, method, tmp_path):
    train_methods(small_run(tmp_path, method=(method,), noise=0.1), Console(quiet=True))
    folder = tmp_path / f"digits-{method}-noise0.1-seed0"
    done = script("audit_labels.py", folder)
    assert done.returncode == 0, done.stderr
    with (folder / "label_issues.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    _, train, _ = load_run_data(load_run(folder))
    audit = TrainingResult.load(folder).label_issues(train)
    assert len(rows) == len(audit) == 130
    by_name = {row.file: row for row in audit}
    for row in rows:
        expected = by_name[row["file"]]
        neighbors = (row[f"neighbor_{i}"] for i in (1, 2, 3))
        assert tuple(name for name in neighbors if name) == expected.neighbors
        assert float(row["neighbor_probability"]) == pytest.approx(
            expected.neighbor_probability, abs=1e-4
        )


def broken(folder, how, tmp_path):
    if how == "unfinished":
        (folder / "metrics.json").unlink()
    elif how == "fewer images":
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps({**metrics, "train_images": 31}))
    elif how == "a link":
        (folder / "label_issues.csv").symlink_to(tmp_path / "elsewhere")
    elif how == "no images":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "root": str(tmp_path / "gone")}))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("unfinished", "is not finished; train_pyg.py --resume"),
        ("fewer images", "was trained on 31 images, and there are 24 now"),
        ("a link", "is a link, and would be written through"),
        ("no images", "gone"),
        ("few images", "24 images are too few to tell which labels are wrong; 30 are the least"),
    ],
)
def test_a_run_that_cannot_be_audited_is_one_line(script, trained, how, reason, tmp_path):
    folder = shutil.copytree(trained["agfn"], tmp_path / "run")
    broken(folder, how, tmp_path)
    done = script("audit_labels.py", folder)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "the following arguments are required: RUN"),
        (("none",), "none/model.json: there is no such file"),
        (("--method", "baseline", "agfn"), "an audit is of one method"),
        (("--resume", "runs/x"), "--resume is an option of train_pyg.py"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(script, arguments, reason):
    done = script("audit_labels.py", *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_help_shows_both_forms(script):
    done = script("audit_labels.py", "--help")
    assert done.returncode == 0
    assert "audit_labels.py RUN [options]" in done.stdout
    assert "[options of train_pyg.py]" in done.stdout
