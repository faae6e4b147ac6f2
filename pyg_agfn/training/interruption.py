"""Ctrl-C and SIGTERM: the current step is finished and saved before the process ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pyg_agfn.errors import InterruptedRunError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """The signal that was received, if any."""

    received: signal.Signals | None = None


@contextmanager
def same_command_resumes() -> Iterator[None]:
    """For scripts without ``--resume``, which resume an interrupted run by the same command."""
    try:
        yield
    except InterruptedRunError as interruption:
        raise InterruptedRunError(
            "interrupted, and saved; the same command resumes it", interruption.code
        ) from None


@contextmanager
def raised_signals(message: str) -> Iterator[None]:
    """Raises :class:`InterruptedRunError` when a signal is received.

    In a thread it does nothing, because Python allows handlers in the main thread only.
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
    """Records the first signal; a second one ends the process at once.

    It does nothing if it is not enabled. In a thread it does nothing either, because Python allows
    handlers in the main thread only.
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
    """Sets the handler of all :data:`SIGNALS`; yields a function that restores the former ones."""
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
