"""Fills the disk while a run writes a checkpoint, makes room, resumes the run, and compares it.

    .venv/bin/python benchmarks/full_disk.py

The disk is a tmpfs in a mount namespace of its own. It has room for one checkpoint and a half: the
first checkpoint fits, a second one in addition does not. This needs Linux and the right to mount,
which `unshare` gives if the system allows it. The script exits with 1 if the run does not stop in
one line, if the first checkpoint is not complete, or if the resumed run is not bitwise identical to
a run with enough room.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from kill import OPTIONS, SCRIPT, differences, position

CHECKPOINT = "checkpoint.safetensors"


def main() -> int:
    """Starts this script again in a namespace in which it may mount; returns the exit code."""
    if "--inside" not in sys.argv:
        unshare = ["unshare", "--mount", "--user", "--map-root-user"]
        return subprocess.run([*unshare, sys.executable, __file__, "--inside"]).returncode
    with tempfile.TemporaryDirectory() as root:
        disk, whole = Path(root) / "disk", Path(root) / "whole"
        disk.mkdir()
        command = [sys.executable, str(SCRIPT), *OPTIONS.split(), "--out"]
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
        size = sum(path.stat().st_size for path in next(whole.iterdir()).glob("model.s*"))
        mount(f"size={3 * size}", disk)  # weights and their momentum are twice the model
        full = subprocess.run([*command, str(disk)], capture_output=True, text=True)
        run = next(disk.iterdir())
        found = position(run / CHECKPOINT)
        print(f"exit code {full.returncode}: {full.stderr.strip()}")
        print(f"kept: epoch {found['epoch']}, step {found['done']}")
        print(f"in the folder: {', '.join(sorted(path.name for path in run.iterdir()))}")
        mount("remount,size=1g", disk)
        resumed = [sys.executable, str(SCRIPT), "--resume", str(run)]
        subprocess.run(resumed, check=True, capture_output=True)
        different = differences(next(whole.iterdir()), run)
        subprocess.run(["umount", str(disk)], check=True)
    print(f"different: {', '.join(different) or 'nothing'}")
    one_line = full.returncode == 2 and len(full.stderr.splitlines()) == 1
    return 0 if one_line and not different else 1


def mount(options: str, folder: Path) -> None:
    """Mounts a tmpfs."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main())
