import math

import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods.early_learning import EarlyLearning
from pyg_agfn.nn import BaselineClassifier


def build() -> BaselineClassifier:
    torch.manual_seed(0)
    return BaselineClassifier("small-cnn", 3, in_channels=1).train()


def test_the_published_settings_are_the_defaults():
    method = EarlyLearning()
    assert (method.weight, method.momentum) == (3.0, 0.7)


def test_the_loss_and_the_targets_are_their_formulas(batch):
    images, labels, index = batch
    method = set_up(EarlyLearning(), build())
    targets = [[0.0] * 3 for _ in range(12)]
    for _ in range(3):
        out = step(method, images, labels, index)
        p = out.logits.softmax(1).tolist()
        total = 0.0
        for i in range(12):
            targets[i] = [0.7 * t + 0.3 * q for t, q in zip(targets[i], p[i], strict=True)]
            total += -math.log(p[i][labels[i]])
            total += 3 * math.log(1 - sum(t * q for t, q in zip(targets[i], p[i], strict=True)))
        assert out.loss.item() == pytest.approx(total / 12, rel=1e-4)
        torch.testing.assert_close(method.targets[index], torch.tensor(targets))
    assert method.targets[:100].eq(0).all()  # of images that no step had


def test_the_regularizer_pulls_towards_the_target(batch):
    images, labels, index = batch
    model = build()
    method = set_up(EarlyLearning(lambda logits, _: 0 * logits.sum()), model)
    method.targets[index] = F.one_hot((labels + 1) % 3, 3).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        method.targets[index] = F.one_hot((labels + 1) % 3, 3).float()
        step(method, images, labels, index).loss.backward()
        optimizer.step()
    assert torch.equal(model(images).argmax(1), (labels + 1) % 3)


def test_targets_of_another_method_are_refused():
    method = set_up(EarlyLearning(), build(), 5)
    with pytest.raises(ValueError, match="no means of probabilities"):
        method.load_state_dict({"targets": torch.ones(5, 3)})


def test_it_is_trained(tiny):
    result = trainer(method="elr", epochs=8).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
