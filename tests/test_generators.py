"""Draws for one purpose are independent of which labels are wrong, at the same seed."""

import itertools
from typing import get_args

import numpy as np
import pytest
import torch

from pyg_agfn.datasets import ImageDataset, inject_label_noise
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.generators import Purpose, generator_for
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.nn.choose_references import choose_references

N, WRONG, DRAWN = 1000, 0.2, 200
# Of 200 draws without replacement from 1,000, of which 200 are wrong: 40 ± 5.1, five of these.
EXPECTED = range(15, 66)


def first_images(seed: int, labels: torch.Tensor) -> torch.Tensor:
    images = np.zeros((N, 1, 1, 1), np.uint8)
    data = ImageDataset(images, labels.numpy(), ["a", "b", "c"], [str(i) for i in range(N)])
    batches = Batches(data, DRAWN, torch.device("cpu"), shuffle=True, seed=seed)
    return next(iter(batches)).index


def members(seed: int, labels: torch.Tensor) -> torch.Tensor:
    model = AGFNClassifier(torch.nn.Identity(), 3, num_features=4, hidden_channels=4).eval()
    return choose_references(model, torch.zeros(N, 4), labels, DRAWN, "random", seed)


def pictured(seed: int, labels: torch.Tensor) -> torch.Tensor:
    return torch.randperm(N, generator=generator_for("pictures", seed))[:DRAWN]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("draw", [first_images, members, pictured])
def test_wrong_labels_are_drawn_no_more_often_than_others(draw, seed):
    labels = torch.arange(N) % 3
    noisy = inject_label_noise(labels, WRONG, 3, seed)
    chosen = draw(seed, noisy)
    assert int((noisy != labels)[chosen].sum()) in EXPECTED


def test_generators_repeat_themselves_and_differ_by_purpose_and_seed():
    made = itertools.product(get_args(Purpose), [0, 1, -1])
    orders = [torch.randperm(50, generator=generator_for(*of)).tolist() for of in made]
    again = itertools.product(get_args(Purpose), [0, 1, -1])
    assert orders == [torch.randperm(50, generator=generator_for(*of)).tolist() for of in again]
    assert len({tuple(order) for order in orders}) == len(orders)
