"""The part of the training images that is set aside, and the epoch that it chooses."""

import json

import pytest
import torch
from own_data import floats, photos, trainer
from rich.console import Console
from small_run import small_run
from torch.utils.data import DataLoader

from pyg_agfn.commands.audit_run import audit_finished_run
from pyg_agfn.errors import InputError
from pyg_agfn.runs.folder import load_run
from pyg_agfn.training import load_datasets, train_methods
from pyg_agfn.training.run_data import load_run_data
from pyg_agfn.training.validation import Accuracies, split_rows, stratified_sample

QUIET = Console(quiet=True)
#: Classes of 100, 37, 9, 2 and 1 images.
UNEQUAL = torch.arange(5).repeat_interleave(torch.tensor([100, 37, 9, 2, 1]))
UNEQUAL = UNEQUAL[torch.randperm(149, generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 0.5, 0.9])
def test_each_class_gives_its_share_and_keeps_an_image(fraction):
    chosen = stratified_sample(UNEQUAL, fraction, seed=3)
    counts = torch.bincount(UNEQUAL)
    drawn = torch.bincount(UNEQUAL[chosen], minlength=5)
    for n, k in zip(counts.tolist(), drawn.tolist(), strict=True):
        assert abs(k - fraction * n) < 1 or k == n - 1
        assert k < n
    if fraction <= 0.5:
        assert int(chosen.sum()) == round(fraction * 149)


def test_many_small_classes_give_their_share_together():
    labels = torch.arange(50).repeat(4)
    assert int(stratified_sample(labels, 0.1, seed=0).sum()) == 20


def test_the_two_parts_are_all_images_once_and_the_seeds():
    kept, set_aside = split_rows(UNEQUAL, 0.2, seed=5)
    assert sorted([*kept.tolist(), *set_aside.tolist()]) == list(range(149))
    assert kept.tolist() == sorted(kept.tolist())
    assert torch.equal(split_rows(UNEQUAL, 0.2, seed=5)[1], set_aside)
    assert not torch.equal(split_rows(UNEQUAL, 0.2, seed=6)[1], set_aside)


def test_each_image_of_a_class_is_drawn_as_often():
    labels = torch.arange(2).repeat_interleave(10)
    drawn = sum(stratified_sample(labels, 0.3, seed).double() for seed in range(600)) / 600
    assert float((drawn - 0.3).abs().max()) < 0.08


@pytest.mark.parametrize("labels", [UNEQUAL, torch.arange(4)], ids=["small share", "single images"])
def test_a_part_without_images_is_refused(labels):
    with pytest.raises(InputError, match=r"--val-fraction 0\.003 sets no image aside of .* larger"):
        split_rows(labels, 0.003, seed=0)


@pytest.mark.parametrize(
    "form", [lambda data: data, photos, floats], ids=["data", "photos", "floats"]
)
def test_a_trainer_sets_images_aside_whatever_they_come_in(form, tiny):
    result = trainer(val_fraction=0.25, keep="best", epochs=4).fit(form(tiny), tiny)
    assert len(result.train) == result.metrics["train_images"] == 45
    assert result.metrics["val_images"] == 15
    assert torch.bincount(result.train.labels).tolist() == [15, 15, 15]
    assert result.metrics["test_images"] == 60
    found = [epoch["val_accuracy"] for epoch in result.history]
    assert result.metrics["best_epoch"] == found.index(max(found)) + 1
    set_aside = tiny.subset(split_rows(tiny.labels, 0.25, 0)[1])
    kept = result.evaluate(set_aside).outcomes["single"].mean
    assert kept == pytest.approx(max(found))


def test_the_validation_part_chooses_and_not_the_test_images(tiny, monkeypatch):
    def accuracy(fabric, options, state, data) -> Accuracies:
        rising = state.epoch / 10
        return Accuracies(1 - rising if len(data) == 15 else rising, 0.5, 0.5)

    monkeypatch.setattr("pyg_agfn.training.validation.accuracies_on", accuracy)
    for given, best in (({"val_fraction": 0.25}, 1), ({}, 3)):
        result = trainer(keep="best", **given).fit(tiny, tiny)
        assert result.metrics["best_epoch"] == best


def test_without_any_validation_images_none_is_the_best(tiny):
    with pytest.raises(InputError, match="give them, or a val_fraction of the training images"):
        trainer(keep="best").fit(tiny)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"val_fraction": 0.2}, "val_fraction"), ({"balance": "sampler"}, "balance='sampler'")],
)
def test_a_loader_of_the_users_draws_by_itself(tiny, given, said):
    made = trainer(batch_size=12, **given)
    with pytest.raises(InputError, match=rf"^{said} has no effect with a DataLoader, which draws"):
        made.fit(DataLoader(photos(tiny), 12, shuffle=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the command line's data, with wrong labels and a part that chooses the epoch."""
    out = tmp_path_factory.mktemp("runs")
    options = small_run(
        out, method=("baseline",), val_fraction=0.2, keep="best", noise=0.2, epochs=3
    )
    train_methods(options, QUIET)
    (folder,) = out.iterdir()
    return folder, options


def test_commands_find_the_images_that_were_trained_on(run):
    folder, options = run
    train, test = load_datasets(options)
    kept, set_aside = split_rows(train.labels, 0.2, options.seed)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["val_images"]) == (len(kept), len(set_aside))
    assert metrics["test_images"] == len(test)
    _, found, measured = load_run_data(load_run(folder))
    assert found.names == [train.names[i] for i in kept.tolist()]
    assert torch.equal(found.labels, train.labels[kept])
    assert measured.names == test.names


def test_an_audit_ranks_what_was_trained_on_and_lists_the_rest_as_given(run):
    folder, options = run
    train, _ = load_datasets(options)
    kept, set_aside = split_rows(train.labels, 0.2, options.seed)
    audit = audit_finished_run(folder, {}, None, retrain=False, console=QUIET)
    assert {row.file for row in audit.rows} == {train.names[i] for i in kept.tolist()}
    lines = (folder / "cleaned_labels.csv").read_text().splitlines()[1:]
    cleaned = dict(line.split(",") for line in lines)
    assert cleaned.keys() == set(train.names)
    for i in set_aside.tolist():
        assert cleaned[train.names[i]] == train.classes[int(train.labels[i])]


def test_epochs_measure_each_test_image_alone(tiny):
    """A graph's epoch has the shuffled accuracy too, and a class counts as much as another."""
    unequal = tiny.subset(torch.tensor([*range(1, 60, 3), 0, 2]))
    result = trainer(method="agfn", epochs=7, feature_dim=16).fit(tiny, unequal)
    last, metrics = result.history[-1], result.metrics
    assert last["single_accuracy"] == pytest.approx(metrics["accuracy"]["single"])
    singles = [epoch["single_accuracy"] for epoch in result.history]
    assert metrics["last_epochs"]["single_accuracy"] == singles[2:]
    assert metrics["best_on_test"] == max(singles)
    true = unequal.labels
    logits = result.answers.logits
    of_classes = [(logits[true == c].argmax(1) == c).double().mean() for c in range(3)]
    assert metrics["class_accuracy"] == pytest.approx(float(sum(of_classes)) / 3)
    alone = result.model.head(result._features(unequal, 16), use_graph=False).argmax(1)
    of_classes = [(alone[true == c] == c).double().mean() for c in range(3)]
    found = metrics["last_epochs"]["single_class_accuracy"]
    assert found[-1] == pytest.approx(float(sum(of_classes)) / 3)
    assert len(found) == 5


def test_without_test_images_no_epoch_has_a_figure_of_them(tiny):
    result = trainer(val_fraction=0.25, epochs=2).fit(tiny)
    assert not {"last_epochs", "best_on_test", "class_accuracy"} & result.metrics.keys()
