"""The images of a request, read within the server's limits."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from fastapi import Request

from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.errors import printable
from pyg_agfn.serving.client import body_of
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.multipart_images import MultipartImages, too_large
from pyg_agfn.serving.refusal import RefusedError

#: The name of an image that is the whole body of a request.
UNNAMED = "upload"


class UploadBudget:
    """Bytes of uploads that all requests hold together.

    Args:
        total: Most of them.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        #: Bytes that are held.
        self.held = 0

    @contextlib.contextmanager
    def open(self) -> Iterator["Share"]:
        """What one request holds; it is given back in the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.release()


class Share:
    """The bytes that one request holds of a budget."""

    def __init__(self, budget: UploadBudget) -> None:
        self.budget = budget
        self.held = 0

    def take(self, count: int) -> None:
        """Holds more bytes.

        Raises:
            RefusedError: All requests together would hold too many; status 503.
        """
        if self.budget.held + count > self.budget.total:
            raise RefusedError(503, "uploads take all memory that they may; try again later")
        self.budget.held += count
        self.held += count

    def release(self) -> None:
        """Gives all back."""
        self.budget.held -= self.held
        self.held = 0


async def read_images(request: Request, limits: ServeLimits, share: Share) -> list[ImageBytes]:
    """The images of a request: the files of a form, or a body that is one image.

    Args:
        request: Its body has not been read.
        limits: Of the images.
        share: Holds the bytes while they are in memory.

    Raises:
        RefusedError: The body is no form and no image, has no image, or is too large.
    """
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = MultipartImages(given, limits)
        async for chunk in _chunks(request, limits.request_bytes, share):
            form.write(chunk)
        form.close()
        if not form.images:
            raise RefusedError(400, "the form has no image; send at least one file")
        return form.images
    if kind.startswith("image/") or kind == "application/octet-stream":
        content = bytearray()
        async for chunk in _chunks(request, limits.request_bytes, share):
            content += chunk
            if len(content) > limits.max_bytes:
                raise too_large(UNNAMED, limits)
        return [ImageBytes(UNNAMED, bytes(content))]
    raise RefusedError(
        415,
        f"content type {printable(kind, 80) or '(none)'}: send images as multipart/form-data, or "
        "one image as image/png, image/jpeg or application/octet-stream",
    )


async def _chunks(request: Request, most: int, share: Share) -> AsyncIterator[bytes]:
    too_long = f"the request has more than {most:,} bytes; send fewer or smaller images"
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise RefusedError(413, too_long)
    async for chunk in body_of(request):
        share.take(len(chunk))
        if share.held > most:
            raise RefusedError(413, too_long)
        yield chunk
