import pytest

from pyg_agfn.evaluation.explain_results import explain_results
from pyg_agfn.registry import METHODS


def run(method: str, **found) -> dict:
    return {"method": method, "accuracy": {"bank": 0.9876}, "memorized": 0.25, **found}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_one_sentence(name):
    (sentence,) = explain_results([run(name)])
    assert sentence.startswith(f"{name}: ")
    assert "98.8% of the test images" in sentence
    assert "25.0% of the wrong training labels" in sentence
    assert sentence.count(".") == 3  # two of them in figures
    assert "\n" not in sentence


def test_what_was_not_measured_is_not_said():
    bare = {"method": "baseline", "memorized": None}
    assert explain_results([bare])[0].endswith("trained on the labels as they are given.")
    old = run("agfn", recipe="best", noise_rate=0.2)
    assert explain_results([old])[0].startswith("agfn-nlc: ")
    assert "20.0% of the labels are wrong" in explain_results([old])[0]
    (other,) = explain_results([run("of-a-plugin")])
    assert other.startswith("of-a-plugin; it classifies")
