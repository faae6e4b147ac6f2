"""An average of a model's weights, which is measured and kept in the model's place.

Sources: Izmailov et al., *Averaging Weights Leads to Wider Optima and Better Generalization*, UAI
2018, for the mean over the last part of a run; for the running mean see
:func:`pyg_agfn.nn.mean_teacher`.
"""

from typing import cast

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, update_bn

from pyg_agfn.nn import BaselineClassifier, mean_teacher
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions


class WeightAverage:
    r"""The running mean of a model's weights over all steps, or their mean over the last epochs.

    - ``ema``: after each step :math:`\theta' \leftarrow m \theta' + (1 - m) \theta`, batch
      normalization's statistics among them (:func:`~pyg_agfn.nn.mean_teacher`).
    - ``swa``: the mean of the weights after each epoch of the last quarter of the run. The
      statistics of batch normalization are those of the training images under these weights,
      found by a further pass. Until then it is the model itself.

    Args:
        model (BaselineClassifier): Whose weights are averaged.
        options (TrainOptions): The kind of average, its decay, and the epochs of the run.
    """

    def __init__(self, model: BaselineClassifier, options: TrainOptions) -> None:
        self.source = model
        self.every_step = options.weight_averaging == "ema"
        #: The first epoch whose weights are in the mean, from 1.
        self.first_epoch = 1 if self.every_step else options.epochs * 3 // 4 + 1
        self.average: AveragedModel = (
            mean_teacher(model, options.ema_decay)
            if self.every_step
            else AveragedModel(model).requires_grad_(False)
        )

    @property
    def model(self) -> BaselineClassifier:
        """The averaged model, or the model itself before its weights are averaged."""
        if not int(self.average.n_averaged):
            return self.source
        return cast(BaselineClassifier, self.average.module)

    def after_step(self) -> None:
        """Takes the weights after a step into a running mean."""
        if self.every_step:
            self.average.update_parameters(self.source)

    def after_epoch(
        self, epoch: int, train: TrainingData, options: TrainOptions, fabric: Fabric
    ) -> None:
        """Takes the weights after an epoch into a mean over epochs.

        Args:
            epoch: From 1.
            train: Training images, for the statistics of batch normalization.
            options: Of the run.
            fabric: Device and precision.
        """
        if self.every_step or epoch < self.first_epoch:
            return
        self.average.update_parameters(self.source)
        # Shuffled, as a batch of one class has other statistics; not augmented, as in measuring.
        batches = train.batches(
            batch_size=options.batch_size,
            device=fabric.device,
            shuffle=True,
            seed=options.seed,
            workers=options.workers,
        )
        devices = [fabric.device] if fabric.device.type == "cuda" else []
        # Graphs are drawn in the pass: the draws of the training are to stay what they are.
        with torch.random.fork_rng(devices), fabric.autocast():
            update_bn((batch.images for batch in batches), self.average.module)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights, and of how many they are the average."""
        return self.average.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state_dict` gave.

        Raises:
            ValueError: A negative number of averaged weights.
        """
        if state["n_averaged"] < 0:
            raise ValueError(f"an average of {int(state['n_averaged'])} weights")
        self.average.load_state_dict(state)
