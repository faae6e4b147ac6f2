import pytest
import torch
import torchvision.transforms.functional as tvf

from pyg_agfn.datasets.augmentation import random_affine, random_erasing, to_float


def test_pixels_become_minus_one_to_one():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    assert to_float(images).flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])


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
