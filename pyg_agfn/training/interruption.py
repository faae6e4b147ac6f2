"""Ctrl-C and SIGTERM: the step is finished and saved before the process ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pyg_agfn.errors import InterruptedRunError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Which signal has come, if one has."""

    received: signal.Signals | None = None


@contextmanager
def same_command_resumes() -> Iterator[None]:
    """For scripts that resume what was interrupted themselves, and have no ``--resume``."""
    try:
        yield
    except InterruptedRunError as interruption:
        raise InterruptedRunError(
            "interrupted, and saved; the same command resumes it", interruption.code
        ) from None


@contextmanager
def raised_signals(message: str) -> Iterator[None]:
    """Ends what is being done by an :class:`InterruptedRunError` when a signal comes.

    Does nothing in a thread, where Python allows no handlers.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise InterruptedRunError(message, 128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handler(stop):
        yield


@contextmanager
def deferred_signals(enabled: bool = True) -> Iterator[Interruption]:
    """Notes the first signal in place of ending the process; a second one ends it at once.

    Does nothing when not enabled, or in a thread, where Python allows no handlers.
    """
    interruption = Interruption()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        interruption.received = signal.Signals(number)
        restore()

    with _handler(note) as restore:
        yield interruption


@contextmanager
def _handler(handler: Callable[[int, FrameType | None], None]) -> Iterator[Callable[[], None]]:
    """Sets the handler of all :data:`SIGNALS`; gives what puts back those there were before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, was in before.items():
            signal.signal(number, was)

    try:
        for number in SIGNALS:
            signal.signal(number, handler)
        yield restore
    finally:
        restore()
