"""float16: one scaler for the two optimizers of a step."""

import copy

import pytest
import torch

from pyg_agfn.errors import InputError
from pyg_agfn.methods import AGFNMethod, TrainingBatch
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.training import TrainOptions, make_fabric
from pyg_agfn.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.losses import LOSSES
from pyg_agfn.training.training_dynamics import TrainingDynamics
from pyg_agfn.transforms import PoissonEdges


def begin(precision: str, descent: str = "alternate") -> CoordinateDescent:
    options = TrainOptions.for_dataset(
        "digits", precision=precision, descent=descent, device="cpu", lr_graph=1.0
    )
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16))
    edges = PoissonEdges(1.0, 0.2)
    model = AGFNClassifier(backbone, 3, num_features=16, hidden_channels=16, edges=edges)
    method = AGFNMethod(LOSSES["cross-entropy"], descent=descent)
    method.setup(model, 30)
    return CoordinateDescent(make_fabric(options), model, method, options, num_steps=100)


def steps(descent: CoordinateDescent, tiny, count: int) -> list[float]:
    images, index = tiny.images[:30].float() / 128 - 1, torch.arange(30)
    batch = TrainingBatch(images, tiny.labels[:30], index, {})
    torch.manual_seed(1)
    return [descent.step(batch).loss.item() for _ in range(count)]


def weights(descent: CoordinateDescent) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in descent.model.named_parameters()}


def parameters(descent: CoordinateDescent) -> list[torch.Tensor]:
    return list(weights(descent).values())


@pytest.mark.parametrize("kind", ["alternate", "joint"])
def test_float16_learns_as_float32_does(kind, tiny):
    exact, half = begin("fp32", kind), begin("fp16", kind)
    before = weights(half)
    losses = [steps(descent, tiny, 15) for descent in (exact, half)]
    assert losses[1] != losses[0]  # it is another type
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert losses[1][-1] < 0.5 * losses[1][0]
    assert half.scaler.is_enabled()
    assert not exact.scaler.is_enabled()
    after = weights(half)
    assert not [name for name in before if torch.equal(before[name], after[name])]
    assert {p.dtype for p in after.values()} == {torch.float32}


def test_a_step_whose_gradients_overflow_is_left_out(tiny):
    descent = begin("fp16")
    settings = descent.scaler.state_dict()
    descent.scaler.load_state_dict({**settings, "scale": 2.0**40})
    before = weights(descent)
    (loss,) = steps(descent, tiny, 1)
    assert torch.tensor(loss).isfinite()
    after = weights(descent)
    # Those of α and β are summed in float32, and may have been held.
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved <= {"agfn.edges.alpha", "agfn.edges.beta"}
    assert all(p.isfinite().all() for p in after.values())
    assert descent.scaler.get_scale() == 2.0**39
    steps(descent, tiny, 30)  # until the scale fits
    assert descent.scaler.get_scale() < 2.0**39
    assert not torch.equal(weights(descent)["classifier.weight"], before["classifier.weight"])


def test_a_checkpoint_has_the_scale(tiny, tmp_path):
    def state(descent: CoordinateDescent) -> TrainingState:
        batches = tiny.batches(batch_size=20, device=torch.device("cpu"), shuffle=True)
        dynamics = TrainingDynamics(len(tiny), tiny.fingerprint())
        found = TrainingState(descent.model, descent, descent.method, batches, dynamics)
        found.begin_epoch(1)
        return found

    whole = begin("fp16")
    whole.scaler.load_state_dict({**whole.scaler.state_dict(), "scale": 2.0**36})
    steps(whole, tiny, 2)
    whole.schedule.last_epoch = 0  # the checkpoint is of the beginning of an epoch
    save_checkpoint(tmp_path / "checkpoint.safetensors", state(whole), tiny)
    other = begin("fp16")
    load_checkpoint(tmp_path / "checkpoint.safetensors", state(other), tiny)
    assert other.scaler.state_dict() == whole.scaler.state_dict()
    assert other.scaler.state_dict()["scale"] == 2.0**34
    assert steps(other, tiny, 3) == steps(whole, tiny, 3)
    assert all(torch.equal(a, b) for a, b in zip(*map(parameters, (whole, other)), strict=True))

    save_checkpoint(tmp_path / "checkpoint.safetensors", state(begin("fp32")), tiny)
    with pytest.raises(InputError, match=r"cannot be read"):  # there is no scale in it
        load_checkpoint(tmp_path / "checkpoint.safetensors", state(begin("fp16")), tiny)


def test_small_gradients_are_not_lost(tiny):
    """A loss so small that float16 has no number for its gradients."""
    gradients = {}
    for precision in ("fp32", "fp16"):
        descent = begin(precision)
        criterion = descent.method.criterion
        descent.method.criterion = lambda x, y, whole=criterion: 1e-7 * whole(x, y)
        before = copy.deepcopy(descent.model.backbone).state_dict()
        for optimizer in descent.optimizers:
            optimizer.param_groups[0].update(lr=1e7, weight_decay=0.0, momentum=0.0)
        steps(descent, tiny, 1)
        after = descent.model.backbone.state_dict()
        gradients[precision] = torch.cat(
            [(before[name] - after[name]).flatten() for name in before if "weight" in name]
        )
    similarity = torch.cosine_similarity(*gradients.values(), dim=0)
    assert similarity > 0.99
