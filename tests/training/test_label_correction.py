"""The recipe's targets and losses against their formulas, and what they are for."""

import pytest
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric

from pyg_agfn.datasets import Digits
from pyg_agfn.errors import InputError
from pyg_agfn.methods.neighbor_correction import (
    correct_labels,
    estimate_issue_rate,
    label_disagreement,
    posterior_reliability,
    threshold_of_share,
)
from pyg_agfn.nn import AGFNClassifier, normalize_features
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.label_correction import LabelCorrection
from pyg_agfn.transforms import PoissonEdges


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(12, 1, 8, 8), torch.arange(12) % 3, torch.arange(100, 112)


def build(alpha=4.0, beta=-1.0, **parts):
    torch.manual_seed(0)
    edges = PoissonEdges(alpha, beta)
    model = AGFNClassifier("small-cnn", 3, 1, hidden_channels=6, edges=edges).train()
    settings = {"decay": 0.9, "memory": 30, "judges": "both", "heads": "both", "begin_epoch": 1}
    objective = LabelCorrection(F.cross_entropy, **{**settings, **parts})
    objective.begin(model, 200)
    return model, objective


def test_the_loss_is_the_heads_mean_against_the_corrected_labels(batch):
    images, labels, index = batch
    model, objective = build()
    model.agfn.edges.mode = "expectation"
    objective(model, images, labels, index, 5)  # fills the memory
    assert int((objective.corrector.memory.index >= 0).sum()) == 12
    index = index - 50
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    loss, logits, targets = objective(model, images, labels, index, 5)

    teacher = objective.teacher.module
    seen = teacher.agfn.projector(teacher.features(images))
    believed = teacher.classifier(seen @ teacher.agfn.normalizer.conv.lin.weight.t()).softmax(1)
    objective.corrector.memory.load_state_dict(
        {
            name.removeprefix("corrector.memory."): t
            for name, t in before.items()
            if "corrector.memory." in name
        }
    )
    neighbours = objective.corrector.memory.posterior(model.agfn.edges, seen, index)
    learned = correct_labels(labels, (believed + neighbours) / 2).detach()
    z = model.agfn.projector(model.features(images))
    h = z @ model.agfn.normalizer.conv.lin.weight.t()
    joined = normalize_features(h, model.agfn.edges.adjacency(z))[0]
    expected = sum(
        -(learned * model.classifier(x).log_softmax(1)).sum(1).mean() / 2 for x in (h, joined)
    )
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, model.classifier(joined), rtol=1e-4, atol=1e-5)
    assert torch.equal(targets, labels)
    of_graph = -(learned * neighbours.log()).sum(1).mean()
    torch.testing.assert_close(objective.graph_loss, of_graph, rtol=1e-4, atol=1e-5)


def test_before_its_epoch_and_without_parts_it_is_the_papers_loss(batch):
    images, labels, index = batch
    for parts in ({"begin_epoch": 6}, {"judges": "nobody", "memory": 0, "decay": 0.0}):
        model, objective = build(heads="graph", **parts)
        model.agfn.edges.mode = "expectation"
        loss, logits, _ = objective(model, images, labels, index, 5)
        assert objective.graph_loss is None
        torch.testing.assert_close(loss, F.cross_entropy(model(images), labels))
        torch.testing.assert_close(logits, model(images))


def test_the_head_without_a_graph_learns_the_image_alone(batch):
    images, labels, index = batch
    model, objective = build(heads="alone", judges="nobody")
    loss, logits, _ = objective(model, images, labels, index, 5)
    alone = model(images, use_graph=False)
    torch.testing.assert_close(logits, alone)
    torch.testing.assert_close(loss, F.cross_entropy(alone, labels))


def test_labels_are_corrected_from_the_first_epoch_with_a_graph_on(batch):
    images, labels, index = batch
    for epoch, begun in ((2, False), (3, True), (9, True)):
        model, objective = build(judges="teacher", begin_epoch=3)
        objective(model, images, labels, index, epoch)
        kept = objective.corrector.memory.targets[:12].gather(1, labels.unsqueeze(1))
        assert bool((kept < 1).any()) == begun


def test_as_many_labels_are_corrected_as_the_memory_finds_wrong():
    torch.manual_seed(3)
    true, index = torch.arange(240) % 3, torch.arange(240)
    images = 3 * torch.randn(3, 1, 8, 8)[true] + 0.3 * torch.randn(240, 1, 8, 8)
    labels = torch.where(index % 7 == 0, (true + 1 + index % 2) % 3, true)
    parts = {"judges": "neighbours", "memory": 240, "at_most": None, "begin_epoch": 2}
    parts |= {"alpha": 10.0, "beta": -8.0}
    model, objective = build(**parts, decay=0.0)  # an untrained teacher finds all images alike
    given = F.one_hot(labels, 3).float()
    objective(model, images, labels, index, 1)  # before the graph
    assert objective.findings() == {"noise_rate": None}
    assert torch.equal(objective.corrector.memory.targets, given)

    opinion, remembered = objective.corrector.memory.posteriors(model.agfn.edges)
    assert torch.equal(remembered, labels)
    rate = estimate_issue_rate(opinion, remembered)
    against = label_disagreement(opinion, labels)
    threshold = threshold_of_share(against, rate)
    assert (objective.corrector.memory.disagreement == -1).all()
    assert rate == pytest.approx(1 / 7, abs=0.08)
    objective(model, images, labels, index, 2)
    assert objective.findings()["noise_rate"] == pytest.approx(rate)
    trust = posterior_reliability(against, rate)
    assert 0.9 < trust <= 1
    expected = correct_labels(labels, opinion, threshold=threshold, strength=trust)
    torch.testing.assert_close(objective.corrector.memory.targets, expected)
    torch.testing.assert_close(objective.corrector.memory.disagreement, against)
    corrected = (expected != given).any(1)
    assert float((labels != true)[corrected].double().mean()) > 0.9
    assert float(corrected[labels != true].double().mean()) > 0.9

    # Who is among the most contradicted is asked of those seen lately, not of the epoch's begin.
    third = torch.arange(240) % 3 == 0
    for lately, least, strength in (
        (torch.ones(240), 1.0, 0.0),
        (torch.zeros(240), 0.0, 1.0),
        (torch.where(third, 0.0, 0.5), 0.5, 1 / 3 / (1 - rate)),
    ):
        objective.corrector.memory.disagreement[:] = lately
        objective.corrector.memory.targets[:] = given
        objective(model, images, labels, index, 2)
        expected = correct_labels(labels, opinion, threshold=least, strength=strength)
        torch.testing.assert_close(objective.corrector.memory.targets, expected)
    torch.testing.assert_close(objective.corrector.memory.disagreement, against)

    onlooker = build(**{**parts, "judges": "nobody"}, decay=0.0)[1]
    for epoch in (1, 2):
        onlooker(model, images, labels, index, epoch)
    assert onlooker.findings()["noise_rate"] == pytest.approx(rate)
    assert torch.equal(onlooker.corrector.memory.targets, given)

    again = build(**parts, decay=0.0)[1]
    again.load_state_dict(objective.state_dict())
    objective.corrector.memory.labels[:] = true  # what would be found now is another rate
    objective(model, images, labels, index, 2)
    rates = objective.corrector.noise_rates
    assert rates.tolist() == pytest.approx([rate] + 63 * [-1])  # counted once an epoch
    for epoch in (3, 4):
        objective.corrector.memory.labels[:] = true
        objective(model, images, labels, index, epoch)
    assert objective.findings()["noise_rate"] == sorted(rates.tolist())[62] < 0.05
    assert float(rates[0]) == pytest.approx(rate)  # which decides on how many are corrected
    kept = objective.corrector.memory.targets.gather(1, labels.unsqueeze(1)).flatten()
    assert float((kept < 1)[labels != true].double().mean()) > 0.9
    assert again.findings()["noise_rate"] == pytest.approx(rate)
    for name, place, broken in (
        ("corrector.noise_rates", 0, 1.5),
        ("corrector.noise_rates", 63, float("nan")),
        ("counted", (), -1),
    ):
        state = {key: tensor.clone() for key, tensor in objective.state_dict().items()}
        state[name][place] = broken
        with pytest.raises(ValueError, match="no "):
            again.load_state_dict(state)
    assert build(at_most=1.0)[1].findings() == {}
    assert build(judges="teacher", memory=0, at_most=None)[1].findings() == {}  # nobody to tell


def test_nothing_is_corrected_before_there_is_anybody_to_ask(batch):
    images, labels, index = batch
    model, objective = build(at_most=None, judges="neighbours")
    objective(model, images, labels, index, 9)
    objective(model, images, labels, index, 9)
    assert torch.equal(objective.corrector.memory.targets[:12], F.one_hot(labels, 3).float())
    assert objective.findings() == {"noise_rate": None}
    # A checkpoint with anything else is refused.
    assert all(tensor.isfinite().all() for tensor in objective.state_dict().values())


@pytest.mark.parametrize("parts", [{}, {"decay": 0.0}, {"judges": "neighbours"}])
def test_each_group_descends_its_own_loss(batch, parts):
    images, labels, index = batch
    model, objective = build(**parts)
    given = {"lr": 0.0, "weight_decay": 0.0, "lr_graph": 0.1, "graph_optimizer": "adam"}
    options = TrainOptions.for_dataset("digits", **given)
    descent = CoordinateDescent(Fabric(accelerator="cpu", devices=1), model, objective, options, 10)
    descent.step(images, labels, index, 5)
    alpha = model.agfn.edges.alpha.item()
    weight = model.classifier.weight.clone()
    descent.step(images, labels, index - 50, 5)
    assert abs(model.agfn.edges.alpha.item() - alpha) > 0.01
    assert torch.equal(model.classifier.weight, weight)  # lr 0
    options = TrainOptions.for_dataset("digits", **{**given, "lr": 0.1, "lr_graph": 0.0})
    descent = CoordinateDescent(Fabric(accelerator="cpu", devices=1), model, objective, options, 10)
    alpha = model.agfn.edges.alpha.item()
    descent.step(images, labels, index - 20, 5)
    assert model.agfn.edges.alpha.item() == alpha
    assert not torch.equal(model.classifier.weight, weight)


def test_neighbours_find_the_wrong_labels_and_the_graph_learns_to_choose_them():
    """Raw pixels of digits as features: no training, only the graph."""
    data = Digits().with_noise(0.3, seed=0)
    z = torch.as_tensor(data.images).flatten(1).float()
    z = z - z.mean(0)
    edges = PoissonEdges(1.0, 0.0)
    memory = LabelCorrection(F.cross_entropy, 0.0, 900, "neighbours", "graph", 1)
    model = AGFNClassifier("small-cnn", 10, 1, hidden_channels=64, edges=edges)
    memory.begin(model, len(z))
    labels = F.one_hot(data.labels, 10).float()
    memory.corrector.memory.push(
        z[:900], labels[:900], data.labels[:900], torch.zeros(900), torch.arange(900)
    )
    asked = torch.arange(900)

    def right() -> float:
        with torch.no_grad():
            opinion = memory.corrector.memory.posterior(edges, z[:900], asked)
        found = correct_labels(data.labels[:900], opinion).argmax(1)
        return float((found == data.true_labels[:900]).double().mean())

    assert float((data.labels == data.true_labels).double().mean()) == pytest.approx(0.7, abs=0.01)
    before = right()
    optimizer = torch.optim.Adam(edges.parameters(), 0.1)
    for _ in range(150):
        opinion = memory.corrector.memory.posterior(edges, z[:900], asked)
        optimizer.zero_grad()
        (-(labels[:900] * opinion.log()).sum(1).mean()).backward()
        optimizer.step()
    assert -edges.beta.item() / edges.alpha.item() > 0.25  # below this cosine nobody is a neighbour
    assert right() > before + 0.05


def test_what_is_kept_is_the_teacher_if_there_is_one(batch):
    model, objective = build()
    objective(model, *batch, 5)
    assert objective.trained(model) is objective.teacher.module
    model, objective = build(decay=0.0)
    assert objective.trained(model) is model


def test_neighbours_cannot_judge_without_a_memory():
    with pytest.raises(InputError, match="--judges both needs --memory"):
        TrainOptions.for_dataset("digits", judges="both")
    with pytest.raises(ValueError, match="needs a memory"):
        build(memory=0)
