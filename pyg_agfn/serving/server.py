"""The process: a socket, uvicorn on it, and a graceful end."""

import gc
import logging
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from pyg_agfn.errors import InputError, InterruptedRunError, printable
from pyg_agfn.serving.app import make_app
from pyg_agfn.serving.service import Service
from pyg_agfn.serving.watch import LOG


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; clients wait until the model is loaded.

    Raises:
        InputError: The address does not exist here or is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once what it writes (TCP_NODELAY) only where the protocol is named; without,
    # a response waits 40 ms for the client's acknowledgement of its first part.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # a port whose last connections have ended is free
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
        return listening
    except (OSError, UnicodeError) as error:
        listening.close()
        reason = printable(getattr(error, "strerror", None) or str(error))
        raise InputError(
            f"--host {host} --port {port}: {reason}; choose others (--port 0 takes a free one)"
        ) from None


def address_of(listening: socket.socket) -> str:
    """The address of a socket as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(service: Service, listening: socket.socket) -> None:
    """Answers requests until Ctrl-C or SIGTERM.

    Raises:
        InterruptedRunError: Always, when the requests in flight have been answered.
    """
    config = uvicorn.Config(
        make_app(service),
        http="h11",  # it limits the size of headers
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # clients could write any address into the log
        server_header=False,
    )
    server = GracefulServer(config, service)
    # What torch has made would be searched for garbage again and again, for half a second each.
    gc.collect()
    gc.freeze()
    server.run(sockets=[listening])
    count = int(service.metrics.registry.get_sample_value("pyg_agfn_images_total") or 0)
    raise InterruptedRunError(
        f"stopped; images answered: {count}, none is waiting",
        128 + (server.received or signal.SIGTERM),
    )


class GracefulServer(uvicorn.Server):
    """uvicorn that refuses new requests while it answers those in flight, and then ends."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        #: The signal that ends it.
        self.received: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Notes the first signal; a second one ends the process at once."""
        if self.service.stopping:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self.service.stopping, self.received = True, sig

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; uvicorn asks ten times a second."""
        if self.service.stopping and not self.service.in_flight:
            self.should_exit = True
        return await super().on_tick(counter)


class OneLineFormatter(logging.Formatter):
    """Every record on one line, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        when = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message += f": {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        return f"{when} {printable(message)}"


def set_up_log() -> None:
    """Requests, and warnings of the server's libraries, go to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter())
    for logger, level in (
        (LOG, logging.INFO),
        (logging.getLogger("uvicorn"), logging.WARNING),
        (logging.getLogger("asyncio"), logging.WARNING),
    ):
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False
