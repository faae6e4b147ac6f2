"""A trainer takes any data set of images, and measures by the classes of the training."""

import pytest
import torch
from own_data import SMALL, floats, photos, same, trainer, weights
from torch.utils.data import DataLoader, Subset, TensorDataset

from pyg_agfn import Trainer
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.errors import InputError


def test_what_the_images_come_in_changes_nothing(tiny):
    kinds = [tiny, photos(tiny), floats(tiny), Subset(floats(tiny), range(60))]
    kinds.append(TensorDataset(tiny.images, tiny.labels))
    found = [trainer().fit(kind, kind) for kind in kinds]
    assert all(same(weights(found[0]), weights(result)) for result in found)
    assert all(r.metrics["accuracy"] == found[0].metrics["accuracy"] for r in found)
    assert found[1].config.classes == ("a", "b", "c")
    assert [r.config.own_transforms for r in found] == [False, False, True, True, False]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_trains_by_its_own_batches(tiny, workers):
    def loader(data) -> DataLoader:
        return DataLoader(data, 12, shuffle=True, drop_last=True, num_workers=workers)

    options = {k: v for k, v in SMALL.items() if k != "batch_size"}
    made = Trainer("small-cnn", "agfn", quiet=True, feature_dim=16, **options)
    result = made.fit(loader(floats(tiny)), loader(floats(tiny)))
    assert result.config.batch_size == result.options.batch_size == 12
    assert result.references.bank.batch_size == 12  # whose degree its edges are scaled to
    assert len(result.train) == result.metrics["test_images"] == 60
    assert same(weights(result), weights(made.fit(loader(floats(tiny)))))
    given = made.fit(loader(photos(tiny)))
    assert given.config.classes == ("a", "b", "c")


def test_validation_images_may_lack_a_class(tiny):
    rows = (tiny.labels != 1).nonzero().flatten()
    full = trainer().fit(tiny, tiny)
    found = [
        tiny.subset(rows),
        ImageDataset(
            tiny.images[rows].numpy(),
            tiny.labels[rows].numpy(),
            tiny.classes,
            [tiny.names[i] for i in rows],
            every_class=False,
        ),
        TensorDataset(tiny.images[rows], tiny.labels[rows]),
        photos(tiny, keep="ac"),
        DataLoader(photos(tiny, keep="ac"), 7),
    ]
    results = [trainer().fit(tiny, validation) for validation in found]
    assert all(r.metrics["test_images"] == 40 for r in results)
    correct = full.answers.correct[rows].double().mean()
    for result in results:
        assert same(weights(result), weights(full))
        assert result.metrics["accuracy"]["bank"] == pytest.approx(float(correct))


@pytest.mark.parametrize("kind", [lambda d: d, lambda d: DataLoader(d, 7)])
def test_validation_labels_are_told_by_the_names_of_the_classes(tiny, kind):
    """A folder without class b numbers c as 1."""
    result = trainer(epochs=8).fit(tiny, kind(photos(tiny, keep="ac", classes="ac")))
    assert set(result.answers.labels.tolist()) == {0, 2}
    assert result.metrics["accuracy"]["single"] > 0.9
    swapped = trainer(epochs=8).fit(tiny, kind(photos(tiny, classes="cba")))
    assert swapped.answers.labels.tolist() == tiny.labels.tolist()


def test_classes_without_names_are_numbers_in_validation_too(tiny):
    result = trainer(epochs=1).fit(floats(tiny), floats(tiny.subset(torch.arange(1, 60, 3))))
    assert result.answers.labels.tolist() == [1] * 20
    numbered = TensorDataset(tiny.images, tiny.labels)
    for one, other in ((numbered, photos(tiny)), (photos(tiny), numbered)):
        assert trainer(epochs=1).fit(one, other).answers.labels.tolist() == tiny.labels.tolist()


def test_without_validation_nothing_is_measured_but_the_training(tiny):
    result = trainer().fit(tiny)
    assert result.answers is None
    assert "accuracy" not in result.metrics
    assert result.metrics["test_images"] == 0
    assert [epoch["test_accuracy"] for epoch in result.history] == [None] * 3
    assert result.train_answers.logits.shape == (60, 3)


@pytest.mark.parametrize("method", ["baseline", "gce", "agfn-nlc"])
def test_soft_labels_are_what_is_learned(tiny, method):
    """They say the next class, so that the answers are never the label."""
    rows = 0.9 * torch.eye(3)[(tiny.labels + 1) % 3] + 0.1 / 3
    soft = ImageDataset(
        tiny.images.numpy(), tiny.labels, tiny.classes, tiny.names, soft_labels=rows
    )
    more = {"feature_dim": 16} if method == "agfn-nlc" else {}
    result = trainer(method=method, epochs=12, **more).fit(soft, tiny)
    assert result.metrics["accuracy"]["bank"] < 0.05
    assert result.predict(tiny.images).argmax(1).equal((tiny.labels + 1) % 3)


def test_a_method_that_learns_labels_alone_is_not_given_soft_labels(tiny):
    rows = torch.eye(3)[tiny.labels]
    soft = ImageDataset(
        tiny.images.numpy(), tiny.labels, tiny.classes, tiny.names, soft_labels=rows
    )
    with pytest.raises(InputError, match="SelfCure learns from labels alone"):
        trainer(method="scn").fit(soft)
    result = trainer(epochs=12).fit(tiny, soft)  # images to measure on may have them
    assert result.metrics["accuracy"]["bank"] > 0.9
