"""One process of test_distributed.py: trains some steps and writes what it has then.

python worker.py RANK WORLD RENDEZVOUS OUT
"""

import sys

import numpy as np
import torch
import torch.distributed as dist
from lightning.fabric import Fabric

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.distributed import gather_rows, own_rows, synchronize_batch_norm
from pyg_agfn.methods import NeighborLabelCorrection, SelfCure, TrainingBatch
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.fit import make_method

CPU = torch.device("cpu")

CORRECTING = {"memory_size": 50, "max_share": 1.0}

#: Name: method, options, changes of the graph generator.
CASES = {
    "baseline": ("baseline", {}, {}),
    "agfn": ("agfn", {}, {}),
    "agfn joint": ("agfn", {"descent": "joint"}, {}),
    "agfn three draws": ("agfn", {"samples": 3}, {}),
    "agfn feature gradient": ("agfn", {}, {"feature_gradient": True}),
    "agfn probability": ("agfn", {}, {"estimator": "probability", "average": False}),
    "agfn local": ("agfn", {"graph_span": "local"}, {}),
    "agfn-nlc": ("agfn-nlc", CORRECTING, {}),
    "agfn-nlc counting": ("agfn-nlc", {"memory_size": 50}, {}),
    "agfn-nlc both sources": (
        "agfn-nlc",
        {**CORRECTING, "label_source": "both", "classifier_inputs": "both"},
        {},
    ),
    "agfn-nlc teacher": (
        "agfn-nlc",
        {
            **CORRECTING,
            "memory_size": 0,
            "teacher_decay": 0.9,
            "label_source": "teacher",
            "classifier_inputs": "graph",
        },
        {},
    ),
    "threshold-gcn": ("threshold-gcn", {}, {}),
    "center-loss": ("center-loss", {}, {}),
    "scn": ("scn", {}, {}),
    "eac": ("eac", {}, {}),
    "la-net": ("la-net", {}, {}),
    "dlp": ("dlp", {}, {}),
    "ran": ("ran", {}, {}),
    "gce": ("gce", {}, {}),
    "agfn of votes": ("agfn", {"samples": 3}, {}),
    "agfn-nlc of votes": ("agfn-nlc", CORRECTING, {}),
}


def dataset() -> ImageDataset:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 60, (60, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 3] += 180
    names = [f"{i}.png" for i in range(60)]
    return ImageDataset(images, labels, ["a", "b", "c"], names).with_noise(0.3, seed=0)


def train(method: str, given: dict, changes: dict, votes: bool) -> dict[str, torch.Tensor]:
    small = {"method": method, "lr": 0.02, "lr_graph": 3.0, "batch_size": 20, "pretrain_epochs": 0}
    options = TrainOptions(**{**small, **given})
    data = dataset()
    if votes:
        drawn = torch.rand(60, 3, generator=torch.Generator().manual_seed(2)).softmax(1)
        data.soft_labels = torch.eye(3)[data.labels].lerp(drawn, 0.3)
    torch.manual_seed(0)
    card = ModelConfig(
        method, "small-cnn", data.classes, 1, 8, 8, 16, 20, samples=options.samples, alpha=2.0
    )
    model = card.build().double()
    for name, value in changes.items():
        setattr(model.agfn.edges, name, value)
    synchronize_batch_norm(model, CPU)
    if isinstance(model, AGFNClassifier):
        model.agfn.gather_distributed = options.graph_span == "global"
    trained = make_method(options)
    trained.setup(model, len(data))
    if isinstance(trained, SelfCure):
        trained.relabel_epoch, trained.relabel_margin = 1, 0.0
    batches = data.batches(20, CPU, shuffle=True, augmented=True, seed=1, views=trained.views)
    fabric = Fabric(accelerator="cpu", devices=1)
    descent = CoordinateDescent(fabric, model, trained, options, num_steps=10)
    model.train()
    torch.manual_seed(7)  # of the graphs
    losses = []
    for epoch in (1, 2):
        for batch in batches:
            views = {name: view.double() for name, view in batch.views.items()}
            images = batch.images.double()
            seen = (images, batch.labels, batch.index, views, epoch, batch.soft_labels)
            out = descent.step(TrainingBatch(*seen))
            losses.append(out.loss)
    found = {f"weights {name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        # Each step takes its own gradient away; the momentum is what is left of all of them.
        state = descent.optimizers[0].state.get(parameter, {})
        if "momentum_buffer" in state:
            found[f"momentum {name}"] = state["momentum_buffer"]
    return {**found, "losses": torch.stack(losses)}


def derivatives() -> torch.Tensor:
    """Own rows of a first and of a second derivative of what depends on all rows."""
    every = torch.linspace(-1, 1, 24).double().view(8, 3)
    x = every[own_rows(8)].clone().requires_grad_()
    y = gather_rows(x)
    (first,) = torch.autograd.grad((y @ y.t())[own_rows(8)].pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sin().sum(), x)
    return torch.stack([first.detach(), second])


def correction(gather: bool, rows: slice | None = None) -> dict[str, torch.Tensor]:
    """What NeighborLabelCorrection has after steps on own rows, or on these, and the targets."""
    generator = torch.Generator().manual_seed(0)
    every = torch.arange(240)
    z = 3 * torch.eye(3, 8)[every % 3] + 0.4 * torch.randn(240, 8, generator=generator)
    labels = (every + (every % 7 == 0)) % 3
    corrector = NeighborLabelCorrection(
        num_classes=3, feature_dim=8, memory_size=240, warmup_steps=1, gather_distributed=gather
    ).double()
    optimizer = torch.optim.SGD(corrector.edges.parameters(), 100.0)
    for batch in every.roll(13).repeat(2).split(120):
        own = batch[own_rows(120) if rows is None else rows]
        out = corrector(z[own].double(), labels[own], own)
        if out.loss is not None:
            optimizer.zero_grad()
            out.loss.backward()
            optimizer.step()
    return {**corrector.state_dict(), "targets": out.targets}


def main() -> None:
    rank, world, rendezvous, out = sys.argv[1:]
    torch.set_num_threads(1)
    if int(world) > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{rendezvous}", rank=int(rank), world_size=int(world)
        )
    found = {name: train(*case, name.endswith("of votes")) for name, case in CASES.items()}
    found["derivatives"] = derivatives()
    found["gathered correction"] = correction(gather=True)
    found["own correction"] = correction(gather=False)
    torch.save(found, out)
    if int(world) > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
