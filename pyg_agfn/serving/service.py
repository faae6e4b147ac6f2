"""A model that answers requests: its queue, its limits and its counters."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.errors import InputError
from pyg_agfn.serving.answerer import Answerer
from pyg_agfn.serving.batcher import Batcher
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.metrics import Metrics
from pyg_agfn.serving.refusal import RefusedError
from pyg_agfn.serving.uploads import UploadBudget

if TYPE_CHECKING:
    from pyg_agfn.image_predictions import Prediction


#: Most threads that decode images.
THREADS = 4


class Service:
    """What the routes share.

    Args:
        answerer: The model.
        limits: What a request may be.
        references: Training images that are listed for an image if the request does not say.
    """

    def __init__(
        self, answerer: Answerer, limits: ServeLimits | None = None, references: int = 5
    ) -> None:
        self.answerer = answerer
        self.limits = limits = ServeLimits() if limits is None else limits
        self.references = references
        self.metrics = Metrics(lambda: self.batcher.admitted)
        self.batcher = Batcher(answerer, limits, self.metrics.batches.observe)
        self.uploads = UploadBudget(limits.held_bytes)
        #: Requests to /predict that are not answered.
        self.in_flight = 0
        #: Whether the server is to end: requests in flight are answered, new ones refused.
        self.stopping = False
        self._decoders = ThreadPoolExecutor(
            min(THREADS, os.cpu_count() or 1), thread_name_prefix="decoder"
        )

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self.batcher.running and not self.stopping

    async def start(self) -> None:
        """Begins to answer."""
        await self.batcher.start()

    async def stop(self) -> None:
        """Ends the threads."""
        await self.batcher.stop()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def predict(self, images: Sequence[ImageBytes], references: int) -> "list[Prediction]":
        """The answers to image files, in their order.

        Raises:
            RefusedError: The queue is full, or an answer is not finite.
            InputError: A file cannot be read.
        """
        loop = asyncio.get_running_loop()
        with self.batcher.places(len(images)):
            decoding = [
                loop.run_in_executor(self._decoders, self.answerer.decode, image)
                for image in images
            ]
            try:
                pixels = await asyncio.gather(*decoding)
            finally:
                for waiting in decoding:  # where one cannot be read, the others need not be
                    waiting.cancel()
            names = [image.name for image in images]
            try:
                answers = await self.batcher.submit(names, pixels, references)
            except InputError as error:  # the model's fault, not the image's
                raise RefusedError(500, str(error)) from None
        self.metrics.images.inc(len(answers))
        return answers
