import pytest
import torch

from pyg_agfn.datasets.augmentation import random_erasing, to_float
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.image_batch import ImageBatch
from pyg_agfn.datasets.views import VIEWS, register_view
from pyg_agfn.errors import InputError
from pyg_agfn.generators import generator_for

CPU = torch.device("cpu")


def batches(data, **options) -> list[ImageBatch]:
    return list(Batches(data, 30, CPU, shuffle=True, seed=5, **options))


@pytest.fixture
def darker():
    @register_view("darker", draws=1)
    def darker(images, draw):
        return images - draw[0].view(-1, 1, 1, 1)

    yield "darker"
    VIEWS.unregister("darker")


@pytest.mark.parametrize("augmented", [True, False])
def test_a_mirrored_view_is_of_the_same_images(tiny, augmented):
    plain = batches(tiny, augmented=augmented)
    pairs = batches(tiny, augmented=augmented, views=("mirrored",))
    for one, other in zip(plain, pairs, strict=True):
        first, second = other.images, other.views["mirrored"]
        assert first.shape == second.shape == (30, 1, 8, 8)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.index, other.index)
        grey = (first == 0) | (second.flip(-1) == 0)
        if augmented:
            assert torch.equal(first, one.images)
        assert torch.equal(first[~grey], second.flip(-1)[~grey])
        erased = ((first == 0) != (second.flip(-1) == 0)).flatten(1).any(1)
        assert int(erased.sum()) > 10  # each view by a draw of its own


def test_a_mirrored_view_is_mirrored_and_then_erased(tiny):
    generator = generator_for("mirrored view", 5)
    for batch in batches(tiny, views=("mirrored",)):
        images = to_float(tiny.images[batch.index])
        # The draws of a pass: of the first batch, its images and then its view, and so on.
        erased = random_erasing(images, torch.rand(5, 30, generator=generator))
        view = random_erasing(images.flip(-1), torch.rand(5, 30, generator=generator))
        assert torch.equal(batch.images, erased)
        assert torch.equal(batch.views["mirrored"], view)


def test_a_registered_view_has_draws_for_each_image(tiny, darker):
    plain, found = batches(tiny, augmented=False), batches(tiny, views=(darker,))
    amounts = []
    for one, other in zip(plain, found, strict=True):
        assert torch.equal(one.images, other.images)  # this view leaves the images as they are
        amount = one.images - other.views["darker"]
        torch.testing.assert_close(amount, amount[:, :, :1, :1].expand_as(amount))
        amounts += amount[:, 0, 0, 0].tolist()
    assert all(0 <= amount < 1 for amount in amounts)
    assert len(set(amounts)) > 50


def test_two_views_at_once(tiny, darker):
    for batch in batches(tiny, augmented=True, views=("mirrored", darker)):
        assert list(batch.views) == ["mirrored", "darker"]


def test_a_pass_that_is_resumed_has_the_same_views(tiny, darker):
    whole = Batches(tiny, 20, CPU, True, True, seed=3, views=("mirrored", darker))
    list(whole)
    passing = iter(whole)
    next(passing)
    state, done = whole.state_dict(), whole.done
    rest = list(passing)
    other = Batches(tiny, 20, CPU, True, True, seed=9, views=("mirrored", darker))
    other.load_state_dict(state, done)
    resumed = list(other)
    assert len(resumed) == len(rest) == 2
    for one, two in zip(rest, resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one[:3], two[:3], strict=True))
        assert all(torch.equal(one.views[name], two.views[name]) for name in one.views)


def test_an_unknown_view_is_refused(tiny):
    with pytest.raises(InputError, match=r"unknown view 'sideways', choose one of mirrored"):
        Batches(tiny, 20, CPU, views=("sideways",))
