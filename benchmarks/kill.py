"""Kills a run with kill -9 at random moments, resumes it, and compares it with one never killed.

    .venv/bin/python benchmarks/kill.py --kills 20

The run trains on the digits with a checkpoint after every step, so that many kills fall into the
writing of one (a `.partial` file is left). The script exits with 1 if a weight, an answer or a
metric is not bitwise identical.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_pyg.py"
OPTIONS = "--method agfn --epochs 20 --samples 2 --lr-graph 1 --augment --checkpoint-seconds 0"
TIMES = ("seconds_per_epoch", "peak_memory_gib")


def main() -> int:
    """Prints where each kill fell and whether the runs are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as root:
        whole, killed = Path(root) / "whole", Path(root) / "killed"
        begin = [sys.executable, str(SCRIPT), *OPTIONS.split(), "--out"]
        subprocess.run([*begin, str(whole)], check=True, capture_output=True)
        command = [*begin, str(killed)]
        print("| kill | epoch | step | inside a write |\n|---|---|---|---|")
        for number in range(1, arguments.kills + 1):
            kill(command, killed, chance.uniform(0, 1.5))
            folder = next(killed.iterdir())
            if (folder / "metrics.json").exists():
                print(f"finished before kill {number}: give fewer --kills")
                break
            where = position(folder / "checkpoint.safetensors")
            inside = "yes" if list(folder.glob("*.partial")) else ""
            print(f"| {number} | {where['epoch']} | {where['done']} | {inside} |", flush=True)
            command = [sys.executable, str(SCRIPT), "--resume", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        different = differences(next(whole.iterdir()), next(killed.iterdir()))
    print(f"different: {', '.join(different) or 'nothing'}")
    return 1 if different else 0


def kill(command: list[str], out: Path, seconds: float) -> None:
    """Starts a run and kills it some time after its first checkpoint."""

    def stamps() -> set[float]:
        return {path.stat().st_mtime for path in out.glob("*/checkpoint.safetensors")}

    before = stamps()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while stamps() <= before and process.poll() is None:
        time.sleep(0.005)
    time.sleep(seconds)
    process.kill()
    _, errors = process.communicate()
    if process.returncode > 0:
        sys.exit(errors.decode())


def position(path: Path) -> dict[str, Any]:
    """The epoch and step of a checkpoint."""
    with safe_open(path, framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["state"])
    return found


def differences(one: Path, other: Path) -> list[str]:
    """The differences between two run folders."""
    found = []
    for name in ("model", "answers", "bank"):
        first, second = (load_file(folder / f"{name}.safetensors") for folder in (one, other))
        names = first.keys() | second.keys()
        same = first.keys() == second.keys()
        found += [key for key in names if not same or not torch.equal(first[key], second[key])]
    first, second = (json.loads((f / "metrics.json").read_text()) for f in (one, other))
    return found + [key for key in first if key not in TIMES and first[key] != second[key]]


if __name__ == "__main__":
    sys.exit(main())
