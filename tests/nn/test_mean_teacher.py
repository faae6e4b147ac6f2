import pytest
import torch
from torch import nn

from pyg_agfn.nn import mean_teacher


def test_it_follows_by_the_decay_that_grows():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher = mean_teacher(model, decay=0.35)
    expected: dict[str, torch.Tensor] = {}
    for step in range(6):
        with torch.no_grad():
            model[0].weight.normal_()
        model(torch.randn(5, 3))
        now = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        decay = min(0.35, (1 + step) / (10 + step)) if step else 0.0  # the first is a copy
        for name, value in now.items():
            if value.is_floating_point():
                value = decay * expected.get(name, value) + (1 - decay) * value
            expected[name] = value
        teacher.update_parameters(model)
        for name, value in teacher.module.state_dict().items():
            torch.testing.assert_close(value, expected[name], msg=name)


def test_it_judges_as_in_evaluation_and_learns_nothing():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).train()
    teacher = mean_teacher(model)
    teacher.update_parameters(model)
    assert not teacher.module.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(ValueError, match="decay"):
        mean_teacher(nn.Linear(1, 1), decay)
