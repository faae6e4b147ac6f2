import copy

import pytest
import torch
from lightning.fabric import Fabric

from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError
from pyg_agfn.methods import AGFNMethod, Baseline, StepOutput, TrainingBatch
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.losses import LOSSES
from pyg_agfn.transforms import PoissonEdges


def build(samples: int = 1) -> AGFNClassifier:
    torch.manual_seed(0)
    edges = PoissonEdges(1.0, 0.2, num_samples=samples)
    return AGFNClassifier("small-cnn", 3, in_channels=1, hidden_channels=16, edges=edges)


def descent(model, **options) -> CoordinateDescent:
    fabric = Fabric(accelerator="cpu", devices=1)
    chosen = TrainOptions(
        **{"method": "agfn", "lr": 0.1, "lr_graph": 5.0, "momentum": 0.0, **options}
    )
    criterion = LOSSES[chosen.loss]
    if isinstance(model, AGFNClassifier):
        method = AGFNMethod(criterion, chosen.pretrain_epochs, chosen.descent)
    else:
        method = Baseline(criterion)
    method.setup(model, 12)
    return CoordinateDescent(fabric, model, method, chosen, num_steps=10)


def step(coordinate: CoordinateDescent, images, labels, epoch: int = 11) -> StepOutput:
    return coordinate.step(TrainingBatch(images, labels, torch.arange(len(labels)), {}, epoch))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(12, 1, 8, 8), torch.arange(12) % 3


def parameters(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("loss", LOSSES)
def test_each_group_takes_its_step_with_the_other_held(batch, loss):
    """Eq. 11 and 9 written out: each group's step is its rate times its own gradient.

    Both gradients are of the parameters before the step.
    """
    images, labels = batch
    model = build(samples=2)
    reference = copy.deepcopy(model)
    torch.manual_seed(7)
    step(descent(model, loss=loss, weight_decay=0.0), images, labels)

    torch.manual_seed(7)
    criterion, targets = LOSSES[loss], labels.repeat(2)
    graph = list(reference.agfn.edges.parameters())
    weights = [p for p in reference.parameters() if all(p is not q for q in graph)]
    reference.train()
    features = reference.features(images)
    gradients = [  # each by a draw of its own
        torch.autograd.grad(criterion(reference.head(x), targets), group, retain_graph=True)
        for x, group in ((features.detach(), graph), (features, weights))
    ]
    with torch.no_grad():
        for group, rate, found in zip((graph, weights), (5.0, 0.1), gradients, strict=True):
            for p, gradient in zip(group, found, strict=True):
                p -= rate * gradient

    for name, expected in parameters(reference).items():
        torch.testing.assert_close(parameters(model)[name], expected, atol=1e-6, rtol=1e-5)
    assert model.agfn.edges.alpha.item() != 1.0


def test_the_backbone_sees_a_batch_once(batch):
    model = build()
    passes = []
    model.backbone.register_forward_hook(lambda *_: passes.append(1))
    step(descent(model), *batch)
    assert len(passes) == 1


def test_joint_takes_both_steps_from_one_gradient(batch):
    images, labels = batch
    model = build()
    reference = copy.deepcopy(model)
    torch.manual_seed(7)
    step(descent(model, descent="joint", weight_decay=0.0), images, labels)
    torch.manual_seed(7)
    reference.train()
    LOSSES["cross-entropy"](reference(images), labels).backward()
    for name, p in reference.named_parameters():
        expected = p - (5.0 if ".edges." in name else 0.1) * p.grad
        torch.testing.assert_close(parameters(model)[name], expected, atol=1e-6, rtol=1e-5)


def test_the_graph_rests_while_it_is_off(batch):
    model = build()
    before = parameters(model)
    step(descent(model), *batch, epoch=10)  # of ten that it is off
    after = parameters(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if ".edges." not in name}


def test_a_model_without_a_graph_has_one_optimizer(batch):
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    coordinate = descent(model)
    assert len(coordinate.optimizers) == 1
    losses = [step(coordinate, *batch).loss.item() for _ in range(8)]
    assert losses[-1] < losses[0]


def test_the_loss_is_the_mean_over_the_draws(batch):
    images, labels = batch
    out = step(descent(build(samples=3)), images, labels)
    assert out.logits.shape == (36, 3)
    assert torch.equal(out.targets, labels.repeat(3))
    each = torch.stack([LOSSES["cross-entropy"](part, labels) for part in out.logits.split(12)])
    torch.testing.assert_close(out.loss, each.mean())


@pytest.mark.parametrize("build_model", [build, lambda: BaselineClassifier("small-cnn", 3, 1)])
def test_the_backbone_is_a_group_with_its_own_learning_rate(batch, build_model):
    model = build_model()
    coordinate = descent(model, lr=0.1, lr_backbone=0.02, schedule="constant", weight_decay=0.0)
    groups = coordinate.optimizers[0].param_groups
    assert [group["lr"] for group in groups] == [0.02, 0.1]
    backbone = {id(p) for p in model.backbone.parameters()}
    assert {id(p) for p in groups[0]["params"]} == backbone
    each = [id(p) for group in groups for p in group["params"]]
    assert sorted(each) == sorted(id(p) for p in coordinate.weights)
    assert not set(each) & {id(p) for p in coordinate.graph}

    alike = copy.deepcopy(model)  # the same step by one group, with each rate
    torch.manual_seed(7)
    step(coordinate, *batch)
    reference = descent(alike, lr=1.0, schedule="constant", weight_decay=0.0)
    before = parameters(alike)
    torch.manual_seed(7)
    step(reference, *batch)
    for name, p in alike.named_parameters():
        if ".edges." not in name:
            rate = 0.02 if name.startswith("backbone.") else 0.1
            expected = before[name] + rate * (p.detach() - before[name])
            torch.testing.assert_close(parameters(model)[name], expected, atol=1e-5, rtol=1e-4)


def test_the_schedule_multiplies_the_rates_of_all_groups(batch):
    coordinate = descent(build(), lr=0.1, lr_backbone=0.02, schedule="step")
    for _ in range(7):  # of ten
        step(coordinate, *batch)
    assert coordinate.schedule.get_last_lr() == pytest.approx([0.002, 0.01])


@pytest.mark.parametrize("build_model", [build, lambda: BaselineClassifier("small-cnn", 3, 1)])
def test_the_backbone_rests_in_its_first_epochs(batch, build_model):
    model = build_model()
    coordinate = descent(model, freeze_epochs=2, momentum=0.9)

    def moved(epoch: int) -> dict[str, bool]:
        coordinate.begin_epoch(epoch)
        before = copy.deepcopy(model.state_dict())
        for _ in range(2):
            step(coordinate, *batch, epoch=10 + epoch)  # with the graph
        return {k: not torch.equal(v, before[k]) for k, v in model.state_dict().items()}

    of_backbone = [name for name in model.state_dict() if name.startswith("backbone.")]
    assert any("running_mean" in name for name in of_backbone)
    for epoch in (1, 2):
        found = moved(epoch)
        assert not any(found[name] for name in of_backbone)
        assert all(found[name] for name, _ in model.named_parameters() if name not in of_backbone)
    found = moved(3)
    assert all(found[name] for name, _ in model.named_parameters())
    assert all(found[name] for name in of_backbone if "running_mean" in name)
    assert model.training
    assert all(module.training for module in model.backbone.modules())


def test_what_a_user_has_frozen_stays_frozen_after_the_first_epochs(batch):
    model = build()
    first = next(model.backbone.parameters()).requires_grad_(False)
    before = first.clone()
    coordinate = descent(model, freeze_epochs=1)
    for epoch in (1, 2):
        coordinate.begin_epoch(epoch)
        step(coordinate, *batch)
    assert torch.equal(first, before)
    assert not first.requires_grad
    model.backbone.requires_grad_(False)
    for name in ("freeze_epochs", "lr_backbone"):
        flag = flag_of(name)
        with pytest.raises(InputError, match=f"{flag} has no effect: no weight of the backbone"):
            descent(model, **{name: 1})


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_weights_take_the_steps_of_pytorchs_optimizer(batch, name, kind):
    images, labels = batch
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    reference = copy.deepcopy(model)
    coordinate = descent(model, optimizer=name, lr=0.01, weight_decay=0.1, schedule="constant")
    theirs = kind(reference.parameters(), 0.01, weight_decay=0.1)
    for _ in range(3):
        step(coordinate, images, labels)
        theirs.zero_grad()
        LOSSES["cross-entropy"](reference(images), labels).backward()
        theirs.step()
    for key, expected in parameters(reference).items():
        torch.testing.assert_close(parameters(model)[key], expected)


def test_the_graph_keeps_its_own_optimizer(batch):
    coordinate = descent(build(), optimizer="adamw", lr=0.01)
    assert [type(o) for o in coordinate.optimizers] == [torch.optim.AdamW, torch.optim.SGD]


def test_the_learning_rate_of_the_weights_falls_to_zero(batch):
    coordinate = descent(build())
    for _ in range(10):
        step(coordinate, *batch)
    assert coordinate.schedule.get_last_lr()[0] == pytest.approx(0.0, abs=1e-9)
    assert coordinate.optimizers[1].param_groups[0]["lr"] == 5.0


def test_the_learning_rate_rises_in_the_warm_up_and_then_falls(batch):
    coordinate = descent(build(), epochs=5, pretrain_epochs=1, warmup_epochs=2)  # 4 of the 10 steps
    rates = [coordinate.schedule.get_last_lr()[0]]
    for _ in range(10):
        step(coordinate, *batch)
        rates.append(coordinate.schedule.get_last_lr()[0])
    full = rates[4]
    assert rates[:4] == pytest.approx([full / 4, full / 2, full * 3 / 4, full])
    assert rates[7] == pytest.approx(full / 2)
    assert rates[10] == pytest.approx(0.0, abs=1e-9)
