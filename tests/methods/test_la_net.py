import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import LANet, LANetClassifier


def build() -> LANetClassifier:
    torch.manual_seed(0)
    return LANetClassifier("small-cnn", 3, in_channels=1).train()


def test_the_settings_are_those_of_the_authors_code():
    """train.py: K, dis_momentum, moco_momentum, banksize."""
    method = LANet()
    assert (method.num_neighbors, method.momentum) == (8, 0.9)
    assert (method.encoder_momentum, method.bank_size) == (0.999, 8192)


@pytest.mark.parametrize("k", [1, 4, 50])
def test_a_distribution_moves_to_the_weighed_answers_of_the_nearest(k, batch):
    images, labels, index = batch
    model = build()
    method = set_up(LANet(num_neighbors=k, momentum=0.7), model)
    expected = F.one_hot(labels, 3).float()
    remembered = []  # image, unit features, answer
    for number in range(3):
        part = torch.arange(12)[number * 3 :]
        out = step(method, images[part], labels[part], index[part])
        encoder = method.encoder.module
        assert not encoder.training
        z = F.normalize(encoder.features(images[part]), dim=1).detach()
        answers = encoder(images[part]).softmax(1).detach()
        for row, i in enumerate(part.tolist()):
            remembered.append((i, z[row], answers[row]))
        losses = []
        for row, i in enumerate(part.tolist()):
            others = [(features, answer) for j, features, answer in remembered if j != i]
            others.sort(key=lambda other: -float(z[row] @ other[0]))
            weights, mean = [], 0.0
            for features, answer in others[:k]:
                own = model.score.project(z[row])[:64]
                other = model.score.project(features)[64:]
                weights.append(model.score.score(torch.cat([own, other]))[0])
                mean = mean + weights[-1] * answer
            expected[i] = (0.7 * expected[i] + 0.3 * mean / sum(weights)).detach()
            losses.append(-(expected[i] * out.logits[row].log_softmax(0)).sum())
        torch.testing.assert_close(
            method.distributions[index[part]], expected[part], rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(out.loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            model.classifier.weight += 0.1 * torch.randn(3, 128)


def test_without_a_neighbour_the_label_is_learned(batch):
    images, labels, index = batch
    method = set_up(LANet(), build())
    index = torch.full_like(index, 100)  # twelve views of one image
    out = step(method, images, torch.zeros_like(labels), index)
    torch.testing.assert_close(out.loss, F.cross_entropy(out.logits, torch.zeros_like(labels)))
    assert torch.isfinite(out.loss)


def test_the_weights_of_neighbours_are_learned_and_the_encoder_is_not(batch):
    images, labels, index = batch
    model = build()
    method = set_up(LANet(), model)
    step(method, images, labels, index).loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad is None for p in method.encoder.parameters())
    assert method.inference_model() is model


def test_the_bank_has_no_more_places_than_there_are_images():
    assert len(set_up(LANet(), build(), 30).bank.index) == 30
    assert len(set_up(LANet(bank_size=10), build(), 30).bank.index) == 10


@pytest.mark.parametrize("wrong", [-0.5, 0.2, 2.0])
def test_what_is_no_distribution_is_refused(wrong):
    method = set_up(LANet(), build(), 30)
    state = {**method.state_dict(), "distributions": torch.full((30, 3), wrong)}
    with pytest.raises(ValueError, match="must be 0 or sum to 1"):
        method.load_state_dict(state)
