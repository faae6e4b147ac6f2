"""Ctrl-C and SIGTERM: the step is finished and saved before the process ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Which signal has come, if one has."""

    received: signal.Signals | None = None


@contextmanager
def deferred_signals(enabled: bool = True) -> Iterator[Interruption]:
    """Notes the first signal in place of ending the process; a second one ends it at once.

    Does nothing when not enabled, or in a thread, where Python allows no handlers.
    """
    interruption = Interruption()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        interruption.received = signal.Signals(number)
        restore()

    try:
        for number in SIGNALS:
            signal.signal(number, note)
        yield interruption
    finally:
        restore()
