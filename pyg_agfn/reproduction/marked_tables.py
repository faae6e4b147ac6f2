"""Tables in documents that are made from a file of results, between two comments of HTML.

The first comment has the options of ``render_results.py`` that make the table::

    <!-- rendered by: --suite digits -->
    ...
    <!-- end of what is rendered -->
"""

import re
from collections.abc import Callable
from pathlib import Path

from pyg_agfn.errors import InputError, printable
from pyg_agfn.output_files import check_output_file

_BEGIN = re.compile(r"<!-- rendered by: (.*) -->")
_END = "<!-- end of what is rendered -->"


def fill_tables(text: str, path: Path, make: Callable[[str], str]) -> str:
    """The text with each marked part as ``make`` makes it now.

    Args:
        text: Of the document.
        path: Its file, for messages.
        make: Of the options of a first comment, the Markdown.

    Raises:
        InputError: A part has no end, there is none, or one cannot be made.
    """
    lines, made, found = text.split("\n"), [], False
    begun = 0  # the line of the part that is being passed over
    for number, line in enumerate(lines, 1):
        if begun and line != _END:
            if _BEGIN.fullmatch(line):
                break
            continue
        begun = 0
        made.append(line)
        if marked := _BEGIN.fullmatch(line):
            found, begun = True, number
            try:
                made += ["", make(marked[1]).strip("\n"), ""]
            except InputError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
    if begun:
        raise InputError(f"{path}, line {begun}: the part has no end, a line {_END}")
    if not found:
        raise InputError(
            f"{path}: nothing to render, as no line is '<!-- rendered by: OPTIONS -->'"
        )
    return "\n".join(made)


def fill_document(path: Path, make: Callable[[str], str]) -> bool:
    """Renders the marked parts of a document into it; returns whether anything has changed.

    Raises:
        InputError: As :func:`fill_tables`, or the file cannot be read or written.
    """
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"--into {path}: cannot be read ({printable(str(error))})") from None
    after = fill_tables(before, path, make)
    if after == before:
        return False
    check_output_file(path, "--into")
    try:
        path.write_text(after, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--into {path}: cannot be written ({error.strerror})") from None
    return True
