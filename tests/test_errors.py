import pytest

from pyg_agfn.errors import InputError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain α 1.png", "plain α 1.png"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\0", r"a\nb\r\x00"),
        ("\udce9\u202e\u2028", r"\udce9\u202e\u2028"),
        ("\u2066\u200b\u200f\ufeff\U000e0041", r"\u2066\u200b\u200f\ufeff\U000e0041"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
    ],
)
def test_only_what_prints_is_printed(text, shown):
    assert printable(text) == shown
    assert str(InputError(text)) == shown
    shown.encode()  # so can be written anywhere


def test_a_long_text_loses_its_middle():
    assert printable("a" * 50 + "b" * 50, 10) == "aaaaa ... bbbbb"
    assert len(str(InputError("x" * 10**6))) < 5000
