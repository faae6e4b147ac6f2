"""What the network says of each training label while it is trained.

Source: Swayamdipta et al., *Dataset Cartography: Mapping and Diagnosing Datasets with Training
Dynamics*, EMNLP 2020, Section 2.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from pyg_agfn.distributed import gather_rows
from pyg_agfn.methods.method import StepOutput, TrainingBatch, full_precision
from pyg_agfn.runs.files import (
    TensorSpec,
    read_header,
    read_tensors,
    tensor_file_error,
    write_tensors,
)

FILE = "training_dynamics.safetensors"


class TrainingDynamics:
    r"""The mean over training of the probability that the network gives each label,

    .. math::
        \hat{\mu}_i = \frac{1}{E} \sum_{e=1}^{E} p_{\theta_e}(y_i \mid x_i) ,

    the *confidence* of the source. A label is met once an epoch; its probability is that of the
    training step, of the augmented image and before the update. A network learns right labels
    first, so that wrong ones have a low mean even where all of them are memorized in the end.

    Args:
        num_images (int): Training images.
        fingerprint (str): Of the images and their labels.
        device (torch.device): Where the steps are computed. (default: the CPU)
    """

    def __init__(
        self, num_images: int, fingerprint: str, device: torch.device | None = None
    ) -> None:
        self.fingerprint = fingerprint
        self.total = torch.zeros(num_images, device=device)
        self.count = torch.zeros(num_images, dtype=torch.long, device=device)

    @torch.no_grad()
    def add(self, batch: TrainingBatch, out: StepOutput) -> None:
        """Takes note of a step, without waiting for the device. Of several draws the mean counts.

        Answers that are not of the batch's images, one or more of each, are passed over.
        """
        size, answers = len(batch.labels), len(out.logits)
        if not answers or answers % size:
            return
        given = batch.labels.repeat(answers // size).unsqueeze(1)
        found = full_precision(out.logits).softmax(1).gather(1, given).view(-1, size).mean(0)
        index = gather_rows(batch.index.to(self.total.device, non_blocking=True))
        found = gather_rows(found)
        self.total.index_add_(0, index, found.to(self.total.dtype))
        self.count.index_add_(0, index, torch.ones_like(index))

    def mean(self) -> Tensor:
        r"""The mean :math:`\hat{\mu}`, on the CPU; NaN of images that no step had.

        Shapes:
            - **output:** :math:`(n)`, 0 to 1
        """
        return (self.total / self.count).cpu()

    def state_dict(self) -> dict[str, Tensor]:
        """The sums, for a checkpoint or a run folder."""
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state_dict` gave; of a run that kept nothing, nothing.

        Raises:
            ValueError: Sums that no probabilities have.
        """
        if not state:
            return
        total, count = state["total"], state["count"]
        if not ((count >= 0) & (total >= 0) & (total <= 1.001 * count)).all():
            raise ValueError("no sums of probabilities")
        self.total.copy_(total)
        self.count.copy_(count)

    def save(self, folder: Path) -> None:
        """Writes :data:`FILE` into a run folder."""
        facts = {"facts": json.dumps({"data": self.fingerprint})}
        write_tensors(folder / FILE, self.state_dict(), facts)

    @classmethod
    def load(cls, folder: Path) -> "TrainingDynamics | None":
        """Reads :data:`FILE` of a run folder; None for a run that has none.

        Raises:
            InputError: The file is broken.
        """
        path = folder / FILE
        if not path.exists():
            return None
        shape = read_header(path).get("count", TensorSpec("", ())).shape
        expected = {"total": TensorSpec("F32", shape), "count": TensorSpec("I64", shape)}
        tensors = read_tensors(path, expected)
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads(file.metadata()["facts"])
            (size,) = shape
            found = cls(size, str(facts["data"]))
            found.load_state_dict(tensors)
        except Exception as error:  # whatever a file that is none of ours leads to
            raise tensor_file_error(path, error) from None
        return found

    def of(self, fingerprint: str) -> Tensor | None:
        """The mean, if the images and labels are those of the training."""
        return self.mean() if fingerprint == self.fingerprint else None
