"""A file of results with one JSON object a line; several processes may write to it at once."""

import base64
import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from pyg_agfn.errors import InputError, as_path
from pyg_agfn.output_files import check_output_file
from pyg_agfn.reproduction.grid import known_settings, same_settings
from pyg_agfn.runs.json_files import check_file
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.checkpoint_schema import is_count, is_number

Record = dict[str, Any]

#: Most bytes of the file and of a row. In memory they take up to about 25 times as many.
FILE_LIMIT, ROW_LIMIT = 256 << 20, 16 << 20
#: Seconds that another process may take to write its row.
PATIENCE = 60.0


class ResultsFile:
    """Records of finished and of failed runs.

    A record has ``cell``, the name of the run, and ``settings``, and either ``metrics`` and
    ``correct`` or ``error``. A record of a subset of the test images also has ``subset``, the name
    of its list. Of several records of one cell and subset, the last one counts.

    Args:
        path: The file. The first record creates it and its folder.
        patience: Seconds to wait for another process that writes to it.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = as_path(path, "path of the results")
        self.patience = patience

    def check(self) -> str:
        """Makes sure, before any training, that the file can be read and written.

        Returns:
            A line about rows that are no records and are ignored; empty if there are none.

        Raises:
            InputError: The file cannot be read or written, it holds no record, a record is not
                that of a run, or another process holds its lock.
        """
        passed_over = self.check_records()
        check_output_file(self.path, "--results")
        check_output_file(self._lock_path, "--results")
        with self._lock():
            return passed_over

    def check_records(self) -> str:
        """Makes sure that the file holds records of runs; returns what :meth:`check` does.

        Raises:
            InputError: It does not.
        """
        rows, bad = [], []
        for row, record in self._rows():
            if record is None:
                bad.append(row)
                continue
            rows.append(row)
            try:
                check_record(record)
            except InputError as error:
                raise InputError(f"{self.path}, row {row}: {error}") from None
        if bad and not rows:
            raise InputError(
                f"{self.path}, row {bad[0]}: is no record of a run; reproduce.py writes such files"
            )
        if not bad:
            return ""
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        return f"{self.path}: {len(bad)} rows are no records and are ignored ({shown})"

    def add(self, record: Record) -> None:
        """Appends a record, completely or not at all, and waits until it is on the disk.

        Raises:
            InputError: The file cannot be written.
        """
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock(), self.path.open("ab+") as file:
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
        """The last record of each cell and subset, in the order of their first records."""
        found: dict[tuple[str, str], Record] = {}
        for _, record in self._rows():
            if record is not None:
                found[record["cell"], record.get("subset", "")] = record
        return list(found.values())

    def find(self, options: TrainOptions) -> Record | None:
        """The last record of a run that has metrics, whatever an older version called it."""
        found = None
        for record in self.records():
            if "metrics" in record and same_settings(record.get("settings"), options):
                found = record
        return found

    def has(self, options: TrainOptions) -> bool:
        """Whether a run has metrics."""
        return self.find(options) is not None

    @property
    def _lock_path(self) -> Path:
        return Path(f"{self.path}.lock")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # If the lock's file cannot be opened, this raises; filelock would wait for it.
        with self._lock_path.open("ab"):
            pass
        try:
            with FileLock(self._lock_path, timeout=self.patience):
                yield
        except Timeout:
            raise InputError(
                f"--results {self.path}: {_holder(self._lock_path)} has held {self._lock_path} for "
                f"{self.patience:g} seconds; end it, or choose another file"
            ) from None

    def _rows(self) -> Iterator[tuple[int, Record | None]]:
        """Each row that is not empty with its number from 1; None if the row is no record."""
        try:
            if not os.path.lexists(self.path):
                return
            if (size := check_file(self.path)) > FILE_LIMIT:
                raise ValueError(f"{size:,} bytes, where {FILE_LIMIT:,} are the most")
            with self.path.open("rb") as file:
                for row, line in enumerate(file, 1):
                    if line.strip():
                        yield row, self._record(line, row)
        except OSError as error:
            raise InputError(f"--results {self.path}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"--results {self.path}: cannot be read ({error})") from None

    def _record(self, line: bytes, row: int) -> Record | None:
        try:
            record = json.loads(line) if len(line) <= ROW_LIMIT else None
        except (ValueError, RecursionError):
            return None  # a killed process left half a line; the folder of its run still exists
        if not isinstance(record, dict) or not isinstance(record.get("cell"), str):
            return None
        if not isinstance(record.get("subset", ""), str):
            raise InputError(f"--results {self.path}, row {row}: subset must be a name")
        return record


def _holder(lock: Path) -> str:
    """The process that holds a lock, if the system names it (Linux does)."""
    try:
        status = lock.stat()
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == device:
                return f"process {words[4]}"
    except OSError:
        pass
    return "another process"


def check_record(record: Record) -> None:
    """Makes sure that a record is of a run; the file may come from an untrusted source.

    Raises:
        InputError: An entry is missing, of the wrong type, or impossible.
    """
    try:
        _check_record(record)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the record of {record['cell']} is not that of a run ({error}); remove its line"
        ) from None


def _check_record(record: Record) -> None:
    found = record["settings"]
    named = {"dataset", "method", "noise", "backbone", "batch_size", "seed", "eval_split", "lr"}
    if missing := named - found.keys():
        raise ValueError(f"settings without {', '.join(sorted(missing))}")
    fields = {field.name for field in dataclasses.fields(TrainOptions)}
    given = {k: v for k, v in known_settings(found, found["dataset"]).items() if k in fields}
    TrainOptions(**{**given, "root": ".", "pretrain_epochs": 0})
    if "correct" not in record:
        return
    images = record["images"] if "images" in record else record["metrics"]["test_images"]
    packed = len(base64.b64decode(record["correct"]))
    if not is_count(images) or not images or packed != -(-images // 8):
        raise ValueError("correct is of another number of images")
    if "metrics" in record:
        metrics = record["metrics"]
        figures = [metrics["leak"], metrics["seconds_per_epoch"]]
        figures += [metrics["accuracy"]["shuffled"]["mean"], metrics["memorized"] or 0.0]
        if not all(map(is_number, figures)):
            raise ValueError("a metric is no number")


def pack(correct: Tensor) -> str:
    """Booleans (n) as a short text."""
    return base64.b64encode(np.packbits(correct.numpy()).tobytes()).decode()


def unpack(text: str, n: int) -> Tensor:
    """The n booleans that :func:`pack` was given."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=n)
    return torch.from_numpy(bits.astype(bool))
