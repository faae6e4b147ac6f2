"""Around the application: counts and logs each request, and keeps faults on one line."""

import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from pyg_agfn.errors import printable
from pyg_agfn.serving.client import drain
from pyg_agfn.serving.refusal import RefusedError
from pyg_agfn.serving.service import Service

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOG = logging.getLogger("pyg_agfn.serving")

#: Paths by which requests are counted; others are counted together.
PATHS = ("/predict", "/health", "/metrics")
#: Said to the client of a fault of the program.
FAILED = "the server failed; see its log"
#: Logged where the client has closed the connection before it was answered.
CLIENT_GONE = 499


@dataclass
class Note:
    """What a route tells the log of its request."""

    images: int = 0
    error: str = ""
    gone: bool = False


class Watch:
    """An ASGI application around another.

    Args:
        inner: The application with the routes.
        service: Counts the requests.
    """

    def __init__(self, inner: Application, service: Service) -> None:
        self.inner = inner
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        note = scope["note"] = Note()
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        predicts = scope["path"] == "/predict"
        self.service.in_flight += predicts
        try:
            if predicts and self.service.stopping:
                await drain(Request(scope, receive))
                await self._refuse(RefusedError(503, "the server is stopping"), note, watched)
            else:
                await self.inner(scope, receive, watched)
        except Exception as error:
            note.error = note.error or _place_of(error)
            if not status:
                await self._refuse(RefusedError(500, FAILED), note, send)
                status = 500
        finally:
            self.service.in_flight -= predicts
            self._count(scope, CLIENT_GONE if note.gone else status, note, started)

    async def _refuse(self, refusal: RefusedError, note: Note, send: Send) -> None:
        note.error = note.error or str(refusal)
        headers = {
            "Content-Type": "application/json",
            "Connection": "close",
            **refusal.headers,
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
        body = json.dumps({"error": str(refusal)}).encode()
        await send({"type": "http.response.body", "body": body})

    def _count(self, scope: Scope, status: int, note: Note, started: float) -> None:
        seconds = time.perf_counter() - started
        path = scope["path"]
        metrics = self.service.metrics
        metrics.requests.labels(path if path in PATHS else "other").inc()
        if path == "/predict":
            metrics.seconds.observe(seconds)
        if status >= 400:
            metrics.errors.labels(str(status)).inc()
        client = scope.get("client") or ("-",)
        images = f" {note.images} image{'s' if note.images > 1 else ''}" if note.images else ""
        said = f": {printable(note.error, 500)}" if note.error else ""
        shown = f"{printable(scope['method'], 20)} {printable(path, 200)}"
        LOG.info("%s %s %d%s %.1f ms%s", client[0], shown, status, images, seconds * 1e3, said)


def _place_of(error: Exception) -> str:
    """A fault of the program on one line, with the place in the code."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
