"""Every file of a run folder is read or refused in one line, whatever it holds."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_agfn.errors import InputError
from pyg_agfn.nn import ReferenceBank
from pyg_agfn.prediction import classify
from pyg_agfn.runs.folder import References, load_run, save_model
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import parse_options

FILES = ("model.json", "model.safetensors", "bank.json", "bank.safetensors")
few = settings(max_examples=60, deadline=None, derandomize=True, database=None)
numbers = st.one_of(
    st.integers(),
    st.integers(min_value=10**300, max_value=10**301),
    st.floats(allow_nan=True, allow_infinity=True),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=9)),
    lambda inside: st.one_of(
        st.lists(inside, max_size=4), st.dictionaries(st.text(max_size=5), inside, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    card = ModelConfig("agfn", "small-cnn", ("a", "b"), 1, 8, 8, feature_dim=4, batch_size=4)
    model = card.build().eval()
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    bank = ReferenceBank.from_features(model.agfn, model.features(images / 255), 4)
    path = tmp_path_factory.mktemp("run")
    save_model(path, card, model, References(bank, images, torch.tensor([0, 1, 1]), list("xyz")))
    return path


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    kept = path.with_name("kept")
    shutil.copy(path, kept)
    try:
        path.write_bytes(content)
        yield
    finally:
        kept.replace(path)


def refusal(read: Callable[[], None]) -> str:
    """The message of the error; empty if there is none."""
    try:
        read()
    except InputError as error:
        return str(error)
    return ""


def read_or_refused(folder: Path) -> None:
    def read() -> None:
        run = load_run(folder)
        images = torch.zeros(2, run.config.channels, run.config.height, run.config.width).byte()
        answers = classify(run, [Path("a.png"), Path("b.png")], images)
        assert all(0 <= answer.margin <= 1 for answer in answers)

    said = refusal(read)
    assert "\n" not in said
    assert not said or said.startswith(str(folder))


@few
@given(name=st.sampled_from(FILES), content=st.binary(max_size=99))
def test_any_bytes(folder, name, content):
    with changed(folder / name, content):
        read_or_refused(folder)


@few
@given(
    name=st.sampled_from(FILES[1::2]),
    at=st.integers(min_value=0, max_value=2**30),
    some=st.binary(min_size=1, max_size=9),
)
def test_any_bytes_amid_the_tensors(folder, name, at, some):
    content = bytearray((folder / name).read_bytes())
    at %= min(len(content), 4000)  # mostly in the header
    content[at : at + len(some)] = some
    with changed(folder / name, bytes(content)):
        read_or_refused(folder)


@few
@given(
    name=st.sampled_from(FILES[::2]), which=st.integers(min_value=0, max_value=99), value=anything
)
def test_any_value_in_the_json(folder, name, which, value):
    content = json.loads((folder / name).read_text())
    content[sorted(content)[which % len(content)]] = value
    with changed(folder / name, json.dumps(content).encode()):
        read_or_refused(folder)


@few
@given(which=st.integers(min_value=0, max_value=99), value=anything)
def test_any_value_in_a_configuration(folder, which, value):
    config = folder / "config.json"
    parse_options([]).save(config)
    content = json.loads(config.read_text())
    content[sorted(content)[which % len(content)]] = value
    config.write_text(json.dumps(content))

    def read() -> None:
        options = parse_options(["--config", str(config)])
        options.save(config)
        assert parse_options(["--config", str(config)]) == options

    assert "\n" not in refusal(read)
