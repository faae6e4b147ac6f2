"""Text of any script in pictures: the fonts for it are chosen, of those installed, at draw time."""

import functools
import logging
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from matplotlib import rc_context, rcParams
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager, get_font

from pyg_agfn.errors import printable

#: Families, by a part of their names, whose glyphs are boxes, empty, or coloured pixels, which
#: matplotlib does not draw.
UNFIT = ("last resort", "lastresort", "adobe blank", "unicode bmp", "color")
#: Characters that draw nothing themselves: joiners, variation selectors, and skin tones of emoji.
INVISIBLE = frozenset("\u200c\u200d\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")

_told: set[str] = set()


@contextmanager
def drawn_text(*texts: str) -> Iterator[Callable[[str, int], str]]:
    r"""Within it matplotlib draws these texts, by installed fonts that have their characters.

    A ``$`` in a text is a ``$``, no mathematics. What no installed font has is drawn as ``\u``
    escapes, and a line on stderr says once which font to install.

    Args:
        *texts: All that the picture shows of names and titles.

    Yields:
        A function of a text and a number of characters, which gives the text as it is to be drawn:
        on one line, its middle left out where it is longer than that.
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
            return printable(text, limit)  # escapes are longer than what they stand for

        with rc_context({"text.parse_math": False, "font.family": [*base, *added]}):
            yield shown


@contextmanager
def _quiet() -> Iterator[None]:
    """Without matplotlib's lines on fonts that have one weight only: that one is drawn."""
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
    """Families to add to the base, the fewest that are found, and what no family has."""
    missing = characters - set().union(*map(_characters, base))
    if not missing:
        return (), frozenset()
    _add_new_fonts()
    families = sorted({font.name for font in fontManager.ttflist})
    families = [name for name in families if not any(part in name.lower() for part in UNFIT)]
    # Sans-serif first: of fonts that have as many of the characters the first one is taken.
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
    """What a family can draw, upright and bold."""
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
    """Tells matplotlib of fonts that were installed after it made its list of them."""
    known = {font.fname for font in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError, KeyError):
            continue  # broken, or made of pixels: matplotlib draws none of these


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
