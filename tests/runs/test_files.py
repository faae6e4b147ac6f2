"""Files of a run folder from an untrusted source."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pyg_agfn.errors import InputError
from pyg_agfn.runs.files import TensorSpec, read_header, read_tensors, write_tensors
from pyg_agfn.runs.json_files import JSON_LIMIT, read_json, refuse_links, write_json


def complaint_of(read, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[" * 100_000, "recursion"),
        (b'{"a": ' * 100_000, "recursion"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "4300"),
        (b"\xff\xfe{}", "utf-8"),
        (b"", "Expecting value"),
        (b"null", "must be a JSON object"),
        (b" " * (JSON_LIMIT + 1), f"{JSON_LIMIT:,} are the most"),
    ],
    ids=["lists", "objects", "number", "encoding", "empty", "null", "size"],
)
def test_json_that_is_made_to_hurt_is_one_line(tmp_path, content, complaint):
    (tmp_path / "a.json").write_bytes(content)
    assert complaint in complaint_of(read_json, tmp_path / "a.json")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")  # reading it would never end
    for name in ("pipe", "folder", "zero"):
        assert "is no file" in complaint_of(read_json, tmp_path / name)
        assert "is no file" in complaint_of(read_header, tmp_path / name)
    assert "no such file" in complaint_of(read_json, tmp_path / "none")


@pytest.mark.parametrize("length", [9, 1000, 1 << 40, (1 << 64) - 1])
def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path, length):
    (tmp_path / "a").write_bytes(length.to_bytes(8, "little") + b"{}")
    assert "cannot be read" in complaint_of(read_header, tmp_path / "a")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 40]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1 << 63, 2], "data_offsets": [0, 8]},
    ],
)
def test_a_shape_that_is_not_that_of_the_bytes_is_refused(tmp_path, entry):
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    assert "cannot be read" in complaint_of(read_header, tmp_path / "a")


@pytest.mark.parametrize(
    ("tensor", "complaint"),
    [
        (torch.zeros(2, 3), r"a is of shape [2, 3] where the model has [3]"),
        (torch.zeros(3).half(), "a is of type F16 where the model has F32"),
        (torch.zeros(3).double(), "a is of type F64 where the model has F32"),
        (torch.zeros(3) > 0, "a is of type BOOL where the model has F32"),
        (torch.tensor([0, torch.nan, 0]), "a is not finite"),
        (torch.tensor([0, -torch.inf, 0]), "a is not finite"),
    ],
)
def test_tensors_of_another_kind_are_refused(tmp_path, tensor, complaint):
    save_file({"a": tensor}, tmp_path / "a")
    expected = {"a": TensorSpec("F32", (3,))}
    assert complaint in complaint_of(lambda path: read_tensors(path, expected), tmp_path / "a")


def test_complex_tensors_are_refused(tmp_path):
    header = b'{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}'
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    complaint = complaint_of(
        lambda path: read_tensors(path, {"a": TensorSpec("F32", (1,))}), tmp_path / "a"
    )
    # safetensors 0.4 does not know this type.
    assert "is of type C64" in complaint or "cannot be read" in complaint


def test_a_tensor_with_a_name_for_terminals_is_named_in_print(tmp_path):
    save_file({"a": torch.zeros(3), "\x1b[2J\nb": torch.zeros(1)}, tmp_path / "a")
    expected = {"a": TensorSpec("F32", (3,))}
    complaint = complaint_of(lambda path: read_tensors(path, expected), tmp_path / "a")
    assert r"\x1b[2J\nb does not belong" in complaint


def test_names_that_are_no_text_come_back(tmp_path):
    name = os.fsdecode(b"caf\xe9")  # a folder's name in another encoding
    write_json(tmp_path / "a.json", {"classes": [name, "é"]})
    assert read_json(tmp_path / "a.json") == {"classes": [name, "é"]}


def test_nothing_is_written_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("a.json", "a.json.partial", "b", "b.partial"):
        (run / name).symlink_to(outside)
    write_json(run / "a.json", {})
    write_tensors(run / "b", {"a": torch.zeros(3)})
    assert outside.read_text() == "mine"
    assert read_json(run / "a.json") == {}
    assert sorted(path.name for path in run.iterdir()) == ["a.json", "b"]


def test_links_are_refused_where_a_library_writes(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path)
    with pytest.raises(InputError, match="log: is a link"):
        refuse_links(tmp_path.iterdir())
    (tmp_path / "log").unlink()
    (tmp_path / "log").mkdir()
    refuse_links(tmp_path.iterdir())


def test_what_is_in_the_way_of_a_file_is_one_line(tmp_path):
    (tmp_path / "a.json.partial").mkdir()
    assert "cannot be written" in complaint_of(
        lambda path: write_json(path, {}), tmp_path / "a.json"
    )
