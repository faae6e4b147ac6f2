import json

import pytest


def test_all_protocols_are_reported_with_intervals(script, trained):
    done = script("evaluate.py", "--checkpoint", trained["agfn"], "--format", "json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    metrics = json.loads((trained["agfn"] / "metrics.json").read_text())
    assert list(report["protocols"]) == ["bank", "shuffled", "single", "class_sorted"]
    for name, outcome in report["protocols"].items():
        low, high = outcome["interval"]
        assert 0 <= low <= outcome["accuracy"] <= high <= 1
        # Training measured the same images by the same protocols.
        trained_value = metrics["accuracy"][name]
        if name == "shuffled":
            trained_value = trained_value["mean"]
        assert outcome["accuracy"] == pytest.approx(trained_value, abs=1e-6)
    assert report["leak"] == pytest.approx(metrics["leak"], abs=1e-6)
    assert report["images"] == 6
    assert sum(map(sum, report["bank"]["confusion"])) == 6
    stored = json.loads((trained["agfn"] / "evaluation.json").read_text())
    assert stored == report
    assert (trained["agfn"] / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_two_runs_are_compared(script, trained):
    done = script("evaluate.py", "--checkpoint", trained["agfn"], trained["baseline"])
    assert done.returncode == 0, done.stderr
    assert "exact McNemar test" in done.stdout
    for text in ("bank", "shuffled", "single", "class_sorted", "leak", "macro F1", "bottom"):
        assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--draws", "0"], "--draws"),
        (["--batch-size", "1"], "--batch-size"),
        (["--root", "nowhere"], "--root nowhere"),
    ],
)
def test_bad_input_is_one_line(script, trained, arguments, complaint):
    done = script("evaluate.py", "--checkpoint", trained["baseline"], *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("evaluate.py: error: ")
    assert complaint in line
