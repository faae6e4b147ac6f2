import pytest
import torch
from lightning.fabric import Fabric

from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training.batches import Batches
from pyg_agfn.training.evaluate import (
    accuracy,
    extract_features,
    memorized_share,
    predict_batches,
    predict_single,
    shuffled_accuracy,
    shuffled_orders,
)
from pyg_agfn.transforms import PoissonEdges

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    edges = PoissonEdges(3.0, 0.0)
    return AGFNClassifier("small-cnn", 3, in_channels=1, hidden_channels=16, edges=edges).eval()


def test_features_are_those_of_each_image(model, tiny):
    features = extract_features(FABRIC, model, Batches(tiny, 16, torch.device("cpu")))
    image = next(iter(Batches(tiny, 1, torch.device("cpu"))))[0]
    torch.testing.assert_close(features[:1], model.features(image), atol=1e-6, rtol=1e-5)


def test_batches_are_classified_in_the_given_order_and_come_back_in_their_own(model):
    features = torch.randn(20, 128)
    order = torch.randperm(20)
    found = predict_batches(FABRIC, model, features, order, 8)
    for chosen in order.split(8):
        assert torch.equal(found[chosen], model.head(features[chosen]).argmax(-1))


def test_single_is_one_image_at_a_time(model):
    features = torch.randn(40, 128)
    one_by_one = torch.cat([model.head(row.unsqueeze(0)) for row in features]).argmax(-1)
    together = predict_batches(FABRIC, model, features, torch.arange(40), 40)
    assert torch.equal(predict_single(FABRIC, model, features), one_by_one)
    assert not torch.equal(one_by_one, together)  # the graph is back, and it matters
    assert model.agfn.use_graph


def test_shuffled_is_mean_and_sample_deviation_over_the_draws(model):
    torch.manual_seed(1)
    features, labels = torch.randn(400, 128), torch.arange(400) % 3
    found = shuffled_accuracy(FABRIC, model, features, labels, 4, draws=6, seed=2)
    scores = [
        float((predict_batches(FABRIC, model, features, order, 4) == labels).double().mean())
        for order in shuffled_orders(400, 6, 2)
    ]
    assert len(set(scores)) > 1
    assert found.draws == 6
    assert found.mean == pytest.approx(sum(scores) / 6, abs=1e-6)
    assert found.std == pytest.approx(torch.tensor(scores).std().item(), abs=1e-6)


def test_a_model_without_a_graph_answers_the_same_in_any_company():
    torch.manual_seed(0)
    baseline = BaselineClassifier("small-cnn", 3, in_channels=1)
    features, labels = torch.randn(50, 128), torch.arange(50) % 3
    found = shuffled_accuracy(FABRIC, baseline, features, labels, 16, draws=5, seed=0)
    assert found.std == 0
    assert found.mean == accuracy(predict_single(FABRIC, baseline, features), labels, 3)


def test_memorized_counts_wrong_labels_only():
    labels, true = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 1, 1, 1, 0])
    predicted = torch.tensor([0, 0, 2, 1, 1])
    assert memorized_share(predicted, labels, true) == pytest.approx(2 / 3)
    assert memorized_share(predicted, labels, labels) is None
