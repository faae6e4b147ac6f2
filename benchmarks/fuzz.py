"""Fuzzes whatever reads a file: data sets, configurations, results, run folders, checkpoints.

    .venv/bin/python -m pip install atheris
    .venv/bin/python benchmarks/fuzz.py --runs 10000            # of every target, a table
    .venv/bin/python benchmarks/fuzz.py predict --runs 10000    # of one

atheris (libFuzzer) mutates inputs and follows which lines of ``pyg_agfn`` each one reaches. A
target may succeed or raise InputError. These are findings: any other exception, more than 20
seconds on one input, more than 3 GiB, a write outside the target's own folder, an unpickled class,
a new process, and a connection. Findings are printed, and their inputs are kept in ``--findings``,
one file each. The script exits with 1 if there are any.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
#: The names of the targets; fuzz_targets.py defines them.
NAMES = ("ferplus", "fer-csv", "rafdb", "noise", "subset", "image", "folder", "config")
NAMES += ("results", "cards", "tensors", "answers", "checkpoint", "predict")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Audit events that change a file: the position of its path among the arguments, and that of the
#: folder to which the path is relative.
CHANGES = {"os.remove": (0, 1), "os.rename": (1, 3), "os.mkdir": (0, 2), "os.rmdir": (0, 1)}
CHANGES |= {"os.symlink": (1, 2), "os.link": (1, 3), "os.truncate": (0, 9), "os.chmod": (0, 2)}
CHANGES |= {"shutil.rmtree": (0, 1)}
FORBIDDEN = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "socket.connect")


class Watch:
    """Notes what the process does outside a folder, while ``on`` is set."""

    def __init__(self, box: Path) -> None:
        self.box = os.path.realpath(box)
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python calls this for every audit event."""
        if not self.on:
            return
        if event in FORBIDDEN:
            self.seen.append(f"{event}{arguments}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            if arguments[2] & WRITING:
                self.check(arguments[0])
        elif event in CHANGES:
            at, folder = CHANGES[event]
            self.check(arguments[at], (*arguments, *[None] * 9)[folder])

    def check(self, path: Any, folder: Any = None) -> None:
        """Notes a path that is not in the folder."""
        if not isinstance(path, str | bytes | os.PathLike):
            return  # an open file, which was checked when it was opened
        base = os.getcwd() if folder in (None, -1) else os.readlink(f"/proc/self/fd/{folder}")
        real = os.path.realpath(os.path.join(base, os.fsdecode(path)))
        if not f"{real}/".startswith(f"{self.box}/") and real != os.devnull:
            self.seen.append(f"write to {real}")


def fuzz_target(name: str, runs: int, findings: Path, box: Path) -> None:
    """Fuzzes one target in an empty folder; libFuzzer ends the process."""
    import atheris
    import torch

    with atheris.instrument_imports(include=["pyg_agfn"]):
        from fuzz_targets import TARGETS

        from pyg_agfn.errors import InputError

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.environ["PYG_AGFN_CACHE"] = str(box / "cache")
    os.environ["HOME"] = str(box)
    target: Callable[[bytes], object]
    seeds: list[bytes]
    target, seeds = TARGETS[name](box)
    corpus = box / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    watch = Watch(box)
    known: set[str] = set()
    counts = {"taken": 0, "refused": 0}

    def found(where: str, text: str, data: bytes) -> None:
        watch.on = False
        if where in known:
            return
        known.add(where)
        print(f"FINDING {name}: {where}\n{text}", flush=True)
        findings.mkdir(parents=True, exist_ok=True)
        (findings / f"{name}-{len(known)}").write_bytes(data)

    def one_input(data: bytes) -> None:
        watch.on = True
        try:
            target(data)
            counts["taken"] += 1
        except InputError as error:
            counts["refused"] += 1
            if "\n" in str(error) and "rows or images are bad" not in str(error):
                found("two lines", repr(str(error)), data)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = traceback.format_exc(limit=-8)
            found(f"{type(error).__name__} at {last.filename}:{last.lineno}", text, data)
        finally:
            watch.on = False
        for seen in watch.seen:
            found(seen, "", data)
        watch.seen.clear()
        if sum(counts.values()) % 100 == 0:
            print(f"TAKEN {counts['taken']} REFUSED {counts['refused']}", flush=True)

    limits = ["-timeout=20", "-rss_limit_mb=3072", f"-artifact_prefix={findings}/{name}-"]
    findings.mkdir(parents=True, exist_ok=True)
    command = [sys.argv[0], f"-runs={runs}", "-max_len=4096", "-len_control=0", *limits]
    atheris.Setup([*command, str(corpus)], one_input)
    atheris.Fuzz()


def main() -> int:
    """Fuzzes one target, or each in a process of its own; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="*", choices=[*NAMES, []], help="all if not given")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--here", type=Path, help="in this process and folder (one target)")
    arguments = parser.parse_args()
    if arguments.here:
        fuzz_target(
            arguments.target[0], arguments.runs, arguments.findings.resolve(), arguments.here
        )
    total = 0
    print("| target | inputs | of 100: refused | seconds | findings |\n|---|---|---|---|---|")
    for name in arguments.target or NAMES:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as box:
            command = [sys.executable, __file__, name, "--here", box]
            command += ["--runs", str(arguments.runs), "--findings", str(arguments.findings)]
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False
            )
        seconds = time.monotonic() - start
        inputs = re.search(r"Done (\d+) runs", done.stderr)
        found = re.findall(r"^FINDING .*$", done.stdout, re.M)
        if inputs is None:  # a time or memory limit ends the process
            found += done.stderr.splitlines()[-3:]
        count = int(inputs[1]) if inputs else 0
        counts = re.findall(r"TAKEN (\d+) REFUSED (\d+)", done.stdout) or [(1, 0)]
        taken, refused = map(int, counts[-1])
        share = 100 * refused / (taken + refused)
        print(f"| {name} | {count:,} | {share:.0f} | {seconds:.0f} | {len(found)} |", flush=True)
        if found:
            print(done.stdout, file=sys.stderr)
        total += len(found)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
