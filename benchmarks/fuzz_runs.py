"""Targets of fuzz.py that are files of a run."""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fuzz_inputs import odd_json, odd_tensors, picture

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.methods import CenterLoss, TrainingBatch
from pyg_agfn.nn import AGFNClassifier, ReferenceBank
from pyg_agfn.runs.folder import (
    Answers,
    References,
    load_answers,
    load_run,
    save_answers,
    save_model,
)
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import TrainOptions, make_fabric
from pyg_agfn.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from pyg_agfn.training.coordinate_descent import CoordinateDescent

#: A function of bytes, and the first inputs.
Target = tuple[Callable[[bytes], object], list[bytes]]


def make_run(folder: Path) -> None:
    """Writes a run with a bank of three images."""
    torch.manual_seed(0)
    card = ModelConfig("agfn", "small-cnn", ("a", "b", "c"), 1, 8, 8, feature_dim=4, batch_size=4)
    model = card.build().eval()
    assert isinstance(model, AGFNClassifier)
    pixels = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    bank = ReferenceBank.from_features(model.agfn, model.features(pixels / 255), 4)
    folder.mkdir()
    save_model(folder, card, model, References(bank, pixels, torch.arange(3), ["x", "y", "z"]))


def cards(box: Path) -> Target:
    """model.json and bank.json of a run."""
    run = box / "run"
    make_run(run)
    good = [json.loads((run / f"{name}.json").read_text()) for name in ("model", "bank")]

    def target(data: bytes) -> object:
        content = odd_json(data, good)
        both = good
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(content)
            both = found if isinstance(found, list) and len(found) == 2 else [found, good[1]]
        (run / "model.json").write_bytes(content if both is good else json.dumps(both[0]).encode())
        (run / "bank.json").write_text(json.dumps(both[1]))
        return load_run(run)

    return target, [json.dumps(good).encode(), b"\1\2\3\4" * 8, b"\3" * 40]


def tensors(box: Path) -> Target:
    """bank.safetensors or model.safetensors of a run."""
    run = box / "run"
    make_run(run)
    good = {name: (run / f"{name}.safetensors").read_bytes() for name in ("model", "bank")}

    def target(data: bytes) -> object:
        name = "model" if data[:1] < b"\x20" else "bank"
        (run / f"{name}.safetensors").write_bytes(odd_tensors(data[1:], good[name]))
        try:
            return load_run(run)
        finally:
            (run / f"{name}.safetensors").write_bytes(good[name])

    return target, [bytes([b]) * 60 for b in (0, 1, 33, 90, 255)]


def answers(box: Path) -> Target:
    """answers.safetensors."""
    save_answers(box, Answers(torch.zeros(5, 3), torch.zeros(5, dtype=torch.long)))
    good = (box / "answers.safetensors").read_bytes()

    def target(data: bytes) -> object:
        content = data if data[:1] == b"\0" else odd_tensors(data[1:], good)
        (box / "answers.safetensors").write_bytes(content)
        return load_answers(box).correct

    return target, [good, *(bytes([b]) * 60 for b in (1, 33, 90, 255))]


class Tiny(torch.nn.Sequential):
    """A backbone of few weights."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(16, 4))


def checkpoint(box: Path) -> Target:
    """A checkpoint in the middle of an epoch, loaded and followed by a training step."""
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)
    data = ImageDataset(images, np.arange(20) % 2, ["a", "b"], [str(i) for i in range(20)])
    options = TrainOptions.for_dataset("digits", batch_size=4, epochs=3, pretrain_epochs=1)
    fabric = make_fabric(options)
    path = box / "checkpoint.safetensors"

    def state() -> TrainingState:
        torch.manual_seed(0)
        model = AGFNClassifier(Tiny(), 2, 1, hidden_channels=4)
        method = CenterLoss()
        method.setup(model, len(data))
        batches = Batches(data, 4, fabric.device, shuffle=True)
        descent = CoordinateDescent(fabric, model, method, options, 15)
        made = TrainingState(model, descent, method, batches)
        made.begin_epoch(1)
        return made

    def steps(of: TrainingState, count: int) -> None:
        for _, batch in zip(range(count), of.batches, strict=False):
            seen = TrainingBatch(batch.images, batch.labels, batch.index, batch.views, of.epoch)
            of.count(of.descent.step(seen))

    first = state()
    steps(first, 3)
    first.seconds = 1.0
    save_checkpoint(path, first, data)
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    facts = json.loads(json.loads(good[8 : 8 + length])["__metadata__"]["state"])

    def target(data_in: bytes) -> None:
        content = odd_tensors(data_in[1:], good)
        if data_in[:1] < b"\x80":  # the facts, in an intact file
            header = json.loads(good[8 : 8 + length])
            text = odd_json(data_in[1:], facts).decode("utf-8", "replace")
            header["__metadata__"]["state"] = text
            changed = json.dumps(header).encode()
            content = struct.pack("<Q", len(changed)) + changed + good[8 + length :]
        path.write_bytes(content)
        loaded = state()
        load_checkpoint(path, loaded, data)
        steps(loaded, 1)

    return target, [bytes([b]) * 60 for b in (0, 1, 33, 129, 200, 255)]


def predict(box: Path) -> Target:
    """predict.py on a file of any name and content; the run is read for each input."""
    run, photos = box / "run", box / "photos"
    make_run(run)
    path = Path(__file__).parents[1] / "scripts" / "predict.py"
    spec = importlib.util.spec_from_file_location("predict_script", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    formats = ("table", "csv", "json")

    def target(data: bytes) -> None:
        shutil.rmtree(photos, ignore_errors=True)
        photos.mkdir()
        name, _, content = data.partition(b"\0")
        name = name.replace(b"/", b"")[:60] or b"x"
        (photos / os.fsdecode(name + b".png")).write_bytes(content)
        (photos / "good.png").write_bytes(seeds[0][2:])
        chosen = formats[len(data) % 3]
        sys.argv = ["predict.py", "--checkpoint", str(run), str(photos), "--format", chosen]
        out = io.TextIOWrapper(io.BytesIO(), errors="backslashreplace")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            script.main()

    seeds = [b"a\0" + picture(8), b"b\0" + picture(9, "jpg"), b"[/c]\0" + picture(8, "webp")]
    return target, [*seeds, b"d\0" + picture(8, "tif"), b"e\0" + picture(8, "bmp")]
