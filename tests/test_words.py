"""Code and documents use the words of the field, not private ones.

The names of former options may stand where they are read or typed: as text, or behind ``--``.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: A private word or phrase, and what to write in its place.
BANNED = {
    "nobody": "none, no method, no process",
    "anybody": "any",
    "anew": "again",
    "mend": "fix",
    "mended": "fixed",
    "stranger": "an untrusted source",
    "strangers": "untrusted sources",
    "judges": "label source",
    "rival": "baseline, compared method",
    "rivals": "baselines, compared methods",
    "to the bit": "bitwise identical",
    "learned by heart": "memorized",
    "by heart": "memorized",
    "in company": "batch composition",
}
#: Options of former versions, and a value of them.
FORMER = re.compile(r"--judges( nobody)?|[\"'](judges|nobody)[\"']|\bjudges=")


def files() -> list[Path]:
    """Every Python and Markdown file of the repository but this one."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def found_words(text: str) -> list[str]:
    """The banned words in a text by their lines; a phrase may go over the end of a line."""
    text = FORMER.sub("", text)
    found = []
    for word in BANNED:
        pattern = r"\b" + r"[\s#]+".join(word.split()) + r"\b"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"line {line}: {word!r}; write {BANNED[word]!r}")
    return found


@pytest.mark.parametrize(
    "text",
    ["Nobody", "(anew)", "to\n    # the bit", "options.judges", "*rivals*", "learned by\nheart"],
)
def test_a_banned_word_is_found(text):
    assert found_words(f"first line\n{text}")[0].startswith("line 2: ")


@pytest.mark.parametrize(
    "text",
    ["recommend", "test_nobody", "company", "arrival", "{'judges': 'nobody'}", "`--judges nobody`"],
)
def test_other_words_are_not(text):
    assert found_words(text) == []


def test_no_file_uses_a_banned_word():
    found = {
        path.relative_to(ROOT).as_posix(): words
        for path in files()
        if (words := found_words(path.read_text("utf-8")))
    }
    assert not found, "\n".join(
        f"{name}, {line}" for name, lines in found.items() for line in lines
    )
