"""The targets of fuzz.py: for each a function of bytes, and the first inputs."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from fuzz_inputs import odd_json, picture
from fuzz_runs import Target, answers, cards, checkpoint, predict, tensors

from pyg_agfn.datasets import RAFDB, FERPlus, ImageFolder
from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.image_cache import decode
from pyg_agfn.datasets.label_list import LabelList, read_noise_file
from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import TARGETS as TABLES
from pyg_agfn.reproduction.grid import settings
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import ResultsFile, check_record, pack
from pyg_agfn.training import TrainOptions, parse_options


def reading(path: Path, read: Callable[[bool], object]) -> Callable[[bytes], object]:
    """Writes the input to a path and reads it; if its length is odd, bad rows are skipped."""

    def target(data: bytes) -> object:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        shutil.rmtree(os.environ["PYG_AGFN_CACHE"], ignore_errors=True)
        return read(len(data) % 2 == 1)

    return target


def ferplus(box: Path) -> Target:
    """label.csv, with ten images in the same folder."""
    folder = box / "data" / "FER2013Train"
    folder.mkdir(parents=True)
    for i in range(10):
        (folder / f"fer{i:07d}.png").write_bytes(picture())
    row = 'fer{:07d}.png,"(0, 0, 48, 48)",{}'
    votes = [",".join("6" if j == i % 8 else "1" for j in range(10)) for i in range(10)]
    good = "\n".join(row.format(i, votes[i]) for i in range(10)).encode()
    return reading(
        folder / "label.csv", lambda skip: FERPlus(box / "data", "train", skip_bad=skip)
    ), [good, good[:70]]


def fer_csv(box: Path) -> Target:
    """fer2013new.csv, a NUL, and fer2013.csv; P is replaced by an image's pixels."""
    root = box / "data"
    root.mkdir()
    pixels = " ".join(["7"] * 48 * 48).encode()

    def target(data: bytes) -> object:
        votes, _, images = data.partition(b"\0")
        (root / "fer2013new.csv").write_bytes(votes)
        (root / "fer2013.csv").write_bytes(images.replace(b"P", pixels, 20))
        shutil.rmtree(os.environ["PYG_AGFN_CACHE"], ignore_errors=True)
        return FERPlus(root, "train", skip_bad=len(data) % 2 == 1)

    heads = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = [",".join("6" if j == i else "1" for j in range(10)) for i in range(8)]
    first = "\n".join(
        [f"Usage,Image name,{heads}", *(f"Training,fer{i}.png,{v}" for i, v in enumerate(votes))]
    )
    second = "\n".join(["emotion,pixels,Usage", *("0,P,Training" for _ in votes)])
    return target, [f"{first}\0{second}".encode(), first.encode()]


def rafdb(box: Path) -> Target:
    """The list of labels, with eight images."""
    folder = box / "data" / "Image" / "aligned"
    folder.mkdir(parents=True)
    for i in range(8):
        (folder / f"train_{i}_aligned.jpg").write_bytes(picture(8, "jpg", "RGB"))
    good = "\n".join(f"train_{i}.jpg {i % 7 + 1}" for i in range(8)).encode()
    path = box / "data" / "EmoLabel" / "list_patition_label.txt"
    return reading(path, lambda skip: RAFDB(box / "data", "train", skip_bad=skip)), [
        good,
        b"test_1.jpg 3",
    ]


def noise(box: Path) -> Target:
    """A list of labels."""
    names, path = [f"train/{i}.png" for i in range(9)], box / "noise.txt"
    seeds = [b"train/1.png happy\n3.png 2\n", b'"train/4.png"\t0\n./5.png sad']
    seeds += [b"\xef\xbb\xbf7.png 1"]

    def read(skip: bool) -> LabelList:
        return read_noise_file(path, names, ("happy", "sad", "x"), bad=BadData(skip))

    return reading(path, read), seeds


def subset(box: Path) -> Target:
    """A list of occluded images."""
    path = box / "list.txt"
    seeds = [b"3_fer0034778.png 8 2\n", b"test_0003_aligned 3 4"]
    seeds += [b"3/fer0032259.jpg\n3/test_0025_aligned.jpg"]
    return reading(path, lambda skip: read_subset_list(path, BadData(skip))), seeds


def image(box: Path) -> Target:
    """An image file, decoded grey and in colour."""
    path = box / "image.png"

    def read(skip: bool) -> None:
        with contextlib.suppress(ValueError):
            decode(path, 8, 1)
        decode(path, None, 3)

    seeds = [picture(8, e) for e in ("png", "jpg", "bmp", "webp", "tif", "gif")]
    seeds += [picture(9, "png", mode) for mode in ("1", "P", "LA", "RGBA", "I;16")]
    return reading(path, read), [*seeds, picture(8, "jpg", "CMYK"), b"%!PS-Adobe-3.0 EPSF-3.0\n"]


def folder(box: Path) -> Target:
    """A folder of class folders. For each file a byte chooses its content, and a name follows."""
    contents = [picture(8), picture(8, "jpg"), picture(6), b"", b"GIF89a", b"\xff\xd8\xff"]

    def target(data: bytes) -> object:
        root = box / "data"
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(os.environ["PYG_AGFN_CACHE"], ignore_errors=True)
        root.mkdir()
        for part in data.split(b"\0")[:30]:
            name = part[1:40].replace(b"..", b"").strip(b"/")
            if not name:
                continue
            path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(contents[part[0] % len(contents)])
        return ImageFolder(root, "train", 8, skip_bad=len(data) % 2 == 1)

    good = b"\0".join(b"x%s/%d.png" % (c, i) for c in (b"a", b"b") for i in range(4))
    split = b"\0".join(b"x%s/%s/1.png" % (s, c) for s in (b"train", b"test") for c in (b"a", b"b"))
    return target, [good, split, b"xa/1.png\0ya/2.jpg\0xb/1.png\0xb/2.png"]


def config(box: Path) -> Target:
    """A configuration file."""
    path = box / "config.json"
    TrainOptions.for_dataset("digits").save(path)
    good = json.loads(path.read_text())

    def target(data: bytes) -> object:
        path.write_bytes(odd_json(data, good))
        return parse_options(["--config", str(path)])

    return target, [path.read_bytes(), b'{"dataset": "mnist", "root": "x"}', b"\1\2\3\4" * 8]


def results(box: Path) -> Target:
    """A file of results, rendered as every table."""
    path = box / "results.jsonl"
    accuracy = {"bank": 0.5, "shuffled": {"mean": 0.5, "std": 0.1, "draws": 2}, "single": 0.5}
    good = []
    for method in ("baseline", "agfn"):
        options = TrainOptions.for_dataset("mnist", root=box, method=(method,), noise=0.1)
        metrics = {"accuracy": accuracy, "leak": 0.1, "memorized": None, "seconds_per_epoch": 1.0}
        record = {"cell": method, "settings": settings(options), "correct": pack(torch.ones(9) > 0)}
        good.append({**record, "metrics": {**metrics, "test_images": 9}})
    older = {"recipe": "best", "teacher": 0.99, "memory": 4096, "judges": "neighbours"}
    good.append({**good[-1], "settings": {**settings(options), **older, "heads": "alone"}})
    for name in ("teacher_decay", "memory_size", "label_source", "classifier_inputs"):
        del good[-1]["settings"][name]

    def target(data: bytes) -> None:
        lines = odd_json(data, good)
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(found := json.loads(lines), list):
                lines = b"\n".join(json.dumps(line).encode() for line in found)
        path.write_bytes(lines)
        records = ResultsFile(path).records()
        for record in records:
            check_record(record)
        ResultsFile(path).has(options)
        for table in TABLES:
            with contextlib.suppress(InputError):  # few tables have these runs
                render(table, records, "mnist")

    lines = b"\n".join(json.dumps(line).encode() for line in good)
    return target, [lines, json.dumps(good).encode(), b"\1\2\3\4" * 8]


TARGETS: dict[str, Callable[[Path], Target]] = {
    "ferplus": ferplus,
    "fer-csv": fer_csv,
    "rafdb": rafdb,
    "noise": noise,
    "subset": subset,
    "image": image,
    "folder": folder,
    "config": config,
    "results": results,
    "cards": cards,
    "tensors": tensors,
    "answers": answers,
    "checkpoint": checkpoint,
    "predict": predict,
}
