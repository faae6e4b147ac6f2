import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods.co_teaching import CoTeaching, TwoClassifiers
from pyg_agfn.methods.method import TrainingOutputs
from pyg_agfn.nn import BaselineClassifier


def build() -> TwoClassifiers:
    torch.manual_seed(0)
    return TwoClassifiers("small-cnn", 3, in_channels=1).train()


def clusters(noise: float) -> TrainingOutputs:
    """Features in three clusters, and a share of wrong labels."""
    torch.manual_seed(0)
    true = torch.arange(600) % 3
    features = 4.0 * F.one_hot(true, 3) + 0.3 * torch.randn(600, 3)
    wrong = torch.rand(600) < noise
    labels = torch.where(wrong, (true + torch.randint(1, 3, (600,))) % 3, true)
    return TrainingOutputs(features, features, labels)


def test_the_published_settings_are_the_defaults():
    method = CoTeaching()
    assert (method.gradual_epochs, method.forget_rate) == (10, None)


def test_the_peer_begins_with_other_weights_and_does_not_answer():
    model = build().eval()
    images = torch.randn(4, 1, 8, 8)
    torch.manual_seed(0)
    alone = BaselineClassifier("small-cnn", 3, in_channels=1).eval()
    assert torch.equal(model(images), alone(images))
    assert not torch.equal(model.peer(images), alone(images))


def test_a_peer_of_a_given_backbone_has_a_copy_of_it():
    backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
    model = TwoClassifiers(backbone, 3, num_features=5)
    assert torch.equal(model.peer.backbone[1].weight, backbone[1].weight)
    assert model.peer.backbone[1].weight is not backbone[1].weight
    assert not torch.equal(model.peer.classifier.weight, model.classifier.weight)


@pytest.mark.parametrize(("epoch", "count"), [(1, 11), (5, 9), (10, 6), (30, 6)])
def test_each_learns_what_the_other_finds_easiest(epoch, count, batch):
    images, labels, index = batch
    model = build()
    method = set_up(CoTeaching(forget_rate=0.5), model)
    out = step(method, images, labels, index, epoch)
    answers = model(images), model.peer(images)
    each = [F.cross_entropy(x, labels, reduction="none") for x in answers]
    easiest = [sorted(range(12), key=lambda i, x=x: float(x[i]))[:count] for x in each]
    assert epoch == 1 or set(easiest[0]) != set(easiest[1])
    expected = each[0][easiest[1]].mean() + each[1][easiest[0]].mean()
    torch.testing.assert_close(out.loss, expected)
    torch.testing.assert_close(out.logits, answers[0])


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4])
def test_the_share_of_wrong_labels_is_estimated_before_its_epochs(noise):
    method = set_up(CoTeaching(), build())
    calls = []

    def extract() -> TrainingOutputs:
        calls.append(1)
        return clusters(noise)

    assert method.noise_rate is None
    assert method.count_chosen(12, 1) == 12
    for epoch in range(1, 15):
        method.begin_epoch(epoch, extract)
    assert len(calls) == 9  # epochs 2 to 10
    assert method.noise_rate == pytest.approx(noise, abs=0.08)
    assert method.metrics() == {"noise_rate": method.noise_rate}
    assert method.count_chosen(100, 30) == int(100 * (1 - method.noise_rate))


def test_a_share_that_is_given_is_not_estimated():
    method = set_up(CoTeaching(forget_rate=0.3), build())
    method.begin_epoch(5, lambda: pytest.fail("it looks at the images"))
    assert method.noise_rate == 0.3


def test_estimates_that_are_no_shares_are_refused():
    method = set_up(CoTeaching(), build())
    with pytest.raises(ValueError, match="no shares"):
        method.load_state_dict({"estimates": torch.full((10,), 1.5)})


def test_it_is_trained(tiny):
    result = trainer(method="co-teaching", epochs=12).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
    assert result.metrics["noise_rate"] < 0.2
