"""The files of a multipart form, read from its bytes as they arrive; nothing is written to disk."""

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.errors import printable
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.refusal import RefusedError

#: Most bytes of a form's boundary (RFC 2046).
BOUNDARY_BYTES = 70
#: Most bytes of a part's headers.
HEADER_BYTES = 8192


class MultipartImages:
    """Collects the image files of a ``multipart/form-data`` body.

    A byte of a file name that is not UTF-8 becomes half of a surrogate pair, as Python has it in
    names of files.

    Args:
        content_type: The request's header, which has the boundary.
        limits: Of images and their bytes.

    Raises:
        RefusedError: Here or in ``write`` and ``close``: the form is broken or too large.
    """

    def __init__(self, content_type: str, limits: ServeLimits) -> None:
        self.limits = limits
        self.images: list[ImageBytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._name: str | None = None
        self._content = bytearray()
        self._header_bytes = 0
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 1 <= len(boundary) <= BOUNDARY_BYTES:
            raise RefusedError(
                400,
                f"the content type must have a boundary of at most {BOUNDARY_BYTES} bytes; let "
                "your client set it",
            )
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._read_field,
                "on_header_value": self._read_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._read,
                "on_part_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        """Reads the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(error) from None

    def close(self) -> None:
        """Reads the end of the body."""
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise _broken(error) from None
        if self._name is not None:
            raise RefusedError(400, f"image {self._name}: the form ends in it; send it whole")

    def _begin(self) -> None:
        self._headers, self._content, self._header_bytes = {}, bytearray(), 0
        if len(self.images) == self.limits.max_images:
            raise RefusedError(
                413,
                f"the form has more than {self.limits.max_images} images; send them in several "
                "requests",
            )

    def _read_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._field += data[start:end]

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _count_header(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > HEADER_BYTES:
            raise RefusedError(
                413, f"a part's headers have more than {HEADER_BYTES} bytes; shorten its name"
            )

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        # Not from the bytes: they would be read as Latin-1 only to be encoded again.
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        options = parse_options_header(disposition)[1]
        if b"filename" not in options:
            field = printable(options.get(b"name", b"").decode("utf-8", "surrogateescape"), 80)
            raise RefusedError(400, f"form field {field!r} is no file; send image files only")
        self._name = options[b"filename"].decode("utf-8", "surrogateescape") or "image"

    def _read(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]
        if len(self._content) > self.limits.max_bytes:
            raise too_large(self._name or "image", self.limits)

    def _end(self) -> None:
        assert self._name is not None
        self.images.append(ImageBytes(self._name, bytes(self._content)))
        self._name = None


def too_large(name: str, limits: ServeLimits) -> RefusedError:
    """The refusal of an image whose file is too large."""
    return RefusedError(
        413, f"image {name}: it has more than {limits.max_bytes:,} bytes; make it smaller"
    )


def _broken(error: Exception) -> RefusedError:
    return RefusedError(400, f"the form cannot be read ({error}); send multipart/form-data")
