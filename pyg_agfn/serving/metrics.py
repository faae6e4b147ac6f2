"""What the server counts, in the text format of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Upper ends of the buckets: seconds of a request, and images in a batch.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server.

    Args:
        queue_length: Tells how many images are admitted and not answered.
    """

    def __init__(self, queue_length: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        name = "pyg_agfn_"
        self.requests = Counter(
            f"{name}requests", "Requests by their path.", ["path"], registry=self.registry
        )
        self.errors = Counter(
            f"{name}errors", "Requests that failed, by status.", ["code"], registry=self.registry
        )
        self.images = Counter(f"{name}images", "Images answered.", registry=self.registry)
        self.seconds = Histogram(
            f"{name}predict_seconds",
            "Time of a request to /predict, its upload included.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            f"{name}batch_images",
            "Images that the model was given at once.",
            buckets=SIZES,
            registry=self.registry,
        )
        waiting = Gauge(
            f"{name}queue_images", "Images admitted and not answered.", registry=self.registry
        )
        waiting.set_function(queue_length)

    def text(self) -> bytes:
        """All of them as text."""
        return generate_latest(self.registry)
