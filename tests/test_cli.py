import os
import sys

import pytest
from rich.table import Table

from pyg_agfn.cli import OneLineParser, make_console, run_script, warn
from pyg_agfn.errors import InputError, InterruptedRunError


def exit_code(main) -> int:
    with pytest.raises(SystemExit) as done:
        run_script("some.py", main)
    return done.value.code


def raising(error: BaseException):
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a\nb"), 2, r"some.py: error: a\nb"),
        (InterruptedRunError("saved", 143), 143, "some.py: saved"),
        (KeyboardInterrupt(), 130, "some.py: interrupted; what is saved is kept"),
        (OSError(36, "Too long", "x\x1b"), 2, r"some.py: error: x\x1b: Too long"),
        (InterruptedRunError("runs/\x1b[2J", 130), 130, r"some.py: runs/\x1b[2J"),
        (OSError(5, "\x1b[2J"), 2, r"some.py: error: \x1b[2J"),
        (MemoryError(), 2, "some.py: error: there is not enough memory for this"),
        (OSError("no number"), 2, "some.py: error: no number"),
    ],
)
def test_an_error_is_a_line_and_a_code(error, code, line, capsys):
    assert exit_code(raising(error)) == code
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_reader_that_has_enough_is_no_error(monkeypatch, capsys):
    end, begin = os.pipe()
    os.close(end)
    with os.fdopen(begin, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert exit_code(lambda: print("lines " * 9999) or 0) == 141
    assert capsys.readouterr().err == ""


def test_what_an_encoding_lacks_is_escaped(monkeypatch, tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert exit_code(lambda: print("α \udce9") or 0) == 0
    assert (tmp_path / "out").read_text() == "\\u03b1 \\udce9\n"


def test_the_help_names_the_exit_codes():
    said = " ".join(OneLineParser(epilog="More.").format_help().split())
    assert "More. exit codes: 0 done; 1 done, but" in said
    assert all(f"; {code} " in said for code in (2, 130, 141, 143))


def test_the_console_escapes_what_does_not_print(capsys):
    table = Table("\x1b[2J", title="\u202e\ntitle", caption="\x07")
    table.add_row("\x9b31m")
    make_console().print("a\x1bb", table, highlight=False)
    printed = capsys.readouterr().out
    assert all(c.isprintable() for c in printed if c != "\n")
    for text in (r"a\x1bb", r"\x1b[2J", r"\u202e", r"\x07", r"\x9b31m"):
        assert text in printed


def test_the_console_shows_names_as_they_are(capsys):
    make_console().print("[red]:cat:[/x]", highlight=False)
    assert capsys.readouterr().out == "[red]:cat:[/x]\n"


@pytest.mark.parametrize("package", ["matplotlib", "matplotlib.figure", "bokeh.embed", "openTSNE"])
def test_a_missing_package_of_an_extra_is_one_line(package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package.split(".")[0], None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert exit_code(raising(ModuleNotFoundError("no", name=package))) == 2
    line = capsys.readouterr().err
    assert line.startswith("some.py: error: ")
    assert line.endswith('which is not installed: pip install "pyg_agfn[plots]"\n')


def test_another_missing_package_is_a_traceback():
    with pytest.raises(ModuleNotFoundError):
        run_script("some.py", raising(ModuleNotFoundError("no", name="torch")))


def test_of_several_processes_one_warns(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scripts/some.py"])
    warn("a\x1bb")
    monkeypatch.setenv("RANK", "1")
    warn("again")
    assert capsys.readouterr().err == "some.py: a\\x1bb\n"
