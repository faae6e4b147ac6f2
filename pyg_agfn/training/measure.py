"""What ``metrics.json`` holds: accuracy by protocol, what was memorized, and the bank for it."""

import resource
import statistics
from typing import Any

import torch
from lightning.fabric import Fabric

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.evaluation import (
    HEADLINE,
    EvaluationSettings,
    Shuffled,
    batch_leakage,
    evaluate_protocols,
    extract_features,
    memorized_share,
)
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank, choose_references
from pyg_agfn.runs.folder import Answers, Method, References
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.transforms import PoissonEdges


def measure(
    fabric: Fabric,
    options: TrainOptions,
    method: Method,
    model: BaselineClassifier,
    train: ImageDataset,
    test: ImageDataset,
    epoch_seconds: list[float],
) -> tuple[dict[str, Any], References | None, Answers]:
    """Measures a trained model on the test images by every registered protocol.

    Returns the metrics, for a graph method its bank of training images, and the bank protocol's
    answer for every test image.

    Raises:
        InputError: A protocol from outside the package fails; the line names it.
    """
    of_test, of_train = (
        extract_features(model, Batches(part, options.batch_size, fabric.device), fabric.autocast())
        for part in (test, train)
    )
    references = make_references(model, of_train, train, options)
    # In the same batch composition as in training: a bank would hold some of the images themselves.
    predicted = next(
        Shuffled(options.batch_size, 1, options.seed).logits(model, of_train, train.labels)
    ).argmax(1)

    settings = EvaluationSettings(
        None if references is None else references.bank,
        options.batch_size,
        options.eval_draws,
        options.seed,
    )
    outcomes = evaluate_protocols(model, of_test, test.labels, settings)
    metrics = {
        "dataset": options.dataset,
        "split": options.eval_split,
        "method": method,
        "recipe": options.recipe,
        "noise": float(train.wrong_labels.double().mean()),
        "seed": options.seed,
        "epochs": options.epochs,
        "accuracy": {name: outcome.as_metric() for name, outcome in outcomes.items()},
        "leak": batch_leakage(outcomes),
        "memorized": memorized_share(predicted, train.labels, train.true_labels),
        **graph_parameters(model),
        "seconds_per_epoch": statistics.median(epoch_seconds),
        "peak_memory_gib": peak_memory(fabric.device),
        "train_images": len(train),
        "test_images": len(test),
        "device": str(fabric.device),
        "torch": torch.__version__,
    }
    return metrics, references, Answers(outcomes[HEADLINE].logits.cpu(), test.labels)


def make_references(
    model: BaselineClassifier, features: torch.Tensor, train: ImageDataset, options: TrainOptions
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
    members = train.subset(chosen.cpu())
    return References(bank, members.images, members.labels, members.names)


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
