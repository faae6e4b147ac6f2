"""Each example runs as it stands."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_own_loop_learns_from_labels_of_which_a_fifth_are_wrong(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["own_loop.py", "--epochs", "12"])
    found = runpy.run_path(str(EXAMPLES / "own_loop.py"))
    assert float(found["right"]) > 0.96
    assert found["corrector"].noise_rate == pytest.approx(0.2, abs=0.08)
    assert "test accuracy 9" in capsys.readouterr().out


def test_an_example_is_short():
    assert all(len(file.read_text().splitlines()) <= 60 for file in EXAMPLES.glob("*.py"))


def test_wrong_labels_are_found_by_embeddings(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(EXAMPLES / "audit_embeddings.py"))["found"]
    assert found.mean() > 0.9
    assert (tmp_path / "label_issues.csv").read_text().count("\n") == 1798
    assert "of 1,797 labels are wrong" in capsys.readouterr().out
