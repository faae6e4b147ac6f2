"""Arguments of a backbone, as they are typed and as a file has them."""

import pytest

from pyg_agfn.backbone_args import (
    LARGEST,
    LONGEST,
    MOST,
    fault_in,
    format_args,
    is_own_class,
    parse_args,
    refuse_reserved,
)
from pyg_agfn.errors import InputError


def test_a_value_is_json_or_a_text():
    typed = ["pad_type=same", "depth=3", "rate=0.5", "bias=false", "head=null", 'name="3"', "a=b=c"]
    assert parse_args(typed) == {
        "pad_type": "same",
        "depth": 3,
        "rate": 0.5,
        "bias": False,
        "head": None,
        "name": "3",
        "a": "b=c",
    }


def test_arguments_are_the_same_as_texts():
    arguments = {"a": "3", "b": 3, "c": None, "d": True, "e": 0.25, "f": "same"}
    assert parse_args(format_args(arguments)) == arguments


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["depth"], "--backbone-arg depth: write NAME=VALUE"),
        (["a=1", "a=2"], "--backbone-arg a is given twice"),
        (["=3"], "--backbone-arg : is no name of an argument"),
        (["a-b=3"], "--backbone-arg a-b: is no name of an argument"),
        (["a=[1]"], "--backbone-arg a: must be a number, a text, true, false or null"),
        (["a={}"], "--backbone-arg a: must be a number"),
        ([f"a={LARGEST + 1}"], f"--backbone-arg a: is larger than {LARGEST}"),
        (["a=-1000000"], f"--backbone-arg a: is larger than {LARGEST}"),
        (["a=NaN"], "--backbone-arg a: is not finite"),
        (["a=1e999"], "--backbone-arg a: is not finite"),
        ([f"a={'x' * (LONGEST + 1)}"], f"--backbone-arg a: has more than {LONGEST} characters"),
        ([f"a{i}=1" for i in range(MOST + 1)], f"--backbone-arg is given {MOST + 1} times"),
    ],
)
def test_what_no_run_folder_keeps_is_one_line(typed, line):
    with pytest.raises(InputError) as error:
        parse_args(typed)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize("content", [None, [], "a=1", {1: 2}, {"a": {}}, {"a": [1]}])
def test_what_a_file_says_may_be_anything(content):
    assert fault_in(content)


@pytest.mark.parametrize(
    "name",
    ["pretrained", "pretrained_cfg", "checkpoint_path", "weights", "num_classes", "in_chans"],
)
def test_what_would_read_a_file_or_has_another_option_is_refused(name):
    with pytest.raises(InputError, match=f"--backbone-arg {name}: cannot be given"):
        refuse_reserved({name: "x"})


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("nets:Net", True),
        ("my.nets:Net", True),
        ("hf-hub:someone/model", False),
        ("local-dir:model", False),
        ("nets:", False),
        ("../nets:Net", False),
        ("resnet18", False),
    ],
)
def test_a_class_of_the_users_own_is_known_by_its_form(text, own):
    assert is_own_class(text) == own
