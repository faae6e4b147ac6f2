import pytest
import torch
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods.sparse_noise import SparseNoise, noisy_loss
from pyg_agfn.nn import BaselineClassifier


def build() -> BaselineClassifier:
    torch.manual_seed(0)
    return BaselineClassifier("small-cnn", 3, in_channels=1).train()


def by_hand(logits, labels, u, v):
    """Both terms of the loss, class by class: (of the network and u, of u and v)."""
    first = second = 0.0
    for i, y in enumerate(labels.tolist()):
        p, predicted = logits[i].softmax(0), int(logits[i].argmax())
        noisy = []
        for k in range(len(p)):
            s = u[i, 0] ** 2 if k == y else -(v[i, k] ** 2)
            noisy.append(torch.clamp(p[k] + (s if k == y else s.detach()), min=1e-4))
            second = second + (float(predicted == k) + s - float(k == y)) ** 2
        first = first - torch.log(noisy[y] / sum(noisy))
    return first / len(labels), second / len(labels)


def test_the_published_settings_are_the_defaults():
    method = SparseNoise()
    assert (method.lr_u, method.lr_v, method.std) == (10.0, 10.0, 1e-8)


def test_the_loss_and_its_gradients_are_its_formula():
    torch.manual_seed(0)
    logits = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(6) % 3
    u = (0.2 * torch.randn(6, 1, dtype=torch.float64)).requires_grad_()
    v = (0.2 * torch.randn(6, 3, dtype=torch.float64)).requires_grad_()
    found = noisy_loss(logits, labels, u, v)
    first, second = by_hand(logits, labels, u, v)
    torch.testing.assert_close(found, first + second)
    gradients = torch.autograd.grad(found, (logits, u, v), retain_graph=True)
    expected = torch.autograd.grad(first + second, (logits, u, v))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)
        assert one.abs().max() > 0


def test_without_noise_the_network_descends_cross_entropy():
    torch.manual_seed(0)
    logits = torch.randn(6, 3, requires_grad=True)
    labels = torch.arange(6) % 3
    (found,) = torch.autograd.grad(
        noisy_loss(logits, labels, torch.zeros(6, 1), torch.zeros(6, 3)), logits
    )
    (plain,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)
    torch.testing.assert_close(found, plain)


def test_a_step_moves_the_noise_of_its_images_by_its_own_rates(batch):
    images, labels, index = batch
    model = build()
    method = set_up(SparseNoise(lr_u=2.0, lr_v=3.0, std=0.1), model)
    before = method.u.clone(), method.v.clone()
    out = step(method, images, labels, index)
    u, v = (x[index].requires_grad_() for x in before)
    gradients = torch.autograd.grad(sum(by_hand(out.logits.detach(), labels, u, v)), (u, v))
    torch.testing.assert_close(method.u[index], (u - 2 * gradients[0]).detach())
    torch.testing.assert_close(method.v[index], (v - 3 * gradients[1]).detach())
    assert torch.equal(method.u[:100], before[0][:100])  # other images keep theirs
    out.loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_noise_that_is_not_finite_is_refused():
    method = set_up(SparseNoise(), build(), 5)
    with pytest.raises(ValueError, match="not finite"):
        method.load_state_dict({"u": torch.full((5, 1), torch.nan), "v": torch.zeros(5, 3)})


def test_it_is_trained(tiny):
    result = trainer(method="sop", epochs=8).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
