"""Bad data through the scripts: a report and exit code 2, or a run without it and the list."""

import csv
import json
import shutil
import struct
import zlib
from pathlib import Path

import pytest

SMALL = ["--backbone", "small-cnn", "--image-size", 12, "--batch-size", 8, "--epochs", 2]
SMALL += ["--pretrain-epochs", 1, "--feature-dim", 16, "--eval-draws", 2, "--no-augment"]


def declare(path: Path, width: int, height: int) -> None:
    """Writes a size into the header of a PNG."""
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


@pytest.fixture
def spoilt(photos, tmp_path) -> Path:
    """The photos, two of them bad."""
    root = tmp_path / "spoilt"
    shutil.copytree(photos, root)
    declare(root / "bottom" / "3.png", 10_000, 10_000)  # Pillow would warn, and continue
    (root / "top" / "4.png").write_text("<html>404</html>")
    return root


def train(root: Path) -> list[object]:
    return ["train_pyg.py", "--dataset", "folder", "--root", root, *SMALL]


@pytest.mark.slow
def test_bad_data_is_a_report_and_exit_code_2(process, spoilt, tmp_path):
    done = process(*train(spoilt))
    assert done.returncode == 2
    first, *lines = done.stderr.splitlines()
    assert first.startswith(
        "train_pyg.py: error: 2 rows or images are bad; fix them, or --skip-bad"
    )
    assert [line.split(": cannot")[0] for line in lines] == [
        f"  image {spoilt}/bottom/3.png",
        f"  image {spoilt}/top/4.png",
    ]
    assert "10000x10000 is more than" in lines[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def test_with_skip_bad_the_run_leaves_them_out_and_lists_them(script, spoilt, tmp_path):
    done = script(*train(spoilt), "--skip-bad")
    assert done.returncode == 0, done.stderr
    for method in ("baseline", "agfn"):
        folder = Path("runs") / f"folder-{method}-noise0-seed0"
        assert f"left out: 2 bad rows or images, see {folder}/skipped.csv" in done.stdout
        with (tmp_path / folder / "skipped.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        images = {Path(row["image"]).relative_to(spoilt).as_posix() for row in rows}
        assert images == {"bottom/3.png", "top/4.png"}
        assert all(row["reason"].startswith("cannot be read") for row in rows)
        assert json.loads((tmp_path / folder / "config.json").read_text())["skip_bad"] is True
        names = (
            json.loads((tmp_path / folder / "bank.json").read_text())["names"]
            if (method == "agfn")
            else []
        )
        assert not {"bottom/3.png", "top/4.png"} & set(names)

    folder = tmp_path / "runs" / "folder-agfn-noise0-seed0"
    done = script("evaluate.py", "--checkpoint", folder, "--draws", 1, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "left out: 2 bad rows or images" in done.stderr
    assert (folder / "evaluation-skipped.csv").read_text() == (folder / "skipped.csv").read_text()


def test_a_run_without_skip_bad_is_evaluated_with_it(script, trained, spoilt):
    command = ["evaluate.py", "--checkpoint", trained["baseline"], "--root", spoilt, "--draws", 1]
    done = script(*command)
    assert done.returncode == 2
    assert "2 rows or images are bad" in done.stderr
    done = script(*command, "--skip-bad")
    assert done.returncode == 0, done.stderr
    assert "left out: 2" in done.stderr
