import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods.neighbor_consistency import NeighborConsistency
from pyg_agfn.nn import BaselineClassifier


def by_hand(features, logits, k, temperature):
    """The regularizer, image by image and neighbour by neighbour."""
    total = 0.0
    for i in range(len(features)):
        others = [j for j in range(len(features)) if j != i]
        cosine = {j: float(F.cosine_similarity(features[i], features[j], dim=0)) for j in others}
        nearest = sorted(others, key=lambda j: -cosine[j])[:k]
        weights = {j: max(cosine[j], 0.0) for j in nearest}
        whole = sum(weights.values())
        if not whole:
            continue
        target = sum(w / whole * (logits[j] / temperature).softmax(0) for j, w in weights.items())
        answer = (logits[i] / temperature).softmax(0)
        total += float((target * (target.log() - answer.log())).sum())
    return temperature**2 * total / len(features)


def test_the_published_settings_are_the_defaults():
    method = NeighborConsistency()
    assert (method.weight, method.num_neighbors, method.temperature) == (0.3, 10, 2.0)
    assert method.warmup_epochs == 10


@pytest.mark.parametrize(("k", "temperature"), [(3, 2.0), (1, 1.0), (50, 0.5)])
def test_the_regularizer_is_its_formula(k, temperature):
    torch.manual_seed(0)
    features, logits = torch.randn(9, 4), torch.randn(9, 3)
    features[8] = -features[:8].sum(0)
    method = NeighborConsistency(num_neighbors=k, temperature=temperature)
    found = method.consistency_loss(features, logits)
    assert float(found) == pytest.approx(by_hand(features, logits, k, temperature), rel=1e-4)


def test_an_image_without_a_similar_one_has_no_neighbour():
    features = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert NeighborConsistency().consistency_loss(features, torch.randn(2, 3)) == 0


def test_the_loss_weighs_both_parts_after_its_first_epochs(batch):
    images, labels, index = batch
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    method = set_up(NeighborConsistency(), model)
    features = model.features(images).detach()
    logits = model.head(features).detach()
    plain = F.cross_entropy(logits, labels)
    torch.testing.assert_close(step(method, images, labels, index, 10).loss, plain)
    expected = 0.7 * plain + 0.3 * by_hand(features, logits, 10, 2.0)
    torch.testing.assert_close(step(method, images, labels, index, 11).loss, expected)


def test_it_is_trained(tiny):
    result = trainer(method="ncr", epochs=14).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
