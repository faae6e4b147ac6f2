"""Inputs of fuzz.py: valid documents, tensor files and images, changed by the fuzzer's bytes."""

import copy
import io
import json
import struct
from typing import Any

import atheris
import numpy as np
from PIL import Image

#: Values that a JSON file may hold where another was expected.
ODD = (None, True, 0, -1, 1, 65536, 65537, 10**30, 10**400, 0.5, -0.0, 1e308, float("inf"))
ODD += (float("nan"), "", "x", "\ud800", "\x1b[2J\n", "[/b]", "$\\frac$", [], {}, [[]], ["a"] * 3)
ODD += ([1, 2], {"a": 1}, "a" * 3000, "../x", "digits", "agfn", 1e-320, 2**63, "\0")


def odd_json(data: bytes, good: Any) -> bytes:
    """The bytes themselves, or a valid document with up to four of its values changed."""
    chance = atheris.FuzzedDataProvider(data)
    if chance.ConsumeIntInRange(0, 3) == 0:
        return chance.ConsumeBytes(len(data))
    changed = copy.deepcopy(good)
    for _ in range(chance.ConsumeIntInRange(0, 4)):
        places: list[tuple[Any, Any]] = []
        remaining = [changed]
        while remaining:
            at = remaining.pop()
            keys = list(at) if isinstance(at, dict) else range(len(at))
            places += [(at, key) for key in keys]
            remaining += [at[key] for key in keys if isinstance(at[key], dict | list)]
        if not places:
            break
        at, key = places[chance.ConsumeIntInRange(0, len(places) - 1)]
        act = chance.ConsumeIntInRange(0, 5)
        if act == 0:
            del at[key]
        elif act == 1 and isinstance(at, dict):
            at[chance.ConsumeUnicode(8)] = at.pop(key)
        elif act == 2:
            at[key] = chance.ConsumeInt(8)
        elif act == 3:
            at[key] = chance.ConsumeUnicode(12)
        else:
            at[key] = copy.deepcopy(ODD[chance.ConsumeIntInRange(0, len(ODD) - 1)])
    return json.dumps(changed).encode()


def odd_tensors(data: bytes, good: bytes) -> bytes:
    """A file of tensors with its header, its header's length or its payload changed."""
    chance = atheris.FuzzedDataProvider(data)
    length = int.from_bytes(good[:8], "little")
    header, payload = json.loads(good[8 : 8 + length]), bytearray(good[8 + length :])
    if chance.ConsumeBool():
        names = [name for name in header if name != "__metadata__"]
        for _ in range(chance.ConsumeIntInRange(1, 3)):
            entry = header[names[chance.ConsumeIntInRange(0, len(names) - 1)]]
            act = chance.ConsumeIntInRange(0, 5)
            if act == 0:
                kinds = ("F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "I32", "U8", "BOOL", "C64")
                entry["dtype"] = kinds[chance.ConsumeIntInRange(0, len(kinds) - 1)]
            elif act == 1:
                entry["shape"] = [chance.ConsumeInt(8) for _ in entry["shape"]]
            elif act == 2:
                entry["shape"] = entry["shape"][::-1]
            elif act == 3:
                entry["data_offsets"] = [chance.ConsumeInt(8), chance.ConsumeInt(8)]
            elif act == 4:
                header[chance.ConsumeUnicode(20)] = dict(entry)
            else:
                header.pop(names.pop(chance.ConsumeIntInRange(0, len(names) - 1)))
            names = [name for name in names if name in header]
            if not names:
                break
    text = json.dumps(header).encode() if chance.ConsumeBool() else odd_json(data, header)
    size = len(text)
    if chance.ConsumeIntInRange(0, 5) == 0:
        size = chance.ConsumeIntInRange(0, 2**64 - 1)
    for _ in range(chance.ConsumeIntInRange(0, 4)):
        at = chance.ConsumeIntInRange(0, max(len(payload) - 8, 0))
        poke = (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff" * 8, chance.ConsumeBytes(8))
        chosen = poke[chance.ConsumeIntInRange(0, 3)]
        payload[at : at + len(chosen)] = chosen
    content = struct.pack("<Q", size) + text + payload
    if chance.ConsumeIntInRange(0, 5) == 0:
        content = content[: chance.ConsumeIntInRange(0, len(content))]
    return content


def picture(side: int = 8, ending: str = "png", mode: str = "L") -> bytes:
    """A small image file."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper()))
    return file.getvalue()
