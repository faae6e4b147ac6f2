"""What the server takes at most. Imports nothing large: the command line reads it first."""

from dataclasses import dataclass, fields

from pyg_agfn.errors import InputError

#: Bytes of a request beside its images: the headers of the parts.
OVERHEAD = 1 << 16


@dataclass(frozen=True)
class ServeLimits:
    """Limits of the server, and how it makes batches.

    Attributes:
        max_batch: Most images that the model is given at once.
        max_wait_ms: How long a batch that is not full waits for images that are being decoded.
        max_queue: Most images that are admitted and not answered.
        max_images: Most images in a request.
        max_bytes: Most bytes of an image file.
        max_seconds: Longest time a request takes, its upload included.

    Raises:
        InputError: One of them is out of its range.
    """

    max_batch: int = 32
    max_wait_ms: float = 5.0
    max_queue: int = 256
    max_images: int = 16
    max_bytes: int = 10 << 20
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = RANGES[field.name]
            value = getattr(self, field.name)
            if not low <= value <= high:
                flag = "--" + field.name.replace("_", "-")
                raise InputError(f"{flag} must be {low:,} to {high:,}, got {value:,}")
        if self.max_images > self.max_queue:
            raise InputError(
                f"--max-images {self.max_images}: the queue holds {self.max_queue} images; "
                "raise --max-queue"
            )

    @property
    def request_bytes(self) -> int:
        """Most bytes of a request's body."""
        return self.max_images * self.max_bytes + OVERHEAD

    @property
    def held_bytes(self) -> int:
        """Most bytes of the uploads of all requests together."""
        return max(256 << 20, self.request_bytes)


#: Least and largest value of each limit.
RANGES: dict[str, tuple[float, float]] = {
    "max_batch": (1, 4096),
    "max_wait_ms": (0, 1000),
    "max_queue": (1, 65_536),
    "max_images": (1, 4096),
    "max_bytes": (1, 1 << 30),
    "max_seconds": (0.1, 3600),
}
