"""README and docs are right: Python blocks run, commands parse, and everything named exists."""

import argparse
import importlib
import pydoc
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.commands import audit, reproduce, train
from pyg_agfn.registry import DATASETS
from pyg_agfn.training.command_line import OptionParser
from pyg_agfn.training.merge_options import merge_options

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING")]
DOCUMENTS += [*sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in DOCUMENTS}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
TRAINERS = ("train_pyg.py", "reproduce.py")  # scripts that train read their options by TrainOptions


class ParsedError(BaseException):
    """Stops a script after it has read its command line."""


def spans(text: str) -> list[str]:
    """Code within sentences. A line break in it counts as a space."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def command_lines(text: str) -> list[str]:
    """Each simple command in blocks, in indented lines and within sentences."""
    lines = [line for kind, body in FENCE.findall(text) if not kind for line in body.splitlines()]
    lines += re.findall(r"^ {4,}((?:scripts|benchmarks|make|python|torchrun)\b.*)$", text, re.M)
    lines += spans(text)
    return [part.strip() for line in lines for part in re.split(r"&&|;|\|", line)]


def script_commands() -> list[tuple[Path, tuple[str, ...]]]:
    """Scripts with their arguments; names without arguments are left out."""
    found = {}
    for text in TEXTS.values():
        for line in command_lines(text):
            match = re.match(
                r"(?P<by>(?:\.venv/bin/)?python |torchrun [^/]*?)?"
                r"(?P<script>(?:(?:scripts|benchmarks)/)?\w+\.py)(?= |$)(?P<rest>.*)",
                line,
            )
            if match and (match["by"] or match["rest"]):
                words = shlex.split(match["rest"], comments=True)
                found[path_of(match["script"]), tuple(w for w in words if w != "…")] = None
    return list(found)


def path_of(script: str) -> Path:
    """A script by its path, or by its name."""
    return ROOT / script if "/" in script else ROOT / "scripts" / script


def run(monkeypatch: pytest.MonkeyPatch, script: Path, arguments: tuple[str, ...]) -> None:
    """Runs a script in this process, as its command line does."""
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    monkeypatch.syspath_prepend(str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


def parse(monkeypatch, script: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """What a script's own parser makes of its command line."""
    parse_args = argparse.ArgumentParser.parse_args

    def stop(self, args=None, namespace=None):
        raise ParsedError(vars(parse_args(self, args, namespace)))

    def stop_trainer(given, refuse=True):
        raise ParsedError(given)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(train, "resume_of", stop_trainer)
    monkeypatch.setattr(reproduce, "options_of", stop_trainer)
    monkeypatch.setattr(audit, "options_of", stop_trainer)
    with pytest.raises(ParsedError) as parsed:
        run(monkeypatch, script, arguments)
    return parsed.value.args[0]


@pytest.fixture(scope="module")
def options() -> dict[str, list[argparse.Action]]:
    """Every option of every script and benchmark, by its flag."""
    found: dict[str, list[argparse.Action]] = {}

    def stop(self, args=None, namespace=None, **settings):
        for flag, action in self._option_string_actions.items():
            found.setdefault(flag, []).append(action)
        raise ParsedError

    scripts = [*(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
        patch.setattr(OptionParser, "parse_args", stop)
        for script in scripts:
            if "parse_args" in script.read_text("utf-8") or script.parent.name == "scripts":
                with pytest.raises(ParsedError):
                    run(patch, script, ())
    return found


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(body, id=f"{name}-{i}")
        for name, text in TEXTS.items()
        for i, (kind, body) in enumerate(FENCE.findall(text))
        if kind == "python"
    ],
)
def test_python_blocks_run_as_they_stand(code, tmp_path, monkeypatch, registries):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "block", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(
    ("script", "arguments"),
    [pytest.param(*c, id=f"{c[0].name} {' '.join(c[1])}") for c in script_commands()],
)
def test_commands_parse(script, arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if "parse_args" not in script.read_text("utf-8") and script.parent.name != "scripts":
        assert not arguments
        return
    parsed = parse(monkeypatch, script, arguments)
    if script.name in TRAINERS:
        given = {k: v for k, v in parsed.items() if k not in ("resume", "config")}
        merge_options(given)


def test_what_is_made_has_a_target():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    made = {
        line.split()[1]
        for text in TEXTS.values()
        for line in command_lines(text)
        if re.match(r"make [a-z]", line)
    }
    assert {"train", "test"} <= made <= targets


@pytest.mark.parametrize("name", TEXTS)
def test_options_exist_and_take_what_they_are_given(name, options):
    for code in spans(TEXTS[name]):
        if not code.startswith("--"):
            continue
        flag = ""
        for word in code.split():
            if word.startswith("--"):
                flag = word
                denied = f"There is no `{flag}`" in TEXTS[name]
                assert (flag in options) != denied, f"{name}: {code}"
            elif flag in options and not re.fullmatch("[A-Z]+|.*….*", word):
                choices = [action.choices for action in options[flag]]
                assert any(c is None or word in map(str, c) for c in choices), f"{name}: {code}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_files_and_tests_that_are_named_exist(name):
    text = TEXTS[name]
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        if "://" in target:
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text("utf-8")), f"{target}#{anchor}"
    tests = {
        test
        for file in (ROOT / "tests").rglob("test_*.py")
        for test in (file.stem, *re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.M))
    }
    for code in spans(text):
        if re.match(r"(tests|pyg_agfn|scripts|benchmarks|docs|visualizations)/", code):
            assert (ROOT / code.split()[0]).exists(), code
        if re.fullmatch(r"test_\w+", code):
            assert code in tests, code
        if re.fullmatch(r"pyg_agfn(\.\w+)+", code):
            assert pydoc.locate(code) is not None, code


def test_a_page_says_where_everything_is():
    section = TEXTS["docs/package.md"].split("# Where things are")[1]
    rows = [row.split("|")[1:3] for row in re.findall(r"^\|.*\|$", section, re.M)]
    places = {spans(place)[0]: spans(what) for place, what in rows if spans(place)}
    scripts = {path.name for path in (ROOT / "scripts").glob("*.py")}
    assert set(places.pop("scripts")) == scripts
    packages = {f"pyg_agfn/{p.parent.name}" for p in (ROOT / "pyg_agfn").glob("*/__init__.py")}
    assert packages == {place for place in places if place.startswith("pyg_agfn/")}
    for package in packages:
        module = importlib.import_module(package.replace("/", "."))
        for name in places[package]:
            assert hasattr(module, name), f"{package}: {name}"


def test_a_page_has_every_data_set():
    table = (
        TEXTS["docs/command_line.md"].split("| `--dataset` | `--root` holds |")[1].split("\n\n")[0]
    )
    assert re.findall(r"^\| `(\w+)`", table, re.M) == list(DATASETS)


def test_commands_for_own_images_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("happy", "sad"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 255, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    small = "--epochs 2 --pretrain-epochs 1 --backbone small-cnn --image-size 12 --batch-size 2"
    small += " --feature-dim 16 --eval-draws 1 --bank-size 4 --memory-size 16"

    def run_all(name: str, *more: str, runs: str = "runs/…") -> int:
        """Runs every command of a script that needs no other data; returns their number."""
        count = 0
        for script, arguments in script_commands():
            if script.name == name and any(a in ("photos", runs) for a in arguments):
                if "--label-mode" in arguments:  # FERPlus's
                    continue
                chosen = tuple(str(finished[0]) if a == "runs/…" else a for a in arguments)
                with pytest.raises(SystemExit) as done:
                    run(monkeypatch, script, (*chosen, *more))
                assert not done.value.code, chosen
                count += 1
        return count

    finished: list[Path] = []
    assert run_all("train_pyg.py", *small.split())
    finished = [path.parent for path in sorted((tmp_path / "runs").glob("*/metrics.json"))]
    assert len(finished) == 2
    for letter, folder in zip("AB", finished, strict=True):
        shutil.copytree(folder, tmp_path / "runs" / letter)
    assert run_all("evaluate.py", runs="runs/A")
    assert run_all("predict.py")
