"""Load on the server: requests a second and their times by 1, 16 and 64 clients at once.

It starts ``scripts/serve.py``, posts test images of the digits over connections that are kept, and
compares every answer with ``predict.py``'s. It fails if a request is lost or an answer differs.
"""

import argparse
import asyncio
import contextlib
import gc
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
from PIL import Image
from rich.table import Table

from pyg_agfn.cli import OneLineParser, make_console, run_script
from pyg_agfn.datasets import Digits
from pyg_agfn.prediction import predict
from pyg_agfn.runs.folder import load_run
from pyg_agfn.runs.shipped import HELP, run_folder

SCRIPT = Path(__file__).parents[1] / "scripts" / "serve.py"
#: Of an answer to the same image in a batch of another size: rounding.
TOLERANCE = 1e-5


@contextlib.contextmanager
def started(arguments: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """A server's host and port."""
    command = [sys.executable, str(SCRIPT), "--checkpoint", str(arguments.checkpoint)]
    command += ["--port", "0", "--device", "cpu", "--references", str(arguments.references)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, *arguments.options], stderr=log)
        try:
            while not (found := re.search(r"http://([\d.]+):(\d+)", read_all(log))):
                if process.poll() is not None:
                    raise SystemExit(read_all(log))
                time.sleep(0.1)
            yield found[1], int(found[2])
            process.terminate()
            code = process.wait(60)
            assert code == 143, f"the server ended with {code}"
            assert "Traceback" not in read_all(log)
        finally:
            process.kill()


def read_all(file: Any) -> str:
    """The whole text of an open file."""
    file.seek(0)
    return file.read()


async def client(address: tuple[str, int], requests: list[bytes], taken: Iterator[int]) -> list:
    """Posts images until none is left; gives each one's number, seconds, status and body."""
    reader, writer = await asyncio.open_connection(*address)
    done = []
    for number in taken:
        begun = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"content-length: (\d+)", head, re.I)[1])
        body = await reader.readexactly(length)
        done.append((number, time.perf_counter() - begun, int(head.split()[1]), body))
    writer.close()
    return done


async def load(address: tuple[str, int], requests: list[bytes], clients: int, count: int) -> list:
    """What all clients together have been answered."""
    taken = iter(range(count))
    done = await asyncio.gather(*(client(address, requests, taken) for _ in range(clients)))
    return [answer for answers in done for answer in answers]


def check(done: list, expected: list[dict[str, Any]], count: int) -> None:
    """Fails if an answer is missing, an error, or another than that of predict.py."""
    assert sorted(number for number, *_ in done) == list(range(count)), "answers are lost"
    for number, _, status, body in done:
        assert status == 200, body
        (answer,) = json.loads(body)
        wanted = expected[number % len(expected)]
        for key in ("probabilities", "references"):
            one, other = (shares(found[key]) for found in (answer, wanted))
            assert one.keys() == other.keys()
            assert all(abs(one[name] - other[name]) < TOLERANCE for name in one), (answer, wanted)


def shares(found: Any) -> dict[str, float]:
    """Probabilities by class, or weights by reference."""
    return found if isinstance(found, dict) else {r["name"]: r["weight"] for r in found}


def digits(folder: Path) -> tuple[list[Path], list[bytes]]:
    """64 test images of the digits as files, and the requests that post them."""
    files, requests = [], []
    for i, image in enumerate(Digits(train=False).images[:64]):
        out = io.BytesIO()
        Image.fromarray(np.asarray(image[0])).save(out, "PNG")
        files.append(folder / f"{i}.png")
        files[-1].write_bytes(out.getvalue())
        head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        requests.append(f"{head}Content-Length: {out.tell()}\r\n\r\n".encode() + out.getvalue())
    return files, requests


def main() -> int:
    """Prints a table."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--checkpoint", type=run_folder, default=run_folder("digits"), help=HELP)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--requests", type=int, default=2000, help="for each number of clients")
    parser.add_argument("--references", type=int, default=5)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="of the server")
    arguments = parser.parse_args()
    table = Table(title=f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]}")
    for column in ("clients", "requests", "requests/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        files, requests = digits(Path(folder))
        run = load_run(arguments.checkpoint)
        expected = [answer.as_json() for answer in predict(run, files, arguments.references)]
        gc.freeze()  # else the clients' process pauses for half a second now and then
        with started(arguments) as address:
            asyncio.run(load(address, requests, 4, 64))  # warm
            for clients in arguments.clients:
                begun = time.perf_counter()
                done = asyncio.run(load(address, requests, clients, arguments.requests))
                seconds = time.perf_counter() - begun
                check(done, expected, arguments.requests)
                cuts = quantiles([took * 1000 for _, took, *_ in done], n=100)
                cells = [clients, len(done), f"{len(done) / seconds:.0f}"]
                table.add_row(*map(str, cells), f"{cuts[49]:.1f}", f"{cuts[98]:.1f}")
    make_console().print(table)
    return 0


if __name__ == "__main__":
    run_script("serve.py", main)
