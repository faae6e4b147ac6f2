import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import CenterLoss
from pyg_agfn.nn import BaselineClassifier


def build(kind=BaselineClassifier, backbone="small-cnn"):
    torch.manual_seed(0)
    return kind(backbone, 3, in_channels=1).train()


def test_center_loss_and_its_centers_are_equations_2_and_4(batch):
    images, labels, index = batch
    model = build()
    method = set_up(CenterLoss(F.cross_entropy, weight=0.3, rate=0.5), model)
    features = model.features(images).double()
    centers = torch.zeros(3, features.size(1), dtype=torch.float64)
    for _ in range(3):
        out = step(method, images, labels, index)
        apart = sum((features[i] - centers[labels[i]]).square().sum() for i in range(12))
        expected = F.cross_entropy(model.head(features.float()), labels) + 0.3 * apart / 24
        torch.testing.assert_close(out.loss.double(), expected, rtol=1e-5, atol=1e-6)
        for j in range(3):
            own = features[labels == j]
            centers[j] -= 0.5 * (centers[j] - own).sum(0) / (1 + len(own))
        torch.testing.assert_close(method.centers.double(), centers, rtol=1e-5, atol=1e-6)
        assert not method.centers.requires_grad
    assert torch.equal(out.targets, labels)
    assert out.logits.shape == (12, 3)


def test_a_center_without_a_sample_stays(batch):
    images, labels, index = batch
    method = set_up(CenterLoss(F.cross_entropy), build())
    step(method, images, labels, index)
    before = method.centers.clone()
    step(method, images, torch.zeros_like(labels), index)
    assert torch.equal(method.centers[1:], before[1:])
    assert not torch.equal(method.centers[0], before[0])
