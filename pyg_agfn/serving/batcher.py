"""Images of concurrent requests, answered in batches by one thread."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.serving.answerer import Answerer
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.refusal import RefusedError

if TYPE_CHECKING:
    from pyg_agfn.image_predictions import Prediction


@dataclass(eq=False)
class _Image:
    name: str
    pixels: Pixels
    references: int
    answer: "asyncio.Future[Prediction]" = field(repr=False)


class Batcher:
    """A bounded queue of images in front of a model.

    A request first takes places for its images, then has them decoded, then submits them. A place
    is given back when the request ends.

    Args:
        answerer: The model.
        limits: The size of a batch and of the queue.
        on_batch: Is told the size of each batch.
    """

    def __init__(
        self,
        answerer: Answerer,
        limits: ServeLimits,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.answerer = answerer
        self.limits = limits
        self.on_batch = on_batch
        #: Images that are admitted and not answered.
        self.admitted = 0
        self._waiting: deque[_Image] = deque()
        self._changed = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether images are answered."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Begins to answer."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends; what is still waiting is not answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._worker.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def places(self, count: int) -> Iterator[None]:
        """Holds places in the queue.

        Raises:
            RefusedError: There are not so many; status 503.
        """
        if self.admitted + count > self.limits.max_queue:
            raise RefusedError(
                503, f"the queue is full ({self.admitted} images are waiting); try again later"
            )
        self.admitted += count
        try:
            yield
        finally:
            self.admitted -= count
            self._changed.set()

    async def submit(
        self, names: Sequence[str], images: Sequence[Pixels], references: int
    ) -> "list[Prediction]":
        """The answers to decoded images, in their order.

        Raises:
            InputError: The model's answer is not finite.
        """
        loop = asyncio.get_running_loop()
        submitted = [
            _Image(name, pixels, references, loop.create_future())
            for name, pixels in zip(names, images, strict=True)
        ]
        self._waiting.extend(submitted)
        self._changed.set()
        try:
            return await asyncio.gather(*(image.answer for image in submitted))
        finally:
            for image in submitted:  # of a request that has ended early
                image.answer.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next_batch()
            self.on_batch(len(batch))
            outcomes = await loop.run_in_executor(self._worker, self._answer, batch)
            for image, outcome in zip(batch, outcomes, strict=True):
                if image.answer.done():
                    continue
                if isinstance(outcome, Exception):
                    image.answer.set_exception(outcome)
                else:
                    image.answer.set_result(outcome)

    async def _next_batch(self) -> list[_Image]:
        """Waits for an image, then for a full batch while others are being decoded."""
        while not self._drop_cancelled():
            await self._wait()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.limits.max_wait_ms / 1000
        size = self.limits.max_batch
        while len(self._waiting) < min(size, self.admitted) and loop.time() < end:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wait(), end - loop.time())
        self._drop_cancelled()
        batch = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        return batch or await self._next_batch()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _drop_cancelled(self) -> int:
        """How many images wait, without those whose request has ended."""
        if any(image.answer.done() for image in self._waiting):
            self._waiting = deque(i for i in self._waiting if not i.answer.done())
        return len(self._waiting)

    def _answer(self, batch: Sequence[_Image]) -> "list[Prediction | Exception]":
        """An outcome for each image; those with the same number of references are one batch."""
        outcomes: dict[_Image, Prediction | Exception] = {}
        for references in {image.references for image in batch}:
            part = [image for image in batch if image.references == references]
            outcomes.update(zip(part, self._answer_alike(part, references), strict=True))
        return [outcomes[image] for image in batch]

    def _answer_alike(
        self, batch: Sequence[_Image], references: int
    ) -> "Sequence[Prediction | Exception]":
        names, pixels = [image.name for image in batch], [image.pixels for image in batch]
        try:
            return self.answerer.answer(names, pixels, references)
        except Exception as error:
            if len(batch) == 1:
                return [error]
        # One image must not take the answer from the others.
        return [self._answer_alike([image], references)[0] for image in batch]
