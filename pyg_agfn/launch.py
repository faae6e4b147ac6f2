"""What torchrun says of the processes that it has started."""

import os


def launched_processes() -> tuple[int, int]:
    """How many processes torchrun has started on this machine and in all, before they have met."""
    here, everywhere = (int(os.environ.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return here, everywhere
