"""Image files that no library writes, byte by byte."""

import struct
import zlib


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def tiff(
    bits: int, photometric: int, pixels: bytes, changed: dict[int, int] | None = None
) -> bytes:
    """A TIFF of 6x6 pixels without compression, but for some tags."""
    tags = {256: 6, 257: 6, 258: bits, 259: 1, 262: photometric, 277: 1, 278: 6, 279: len(pixels)}
    tags |= changed or {}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    body = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    body += b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return body + bytes(4) + pixels
