import pytest
import torch

from pyg_agfn.datasets.batches import Batches
from pyg_agfn.evaluation import (
    Bank,
    ClassSorted,
    Outcome,
    Shuffled,
    Single,
    batch_leakage,
    evaluate,
    extract_features,
    joins_images,
)
from pyg_agfn.evaluation.outcomes import accuracy
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank
from pyg_agfn.registry import PROTOCOLS
from pyg_agfn.transforms import PoissonEdges

CPU = torch.device("cpu")


def predicted(protocol, model, features, labels) -> torch.Tensor:
    return next(protocol.logits(model, features, labels)).argmax(1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    edges = PoissonEdges(3.0, 0.0)
    return AGFNClassifier("small-cnn", 3, in_channels=1, hidden_channels=16, edges=edges).eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(400, 128), torch.arange(400) % 3


def test_features_are_those_of_each_image(model, tiny):
    features = extract_features(model.train(), Batches(tiny, 16, CPU))
    assert not model.training
    image = next(iter(Batches(tiny, 1, CPU))).images
    torch.testing.assert_close(features[:1], model.features(image), atol=1e-6, rtol=1e-5)


def test_single_is_one_image_at_a_time(model, images):
    features, labels = images
    logits = next(Single().logits(model, features, labels))
    one_by_one = torch.cat([model.head(row.unsqueeze(0)) for row in features])
    torch.testing.assert_close(logits, one_by_one, atol=1e-5, rtol=1e-5)


def test_shuffled_batches_are_random_and_the_same_for_every_model(model, images):
    features, labels = images
    draws = list(Shuffled(16, draws=3, seed=5).logits(model, features, labels))
    generator = torch.Generator().manual_seed(5)
    for logits in draws:
        order = torch.randperm(400, generator=generator)
        for chosen in order.split(16):
            torch.testing.assert_close(
                logits[chosen], model.head(features[chosen]), atol=1e-6, rtol=1e-5
            )


def test_class_sorted_batches_hold_one_class(model, images):
    features, labels = images
    logits = next(ClassSorted(50).logits(model, features, labels))
    order = torch.cat([torch.where(labels == k)[0] for k in range(3)])
    for chosen in order.split(50):
        torch.testing.assert_close(
            logits[chosen], model.head(features[chosen]), atol=1e-6, rtol=1e-5
        )


def test_bank_joins_images_to_the_references_only(model, images):
    features, labels = images
    bank = ReferenceBank.from_features(model.agfn, torch.randn(30, 128), 16)
    logits = next(Bank(bank).logits(model, features, labels))
    some = next(Bank(bank).logits(model, features[5:8], labels[5:8]))
    torch.testing.assert_close(logits[5:8], some, atol=1e-6, rtol=0)
    torch.testing.assert_close(some, model.classifier(bank(features[5:8])), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="ReferenceBank"):
        next(Bank().logits(model, features, labels))


def test_outcome_is_mean_and_sample_deviation_over_the_draws(model, images):
    features, labels = images
    protocol = Shuffled(4, draws=6, seed=2)
    outcome = evaluate(protocol, model, features, labels)
    scores = torch.stack(
        [(logits.argmax(1) == labels).double().mean() for logits in protocol.logits(model, *images)]
    )
    assert len(scores.unique()) > 1
    assert outcome.accuracies == pytest.approx(scores.tolist(), abs=1e-6)
    assert outcome.mean == pytest.approx(scores.mean().item(), abs=1e-6)
    assert outcome.std == pytest.approx(scores.std().item(), abs=1e-6)
    assert evaluate(Single(), model, features, labels).std == 0


def test_a_model_without_a_graph_answers_the_same_in_any_batch(images):
    torch.manual_seed(0)
    baseline = BaselineClassifier("small-cnn", 3, in_channels=1)
    outcomes = [
        evaluate(protocol, baseline, *images)
        for protocol in (Shuffled(16, draws=3), Single(), ClassSorted(16), Bank())
    ]
    values = {value for outcome in outcomes for value in outcome.accuracies}
    assert len(values) == 1


def test_the_graph_leaks_the_composition_of_a_sorted_batch():
    """Features that hold the class faintly: neighbours of one class add it up."""
    torch.manual_seed(0)
    model = AGFNClassifier(
        torch.nn.Identity(), 3, num_features=8, hidden_channels=8, edges=PoissonEdges(0.0, 9.0)
    )
    model.agfn.projector = torch.nn.Identity()
    with torch.no_grad():
        model.agfn.normalizer.conv.lin.weight.copy_(torch.eye(8))
        model.classifier.weight.copy_(torch.eye(3, 8))
        model.classifier.bias.zero_()
    labels = torch.arange(300) % 3
    features = torch.randn(300, 8) + 0.5 * torch.eye(3, 8)[labels]
    single, shuffled, class_sorted = (
        evaluate(protocol, model, features, labels).mean
        for protocol in (Single(), Shuffled(100), ClassSorted(100))
    )
    assert class_sorted == 1.0
    assert single < 0.7
    assert shuffled < 0.7


def test_every_protocol_says_what_it_is_good_for():
    assert list(PROTOCOLS) == ["bank", "shuffled", "single", "class_sorted"]
    assert all(len(PROTOCOLS[name].good_for) > 20 for name in PROTOCOLS)


class MeanOfBatch(BaselineClassifier):
    """A model that joins images, and is no AGFN."""

    def head(self, x, use_graph=True):
        return self.classifier(x + x.mean(0) if use_graph else x)


def test_any_model_that_can_do_without_its_graph_is_one_with_a_graph(images, model):
    features, labels = images
    torch.manual_seed(0)
    other = MeanOfBatch(torch.nn.Identity(), 3, num_features=128)
    assert joins_images(other)
    assert joins_images(model)
    assert not joins_images(BaselineClassifier(torch.nn.Identity(), 3, num_features=128))
    logits = next(Single().logits(other, features, labels))
    torch.testing.assert_close(logits, other.classifier(features))
    with pytest.raises(ValueError, match="ReferenceBank"):
        next(Bank().logits(other, features, labels))


def test_batch_leakage_is_sorted_minus_inductive_accuracy():
    outcomes = {
        name: Outcome(Single(), accuracies, torch.empty(0, 3))
        for name, accuracies in (("bank", [0.6]), ("shuffled", [0.7, 0.9]), ("class_sorted", [0.9]))
    }
    assert batch_leakage(outcomes) == pytest.approx(0.3)


def test_accuracy_is_the_share_of_labels_met():
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
    assert accuracy(logits, torch.tensor([0, 1, 1, 1])) == 0.75
