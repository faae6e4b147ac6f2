"""When checkpoints are written, and what a state has to be to be worth one."""

import time
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from pyg_agfn.distributed import rank
from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.training.checkpoint import FILE, TrainingState, load_checkpoint, save_checkpoint
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.interruption import Interruption
from pyg_agfn.training.options import TrainOptions


class Saver:
    """Writes checkpoints while a run is trained: by time, and when it is interrupted.

    Args:
        folder: The run folder; without one nothing is written.
        state: What is saved.
        train: Training images, told apart by their fingerprint.
        options: How often.
    """

    def __init__(
        self, folder: Path | None, state: TrainingState, train: TrainingData, options: TrainOptions
    ) -> None:
        self.folder = folder
        self.state = state
        self.train = train
        self.options = options
        self.interruption = Interruption()
        self.saved = time.monotonic()
        self.unchecked: list[tuple[Tensor, Tensor]] = []

    def resume(self) -> bool:
        """Loads the folder's checkpoint, if there is one."""
        if self.folder is None or not (self.folder / FILE).exists():
            return False
        load_checkpoint(self.folder / FILE, self.state, self.train)
        return True

    def after_step(self, loss: Tensor, index: Tensor) -> None:
        """Told of each step: its loss, and which training images it had.

        Raises:
            InputError: The loss, α or β is not finite, or the checkpoint cannot be written.
            InterruptedRunError: A signal has come.
        """
        values = [loss, *(parameter.detach() for parameter in self.state.descent.graph)]
        self.unchecked.append((torch.stack(values), index))
        # Reading a loss makes a GPU wait: not at every step.
        if loss.device.type == "cpu" or len(self.unchecked) >= 64:
            self.check_losses()
        if time.monotonic() - self.saved >= self.options.checkpoint_seconds:
            self.save()
        self.stop_if_interrupted()

    def save(self) -> None:
        """Writes a checkpoint, of a state that is good."""
        self.check_losses()
        self.check_weights()
        if self.folder is not None and rank() == 0:
            save_checkpoint(self.folder / FILE, self.state, self.train)
        self.saved = time.monotonic()

    def stop_if_interrupted(self) -> None:
        """Saves and ends the run if a signal has come."""
        if self.interruption.received is None:
            return
        self.save()
        way = (
            ""
            if self.folder is None
            else f", and saved; train_pyg.py --resume {self.folder} continues it"
        )
        raise InterruptedRunError(
            f"interrupted in epoch {self.state.epoch}{way}", 128 + self.interruption.received
        )

    def check_losses(self) -> None:
        """Stops the run at the first step whose loss, α or β is not finite."""
        if not self.unchecked:
            return
        values = torch.stack([values for values, _ in self.unchecked])
        if not bool(values.isfinite().all()):
            bad, which = (int(i) for i in (~values.isfinite()).nonzero()[0])
            step = int(self.state.totals["steps"]) - len(values) + bad + 1
            index = self.unchecked[bad][1].tolist()
            names = ", ".join(self.train.names[i] for i in index[:3])
            more = f" and {len(index) - 3} more" if len(index) > 3 else ""
            what = ("the loss", "alpha", "beta")[which]
            self._stop(f"{what} is {float(values[bad, which])} in step {step} ({names}{more})")
        self.unchecked.clear()

    def check_weights(self) -> None:
        """Stops the run where a step has left a weight or a statistic that is not finite."""
        state = self.state.model.state_dict()
        # Read at once: a GPU would have to be waited for at each tensor.
        finite = torch.stack([tensor.isfinite().all() for tensor in state.values()]).tolist()
        for name, good in zip(state, finite, strict=True):
            if not good:
                self._stop(f"{name} is not finite after step {int(self.state.totals['steps'])}")

    def _stop(self, what: str) -> NoReturn:
        kept = self.folder is not None and (self.folder / FILE).exists()
        raise InputError(
            f"{self.options.method[0]}: {what} of epoch {self.state.epoch}: "
            f"lower --lr ({self.options.lr}) or --lr-graph ({self.options.lr_graph})"
            + (f"; the last good state is kept in {self.folder}" if kept else "")
        )
