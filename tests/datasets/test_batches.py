import threading

import pytest
import torch
import torchvision.transforms.functional as tvf

from pyg_agfn.datasets.batches import Batches, random_affine, random_erasing, to_float

CPU = torch.device("cpu")


def test_pixels_become_minus_one_to_one():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    assert to_float(images).flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])


def test_an_unshuffled_pass_is_the_data_set(tiny):
    batches = Batches(tiny, 16, CPU)
    found = list(batches)
    assert [len(labels) for _, labels, _ in found] == [16, 16, 16, 12]
    assert len(batches) == 4
    images = torch.cat([images for images, _, _ in found])
    assert torch.equal(images, to_float(tiny.images))
    assert torch.equal(torch.cat([labels for _, labels, _ in found]), tiny.labels)
    assert torch.cat([index for _, _, index in found]).tolist() == list(range(60))


def test_a_shuffled_pass_has_full_batches_of_matching_labels(tiny):
    batches = Batches(tiny, 16, CPU, shuffle=True, seed=3)
    found = list(batches)
    assert [len(labels) for _, labels, _ in found] == [16, 16, 16]
    assert len(batches) == 3
    rows = [tiny.images.float().mean((1, 3))[:, 2 * k + 1].view(-1) for k in range(3)]
    brightest = torch.stack(rows, 1).argmax(1)
    assert torch.equal(brightest, tiny.labels)  # the label can be seen in the image
    for images, labels, index in found:
        assert torch.equal(images, to_float(tiny.images[index]))
        seen = torch.stack([images.mean((1, 3))[:, 2 * k + 1] for k in range(3)], 1).argmax(1)
        assert torch.equal(seen, labels)


def test_the_order_is_the_seeds_and_changes_by_pass(tiny):
    def orders(seed: int) -> list[list[int]]:
        batches = Batches(tiny, 20, CPU, shuffle=True, augmented=True, seed=seed)
        return [torch.cat([y for _, y, _ in batches]).tolist() for _ in range(2)]

    torch.manual_seed(0)
    first = orders(1)
    torch.manual_seed(99)  # the global generator decides nothing
    assert orders(1) == first
    assert first[0] != first[1]
    assert orders(2) != first


@pytest.mark.parametrize("shuffle", [True, False])
def test_workers_change_nothing(tiny, shuffle):
    def batches(workers: int) -> list[tuple[torch.Tensor, ...]]:
        return list(Batches(tiny, 7, CPU, shuffle, shuffle, seed=5, workers=workers))

    alone = batches(0)
    assert len(alone) == (8 if shuffle else 9)
    for workers in (1, 3, 9):
        for one, other in zip(batches(workers), alone, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_workers_of_a_pass_that_is_left_early_stop(tiny):
    before = set(threading.enumerate())  # some may be those of another test, about to end
    passing = iter(Batches(tiny, 2, CPU, workers=2))
    next(passing)
    workers = set(threading.enumerate()) - before
    assert workers
    passing.close()
    for thread in workers:
        thread.join(10)
    assert not any(thread.is_alive() for thread in workers)


def test_fewer_images_than_a_batch_are_one_batch(tiny):
    assert [len(y) for _, y, _ in Batches(tiny, 1000, CPU, shuffle=True)] == [60]


def test_a_mirrored_pass_brings_the_same_images_and_their_mirrored_views(tiny):
    def batches(**options) -> list[tuple[torch.Tensor, ...]]:
        return list(Batches(tiny, 30, CPU, shuffle=True, seed=5, **options))

    for augmented in (True, False):
        plain, pairs = (batches(augmented=augmented, mirrored=m) for m in (False, True))
        for (images, labels, index), (both, same_labels, same_index) in zip(
            plain, pairs, strict=True
        ):
            first, second = both.split(30)
            assert torch.equal(labels, same_labels)
            assert torch.equal(index, same_index)
            grey = (first == 0) | (second.flip(-1) == 0)
            if augmented:
                assert torch.equal(first, images)
            assert torch.equal(first[~grey], second.flip(-1)[~grey])
            erased = ((first == 0) != (second.flip(-1) == 0)).flatten(1).any(1)
            assert int(erased.sum()) > 10  # each view by a draw of its own


def draws(names: str, n: int, **values: float) -> torch.Tensor:
    """Every image gets the same draws: the middle, where nothing is said."""
    still = {**dict.fromkeys(names.split(), 0.5), "random_erasing": 1.0}
    column = torch.tensor([{**still, **values}[name] for name in names.split()])
    return column.unsqueeze(1).expand(-1, n)


def warped(images: torch.Tensor, **values: float) -> torch.Tensor:
    options = {k: values.pop(k) for k in ("shift", "degrees") if k in values}
    return random_affine(images, draws("angle mirror x y", len(images), **values), **options)


def test_the_middle_draw_changes_nothing():
    images = torch.randn(2, 3, 12, 10)
    torch.testing.assert_close(warped(images), images, atol=1e-5, rtol=0)


def test_mirror_is_torchvisions():
    images = torch.randn(2, 3, 12, 10)
    torch.testing.assert_close(warped(images, mirror=0.2), tvf.hflip(images), atol=1e-5, rtol=0)


def test_shift_moves_by_a_share_of_the_size():
    images = torch.randn(1, 1, 20, 10)
    moved = warped(images, x=1.0, y=1.0)  # 10% of 10 columns and of 20 rows
    torch.testing.assert_close(moved[..., :-2, :-1], images[..., 2:, 1:], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[..., -1, :-1], images[..., -1, 1:], atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(21, 21), (31, 15)])
def test_rotation_is_torchvisions(shape):
    images = torch.randn(1, 1, *shape)
    turned = warped(images, angle=1.0, degrees=20.0)
    expected = tvf.rotate(images, 20.0, tvf.InterpolationMode.BILINEAR)
    middle = (..., slice(shape[0] // 2 - 4, shape[0] // 2 + 5), slice(4, shape[1] - 4))
    difference = (turned - expected)[middle].abs().max()
    opposite = (turned - tvf.rotate(images, -20.0, tvf.InterpolationMode.BILINEAR))[middle]
    assert difference < 1e-3
    assert opposite.abs().max() > 0.1


@pytest.mark.parametrize("area", [0.0, 0.5, 1.0])
def test_erasing_greys_a_rectangle_of_the_drawn_area(area):
    draw = draws("area aspect top left random_erasing", 1, area=area, random_erasing=0.0)
    erased = random_erasing(torch.ones(1, 2, 100, 100), draw)
    grey = erased == 0
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert float(grey.float().mean()) == pytest.approx(0.02 + 0.18 * area, abs=0.01)
    rows, columns = grey[0, 0].any(1), grey[0, 0].any(0)
    assert int(rows.sum() * columns.sum()) == int(grey[0, 0].sum())


def test_each_image_has_a_draw_of_its_own():
    images = torch.ones(200, 1, 16, 16)
    out = random_erasing(images, torch.rand(5, 200, generator=torch.Generator().manual_seed(0)))
    erased = (out == 0).flatten(1).any(1)
    assert 70 < int(erased.sum()) < 130
    assert len({tuple((image == 0).flatten().tolist()) for image in out}) > 50
    assert out.shape == images.shape
