"""Schedules by their formulas, and beside PyTorch's own classes."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, MultiStepLR

from pyg_agfn.training import TrainOptions
from pyg_agfn.training.schedule import make_schedule

STEPS = 5  # an epoch


def optimizer_of(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates_of(schedule, steps: int) -> list[list[float]]:
    """The learning rates of each step, and those after the last."""
    rates = [schedule.get_last_lr()]
    for _ in range(steps):
        schedule.optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr())
    return rates


def scheduled(steps: int = 12 * STEPS, rates: tuple[float, ...] = (1.0,), **given):
    options = TrainOptions(**{"method": "baseline", "epochs": 12, **given})
    return rates_of(make_schedule(optimizer_of(*rates), options, steps), steps)


def flat(rates: list[list[float]]) -> list[float]:
    return [rate for (rate,) in rates]


def test_cosine_is_its_formula():
    expected = [(1 + math.cos(math.pi * t / 60)) / 2 for t in range(61)]
    assert flat(scheduled()) == pytest.approx(expected)


def test_steps_at_two_thirds_and_five_sixths_of_the_run():
    found = flat(scheduled(schedule="step"))
    assert found[:40] == [1.0] * 40
    assert found[40:50] == pytest.approx([0.1] * 10)
    assert found[50:60] == pytest.approx([0.01] * 10)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
def test_default_milestones_are_the_first_steps_past_their_share(steps):
    found = flat(scheduled(steps, schedule="step", epochs=1, pretrain_epochs=0))[:-1]
    for step, rate in enumerate(found):
        falls = (step / steps >= 2 / 3 - 1e-9) + (step / steps >= 5 / 6 - 1e-9)
        assert rate == pytest.approx(0.1**falls)


@pytest.mark.parametrize("gamma", [None, 0.5])
def test_given_milestones_are_those_of_pytorch(gamma):
    found = scheduled(schedule="step", milestones=(2, 7), gamma=gamma)
    theirs = MultiStepLR(optimizer_of(1.0), [2 * STEPS, 7 * STEPS], gamma or 0.1)
    assert flat(found) == pytest.approx(flat(rates_of(theirs, 60)))


@pytest.mark.parametrize("gamma", [None, 0.5])
def test_exponential_is_that_of_pytorch_by_epochs(gamma):
    found = flat(scheduled(schedule="exponential", gamma=gamma))
    theirs = flat(rates_of(ExponentialLR(optimizer_of(1.0), gamma or 0.9), 12))
    assert found[::STEPS] == pytest.approx(theirs)
    assert all(found[t] == found[t - t % STEPS] for t in range(60))


def test_constant_stays():
    assert flat(scheduled(schedule="constant")) == [1.0] * 61


@pytest.mark.parametrize("schedule", ["cosine", "step", "exponential", "constant"])
def test_any_schedule_has_a_warm_up_and_then_the_full_rate(schedule):
    found = flat(scheduled(schedule=schedule, warmup_epochs=2))
    assert found[:10] == pytest.approx([(t + 1) / 10 for t in range(10)])
    assert found[10] == 1.0
    without = flat(scheduled(50, schedule=schedule, epochs=10, pretrain_epochs=1))
    if schedule != "step":  # its milestones are of the whole run
        assert found[10:] == pytest.approx(without)


@pytest.mark.parametrize("schedule", ["cosine", "step", "exponential", "constant"])
def test_each_group_has_its_share_of_the_factor(schedule):
    alone = flat(scheduled(schedule=schedule, warmup_epochs=1))
    both = scheduled(schedule=schedule, warmup_epochs=1, rates=(0.3, 0.02))
    for (first, second), factor in zip(both, alone, strict=True):
        assert first == pytest.approx(0.3 * factor)
        assert second == pytest.approx(0.02 * factor)
