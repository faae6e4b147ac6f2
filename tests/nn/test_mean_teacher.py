import copy
import pickle

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


def test_one_update_of_all_weights_is_that_of_each():
    """Bitwise, as runs are resumed and compared with older ones."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 17, 3), nn.BatchNorm2d(17), nn.Conv2d(17, 5, 3))
    model.to(memory_format=torch.channels_last)
    teacher = mean_teacher(model, decay=0.9)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for count in range(90):  # until the decay no longer grows
        model(torch.randn(5, 3, 8, 8))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
        teacher.update_parameters(model)
        counted = torch.tensor(count)
        share = 1 - ((1 + counted) / (10 + counted)).clamp(max=0.9)
        for name, value in model.state_dict().items():
            if count and value.is_floating_point():
                value = expected[name].lerp(value, share)
            expected[name] = value.clone()
        for name, value in teacher.module.state_dict().items():
            assert torch.equal(value, expected[name]), (count, name)
    assert int(teacher.n_averaged) == 90


@pytest.mark.parametrize("way", ["copy", "pickle", "state"])
def test_a_copy_continues_the_mean(way):
    model = nn.Linear(3, 2)
    teacher = mean_teacher(model)
    for _ in range(3):
        teacher.update_parameters(model)
    if way == "state":
        other = mean_teacher(nn.Linear(3, 2))
        other.load_state_dict(teacher.state_dict())
    else:
        other = copy.deepcopy(teacher) if way == "copy" else pickle.loads(pickle.dumps(teacher))
    with torch.no_grad():
        model.weight.normal_()
    teacher.update_parameters(model)
    other.update_parameters(model)
    assert int(other.n_averaged) == 4
    assert torch.equal(other.module.weight, teacher.module.weight)
    assert not torch.equal(other.module.weight, model.weight)
