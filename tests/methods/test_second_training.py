import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods.deep_neighbors import DeepNeighbors
from pyg_agfn.methods.method import TrainingOutputs
from pyg_agfn.methods.second_training import weighted_loss
from pyg_agfn.nn import BaselineClassifier


def test_the_loss_is_the_weighted_mean():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 3
    weights = torch.tensor([1.0, 0.5, 0.0, 0.5, 1.0, 0.0], dtype=torch.float64)
    each = F.cross_entropy(logits, labels, reduction="none")
    found = weighted_loss(F.cross_entropy, logits, labels, weights)
    torch.testing.assert_close(found, (weights * each).sum() / 3)
    torch.testing.assert_close(
        weighted_loss(F.cross_entropy, logits, labels, torch.ones(6).double()), each.mean()
    )


def test_a_batch_without_a_weight_has_no_loss_and_a_gradient_of_zero():
    logits = torch.randn(4, 3, requires_grad=True)
    loss = weighted_loss(F.cross_entropy, logits, torch.zeros(4).long(), torch.zeros(4))
    loss.backward()
    assert loss == 0
    assert logits.grad.eq(0).all()


def test_the_second_training_begins_once_and_with_the_first_weights(batch):
    images, labels, index = batch
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    begun = {name: x.clone() for name, x in model.state_dict().items()}
    method = set_up(DeepNeighbors(first_epochs=2), model)
    calls = []

    def extract() -> TrainingOutputs:
        calls.append(1)
        given = torch.arange(120) % 3
        return TrainingOutputs(torch.zeros(120, 4), torch.eye(3)[torch.arange(120) // 40], given)

    for epoch in range(1, 6):
        method.begin_epoch(epoch, extract)
        same = all(torch.equal(x, begun[n]) for n, x in model.state_dict().items())
        assert same == (epoch in (1, 3))
        step(method, images, labels, index, epoch)  # moves the running statistics
    assert len(calls) == 1


def test_a_subset_that_does_not_exist_is_refused():
    method = set_up(DeepNeighbors(), BaselineClassifier("small-cnn", 3, in_channels=1), 4)
    with pytest.raises(ValueError, match="no such subset"):
        method.load_state_dict({"subset": torch.tensor([0, 1, 2, 0])})
