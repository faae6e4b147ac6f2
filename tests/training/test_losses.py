import math

import pytest
import torch

from pyg_agfn.training.losses import LOSSES, squared_error


def test_squared_error_is_eq_7_on_probabilities():
    logits = torch.tensor([[0.0, math.log(3.0)], [50.0, -50.0]], dtype=torch.float64)
    # probabilities (1/4, 3/4) and (1, 0), labels 0 and 1
    expected = ((0.75**2 + 0.75**2) + 2) / 2
    assert squared_error(logits, torch.tensor([0, 1])).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_fall_to_zero_where_the_label_is_certain(name):
    logits = torch.tensor([[100.0, 0.0, 0.0]])
    assert LOSSES[name](logits, torch.tensor([0])).item() == pytest.approx(0.0, abs=1e-6)
    assert LOSSES[name](logits, torch.tensor([1])).item() > 1
