import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import LocalityPreserving
from pyg_agfn.nn import BaselineClassifier


def test_the_settings_are_the_papers():
    """Li, Deng, Du, CVPR 2017: lambda = 0.003, k = 20."""
    method = LocalityPreserving()
    assert (method.weight, method.num_neighbors) == (0.003, 20)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_the_loss_is_half_the_squared_distance_from_the_mean_of_the_nearest(k):
    torch.manual_seed(0)
    x = torch.randn(14, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 2, 1, 0, 0, 1, 2, 3, 0])  # one image of class 3
    total, gradients = 0.0, []
    for i in range(14):
        others = [j for j in range(14) if j != i and labels[j] == labels[i]]
        others.sort(key=lambda j: (x[i] - x[j]).square().sum().item())
        apart = x[i].detach() * 0
        if others:
            apart = x[i].detach() - torch.stack([x[j].detach() for j in others[:k]]).mean(0)
        total += 0.5 * apart.square().sum() / 14
        gradients.append(apart / 14)
    found = LocalityPreserving(num_neighbors=k).locality_loss(x, labels)
    torch.testing.assert_close(found, total)
    found.backward()
    torch.testing.assert_close(x.grad, torch.stack(gradients))


def test_a_step_adds_the_weighed_loss(batch):
    images, labels, index = batch
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    method = set_up(LocalityPreserving(weight=0.4), model)
    out = step(method, images, labels, index)
    x = model.features(images)
    expected = F.cross_entropy(model.head(x), labels) + 0.4 * method.locality_loss(x, labels)
    torch.testing.assert_close(out.loss, expected)
    assert method.locality_loss(x, labels) > 0
