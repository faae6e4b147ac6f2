"""Targets and losses of ``agfn-nlc`` against their formulas, and what they are for."""

import pytest
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from method_steps import set_up, step

from pyg_agfn.datasets import Digits
from pyg_agfn.errors import InputError
from pyg_agfn.methods import NeighborCorrection, NeighborLabelCorrection, TrainingBatch
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
from pyg_agfn.transforms import PoissonEdges


def build(alpha=4.0, beta=-1.0, **parts):
    torch.manual_seed(0)
    edges = PoissonEdges(alpha, beta)
    model = AGFNClassifier("small-cnn", 3, 1, hidden_channels=6, edges=edges)
    settings = {
        "teacher_decay": 0.9,
        "memory_size": 30,
        "label_source": "both",
        "classifier_inputs": "both",
        "max_share": 1.0,
    }
    method = NeighborCorrection(F.cross_entropy, **{**settings, **parts})
    return model, set_up(method, model, 200)


def test_the_loss_is_the_mean_of_both_inputs_against_the_corrected_labels(batch):
    images, labels, index = batch
    model, method = build()
    model.agfn.edges.mode = "expectation"
    step(method, images, labels, index, 5)  # fills the memory
    assert int((method.corrector.memory.index >= 0).sum()) == 12
    index = index - 50
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    out = step(method, images, labels, index, 5)

    teacher = method.teacher.module
    seen = teacher.agfn.projector(teacher.features(images))
    believed = teacher.classifier(seen @ teacher.agfn.normalizer.conv.lin.weight.t()).softmax(1)
    method.corrector.memory.load_state_dict(
        {
            name.removeprefix("corrector.memory."): t
            for name, t in before.items()
            if "corrector.memory." in name
        }
    )
    neighbours = method.corrector.memory.posterior(model.agfn.edges, seen, index)
    learned = correct_labels(labels, (believed + neighbours) / 2).detach()
    z = model.agfn.projector(model.features(images))
    h = z @ model.agfn.normalizer.conv.lin.weight.t()
    joined = normalize_features(h, model.agfn.edges.adjacency(z))[0]
    expected = sum(
        -(learned * model.classifier(x).log_softmax(1)).sum(1).mean() / 2 for x in (h, joined)
    )
    torch.testing.assert_close(out.loss, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.logits, model.classifier(joined), rtol=1e-4, atol=1e-5)
    assert torch.equal(out.targets, labels)
    of_graph = -(learned * neighbours.log()).sum(1).mean()
    torch.testing.assert_close(out.graph_loss, of_graph, rtol=1e-4, atol=1e-5)


def test_before_its_epoch_it_learns_the_labels_of_each_image_alone(batch):
    images, labels, index = batch
    for inputs in ("graph", "single", "both"):
        model, method = build(classifier_inputs=inputs, pretrain_epochs=5)
        out = step(method, images, labels, index, 5)
        assert out.graph_loss is None
        alone = model(images, use_graph=False)
        torch.testing.assert_close(out.loss, F.cross_entropy(alone, labels))
        torch.testing.assert_close(out.logits, alone)


def test_without_parts_it_is_the_papers_loss(batch):
    images, labels, index = batch
    parts = {"label_source": "given", "memory_size": 0, "teacher_decay": 0.0}
    model, method = build(classifier_inputs="graph", **parts)
    model.agfn.edges.mode = "expectation"
    out = step(method, images, labels, index, 5)
    assert out.graph_loss is out.loss
    torch.testing.assert_close(out.loss, F.cross_entropy(model(images), labels))
    torch.testing.assert_close(out.logits, model(images))


def test_single_inputs_are_learned_without_the_graph(batch):
    images, labels, index = batch
    model, method = build(classifier_inputs="single", label_source="given")
    out = step(method, images, labels, index, 5)
    alone = model(images, use_graph=False)
    torch.testing.assert_close(out.logits, alone)
    torch.testing.assert_close(out.loss, F.cross_entropy(alone, labels))


def test_labels_are_corrected_from_the_first_epoch_with_a_graph_on(batch):
    images, labels, index = batch
    for epoch, begun in ((2, False), (3, True), (9, True)):
        _, method = build(label_source="teacher", pretrain_epochs=2)
        step(method, images, labels, index, epoch)
        kept = method.corrector.memory.targets[:12].gather(1, labels.unsqueeze(1))
        assert bool((kept < 1).any()) == begun


def test_as_many_labels_are_corrected_as_the_memory_finds_wrong():
    torch.manual_seed(3)
    true, index = torch.arange(240) % 3, torch.arange(240)
    images = 3 * torch.randn(3, 1, 8, 8)[true] + 0.3 * torch.randn(240, 1, 8, 8)
    labels = torch.where(index % 7 == 0, (true + 1 + index % 2) % 3, true)
    parts = {
        "label_source": "neighbors",
        "memory_size": 240,
        "max_share": None,
        "pretrain_epochs": 1,
    }
    # An untrained teacher, with the running statistics of no image, finds all images alike.
    parts |= {"alpha": 10.0, "beta": -8.0, "teacher_decay": 0.0}
    model, method = build(**parts)
    given = F.one_hot(labels, 3).float()
    step(method, images, labels, index, 1)  # before the graph
    assert method.metrics() == {"noise_rate": None}
    assert torch.equal(method.corrector.memory.targets, given)

    posterior, remembered = method.corrector.memory.posteriors(model.agfn.edges)
    assert torch.equal(remembered, labels)
    rate = estimate_issue_rate(posterior, remembered)
    against = label_disagreement(posterior, labels)
    threshold = threshold_of_share(against, rate)
    assert (method.corrector.memory.disagreement == -1).all()
    assert rate == pytest.approx(1 / 7, abs=0.08)
    step(method, images, labels, index, 2)
    assert method.metrics()["noise_rate"] == pytest.approx(rate)
    reliability = posterior_reliability(against, rate)
    assert 0.9 < reliability <= 1
    expected = correct_labels(labels, posterior, threshold=threshold, strength=reliability)
    torch.testing.assert_close(method.corrector.memory.targets, expected)
    torch.testing.assert_close(method.corrector.memory.disagreement, against)
    corrected = (expected != given).any(1)
    assert float((labels != true)[corrected].double().mean()) > 0.9
    assert float(corrected[labels != true].double().mean()) > 0.9

    # The labels that disagree most are chosen among those seen lately, not at the epoch's begin.
    third = torch.arange(240) % 3 == 0
    for lately, least, strength in (
        (torch.ones(240), 1.0, 0.0),
        (torch.zeros(240), 0.0, 1.0),
        (torch.where(third, 0.0, 0.5), 0.5, 1 / 3 / (1 - rate)),
    ):
        method.corrector.memory.disagreement[:] = lately
        method.corrector.memory.targets[:] = given
        step(method, images, labels, index, 2)
        expected = correct_labels(labels, posterior, threshold=least, strength=strength)
        torch.testing.assert_close(method.corrector.memory.targets, expected)
    torch.testing.assert_close(method.corrector.memory.disagreement, against)

    onlooker = build(**{**parts, "label_source": "given"})[1]
    for epoch in (1, 2):
        step(onlooker, images, labels, index, epoch)
    assert onlooker.metrics()["noise_rate"] == pytest.approx(rate)
    assert torch.equal(onlooker.corrector.memory.targets, given)

    again = build(**parts)[1]
    again.load_state_dict(method.state_dict())
    method.corrector.memory.labels[:] = true  # what would be found now is another rate
    step(method, images, labels, index, 2)
    rates = method.corrector.noise_rates
    assert rates.tolist() == pytest.approx([rate] + 63 * [-1])  # counted once an epoch
    for epoch in (3, 4):
        method.corrector.memory.labels[:] = true
        step(method, images, labels, index, epoch)
    assert method.metrics()["noise_rate"] == sorted(rates.tolist())[62] < 0.05
    assert float(rates[0]) == pytest.approx(rate)  # which decides on how many are corrected
    kept = method.corrector.memory.targets.gather(1, labels.unsqueeze(1)).flatten()
    assert float((kept < 1)[labels != true].double().mean()) > 0.9
    assert again.metrics()["noise_rate"] == pytest.approx(rate)
    for name, place, broken in (
        ("corrector.noise_rates", 0, 1.5),
        ("corrector.noise_rates", 63, float("nan")),
        ("counted", (), -1),
    ):
        state = {key: tensor.clone() for key, tensor in method.state_dict().items()}
        state[name][place] = broken
        with pytest.raises(ValueError, match="no "):
            again.load_state_dict(state)
    assert build(max_share=1.0)[1].metrics() == {}
    assert (
        build(label_source="teacher", memory_size=0, max_share=None)[1].metrics() == {}
    )  # no memory to count in


def test_nothing_is_corrected_before_there_is_a_neighbour(batch):
    images, labels, index = batch
    _, method = build(max_share=None, label_source="neighbors")
    step(method, images, labels, index, 9)
    step(method, images, labels, index, 9)
    assert torch.equal(method.corrector.memory.targets[:12], F.one_hot(labels, 3).float())
    assert method.metrics() == {"noise_rate": None}
    # A checkpoint with anything else is refused.
    assert all(tensor.isfinite().all() for tensor in method.state_dict().values())


@pytest.mark.parametrize("parts", [{}, {"teacher_decay": 0.0}, {"label_source": "neighbors"}])
def test_each_group_descends_its_own_loss(batch, parts):
    images, labels, index = batch
    model, method = build(**parts)
    given = {"method": "agfn-nlc", "lr": 0.0, "weight_decay": 0.0, "lr_graph": 0.1}
    options = TrainOptions.for_dataset("digits", **given).for_method("agfn-nlc")
    descent = CoordinateDescent(Fabric(accelerator="cpu", devices=1), model, method, options, 10)
    descent.step(TrainingBatch(images, labels, index, {}, 5))
    alpha = model.agfn.edges.alpha.item()
    weight = model.classifier.weight.clone()
    descent.step(TrainingBatch(images, labels, index - 50, {}, 5))
    assert abs(model.agfn.edges.alpha.item() - alpha) > 0.01
    assert torch.equal(model.classifier.weight, weight)  # lr 0
    options = TrainOptions.for_dataset("digits", **{**given, "lr": 0.1, "lr_graph": 0.0})
    descent = CoordinateDescent(Fabric(accelerator="cpu", devices=1), model, method, options, 10)
    alpha = model.agfn.edges.alpha.item()
    descent.step(TrainingBatch(images, labels, index - 20, {}, 5))
    assert model.agfn.edges.alpha.item() == alpha
    assert not torch.equal(model.classifier.weight, weight)


@pytest.mark.slow
def test_neighbours_find_the_wrong_labels_and_the_graph_learns_to_choose_them():
    """Raw pixels of digits as features: no training, only the graph."""
    data = Digits().with_noise(0.3, seed=0)
    z = torch.as_tensor(data.images).flatten(1).float()
    z = z - z.mean(0)
    edges = PoissonEdges(1.0, 0.0)
    corrector = NeighborLabelCorrection(
        num_classes=10, feature_dim=64, memory_size=900, edges=edges
    )
    labels = F.one_hot(data.labels, 10).float()
    corrector.memory.push(
        z[:900], labels[:900], data.labels[:900], torch.zeros(900), torch.arange(900)
    )
    asked = torch.arange(900)

    def right() -> float:
        with torch.no_grad():
            posterior = corrector.memory.posterior(edges, z[:900], asked)
        found = correct_labels(data.labels[:900], posterior).argmax(1)
        return float((found == data.true_labels[:900]).double().mean())

    assert float((data.labels == data.true_labels).double().mean()) == pytest.approx(0.7, abs=0.01)
    before = right()
    optimizer = torch.optim.Adam(edges.parameters(), 0.1)
    for _ in range(150):
        posterior = corrector.memory.posterior(edges, z[:900], asked)
        optimizer.zero_grad()
        (-(labels[:900] * posterior.log()).sum(1).mean()).backward()
        optimizer.step()
    assert -edges.beta.item() / edges.alpha.item() > 0.25  # below this cosine there is no neighbour
    assert right() > before + 0.05


def test_what_is_kept_is_the_teacher_if_there_is_one(batch):
    _, method = build()
    step(method, *batch, 5)
    assert method.inference_model() is method.teacher.module
    model, method = build(teacher_decay=0.0)
    assert method.inference_model() is model


def test_neighbours_cannot_correct_without_a_memory():
    with pytest.raises(InputError, match="label_source 'both' needs --memory-size"):
        TrainOptions.for_dataset("digits", label_source="both", memory_size=0)
    with pytest.raises(ValueError, match="needs a memory"):
        build(memory_size=0)


@pytest.mark.parametrize("memory", [60, 0])
@pytest.mark.parametrize("source", ["given", "teacher"])
def test_votes_are_learned_where_labels_are_kept(batch, memory, source):
    images, labels, index = batch
    soft = torch.softmax(torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), 1)
    parts = {"memory_size": memory, "label_source": source, "classifier_inputs": "single"}
    _, method = build(**parts, pretrain_epochs=3)
    out = step(method, images, labels, index, 1, soft)
    expected = -(soft * out.logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(out.loss, expected)
    if memory:
        assert torch.equal(method.corrector.memory.targets[:12], soft)
        assert torch.equal(method.corrector.memory.labels[:12], labels)

    out = step(method, images, labels, index, 5, soft)
    if source == "teacher" and not memory:
        teacher = method.teacher.module
        seen = teacher.agfn.projector(teacher.features(images))
        posterior = teacher.classifier(teacher.agfn.propagate(seen, use_graph=False)).softmax(1)
        soft = correct_labels(labels, posterior, soft_labels=soft)
    if source == "given" or not memory:
        expected = -(soft * out.logits.log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(out.loss, expected, rtol=1e-4, atol=1e-5)
