"""Text of any script in pictures: installed fonts for it are found when a picture is drawn."""

import functools
import logging
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from matplotlib import rc_context, rcParams
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager, get_font

from pyg_agfn.errors import printable

#: Parts of the names of families that are not used. Their glyphs are boxes, empty, or coloured
#: pixels, which matplotlib does not draw.
UNFIT = ("last resort", "lastresort", "adobe blank", "unicode bmp", "color")
#: Characters without a glyph of their own: joiners, variation selectors, and skin tones of emoji.
INVISIBLE = frozenset("\u200c\u200d\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")

_told: set[str] = set()


@contextmanager
def drawn_text(*texts: str) -> Iterator[Callable[[str, int], str]]:
    r"""A context in which matplotlib draws these texts with installed fonts that fit them.

    A ``$`` in a text is drawn as a ``$``, not as mathematics. Characters that no installed font has
    are drawn as ``\u`` escapes, and a line on stderr says once which font to install.

    Args:
        *texts: All names and titles in the picture.

    Yields:
        A function of a text and a number of characters. It returns the text to draw, on one line;
        the middle of a longer text is left out.
    """
    characters = {c for c in "".join(texts) if c.isprintable()} - INVISIBLE
    base = list(rcParams["font.family"])
    with _quiet():
        added, missing = _find_fonts(tuple(base), frozenset(characters))
        if untold := missing - _told:
            _told.update(missing)
            print(_advice(untold), file=sys.stderr)

        def shown(text: str, limit: int) -> str:
            text = printable("".join(c for c in text if c not in INVISIBLE), limit)
            text = "".join(_escape(c) if c in missing else c for c in text)
            return printable(text, limit)  # escapes are longer than their characters

        with rc_context({"text.parse_math": False, "font.family": [*base, *added]}):
            yield shown


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences matplotlib's messages about fonts of a single weight, which it draws anyway."""
    log = logging.getLogger("matplotlib.font_manager")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@functools.cache
def _find_fonts(
    base: tuple[str, ...], characters: frozenset[str]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The families to add to the base, and the characters that no family has.

    Each added family is the one with the most missing characters.
    """
    missing = characters - set().union(*map(_characters, base))
    if not missing:
        return (), frozenset()
    _add_new_fonts()
    families = sorted({font.name for font in fontManager.ttflist})
    families = [name for name in families if not any(part in name.lower() for part in UNFIT)]
    # Sans-serif first: of families with equally many of the characters the first is taken.
    families.sort(key=lambda name: "sans" not in name.lower())
    covered = {name: missing & _characters(name) for name in families}
    added = []
    while best := max(covered.items(), key=lambda item: len(item[1] & missing), default=None):
        name, found = best
        if not found & missing:
            break
        added.append(name)
        missing = missing - found
    return tuple(added), frozenset(missing)


def _characters(family: str) -> set[str]:
    """The characters that a family has, both upright and bold."""
    found: list[set[str]] = []
    for weight in ("normal", "bold"):
        try:
            font = FontProperties(family=[family], weight=weight)
            path = fontManager.findfont(font, fallback_to_default=False)
            found.append(set(map(chr, get_font(path).get_charmap())))
        except (OSError, RuntimeError, ValueError):  # not installed, or a broken file
            return set()
    return found[0] & found[1]


def _add_new_fonts() -> None:
    """Adds fonts to matplotlib's list that were installed after it made the list."""
    known = {font.fname for font in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError, KeyError):
            continue  # broken, or made of pixels, which matplotlib does not draw


def _advice(missing: Iterable[str]) -> str:
    ordered = sorted(missing)
    shown = " ".join(ordered[:8]) + (" ..." if len(ordered) > 8 else "")
    fonts = sorted({_font_for(character) for character in ordered})
    return (
        f"no installed font has {printable(shown)}: pictures show \\u escapes in their place; "
        f"install {', '.join(fonts)}"
    )


def _font_for(character: str) -> str:
    """A free font that has a character, by the script that Unicode names first."""
    script = unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]
    if script in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH"):
        return "Noto Sans CJK"
    if unicodedata.category(character) in ("So", "Sk"):
        return "Noto Emoji or Symbola"
    if script in ("LATIN", "GREEK", "CYRILLIC", "COMBINING", "UNKNOWN"):
        return "Noto Sans"
    return f"Noto Sans {script.title()}"
