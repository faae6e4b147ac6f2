"""Files of weights from other projects: every form that is read, and what is refused."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from pyg_agfn.errors import InputError
from pyg_agfn.nn import InputConvention
from pyg_agfn.training import weights_file
from pyg_agfn.training.weights_file import open_weights_file

TENSORS = {"conv.weight": torch.arange(6.0).view(2, 3), "conv.bias": torch.ones(2)}


def opened(path, size=1000):
    return open_weights_file(path, size)


@pytest.mark.parametrize("ending", ["pth", "pt", "ckpt"])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3, "arch": "resnet18"},
        lambda tensors: {"model": tensors, "optimizer": {"state": {0: {"step": 1}}}},
        lambda tensors: {"net": tensors},
        lambda tensors: {"model_state_dict": tensors},
        lambda tensors: {"model": {"state_dict": tensors}},
    ],
)
def test_a_state_dict_is_found_plain_or_under_its_usual_names(tmp_path, ending, legacy, wrap):
    path = tmp_path / f"weights.{ending}"
    torch.save(wrap(TENSORS), path, _use_new_zipfile_serialization=not legacy)
    weights = opened(path)
    assert weights.shapes == {"conv.weight": (2, 3), "conv.bias": (2,)}
    assert torch.equal(weights.read("conv.weight"), TENSORS["conv.weight"])
    assert weights.convention == InputConvention()


def test_safetensors_are_read_tensor_by_tensor(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(TENSORS, path)
    weights = opened(path, size=1)
    assert weights.shapes == {"conv.weight": (2, 3), "conv.bias": (2,)}
    assert torch.equal(weights.read("conv.bias"), TENSORS["conv.bias"])


@pytest.mark.parametrize(
    ("metadata", "convention"),
    [
        ({"format": "pt"}, InputConvention()),
        (
            {"mean": "[103.9, 116, 123.5]", "input_range": "255", "order": "bgr"},
            InputConvention(mean=(103.9, 116, 123.5), range=255, order="bgr"),
        ),
        (
            {"input_mean": "0.5", "input_std": "0.25", "input_size": "[3, 112, 96]"},
            InputConvention(mean=(0.5,), std=(0.25,), channels=3, side=96),
        ),
    ],
)
def test_metadata_say_what_the_weights_expect(tmp_path, metadata, convention):
    path = tmp_path / "weights.safetensors"
    save_file(TENSORS, path, metadata)
    assert opened(path).convention == convention


@pytest.mark.parametrize(
    "metadata",
    [{"mean": "[1, 2]"}, {"mean": "x"}, {"std": "0"}, {"range": "100"}, {"order": "grb"}],
)
def test_metadata_that_cannot_be_are_one_line(tmp_path, metadata):
    path = tmp_path / "weights.safetensors"
    save_file(TENSORS, path, metadata)
    (name,) = metadata
    with pytest.raises(InputError, match=f"metadata say that the input's {name} is"):
        opened(path)


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


def test_no_file_runs_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for legacy in (False, True):
        path = tmp_path / "weights.pth"
        torch.save({**TENSORS, "x": RunsCode()}, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(InputError, match="holds Python objects other than tensors"):
            opened(path)
    path.write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(InputError, match=r"weights\.pth: "):
        opened(path)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("none.pth", None, "there is no such file"),
        ("weights.bin", b"x", "must end in .safetensors, .pth, .pt, .ckpt, or be 'default'"),
        ("weights.pth", b"", "cannot be read"),
        ("weights.pth", b"\x80\x02}q\x00.", "cannot be read"),
        ("weights.safetensors", b"\xff" * 8, "cannot be read"),
        ("weights.safetensors", b"", "cannot be read"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, name, content, line):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        opened(path)
    assert str(error.value).startswith(f"--weights {path}: ")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.ones(3), {"state_dict": {}}])
def test_a_file_without_a_state_dict_is_one_line(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="holds no state dict, plain or under state_dict"):
        opened(tmp_path / "weights.pth")


def test_a_pipe_and_a_folder_are_refused_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "weights.pth")
    (tmp_path / "weights.safetensors").mkdir()
    for name in ("weights.pth", "weights.safetensors"):
        with pytest.raises(InputError, match="is no file"):
            opened(tmp_path / name)


def test_a_file_much_larger_than_the_backbone_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(weights_file, "CLASSIFIER_BYTES", 1 << 10)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it is read"))
    path = tmp_path / "weights.pth"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole, not a byte on the disk
    with pytest.raises(InputError, match=r"1,099,511,627,776 bytes, where 9,024 are the most"):
        opened(path)
