"""The trainings whose answers the scores of ``label_issues.py`` are made of.

Of one set and seed: ``agfn-nlc`` once, the baseline once, the baseline on each of five folds. All
have the same network, epochs, batch size, learning rate and seed.
"""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from label_issue_scores import edge_posterior, label_margin, nearest_posterior
from rich.console import Console
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.evaluation import extract_features
from pyg_agfn.methods.baseline import Baseline
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection
from pyg_agfn.methods.neighbor_correction.method import NeighborCorrection
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training import Trainer, TrainingResult, TrainOptions, fit_to_images

FOLDS = 5
#: Neighbours of deep k-NN; its paper finds that hardly anything depends on their number.
NEIGHBORS = 50

Arrays = dict[str, Tensor]


class Recorder:
    """The given label's probability and margin of each image in each epoch, and mean posteriors."""

    def __init__(self, epochs: int, images: int) -> None:
        self.shape = (epochs, images)
        self.found: Arrays = {}
        self.sums: Arrays = {}
        self.corrector: NeighborLabelCorrection | None = None

    def __deepcopy__(self, memo: object) -> "Recorder":
        return self  # a training works on a copy of its method, and records here all the same

    def add(self, name: str, epoch: int, index: Tensor, values: Tensor) -> None:
        """Keeps a batch's values."""
        record = self.found.setdefault(name, torch.full(self.shape, float("nan")))
        record[epoch - 1, index] = values.detach().float().cpu()

    def add_posterior(self, name: str, batch: TrainingBatch, posterior: Tensor) -> None:
        """Keeps what a posterior says of a batch's labels."""
        given = posterior.gather(1, batch.labels.unsqueeze(1)).squeeze(1)
        self.add(f"{name}_probability", batch.epoch, batch.index, given)
        zeros = torch.zeros(self.shape[1], posterior.size(1))
        self.sums.setdefault(name, zeros)[batch.index] += posterior.float()

    def add_logits(self, name: str, batch: TrainingBatch, logits: Tensor) -> None:
        """Keeps what logits say of a batch's labels."""
        self.add_posterior(name, batch, logits.softmax(1))
        self.add(f"{name}_margin", batch.epoch, batch.index, label_margin(logits, batch.labels))

    def arrays(self) -> Arrays:
        """All of it; a mean posterior of an image that was in no batch is that of all classes."""
        means = {
            f"{name}_posterior": (total + 1e-6) / (total + 1e-6).sum(1, keepdim=True)
            for name, total in self.sums.items()
        }
        return self.found | means


class RecordedBaseline(Baseline):
    """The baseline, with what each step answered."""

    recorder: Recorder

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        out = super().training_step(batch)
        self.recorder.add_logits("baseline", batch, out.logits.detach())
        return out


class RecordedCorrection(NeighborCorrection):
    """``agfn-nlc``, with what the network, its teacher and the neighbours said in each step."""

    recorder: Recorder
    batch: TrainingBatch

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        assert self.corrector is not None
        self.recorder.corrector = self.corrector
        self.corrector.register_forward_hook(self._record)

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        self.batch = batch
        out = super().training_step(batch)
        self.recorder.add_logits("network", batch, out.logits.detach())
        return out

    @torch.no_grad()
    def _record(self, corrector: NeighborLabelCorrection, inputs: Any, output: Any) -> None:
        teacher = self.inference_model()
        assert isinstance(teacher, AGFNClassifier)
        logits = teacher.classifier(teacher.agfn.propagate(inputs[0], use_graph=False))
        self.recorder.add_logits("teacher", self.batch, logits)
        if output.posterior is not None:
            self.recorder.add_posterior("neighbors", self.batch, output.posterior)


def settled(options: TrainOptions, method: str, images: int) -> TrainOptions:
    """The options of a method, by the number of images of the whole set, all taken as they are."""
    return dataclasses.replace(fit_to_images(options.for_method(method), images))


def train(options: TrainOptions, method: Method, data: ImageDataset) -> TrainingResult:
    """One training."""
    trainer = Trainer.from_options(options, Console(quiet=True))
    trainer.method = method
    return trainer.fit(data)


@contextmanager
def measured(name: str, arrays: Arrays) -> Iterator[None]:
    """Keeps the CPU seconds and the seconds by the clock of what is done inside."""
    start, cpu = time.perf_counter(), time.process_time()
    yield
    arrays[f"{name}_cpu"] = torch.tensor(time.process_time() - cpu)
    arrays[f"{name}_seconds"] = torch.tensor(time.perf_counter() - start)


def collect(options: TrainOptions, data: ImageDataset) -> Arrays:
    """Everything that the scores need, from all trainings of one set and seed."""
    arrays = {"labels": data.labels, "truth": data.true_labels}
    arrays |= correction_arrays(settled(options, "agfn-nlc", len(data)), data)
    plain = settled(options, "baseline", len(data))
    return arrays | baseline_arrays(plain, data) | fold_arrays(plain, data)


def correction_arrays(options: TrainOptions, data: ImageDataset) -> Arrays:
    """What one training of ``agfn-nlc`` gives."""
    arrays: Arrays = {}
    method = RecordedCorrection.from_options(options, F.cross_entropy)
    assert isinstance(method, RecordedCorrection)
    method.recorder = Recorder(options.epochs, len(data))
    with measured("correction", arrays):
        result = train(options, method, data)
        model = result.model
        assert isinstance(model, AGFNClassifier)
        assert result.train_answers is not None
        assert method.recorder.corrector is not None
    with measured("neighbors", arrays), torch.no_grad():
        features = model.agfn.projector(features_of(result, data))
        given = F.one_hot(data.labels, data.num_classes).float()
        arrays["neighbors_given"] = edge_posterior(model.agfn.edges, features, data.labels, given)
    answers = result.train_answers.logits.softmax(1)
    arrays["neighbors_answers"] = edge_posterior(model.agfn.edges, features, data.labels, answers)
    rates = method.recorder.corrector.noise_rates
    return arrays | {
        "correction": answers,
        "correction_features": features.half(),
        "share_by_epoch": rates[rates >= 0],
        "share": torch.tensor(result.metrics["noise_rate"]),
        "accuracy": (answers.argmax(1) == data.true_labels).double().mean(),
        **method.recorder.arrays(),
    }


def baseline_arrays(options: TrainOptions, data: ImageDataset) -> Arrays:
    """What one training of the baseline gives."""
    arrays: Arrays = {}
    method = RecordedBaseline()
    method.recorder = Recorder(options.epochs, len(data))
    with measured("baseline", arrays):
        result = train(options, method, data)
        assert result.train_answers is not None
    with measured("deep_knn", arrays):
        features = features_of(result, data)
        found = nearest_posterior(features, data.labels, data.num_classes, NEIGHBORS)
    answers = result.train_answers.logits.softmax(1)
    return arrays | {"baseline": answers, "deep_knn": found, **method.recorder.arrays()}


def fold_arrays(options: TrainOptions, data: ImageDataset) -> Arrays:
    """The baseline's probabilities of images that it was not trained on."""
    arrays: Arrays = {}
    out_of_sample = torch.zeros(len(data), data.num_classes)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=options.seed)
    with measured("folds", arrays):
        for rest, held_out in folds.split(data.labels, data.labels):
            result = train(options, Baseline(), data.subset(torch.from_numpy(rest)))
            out_of_sample[held_out] = result.predict(data.images[held_out])
    return arrays | {"out_of_sample": out_of_sample}


def features_of(result: TrainingResult, data: ImageDataset) -> Tensor:
    """The features of all images, in their order."""
    return extract_features(result.model, data.batches(batch_size=256, device="cpu"))
