"""Names in any script are drawn by an installed font, or as escapes with one message."""

import warnings
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font

from pyg_agfn.visualization import fonts
from pyg_agfn.visualization.confusion import plot_confusion
from pyg_agfn.visualization.fonts import drawn_text

HAPPY, SAD = "幸", "悲"


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    monkeypatch.setattr(fonts, "_told", set())
    fonts._find_fonts.cache_clear()
    yield
    fonts._find_fonts.cache_clear()


def write_font(path: Path, family: str, characters: str) -> Path:
    """A font whose glyphs are squares."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"g{i}" for i in range(len(characters)))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, characters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A font installed after matplotlib made its list, and a file that is not a font."""
    path = write_font(tmp_path / "happy.ttf", "Happy Sans", HAPPY)
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    own = [font for font in fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(fontManager, "ttflist", own)
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(path), str(tmp_path / "broken.ttf")])
    yield path
    fontManager._findfont_cached.cache_clear()


def test_an_installed_font_that_has_the_characters_is_used(installed, tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with drawn_text(HAPPY) as shown:
            assert shown(HAPPY, 40) == HAPPY
            text = Figure().text(0, 0, "a" + shown(HAPPY, 40))
            paths = fontManager._find_fonts_by_props(text.get_fontproperties())
            assert str(installed) in map(str, paths)
            assert ord(HAPPY) in get_font(installed).get_charmap()
        plot_confusion([[1, 2], [3, 4]], (HAPPY, "b"), tmp_path / "a.png", HAPPY)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_what_no_font_has_is_drawn_as_escapes_and_said_once(installed, tmp_path, capsys, ending):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with drawn_text(HAPPY, SAD, "plain $x$") as shown:
            assert shown(f"{HAPPY}{SAD}!", 40) == HAPPY + "\\u60b2!"
            assert shown("plain $x$", 40) == "plain $x$"
        plot_confusion([[1, 2], [3, 4]], (SAD, "b"), tmp_path / f"a.{ending}", SAD)
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert "no installed font has" in line
    assert "install Noto Sans CJK" in line


@pytest.mark.parametrize(
    ("character", "font"),
    [
        ("幸", "Noto Sans CJK"),
        ("し", "Noto Sans CJK"),
        ("행", "Noto Sans CJK"),
        ("خ", "Noto Sans Arabic"),
        ("ख", "Noto Sans Devanagari"),
        ("😀", "Noto Emoji or Symbola"),
        ("ж", "Noto Sans"),
    ],
)
def test_the_font_to_install_is_of_the_script(character, font):
    assert fonts._font_for(character) == font


def test_long_names_stay_short_and_invisible_characters_are_left_out(installed):
    with drawn_text(SAD * 100, "x" * 100) as shown:
        assert len(shown(SAD * 100, 40)) <= 45
        assert len(shown("x" * 100, 40)) <= 45
        assert shown("thumb\ufe0f\u200d", 40) == "thumb"
        assert shown("a\nb", 40) == "a\\nb"
