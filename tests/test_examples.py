"""Each example runs as it stands."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from pyg_agfn.methods import TrainingBatch

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_the_own_loop_learns_from_labels_of_which_a_fifth_are_wrong(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["own_loop.py", "--epochs", "12"])
    found = runpy.run_path(str(EXAMPLES / "own_loop.py"))
    assert float(found["right"]) > 0.96
    assert found["corrector"].noise_rate == pytest.approx(0.2, abs=0.08)
    assert "test accuracy 9" in capsys.readouterr().out


@pytest.mark.slow
def test_the_own_method_learns_from_labels_of_which_a_fifth_are_wrong(
    monkeypatch, capsys, registries
):
    monkeypatch.setattr(sys, "argv", ["own_method.py", "--epochs", "8"])
    found = runpy.run_path(str(EXAMPLES / "own_method.py"), run_name="__main__")
    baseline, mixup = capsys.readouterr().out.splitlines()
    assert baseline.startswith("TrainingResult(baseline, 10 classes, inductive accuracy ")
    assert mixup.startswith("TrainingResult(mixup, 10 classes, inductive accuracy ")
    assert found["result"].metrics["accuracy"]["bank"] > 0.93
    assert found["result"].metrics["memorized"] < 0.3


def test_mixup_minimizes_the_mixture_of_two_losses(registries):
    """Against the cross-entropy of the mixed labels, which is linear in them."""
    method = runpy.run_path(str(EXAMPLES / "own_method.py"))["Mixup"](alpha=2.0)
    images, labels = torch.randn(6, 1, 4, 4), torch.arange(6) % 3
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    method.model = model
    torch.manual_seed(2)
    out = method.training_step(TrainingBatch(images, labels, torch.arange(6), {}))
    torch.manual_seed(2)
    share, other = torch.distributions.Beta(2.0, 2.0).sample(), torch.randperm(6)
    targets = F.one_hot(labels, 3) * share + F.one_hot(labels[other], 3) * (1 - share)
    mixed = images.clone()
    for i, j in enumerate(other.tolist()):
        mixed[i] = share * images[i] + (1 - share) * images[j]
    torch.testing.assert_close(out.loss, F.cross_entropy(model(mixed), targets))
    assert 0 < float(share) < 1


def test_an_example_is_short():
    assert all(len(file.read_text().splitlines()) <= 60 for file in EXAMPLES.glob("*.py"))


def test_wrong_labels_are_found_by_embeddings(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    found = runpy.run_path(str(EXAMPLES / "audit_embeddings.py"))["found"]
    assert found.mean() > 0.9
    assert (tmp_path / "label_issues.csv").read_text().count("\n") == 1798
    assert "of 1,797 labels are wrong" in capsys.readouterr().out
