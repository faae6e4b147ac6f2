"""The module in an own loop: its targets against the parts it is made of, state, devices, types."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pyg_agfn.methods.neighbor_correction import (
    NeighborLabelCorrection,
    correct_labels,
    estimate_issue_rate,
    label_disagreement,
    posterior_reliability,
    threshold_of_share,
)

CLASSES, DIM = 3, 8


def build(**given) -> NeighborLabelCorrection:
    settings = {"memory_size": 300, "warmup_steps": 0, "alpha": 10.0, "beta": -8.0}
    return NeighborLabelCorrection(num_classes=CLASSES, feature_dim=DIM, **{**settings, **given})


def samples(n: int = 240, seed: int = 0):
    """Features in a cluster a class, a seventh of the labels wrong."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(n) % CLASSES
    centers = 3 * torch.eye(CLASSES, DIM)
    z = centers[true] + 0.4 * torch.randn(n, DIM, generator=generator)
    labels = torch.where(torch.arange(n) % 7 == 0, (true + 1 + torch.arange(n) % 2) % 3, true)
    return z, labels, torch.arange(n), true


def test_a_step_is_its_parts_one_after_the_other():
    z, labels, index, true = samples()
    corrector = build()
    first = corrector(z, labels, index)
    given = F.one_hot(labels, CLASSES).float()
    assert torch.equal(first.targets, given)  # nothing is remembered yet
    assert first.loss is None

    posterior = corrector.memory.posterior(corrector.edges, z, index)
    rate = estimate_issue_rate(posterior.detach(), labels)
    scores = label_disagreement(posterior.detach(), labels)
    limits = threshold_of_share(scores, rate), posterior_reliability(scores, rate)
    expected = correct_labels(labels, posterior.detach(), 1.0, *limits)
    out = corrector(z, labels, index)
    torch.testing.assert_close(out.targets, expected)
    torch.testing.assert_close(out.disagreement, scores)
    torch.testing.assert_close(out.posterior, posterior.detach())
    torch.testing.assert_close(out.loss, -(expected * posterior.log()).sum(1).mean())
    assert corrector.noise_rate == pytest.approx(rate)
    assert rate == pytest.approx(1 / 7, abs=0.05)
    changed = out.targets.argmax(1) != labels
    assert float((labels != true)[changed].float().mean()) > 0.9

    out.loss.backward()
    with torch.enable_grad():
        again = -(expected * posterior.log()).sum(1).mean()
        wanted = torch.autograd.grad(again, [*corrector.edges.parameters()])
    for parameter, gradient in zip(corrector.edges.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert not out.targets.requires_grad


def test_labels_stay_as_they_are_until_the_warm_up_is_over():
    z, labels, index, _ = samples()
    corrector = build(warmup_steps=3)
    for step in range(5):
        out = corrector(z, labels, index)
        begun = step >= 3
        assert (out.loss is not None) == begun
        assert bool((out.targets != F.one_hot(labels, CLASSES)).any()) == begun
        assert bool((out.disagreement < 0).all()) != begun
    early = build(warmup_steps=3)
    early(z, labels, index)
    assert early(z, labels, index, correct=True).loss is not None


def test_the_wrong_share_is_estimated_as_often_as_said():
    z, labels, index, _ = samples()
    for recount, times in ((None, 5), (2, 3), (0, 0)):
        corrector = build(recount_steps=recount, memory_size=240)
        corrector(z, labels, index, correct=False)
        corrector.warmup_steps = 1
        for _ in range(5):
            corrector(z, labels, index)
        assert int((corrector.noise_rates >= 0).sum()) == times


def test_a_share_that_is_set_is_corrected_in_full():
    z, labels, index, _ = samples()
    corrector = build(max_share=0.1)
    corrector(z, labels, index)
    out = corrector(z, labels, index)
    assert int((out.targets != F.one_hot(labels, CLASSES)).any(1).sum()) <= 24
    assert corrector.noise_rate is not None  # it is estimated all the same
    torch.testing.assert_close(out.targets, correct_labels(labels, out.posterior, 0.1))


def test_another_source_shares_in_the_correction():
    z, labels, index, _ = samples()
    other = torch.full((240, CLASSES), 0.1)
    other[:, 2] = 0.8
    for weight in (0.0, 0.5, 1.0):
        corrector = build(neighbor_weight=weight, max_share=1.0)
        corrector(z, labels, index)
        out = corrector(z, labels, index, posterior=other)
        source = (1 - weight) * other + weight * out.posterior
        torch.testing.assert_close(out.targets, correct_labels(labels, source))


def test_in_evaluation_nothing_is_remembered():
    z, labels, index, _ = samples()
    corrector = build()
    corrector(z, labels, index)
    before = copy.deepcopy(corrector.state_dict())
    corrector.eval()
    assert corrector(z, labels, index).loss is not None
    assert all(torch.equal(v, before[k]) for k, v in corrector.state_dict().items())


def step(corrector: NeighborLabelCorrection, optimizer, seed: int):
    z, labels, index, _ = samples(seed=seed)
    out = corrector(z, labels, index)
    if out.loss is not None:
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    return out


@pytest.mark.parametrize("way", ["state_dict", "deepcopy", "pickle"])
def test_a_copy_continues_as_the_original_does(way):
    teacher = nn.Linear(4, DIM)
    corrector = build(warmup_steps=2, teacher=teacher)
    optimizer = torch.optim.SGD(corrector.edges.parameters(), 0.1)
    for seed in range(4):
        corrector.teacher_features(teacher, torch.ones(1, 4))
        step(corrector, optimizer, seed)
    if way == "state_dict":
        other = build(warmup_steps=2, teacher=nn.Linear(4, DIM))
        other.load_state_dict(corrector.state_dict())
    else:
        other = (
            copy.deepcopy(corrector) if way == "deepcopy" else pickle.loads(pickle.dumps(corrector))
        )
    copied = torch.optim.SGD(other.edges.parameters(), 0.1)
    for seed in range(4, 7):
        one, two = step(corrector, optimizer, seed), step(other, copied, seed)
        assert torch.equal(one.targets, two.targets)
        assert torch.equal(one.loss, two.loss)
    for name, value in corrector.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_the_teacher_follows_and_stays_in_evaluation_mode():
    module = nn.Sequential(nn.Linear(4, DIM), nn.BatchNorm1d(DIM))
    corrector = build(teacher=module, teacher_decay=0.5).train()
    assert not corrector.teacher.training
    images = torch.randn(6, 4)
    features = corrector.teacher_features(module, images)
    assert not features.requires_grad
    torch.testing.assert_close(features, copy.deepcopy(module).eval()(images))  # the first copy
    with torch.no_grad():
        module[0].weight.add_(1.0)
    before = corrector.teacher.module[0].weight.clone()
    corrector.teacher_features(module, images)
    assert not torch.equal(corrector.teacher.module[0].weight, before)
    with pytest.raises(ValueError, match="there is no teacher"):
        build().teacher_features(module, images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_and_with_low_precision_features_it_is_the_same(dtype):
    z, labels, index, _ = samples()
    z = z.to(dtype).float()  # what the low precision can hold
    plain, low, cast = build(), build(), build()
    for _ in range(2):
        expected = plain(z, labels, index)
        with torch.autocast("cpu", dtype):
            in_cast = cast(z, labels, index)
        for found in (low(z.to(dtype), labels, index), in_cast):
            torch.testing.assert_close(found.targets, expected.targets)
            assert found.targets.dtype == torch.float32


def test_of_a_process_group_nothing_is_known_unless_it_is_asked_for(monkeypatch):
    """A group that exists for other reasons must not make it wait for other processes."""
    from pyg_agfn.methods.neighbor_correction import correction

    monkeypatch.setattr(correction, "world_size", lambda: pytest.fail("asked for processes"))
    z, labels, index, _ = samples()
    build()(z, labels, index)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"num_classes": 1}, "num_classes must be a whole number from 2 on, got 1"),
        ({"memory_size": 0}, "memory_size"),
        ({"memory_size": 1.5}, "memory_size must be a whole number"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"max_share": 1.5}, "max_share must be a share, 0 to 1, got 1.5"),
        ({"neighbor_weight": -0.1}, "neighbor_weight"),
        ({"alpha": float("nan")}, "alpha"),
        ({"teacher": nn.Linear(1, 1), "teacher_decay": 1.0}, "decay"),
    ],
)
def test_settings_out_of_range_are_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        NeighborLabelCorrection(**{"num_classes": CLASSES, "feature_dim": DIM, **given})


def test_tensors_of_another_shape_or_type_are_refused():
    z, labels, index, _ = samples(6)
    corrector = build()
    for arguments, complaint in (
        ((z[:, :2], labels, index), r"z must be a dense floating-point tensor of shape \[N, 8\]"),
        ((z.long(), labels, index), "z must be a dense floating-point"),
        ((z, labels[:5], index), r"labels must be a tensor of integers of shape \[6\]"),
        ((z, labels.float(), index), "labels must be a tensor of integers"),
        ((z, labels, index[:, None]), "index must be a tensor of integers"),
        ((z, labels, index, torch.zeros(6, 2)), r"posterior must be of shape \[6, 3\]"),
    ):
        with pytest.raises(ValueError, match=complaint):
            corrector(*arguments)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_answers_as_on_the_cpu():
    z, labels, index, _ = samples()
    here, there = build(), build().cuda()
    for _ in range(3):
        expected, found = here(z, labels, index), there(z.cuda(), labels.cuda(), index)
        torch.testing.assert_close(found.targets.cpu(), expected.targets)
    torch.testing.assert_close(found.loss.cpu(), expected.loss)


def test_soft_labels_are_learned_and_the_labels_tell_which_are_wrong():
    z, labels, index, _ = samples()
    soft = 0.8 * F.one_hot(labels, CLASSES) + 0.2 / CLASSES
    hard, other = build(), build()
    first = [c(z, labels, index, soft_labels=s) for c, s in ((hard, None), (other, soft))]
    assert torch.equal(first[1].targets, soft)
    assert torch.equal(other.memory.labels, hard.memory.labels)

    posterior = other.memory.posterior(other.edges, z, index).detach()
    rate = estimate_issue_rate(posterior, labels)
    scores = label_disagreement(posterior, labels)
    limits = threshold_of_share(scores, rate), posterior_reliability(scores, rate)
    out = other(z, labels, index, soft_labels=soft)
    expected = correct_labels(labels, posterior, 1.0, *limits, soft)
    torch.testing.assert_close(out.targets, expected)
    assert torch.equal(out.targets[scores < limits[0]], soft[scores < limits[0]])
    torch.testing.assert_close(other.memory.targets[:180], expected[60:])  # a ring of 300
    with pytest.raises(ValueError, match="soft_labels must be of shape"):
        other(z, labels, index, soft_labels=soft[:, :2])
