"""Training on cleaned labels, as the benchmark compares it."""

import json
import sys

import pytest
import retraining


@pytest.mark.slow
def test_each_training_is_measured_once(tmp_path, capsys, monkeypatch):
    results = tmp_path / "gain.jsonl"
    options = ["--train-size", "400", "--noise", "0.2", "--epochs", "6", "--batch-size", "32"]
    monkeypatch.setattr(sys, "argv", ["retraining.py", "--results", str(results), "--", *options])
    retraining.main()
    (line,) = map(json.loads, results.read_text().splitlines())
    assert line["set"] == "digits, random, 20%"
    assert list(line["accuracy"]) == list(retraining.TRAININGS)
    assert line["wrong"]["given"] == 0.2
    assert line["wrong"]["cleaned"] < 0.2
    shown = capsys.readouterr().out
    assert f"{100 * line['accuracy']['agfn-nlc, cleaned']:.1f}" in shown
    # It is there now, and not trained again.
    monkeypatch.setattr(retraining, "compare", None)
    retraining.main()
    assert capsys.readouterr().out == shown
