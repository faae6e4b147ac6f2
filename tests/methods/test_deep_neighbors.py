import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods.deep_neighbors import DeepNeighbors
from pyg_agfn.methods.method import TrainingOutputs
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.training import TrainOptions


def outputs() -> tuple[TrainingOutputs, torch.Tensor]:
    """Three clusters of logits, and which labels are not that of the cluster."""
    torch.manual_seed(0)
    true = torch.arange(120) % 3
    logits = 5.0 * F.one_hot(true, 3) + 0.1 * torch.randn(120, 3)
    wrong = torch.zeros(120, dtype=torch.bool)
    wrong[[1, 7, 30, 105, 111]] = True
    return TrainingOutputs(
        torch.randn(120, 4), logits, torch.where(wrong, (true + 1) % 3, true)
    ), wrong


def test_the_published_settings_are_the_defaults():
    assert DeepNeighbors().num_neighbors == 500
    for epochs, first in ((40, 20), (5, 3), (1, 1)):
        method = DeepNeighbors.from_options(
            TrainOptions(method="deep-knn", epochs=epochs), F.cross_entropy
        )
        assert method.first_epochs == first


def test_labels_that_are_outvoted_are_left_out_of_the_loss(batch):
    images, labels, index = batch
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    method = set_up(DeepNeighbors(first_epochs=4), model)
    found, wrong = outputs()
    method.begin_epoch(5, lambda: found)
    assert torch.equal(method.subset.bool(), wrong)
    out = step(method, images, labels, index, 5)
    kept = ~wrong[index]
    assert kept.sum() == 10
    torch.testing.assert_close(out.loss, F.cross_entropy(out.logits[kept], labels[kept]))


def test_it_is_trained(tiny):
    result = trainer(method="deep-knn", epochs=12).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
