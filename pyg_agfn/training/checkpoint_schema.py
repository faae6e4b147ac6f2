"""Checks of a checkpoint's facts other than tensors, against the run and before they are used."""

import math
from typing import Any

from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

#: The figures of each finished epoch. Without a graph, alpha and beta are null; without images to
#: measure on, test_accuracy is.
MEASURED = ("epoch", "loss", "train_accuracy", "seconds", "images_per_second")

#: The entries of a schedule that a step changes.
MOVING = ("last_epoch", "_step_count", "_last_lr")


def check_progress(facts: dict[str, Any], epochs: int, num_batches: int) -> None:
    """Checks the position of the run, and the figures of the epochs before it.

    The epoch is at most one more than the last epoch.

    Raises:
        KeyError, TypeError, ValueError: An entry is missing, of the wrong type, or impossible.
    """
    epoch, done, seconds = facts["epoch"], facts["done"], facts["seconds"]
    if not (is_count(epoch) and 1 <= epoch <= epochs + 1):
        raise ValueError(f"epoch is not 1 to {epochs + 1}")
    if not (is_count(done) and done <= (num_batches if epoch <= epochs else 0)):
        raise ValueError(f"done is more than {num_batches} steps")
    if not (is_number(seconds) and seconds >= 0) or (done > 0 and seconds == 0):
        raise ValueError("seconds is not a time")
    history = facts["history"]
    if not isinstance(history, list) or len(history) != epoch - 1:
        raise ValueError(f"history is not of {epoch - 1} epochs")
    for number, measured in enumerate(history, 1):
        good = all(is_number(measured[name]) for name in MEASURED)
        good = good and "test_accuracy" in measured
        good = good and all(value is None or is_number(value) for value in measured.values())
        if not good or measured["epoch"] != number or measured.keys() != history[0].keys():
            raise ValueError(f"history of epoch {number}")


def restore_schedule(schedule: LRScheduler, saved: dict[str, Any], steps: int) -> None:
    """Sets a schedule to its state after that many steps; the options decide on its form.

    Raises:
        KeyError, TypeError, ValueError: The saved state is not of this schedule.
    """
    current = schedule.state_dict()
    moved = {name: saved[name] for name in MOVING}
    if not all(_alike(value, current[name]) for name, value in moved.items()):
        raise ValueError("schedule is another one")
    if saved["last_epoch"] != steps:
        raise ValueError(f"schedule is not at step {steps}")
    schedule.load_state_dict({**current, **moved})  # it needs the whole state


def restore_scaler(scaler: GradScaler, saved: dict[str, Any]) -> None:
    """Restores the scale of ``float16`` gradients; other types have no scale.

    Raises:
        KeyError, TypeError, ValueError: The saved state is not that of a scaler.
    """
    current = scaler.state_dict()
    if not all(_alike(saved[name], value) and saved[name] >= 0 for name, value in current.items()):
        raise ValueError("scaler is another one")
    scaler.load_state_dict({name: saved[name] for name in current})


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """The parameters of all groups, in the order of their numbers in the optimizer's state."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def settings_with_rates(optimizer: Optimizer, saved: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The optimizer's settings, which come from the options, with the saved learning rates.

    Raises:
        KeyError, TypeError, ValueError: The groups differ, or a learning rate is not a number.
    """
    groups: list[dict[str, Any]] = optimizer.state_dict()["param_groups"]
    if len(saved) != len(groups):
        raise ValueError("optimizer of other groups")
    for group, other in zip(groups, saved, strict=True):
        if not is_number(other["lr"]) or other["lr"] < 0:
            raise ValueError("optimizer of no learning rate")
        group["lr"] = other["lr"]
    return groups


def is_count(value: object) -> bool:
    """Whether a value is a whole number, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value: object) -> bool:
    """Whether a value is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and math.isfinite(value)


def _alike(saved: object, current: object) -> bool:
    """Whether both are booleans, numbers, or lists of equally many numbers."""
    if isinstance(current, list):
        return isinstance(saved, list) and len(saved) == len(current) and all(map(is_number, saved))
    if isinstance(current, bool) or isinstance(saved, bool):
        return type(saved) is type(current)
    return is_number(saved)
