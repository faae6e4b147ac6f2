"""One file of results, a JSON object a line, that several processes write to at once."""

import base64
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from pyg_agfn.errors import InputError, as_path
from pyg_agfn.reproduction.grid import cell_name, same_settings
from pyg_agfn.run_files import check_file
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.checkpoint_facts import is_count, is_number

Record = dict[str, Any]


class ResultsFile:
    """Records of finished runs, and of the failed ones.

    A record has ``cell``, the run's name, and ``settings``; then ``metrics`` and ``correct``, or
    ``error``. One of a subset of the test images has ``subset``, its list's name, too. The last
    record of a cell and subset counts.

    Args:
        path: The file; made with its folder by the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = as_path(path, "path of the results")

    def add(self, record: Record) -> None:
        """Appends a record, whole or not at all, and waits until the disk has it.

        Raises:
            InputError: The file cannot be written.
        """
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"), self.path.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                if end:
                    file.seek(end - 1)
                    if file.read(1) != b"\n":  # a process died while it wrote
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"--results {self.path}: cannot be written ({error.strerror})"
            ) from None

    def records(self) -> list[Record]:
        """The last record of each cell and subset, in the order of the first ones."""
        found: dict[tuple[str, str], Record] = {}
        for record in self._lines():
            found[record["cell"], record.get("subset", "")] = record
        return list(found.values())

    def has(self, options: TrainOptions) -> bool:
        """Whether a run has metrics."""
        name = cell_name(options)
        return any(
            r["cell"] == name and "metrics" in r and same_settings(r["settings"], options)
            for r in self.records()
        )

    def _lines(self) -> Iterator[Record]:
        try:
            if not os.path.exists(self.path):
                return
            check_file(self.path)
            lines = self.path.read_bytes().split(b"\n")
        except (OSError, ValueError) as error:
            raise InputError(f"--results {self.path}: cannot be read ({error})") from None
        for row, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue  # half a line of a process that died; its run's folder is still there
            if isinstance(record, dict) and isinstance(record.get("cell"), str):
                if not isinstance(record.get("subset", ""), str):
                    raise InputError(f"--results {self.path}, row {row}: subset is no name")
                yield record


def check_record(record: Record) -> None:
    """Makes sure that a record is of a run, whoever wrote the file.

    Raises:
        InputError: Something is missing, of another type, or cannot be.
    """
    try:
        _check_record(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the record of {record['cell']} is not that of a run ({error}); remove its line"
        ) from None


def _check_record(record: Record) -> None:
    known = {field.name for field in dataclasses.fields(TrainOptions)}
    given = {name: value for name, value in record["settings"].items() if name in known}
    named = {"dataset", "method", "noise", "backbone", "batch_size", "seed", "eval_split"}
    if missing := named - given.keys():
        raise ValueError(f"settings without {', '.join(sorted(missing))}")
    TrainOptions(**{**given, "root": ".", "pretrain_epochs": 0})
    if "correct" not in record:
        return
    images = record["images"] if "images" in record else record["metrics"]["test_images"]
    packed = len(base64.b64decode(record["correct"]))
    if not is_count(images) or not images or packed != -(-images // 8):
        raise ValueError("correct is not of as many images")
    if "metrics" in record:
        metrics = record["metrics"]
        figures = [metrics["leak"], metrics["seconds_per_epoch"]]
        figures += [metrics["accuracy"]["shuffled"]["mean"], metrics["memorized"] or 0.0]
        if not all(map(is_number, figures)):
            raise ValueError("metrics are no numbers")


def pack(correct: Tensor) -> str:
    """Booleans (n) as a short text."""
    return base64.b64encode(np.packbits(correct.numpy()).tobytes()).decode()


def unpack(text: str, n: int) -> Tensor:
    """The n booleans of :func:`pack`."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=n)
    return torch.from_numpy(bits.astype(bool))
