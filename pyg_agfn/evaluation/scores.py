"""Scores of logits, with their uncertainty. scikit-learn, torchmetrics and scipy compute them.

Nothing here is of the size of K x K, or a second matrix of N x K: K may be thousands.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: Images whose probabilities are held at once.
ROWS = 1024


@dataclass(frozen=True)
class Scores:
    """What a classifier's logits are worth on a test set; shares are 0 to 1.

    Attributes:
        accuracy: Share of images classified as their label.
        interval: 95% Wilson interval of the accuracy, for the images as a sample.
        mean_class_accuracy: Mean of the classes' own accuracies.
        macro_f1: Mean of the classes' F1 scores.
        calibration_error: Expected calibration error of the softmax, 15 bins.
        class_accuracy: The accuracy of each class, 0 for one without images.
        class_images: Images of each class.
        confusion_pairs: True class, predicted class and number of images, for each pair of classes
            that there are images of, in order.
    """

    accuracy: float
    interval: tuple[float, float]
    mean_class_accuracy: float
    macro_f1: float
    calibration_error: float
    class_accuracy: list[float]
    class_images: list[int]
    confusion_pairs: list[tuple[int, int, int]]

    @property
    def confusion(self) -> list[list[int]]:
        """Images by true class (row) and predicted class (column), K x K."""
        matrix = [[0] * len(self.class_images) for _ in self.class_images]
        for true, predicted, images in self.confusion_pairs:
            matrix[true][predicted] = images
        return matrix


def score(logits: Tensor, labels: Tensor) -> Scores:
    r"""All scores of logits :math:`(n, K)` against labels :math:`(n)`.

    The means over classes leave out a class that no image has and none is classified as.
    """
    num_classes = logits.size(1)
    # Imported where they are used, as each takes up to a second.
    from sklearn.metrics import precision_recall_fscore_support
    from torchmetrics.classification import MulticlassCalibrationError

    calibration = MulticlassCalibrationError(num_classes, n_bins=15)
    for part, of_part in zip(logits.split(ROWS), labels.split(ROWS), strict=True):
        calibration.update(part.softmax(1).cpu(), of_part.cpu())
    predicted, true = logits.argmax(1).cpu().numpy(), labels.cpu().numpy()
    correct = predicted == true
    _, recall, f1, images = precision_recall_fscore_support(
        true, predicted, labels=np.arange(num_classes), zero_division=0
    )
    seen = (images > 0) | (np.bincount(predicted, minlength=num_classes) > 0)
    pairs, counts = np.unique(true * num_classes + predicted, return_counts=True)
    return Scores(
        accuracy=float(correct.mean()),
        interval=wilson_interval(int(correct.sum()), len(correct)),
        mean_class_accuracy=float(recall[seen].mean()),
        macro_f1=float(f1[seen].mean()),
        calibration_error=float(calibration.compute()),
        class_accuracy=recall.tolist(),
        class_images=images.tolist(),
        confusion_pairs=[
            (*divmod(pair, num_classes), count)
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
        ],
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% Wilson score interval of a share."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Comparison:
    """Two classifiers on the same images.

    Attributes:
        only_first: Images that only the first classifies as their label.
        only_second: Images that only the second does.
        p_value: Exact McNemar test of both being equally good.
    """

    only_first: int
    only_second: int
    p_value: float


def compare(first: Tensor, second: Tensor, labels: Tensor) -> Comparison:
    r"""Exact McNemar test of two classifiers' logits :math:`(n, K)` on labels :math:`(n)`.

    Where only one of two is right, a fair coin decides which, if they are equally good.
    """
    one, other = (logits.argmax(1).cpu() == labels.cpu() for logits in (first, second))
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    return Comparison(only_first, only_second, _mcnemar(only_first, only_second))


def paired_p_value(first: Tensor, second: Tensor) -> float:
    r"""Two-sided p of two methods being equally good, on the same images and seeds.

    With one seed it is the exact McNemar test, with several the paired t test of each image's mean
    over the seeds. The images are the sample: it says nothing of other training runs.

    Shapes:
        - **input:** booleans :math:`(S, n)` each, which images are classified as their label
    """
    if len(first) == 1:
        return _mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))
    one, other = first.double().mean(0), second.double().mean(0)
    if torch.equal(one, other):
        return 1.0
    from scipy.stats import ttest_rel

    return float(ttest_rel(one.numpy(), other.numpy()).pvalue)


def _mcnemar(only_first: int, only_second: int) -> float:
    differing = only_first + only_second
    from scipy.stats import binomtest

    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def memorized_share(predicted: Tensor, labels: Tensor, true_labels: Tensor) -> float | None:
    r"""Share of wrong training labels that the model predicts; None where no label is wrong.

    Shapes:
        - **input:** predicted classes, given labels and true labels, :math:`(n)` each
    """
    wrong = labels != true_labels
    if not wrong.any():
        return None
    return float((predicted.cpu()[wrong] == labels[wrong]).to(torch.float64).mean())
