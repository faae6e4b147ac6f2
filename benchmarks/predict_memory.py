"""Memory of predict.py for many files beyond that of its imports, and the time to its first line.

    .venv/bin/python benchmarks/predict_memory.py                       # 50,000 files, at 64x64
    .venv/bin/python benchmarks/predict_memory.py --files 2000 --size 224
    .venv/bin/python benchmarks/predict_memory.py --classes 8000 --top 5

200 different JPEGs of 224x224 are linked under as many names as `--files` says. The run is a graph
method with a bank. It is not trained, which changes neither time nor memory. The peak is Linux's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pyg_agfn.nn import ReferenceBank
from pyg_agfn.nn.agfn import AGFN
from pyg_agfn.runs.folder import References, save_model
from pyg_agfn.runs.model_config import ModelConfig

SCRIPT = Path(__file__).parents[1] / "scripts" / "predict.py"
DISTINCT = 200

#: Runs a command and prints its peak. It is a small process of its own, because Linux counts the
#: memory of the process that starts the command too.
PEAK_OF = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def main() -> None:
    """Prints the peaks of the imports alone and of the predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=64, help="side of the model's images")
    parser.add_argument("--backbone", default="small-cnn")
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--references", type=int, default=4096, help="images in the bank")
    parser.add_argument("--top", type=int, help="classes listed of each image; all if not given")
    parser.add_argument("--format", choices=("table", "csv", "json", "jsonl"), default="json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, photos = Path(folder) / "run", Path(folder) / "photos"
        make_run(run, arguments)
        make_photos(photos, arguments.files)
        imports, _, _ = measure(["-c", "import pyg_agfn.prediction, pyg_agfn.prediction_output"])
        command = [str(SCRIPT), "--checkpoint", str(run), str(photos), "--format", arguments.format]
        command += ["--device", "cpu"]
        command += [] if arguments.top is None else ["--top", str(arguments.top)]
        peak, first, written = measure(command)
    print(f"{arguments.files:,} files, {written / 2**20:.1f} MiB written")
    print(f"imports {imports:.2f} GiB, peak {peak:.2f} GiB, above imports {peak - imports:.2f} GiB")
    print(f"first answer after {first:.1f} s, imports included")


def make_run(folder: Path, arguments: argparse.Namespace) -> None:
    """Writes a run folder of the size that the options say."""
    torch.manual_seed(0)
    names = tuple(f"class {i}" for i in range(arguments.classes))
    size = arguments.size
    card = ModelConfig("agfn", arguments.backbone, names, 3, size, size)
    model = card.build().eval()
    assert isinstance(model.agfn, AGFN)
    count = arguments.references
    projected = torch.randn(count, card.feature_dim)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    labels = torch.arange(count) % arguments.classes
    bank = ReferenceBank(model.agfn, projected, card.batch_size)
    folder.mkdir()
    listed = [f"{i}.png" for i in range(count)]
    save_model(folder, card, model, References(bank, images, labels, listed))


def make_photos(folder: Path, count: int) -> None:
    """Writes files that are links to :data:`DISTINCT` images."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        path = folder / f"{i:06d}.jpg"
        if i < DISTINCT:
            small = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
            Image.fromarray(small).resize((224, 224)).save(path)
        else:
            os.link(folder / f"{i % DISTINCT:06d}.jpg", path)


def measure(arguments: list[str]) -> tuple[float, float, int]:
    """Peak in GiB of a Python process, seconds until its first line, and bytes it wrote."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", PEAK_OF, sys.executable, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    written, first = len(process.stdout.readline()), time.perf_counter() - begin
    while chunk := process.stdout.read(1 << 20):
        written += len(chunk)
    said = process.stderr.read()
    if process.wait():
        raise SystemExit(said)
    return int(said.split()[-1]) / 2**20, first, written


if __name__ == "__main__":
    main()
