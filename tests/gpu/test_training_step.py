"""Every method's steps on a GPU are those on the CPU."""

import copy
import dataclasses

import pytest
import torch
from lightning.fabric import Fabric

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.methods import TrainingBatch
from pyg_agfn.registry import METHODS
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.fit import describe_model, make_method
from pyg_agfn.training.precision import fabric_precision

CPU = torch.device("cpu")
EVERY = [
    *((method, {}) for method in METHODS),
    ("baseline", {"optimizer": "adam", "lr_backbone": 1e-3}),
    ("baseline", {"optimizer": "adamw"}),
    ("agfn", {"descent": "joint", "samples": 3, "loss": "squared-error"}),
    ("agfn", {"propagation": "edges"}),
    ("agfn", {"propagation": "tiles"}),
    ("agfn-nlc", {"classifier_inputs": "both"}),
    ("agfn-nlc", {"label_source": "both", "graph_optimizer": "sgd"}),
    ("agfn-nlc", {"label_source": "teacher", "memory_size": 0}),
    ("agfn-nlc", {"max_share": 0.3, "teacher_decay": 0.0}),
]


class Side:
    """One device's model, and the steps that it takes."""

    def __init__(
        self,
        data: ImageDataset,
        options: TrainOptions,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        torch.manual_seed(0)
        model = describe_model(options, options.method[0], data).build()
        if hasattr(model, "agfn"):
            model.agfn.propagation = options.propagation
        layout = torch.channels_last
        self.model = model.to(device=device, dtype=dtype, memory_format=layout)
        self.dtype = dtype
        self.method = make_method(options, data)
        self.method.setup(self.model, len(data))
        self.batches = data.batches(16, device, shuffle=True, augmented=True, views=self.views)
        fabric = Fabric(
            accelerator=device.type, devices=1, **fabric_precision(options.precision, device.type)
        )
        self.descent = CoordinateDescent(fabric, self.model, self.method, options, 100)

    @property
    def views(self) -> tuple[str, ...]:
        return self.method.views

    def train(self, epochs: int = 2) -> list[torch.Tensor]:
        """Loss and logits of each step."""
        torch.manual_seed(1)
        found = []
        for epoch in range(1, epochs + 1):
            self.descent.begin_epoch(epoch)
            for batch in self.batches:
                images = batch.images.to(self.dtype)
                views = {name: view.to(self.dtype) for name, view in batch.views.items()}
                seen = TrainingBatch(images, batch.labels, batch.index, views, epoch)
                out = self.descent.step(seen)
                found += [out.loss.cpu(), out.logits.cpu()]
        return found


def options_of(method: str, **given) -> TrainOptions:
    base = TrainOptions.for_dataset(
        "digits",
        feature_dim=32,
        batch_size=16,
        pretrain_epochs=1,
        lr=0.02,
        lr_graph=0.1,
        compile="off",
    )
    fitting = {} if method != "agfn-nlc" else {"memory_size": 48}
    return dataclasses.replace(base.for_method(method), **{**fitting, **given})


def state_of(side: Side) -> dict[str, torch.Tensor]:
    state = {**side.model.state_dict(), **side.method.state_dict()}
    return {name: copy.deepcopy(tensor).cpu() for name, tensor in state.items()}


@pytest.mark.parametrize(("method", "given"), EVERY)
def test_steps_are_those_on_the_cpu(device, same_draws, tiny, method, given):
    options = options_of(method, **given)
    ours, expected = (Side(tiny, options, d, torch.double) for d in (device, CPU))
    for found, wanted in zip(ours.train(), expected.train(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)
    found, wanted = state_of(ours), state_of(expected)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6, msg=name)
    moved = (Side(tiny, options, CPU, torch.double).model.classifier.weight, ours.model)
    assert not torch.equal(moved[0].cpu(), moved[1].classifier.weight.cpu())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("method", METHODS)
def test_lower_precision_learns_as_the_cpu_does(device, same_draws, tiny, method, precision):
    options = options_of(method, precision=precision)
    exact = options_of(method, precision="fp32")
    ours = Side(tiny, options, device, torch.float32)
    losses = torch.stack(ours.train(4)[::2])
    expected = torch.stack(Side(tiny, exact, CPU, torch.float32).train(4)[::2])
    assert losses.isfinite().all()
    # The first steps are of one weight; later ones drift apart by their rounding.
    tolerance = {"fp32": 1e-3, "bf16": 5e-2, "fp16": 2e-2}[precision]
    torch.testing.assert_close(losses[0], expected[0], rtol=tolerance, atol=tolerance)
    assert losses[-3:].mean() < losses[:3].mean()
    assert abs(losses[-3:].mean() - expected[-3:].mean()) < 0.3 * expected[:3].mean()
    assert {p.dtype for p in ours.model.parameters()} == {torch.float32}
    assert all(p.isfinite().all() for p in ours.model.parameters())
