"""The audit on models that are not AGFN, and on AGFN."""

import pytest
import torch
from torch import nn

from pyg_agfn import audit_batch_leakage
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.transforms import PoissonEdges


@pytest.fixture(scope="module")
def trained_cnn(tiny):
    """A plain CNN with batch normalization, half trained so that there is room for a leak."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    images = tiny.images.float() / 127.5 - 1
    for _ in range(5):
        loss = nn.functional.cross_entropy(model(images), tiny.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


class BatchAttention(nn.Module):
    """Self-attention over the batch axis: each image sees all others."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        attention = (flat @ flat.t() / 64).softmax(1)
        return self.classify((flat + 3 * attention @ flat).view_as(images))


def test_a_plain_cnn_in_evaluation_mode_does_not_leak(trained_cnn, tiny):
    report = audit_batch_leakage(trained_cnn.eval(), tiny, batch_size=16)
    assert not report.depends_on_batch
    assert not report.leaks
    assert report.batch_change < 1e-5
    assert report.shuffled == report.class_sorted == report.single
    assert report.verdict.startswith("No batch leakage")


def test_batch_normalization_left_in_training_mode_depends_on_the_batch(trained_cnn, tiny):
    trained_cnn.train()
    before = {k: v.clone() for k, v in trained_cnn.state_dict().items()}
    report = audit_batch_leakage(trained_cnn, tiny, batch_size=16)
    assert report.depends_on_batch
    assert report.batch_change > 0.01
    assert report.repeat_change < 1e-5
    assert report.images == 60
    for name, value in trained_cnn.state_dict().items():
        assert torch.equal(value, before[name])  # the user's model is as it was


def test_attention_over_the_batch_depends_on_the_batch(tiny):
    torch.manual_seed(0)
    report = audit_batch_leakage(BatchAttention().eval(), tiny, batch_size=16)
    assert report.depends_on_batch
    assert "the others move a probability" in report.verdict


def test_a_leak_is_named_as_one(tiny):
    """Faint features and a graph that joins all images: sorted batches add the class up."""
    torch.manual_seed(0)
    model = AGFNClassifier(
        nn.Flatten(), 3, num_features=8, hidden_channels=8, edges=PoissonEdges(0.0, 9.0)
    )
    model.agfn.projector = nn.Identity()
    with torch.no_grad():
        model.agfn.normalizer.conv.lin.weight.copy_(torch.eye(8))
        model.classifier.weight.copy_(torch.eye(3, 8))
        model.classifier.bias.zero_()
    labels = torch.arange(300) % 3
    features = torch.randn(300, 8) + 0.5 * torch.eye(3, 8)[labels]
    dataset = torch.utils.data.TensorDataset(features, labels)
    report = audit_batch_leakage(model.eval(), dataset, batch_size=100, transform=lambda x: x)
    assert report.leaks
    assert report.leak > 0.3
    assert report.verdict.startswith("BATCH LEAKAGE")
    assert f"{100 * report.leak:+.1f} points" in report.verdict


def test_a_model_that_is_only_random_is_told_from_one_that_sees_the_batch(tiny):
    torch.manual_seed(0)
    linear = nn.Linear(64, 3)

    def dropout(images: torch.Tensor) -> torch.Tensor:
        return linear(nn.functional.dropout(images.flatten(1), 0.01))

    report = audit_batch_leakage(dropout, tiny, batch_size=16, draws=4)
    assert report.repeat_change > 1e-4
    assert not report.leaks


def test_a_model_that_cannot_take_one_image_is_said_to():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)).train()
    dataset = torch.utils.data.TensorDataset(torch.randn(30, 4), torch.arange(30) % 2)
    report = audit_batch_leakage(model, dataset, batch_size=10, transform=lambda x: x)
    assert report.single is None
    assert "cannot take one image" in report.verdict


def test_too_few_images_are_refused():
    dataset = torch.utils.data.TensorDataset(torch.randn(1, 4), torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match="at least 2"):
        audit_batch_leakage(lambda x: x, dataset)
