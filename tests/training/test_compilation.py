"""A compiled backbone: the same numbers, and nothing outside of the step knows of it."""

import shutil

import pytest
import torch
from killed_run import kill_after
from own_data import trainer, weights
from safetensors import safe_open
from torch import nn

from pyg_agfn.errors import InputError
from pyg_agfn.methods import Baseline
from pyg_agfn.methods.erasing_attention import ErasingAttention
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.nn.resnets import resnet
from pyg_agfn.training import TrainingResult, TrainOptions, compilation
from pyg_agfn.training.checkpoint import FILE
from pyg_agfn.training.compilation import CompiledBackbones, compile_backbones

CPU = torch.device("cpu")
GRAPH = {"feature_dim": 16, "bank_size": 40}


@pytest.fixture
def calls(monkeypatch):
    """The batches that compiled graphs were called on, with PyTorch's own operations inside."""
    seen: list[int] = []

    def backend(graph, inputs):
        def run(*tensors):
            seen.append(len(tensors[-1]))
            return graph(*tensors)

        return run

    monkeypatch.setattr(compilation, "BACKEND", backend)
    torch._dynamo.reset()
    yield seen
    torch._dynamo.reset()


@pytest.mark.parametrize("method", ["baseline", "agfn", "agfn-nlc"])
def test_the_numbers_are_those_without(calls, method, tiny):
    more = {} if method == "baseline" else GRAPH
    plain = trainer(method=method, compile="off", **more).fit(tiny, tiny)
    assert not calls
    compiled = trainer(method=method, compile="on", **more).fit(tiny, tiny)
    # The model's pass of each step, and the teacher's.
    assert len(calls) == 9 * (2 if method == "agfn-nlc" else 1)
    for one, other in zip(plain.history, compiled.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
    expected = weights(plain)
    assert weights(compiled).keys() == expected.keys()
    for name, tensor in weights(compiled).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_checkpoints_and_run_folders_are_those_without(calls, tiny, tmp_path, monkeypatch):
    def train(folder):
        made = trainer(method="agfn-nlc", compile="on", checkpoint_seconds=0.0, **GRAPH)
        return made.fit(tiny, tiny, tmp_path / folder)

    whole = train("whole")
    kill_after(4, monkeypatch, lambda: train("killed"))
    with safe_open(tmp_path / "killed" / FILE, framework="pt") as file:
        assert not [name for name in file.keys() if "_orig_mod" in name]  # noqa: SIM118
    torch._dynamo.reset()  # as in another process
    resumed = train("killed")
    for name, tensor in weights(resumed).items():
        assert torch.equal(tensor, weights(whole)[name]), name
    loaded = TrainingResult.load(tmp_path / "whole")
    images = tiny.images[:8]
    assert torch.equal(loaded.predict(images), whole.predict(images))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inductor_gives_the_same_numbers_on_the_cpu(tiny, precision):
    found = [
        trainer(compile=which, precision=precision, epochs=2).fit(tiny, tiny)
        for which in ("off", "on")
    ]
    for one, other in zip(*(result.history for result in found), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3 if precision == "fp32" else 0.1)


def test_what_cannot_be_compiled_is_one_line(monkeypatch, tiny):
    def backend(graph, inputs):
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(compilation, "BACKEND", backend)
    torch._dynamo.reset()
    with pytest.raises(InputError, match=r"compiler found\): use --compile off$") as caught:
        trainer(compile="on").fit(tiny, tiny)
    assert "\n" not in str(caught.value)


def test_auto_compiles_on_a_gpu_only():
    model = BaselineClassifier("small-cnn", 3, 1)
    method = Baseline()
    method.setup(model, 10)
    for chosen in ("auto", "off"):
        assert not isinstance(
            compile_backbones(method, TrainOptions(compile=chosen), CPU, 10_000), CompiledBackbones
        )
    on = TrainOptions(compile="on")
    assert isinstance(compile_backbones(method, on, CPU, 1), CompiledBackbones)
    looking = ErasingAttention()
    looking.setup(model, 10)
    assert not isinstance(compile_backbones(looking, on, CPU, 10_000), CompiledBackbones)


def test_auto_compiles_where_the_run_is_long(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(compilation.importlib.util, "find_spec", lambda name: name)
    method = Baseline()
    method.setup(BaselineClassifier("small-cnn", 3, 1), 10)
    gpu, auto = torch.device("cuda"), TrainOptions()
    for steps, compiles in ((1999, False), (2000, True)):
        found = compile_backbones(method, auto, gpu, steps)
        assert isinstance(found, CompiledBackbones) == compiles
    assert isinstance(
        compile_backbones(method, TrainOptions(compile="on"), gpu, 1), CompiledBackbones
    )


def test_a_module_is_compiled_in_the_context_alone(calls):
    module = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    context = CompiledBackbones([module], CPU)
    expected = module(x)
    assert not calls
    with context:
        assert torch.equal(module(x), expected)
        assert calls == [4]
    with pytest.raises(ZeroDivisionError), context:
        raise ZeroDivisionError
    assert torch.equal(module(x), expected)
    assert calls == [4]
    assert module.state_dict().keys() == {"weight", "bias"}


def test_others_see_a_resnets_own_convolutions():
    """The products that replace those of tiny maps on the CPU are for eager mode."""
    model = resnet("resnet18", 1).eval()
    exported = torch.export.export(model, (torch.randn(2, 1, 48, 48),))
    called = [node for node in exported.graph.nodes if node.op == "call_function"]
    names = [str(node.target) for node in called]
    assert sum("conv" in name for name in names) == 20
    x = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(exported.module()(x), model(x), rtol=1e-4, atol=1e-4)
