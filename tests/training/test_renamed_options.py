import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.training.renamed_options import translate

#: As version 0.1 wrote them to config.json, the names that matter here.
OLD_PAPER = {
    "method": ["agfn"],
    "alpha": 1.0,
    "beta": 0.0,
    "recipe": "paper",
    "teacher": 0.0,
    "memory": 0,
    "judges": "nobody",
    "correct_at_most": 1.0,
    "heads": "graph",
    "graph_optimizer": "sgd",
    "lr_graph": 0.001,
}
OLD_BEST = {
    "method": ["agfn"],
    "alpha": 8.0,
    "beta": -4.0,
    "recipe": "best",
    "teacher": 0.99,
    "memory": 4096,
    "judges": "neighbours",
    "correct_at_most": None,
    "heads": "alone",
    "graph_optimizer": "adam",
    "lr_graph": 0.02,
}


def test_todays_names_stay_as_they_are():
    options = {"method": ["agfn", "scn"], "teacher_decay": 0.5, "lr": 0.1, "unknown": 1}
    assert translate(options) == (options, [])


def test_the_best_recipe_is_a_method():
    assert translate(OLD_BEST)[0] == {
        "method": ["agfn-nlc"],
        "alpha": 8.0,
        "beta": -4.0,
        "teacher_decay": 0.99,
        "memory_size": 4096,
        "label_source": "neighbors",
        "max_share": None,
        "classifier_inputs": "single",
        "graph_optimizer": "adam",
        "lr_graph": 0.02,
    }


def test_the_papers_recipe_is_the_method_agfn_without_the_options_of_another_one():
    options = {
        "method": ["agfn"],
        "alpha": 1.0,
        "beta": 0.0,
        "graph_optimizer": "sgd",
        "lr_graph": 0.001,
    }
    assert translate(OLD_PAPER)[0] == options
    assert translate({**OLD_PAPER, "method": ["scn"]})[0] == {**options, "method": ["scn"]}


def test_the_papers_recipe_alone_is_of_the_methods_of_its_time():
    assert translate({"recipe": "paper"})[0] == {"method": ("baseline", "agfn")}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"recipe": "best"}, "--recipe best is now --method agfn-nlc"),
        ({"recipe": "paper"}, "--recipe paper is now --method agfn"),
        ({"correct_at_most": 0.1}, "--correct-at-most is now --max-share"),
        ({"judges": "nobody"}, "--judges nobody is now --label-source given"),
        ({"heads": "graph"}, "--heads is now --classifier-inputs"),
        ({"method": ("agfn-best",)}, "--method agfn-best is now --method agfn-nlc"),
    ],
)
def test_a_line_says_the_new_name(given, line):
    assert translate(given)[1] == [line]


def test_several_old_names_have_a_line_each():
    old = {"recipe": "best", "teacher": 0.9, "judges": "neighbours"}
    _, lines = translate(old)
    assert lines == [
        "--teacher is now --teacher-decay",
        "--judges neighbours is now --label-source neighbors",
        "--recipe best is now --method agfn-nlc",
    ]


@pytest.mark.parametrize(
    ("method", "new"),
    [
        (None, ("baseline", "agfn-nlc")),
        ("agfn", "agfn-nlc"),
        (["scn", "agfn"], ["scn", "agfn-nlc"]),
        (["baseline"], ["baseline"]),
    ],
)
def test_the_best_recipe_changes_agfn_alone(method, new):
    given = {"recipe": "best"} if method is None else {"recipe": "best", "method": method}
    assert translate(given)[0] == {"method": new}


def test_parts_that_were_set_by_hand_keep_the_papers_settings_for_the_rest():
    options, lines = translate({"method": ("agfn",), "teacher": 0.9, "alpha": 2.0})
    assert options == {
        "method": ("agfn-nlc",),
        "teacher_decay": 0.9,
        "memory_size": 0,
        "label_source": "given",
        "classifier_inputs": "graph",
        "graph_optimizer": "sgd",
        "alpha": 2.0,
        "beta": 0.0,
        "lr_graph": 0.001,
    }
    assert lines[-1] == "--method agfn with corrected labels is now --method agfn-nlc"


def test_an_option_by_both_names_is_refused():
    with pytest.raises(InputError, match="--memory is the old name of --memory-size: give the new"):
        translate({"memory": 5, "memory_size": 6})


def test_an_unknown_recipe_is_refused():
    with pytest.raises(InputError, match="--recipe worst: this option is gone; choose --method"):
        translate({"recipe": "worst"})


@pytest.mark.parametrize("value", [None, 3, {}, [[]], {"a": []}])
def test_values_of_any_type_are_passed_on(value):
    options, _ = translate({"judges": value, "method": value})
    assert (options["label_source"], options["method"]) == (value, value)
