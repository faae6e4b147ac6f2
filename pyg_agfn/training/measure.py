"""What ``metrics.json`` holds: accuracy by protocol, what was memorized, and the bank for it."""

import resource
import statistics
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor

from pyg_agfn.evaluation import (
    HEADLINE,
    EvaluationSettings,
    Shuffled,
    batch_leakage,
    evaluate_protocols,
    extract_features,
    mean_class_accuracy,
    memorized_share,
)
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank, choose_references
from pyg_agfn.runs.folder import Answers, References
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.transforms import PoissonEdges


@dataclass(frozen=True)
class Measured:
    """What was measured of a trained model.

    Attributes:
        metrics: What ``metrics.json`` holds.
        references: Of a graph method, its bank of training images.
        answers: The bank protocol's, for every test image; None without test images.
        train_answers: For every training image, as a batch of training answers it, and the labels
            as given.
    """

    metrics: dict[str, Any]
    references: References | None
    answers: Answers | None
    train_answers: Answers


def measure(
    fabric: Fabric,
    options: TrainOptions,
    method: str,
    model: BaselineClassifier,
    train: TrainingData,
    test: TrainingData | None,
    epoch_seconds: list[float],
) -> Measured:
    """Measures a trained model on the test images by every registered protocol.

    Raises:
        InputError: A protocol from outside the package fails; the line names it.
    """

    def features_of(data: TrainingData) -> Tensor:
        batches = data.batches(batch_size=options.batch_size, device=fabric.device)
        return extract_features(model, batches, fabric.autocast())

    of_train = features_of(train)
    references = make_references(model, of_train, train, options)
    # In the same batch composition as in training: a bank would hold some of the images themselves.
    in_batches = Shuffled(options.batch_size, 1, options.seed)
    train_logits = next(in_batches.logits(model, of_train, train.labels)).float().cpu()

    metrics: dict[str, Any] = {
        "dataset": options.dataset,
        "split": options.eval_split,
        "method": method,
        "noise": float(train.wrong_labels.double().mean()),
        "seed": options.seed,
        "epochs": options.epochs,
    }
    answers = None
    if test is not None:
        settings = EvaluationSettings(
            None if references is None else references.bank,
            options.batch_size,
            options.eval_draws,
            options.seed,
        )
        outcomes = evaluate_protocols(model, features_of(test), test.labels, settings)
        metrics["accuracy"] = {name: outcome.as_metric() for name, outcome in outcomes.items()}
        metrics["leak"] = batch_leakage(outcomes)
        metrics["class_accuracy"] = mean_class_accuracy(outcomes[HEADLINE].logits, test.labels)
        answers = Answers(outcomes[HEADLINE].logits.cpu(), test.labels)
    metrics |= {
        "memorized": memorized_share(train_logits.argmax(1), train.labels, train.true_labels),
        **graph_parameters(model),
        "seconds_per_epoch": statistics.median(epoch_seconds),
        "peak_memory_gib": peak_memory(fabric.device),
        "train_images": len(train),
        "test_images": 0 if test is None else len(test),
        "device": str(fabric.device),
        "torch": torch.__version__,
    }
    return Measured(metrics, references, answers, Answers(train_logits, train.labels.cpu()))


def make_references(
    model: BaselineClassifier, features: Tensor, train: TrainingData, options: TrainOptions
) -> References | None:
    """A bank of training images by the options; none for a model without a graph."""
    if not isinstance(model, AGFNClassifier):
        return None
    labels = train.labels.to(features.device)
    chosen = choose_references(
        model, features, labels, options.bank_size, options.bank_choice, options.seed
    )
    batch_size = min(options.batch_size, len(train)) if options.bank_scale else None
    bank = ReferenceBank.from_features(model.agfn, features[chosen], batch_size)
    index = chosen.cpu()
    names = [train.names[i] for i in index.tolist()]
    return References(bank, train.pixels(index), train.labels[index], names)


def graph_parameters(model: BaselineClassifier) -> dict[str, Any]:
    """α and β, or None where there are none to learn."""
    if isinstance(model, AGFNClassifier) and isinstance(model.agfn.edges, PoissonEdges):
        return {"alpha": model.agfn.edges.alpha.item(), "beta": model.agfn.edges.beta.item()}
    return {"alpha": None, "beta": None}


def peak_memory(device: torch.device) -> float:
    """Most memory ever held, in GiB: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
