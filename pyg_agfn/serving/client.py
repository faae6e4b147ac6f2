"""Clients that close the connection early, or still send what is no longer read."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request

T = TypeVar("T")

#: Bytes, and seconds, of a refused upload that are read and thrown away.
DRAINED_BYTES, DRAINED_SECONDS = 64 << 20, 2.0


class ClientGoneError(Exception):
    """The client has closed the connection."""


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """The body of a request in the pieces in which it arrives.

    Raises:
        ClientGoneError: The client has closed the connection.
    """
    while not request.scope.get("body read"):
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        request.scope["body read"] = not message.get("more_body", False)
        yield message.get("body", b"")


async def drain(request: Request) -> None:
    """Reads the rest of a refused body, so that a client that sends all of it reads the answer.

    Many clients only read when they have sent all. To close the connection before would lose them
    the answer. One that asks before it sends (``Expect: 100-continue``) is not asked to.
    """
    if "expect" in request.headers:
        return

    async def read() -> None:
        count = 0
        async for chunk in body_of(request):
            count += len(chunk)
            if count > DRAINED_BYTES:
                return

    try:
        await asyncio.wait_for(read(), DRAINED_SECONDS)
    except (asyncio.TimeoutError, ClientGoneError):
        return


async def unless_gone(request: Request, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of some work on a request whose body has been read.

    The work is cancelled where it does not end in time or its client does not wait for it.

    Raises:
        TimeoutError: asyncio's; the time is over.
        ClientGoneError: The client has closed the connection.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_closed(request))
    try:
        await asyncio.wait(
            {task, gone}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        raise ClientGoneError if gone.done() else asyncio.TimeoutError
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _closed(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
