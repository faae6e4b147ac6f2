"""The server as a process: it starts, answers, and ends without losing a request."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.serving.server import address_of, listen

SCRIPT = Path(__file__).parents[2] / "scripts" / "serve.py"


@contextlib.contextmanager
def server(run: Path, log: Path, *options: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server's process, and its address once it has said it."""
    command = [sys.executable, str(SCRIPT), "--checkpoint", str(run), "--port", "0", *options]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stderr=out, stdout=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        try:
            while not (found := re.search(r"http://\S+", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield process, found[0]
        finally:
            process.kill()
            process.wait()


def half_sent(address: str, content: bytes) -> tuple[socket.socket, bytes]:
    """A request of which half is sent, and the rest."""
    url = httpx.URL(address)
    sending = socket.create_connection((url.host, url.port))
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
    sending.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:40])
    return sending, content[40:]


def answer(sending: socket.socket) -> bytes:
    received = b""
    while chunk := sending.recv(65536):
        received += chunk
    return received


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_when_the_requests_in_flight_are_answered(
    digits_run, pngs, tmp_path, number, code
):
    log = tmp_path / "log"
    with server(digits_run, log) as (process, address):
        assert httpx.get(f"{address}/health", timeout=60).json()["status"] == "ok"
        response = httpx.post(f"{address}/predict", files={"a": ("a.png", pngs[0])})
        assert (response.status_code, response.json()[0]["file"]) == (200, "a.png")
        sending, rest = half_sent(address, pngs[1])
        with sending:
            time.sleep(0.3)  # the server has read the first half
            process.send_signal(number)
            while (health := httpx.get(f"{address}/health")).status_code == 200:
                time.sleep(0.01)
            assert health.json()["status"] == "stopping"
            refused = httpx.post(f"{address}/predict", files={"a": ("a.png", pngs[0])})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            sending.sendall(rest)
            assert answer(sending).startswith(b"HTTP/1.1 200 OK")
        assert process.wait(60) == code
    lines = log.read_text().splitlines()
    assert not [line for line in lines if "Traceback" in line or line.startswith(" ")]
    assert lines[-1].endswith("stopped; images answered: 2, none is waiting")
    posted = [line.split("POST /predict ")[1][:3] for line in lines if "POST" in line]
    assert posted == ["200", "503", "200"]


@pytest.mark.slow
def test_a_client_that_sends_too_much_reads_why(digits_run, tmp_path):
    with server(digits_run, tmp_path / "log", "--max-bytes", "1000") as (_, address):
        response = httpx.post(f"{address}/predict", files={"a": ("a.png", bytes(5_000_000))})
        assert response.status_code == 413
        large = {"content": bytes(5_000_000), "headers": {"Content-Type": "image/png"}}
        for query, status in (("?top=0", 422), ("?size=3", 422), ("/more", 404)):
            assert httpx.post(f"{address}/predict{query}", **large).status_code == status
        sending, _ = half_sent(address, bytes(90))
        sending.close()  # a client that goes is no fault
        broken = socket.create_connection((httpx.URL(address).host, httpx.URL(address).port))
        with broken:
            broken.sendall(b"\x00\x01 no request\r\n\r\n")
            assert answer(broken).startswith(b"HTTP/1.1 400")
        while " 499 " not in (tmp_path / "log").read_text():
            time.sleep(0.05)
        assert httpx.get(f"{address}/health").status_code == 200
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_an_address_that_is_taken_is_named():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert first.proto == socket.IPPROTO_TCP  # else asyncio delays small writes
        assert address_of(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(InputError, match=rf"--port {port}: .* in use; choose others"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["999.1.1.1", "x" * 300, "::zz", "a..b"])
def test_an_address_that_is_none_is_named(host):
    with pytest.raises(InputError, match="choose others"):
        listen(host, 0)
