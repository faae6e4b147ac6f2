"""All tensors of a step and of a measurement are on one device, also on a GPU.

No GPU is needed: fake tensors have a device and a shape but no numbers, and an operation on two
devices raises as on a GPU. Code that depends on numbers cannot be followed. So the estimate of
wrong labels is left out, and so are the backward passes and some methods.
"""

import dataclasses
from functools import partial

import pytest
import torch
from packaging.version import Version
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.evaluation import Bank, ClassSorted, Shuffled, Single, extract_features
from pyg_agfn.methods import TrainingBatch
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection
from pyg_agfn.nn import AGFN, AGFNClassifier, ReferenceBank, choose_references
from pyg_agfn.registry import METHODS
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.fit import describe_model, make_method
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
    pytest.mark.skipif(
        Version(torch.__version__) < Version("2.11") and not torch.cuda.is_available(),
        reason="fake tensors of older torch call the CUDA driver, and abort where there is none",
    ),
]
GPU = torch.device("cuda", 0)
#: Methods whose steps look at numbers, or have a backward pass inside: tests/gpu has them.
NOT_FOLLOWED = ("metacleaner", "sop", "ssr", "deep-knn", "co-teaching", "curriculumnet")


class OnGPU:
    """The part of Fabric that a step uses."""

    device = GPU

    @staticmethod
    def autocast() -> torch.autocast:
        return torch.autocast("cuda", enabled=False)

    @staticmethod
    def backward(loss: torch.Tensor, inputs: list[torch.nn.Parameter], retain_graph: bool) -> None:
        assert loss.device == GPU
        for parameter in inputs:
            parameter.grad = torch.zeros_like(parameter)


@pytest.fixture
def gpu(monkeypatch):
    def estimate(self: NeighborLabelCorrection) -> None:
        self.noise_rates[0] = 0.2

    monkeypatch.setattr(NeighborLabelCorrection, "estimate_noise_rate", estimate)
    # A copy of a fake tensor, as the averaged teacher makes it, stays in the mode of the tensor.
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda self, memo: self, raising=False)
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True) as mode:
        yield mode


def options_of(method: str, **given) -> TrainOptions:
    base = TrainOptions.for_dataset(
        "digits", feature_dim=32, batch_size=16, pretrain_epochs=1, compile="off"
    )
    return dataclasses.replace(base.for_method(method), **given)


def build(options: TrainOptions, data: ImageDataset):
    with GPU:
        return describe_model(options, options.method[0], data).build()


@pytest.mark.parametrize("room", [0, 1 << 40], ids=["images on the host", "images on the GPU"])
@pytest.mark.parametrize(
    ("method", "given"),
    [
        *((method, {}) for method in METHODS if method not in NOT_FOLLOWED),
        ("agfn", {"descent": "joint", "samples": 3, "loss": "squared-error"}),
        ("agfn-nlc", {"classifier_inputs": "both"}),
        ("agfn-nlc", {"classifier_inputs": "graph", "samples": 2}),
        ("agfn-nlc", {"label_source": "both"}),
        ("agfn-nlc", {"label_source": "teacher", "memory_size": 0}),
        ("agfn-nlc", {"max_share": 0.3, "teacher_decay": 0.0, "augment": True}),
    ],
)
def test_a_step_keeps_to_the_device(gpu, tiny, monkeypatch, method, given, room):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (room, room))
    options = options_of(method, **given)
    model = build(options, tiny)
    trained = make_method(options)
    trained.setup(model, len(tiny))
    batches = tiny.batches(16, GPU, shuffle=True, augmented=options.augment, views=trained.views)
    assert (batches.images.device == GPU) == bool(room)
    descent = CoordinateDescent(OnGPU(), model, trained, options, num_steps=100)
    for epoch, batch in zip((1, 2, 2), batches, strict=False):
        assert {x.device for x in (batch.images, batch.labels, *batch.views.values())} == {GPU}
        out = descent.step(
            TrainingBatch(batch.images, batch.labels, batch.index, batch.views, epoch)
        )
        assert {x.device for x in (out.loss, out.logits, out.targets)} == {GPU}


@pytest.mark.parametrize("method", ["baseline", "threshold-gcn", "agfn", "agfn-nlc"])
def test_every_protocol_keeps_to_the_device(gpu, tiny, monkeypatch, method):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 40, 1 << 40))
    options = options_of(method)
    model = build(options, tiny)
    features = extract_features(model, tiny.batches(16, GPU))
    labels = tiny.labels.to(GPU)
    bank = None
    if isinstance(model, AGFNClassifier):
        chosen = choose_references(model, features, labels, 30)
        assert chosen.device == GPU
        bank = ReferenceBank.from_features(model.agfn, features[chosen])
    for protocol in (Bank(bank), Shuffled(16, 2), Single(), ClassSorted(16)):
        for logits in protocol.logits(model, features, labels):
            assert logits.device == GPU
            assert logits.shape == (len(tiny), 3)


@pytest.mark.parametrize("graphs", [1, 3])
@pytest.mark.parametrize(
    ("edges", "propagation"),
    [
        (PoissonEdges, "dense"),
        (PoissonEdges, "edges"),
        (partial(PoissonEdges, mode="expectation"), "tiles"),
        (partial(PoissonEdges, num_samples=3, estimator="probability"), "dense"),
        (partial(PoissonEdges, average=False, feature_gradient=True), "dense"),
        (ThresholdEdges, "dense"),
        (ThresholdEdges, "edges"),
    ],
)
def test_a_layer_keeps_to_the_device(gpu, edges, propagation, graphs):
    with GPU:
        layer = AGFN(8, 8, 8, edges=edges(), propagation=propagation)
        x, batch = torch.randn(20, 8), torch.arange(20) % graphs
    assert layer(x, batch if graphs > 1 else None).device == GPU
    assert layer.eval()(x).device == GPU
