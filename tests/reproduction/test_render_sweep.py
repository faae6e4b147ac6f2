import pytest
from result_records import answers, ferplus, lines, record

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import paired_p_value
from pyg_agfn.reproduction.grid import grid
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.target import NLC


def sweep(right: dict[str, dict[float, dict[int, int]]], **given) -> list[dict]:
    """Records by method, learning rate and seed, each with the given number of right answers."""
    base = ferplus(noise=0.2, **given)
    return [
        record(options, answers(count))
        for method, by_rate in right.items()
        for lr, by_seed in by_rate.items()
        for seed, count in by_seed.items()
        for options in grid("sweep", base, (method,), [seed], {"lr": [lr]})
    ]


def test_the_sweep_compares_the_methods_at_their_best_rates():
    right = {
        "baseline": {0.02: {0: 60}, 0.05: {0: 50}, 0.1: {0: 40}},
        "gce": {0.02: {0: 55}, 0.05: {0: 70}, 0.1: {0: 66}},
        NLC: {0.02: {0: 71}, 0.05: {0: 78}, 0.1: {0: 80}},
    }
    text = render("sweep", sweep(right), "ferplus")
    p = paired_p_value(answers(70)[None], answers(60)[None])
    gce = ["gce", "55.00, 25.0%", "**70.00, 25.0%**", "66.00, 25.0%", f"+10.00 (p = {p:.3f})"]
    assert lines(text, "gce") == [[*gce, "+12.3"]]
    assert lines(text, "baseline")[0][1] == "**60.00, 25.0%**"
    assert lines(text, NLC)[0][3] == "**80.00, 25.0%**"
    p = paired_p_value(answers(80)[None], answers(70)[None])
    assert f"AGFN with corrected labels leads, ahead of gce by 10.00 points (p = {p:.3f})." in text
    assert "scripts/reproduce.py --sweep --dataset ferplus --root DATA --seeds 0 --" in text
    assert " --noise 0.2\n" in text
    assert "--lr" not in text


def test_rates_of_a_method_are_compared_on_the_seeds_that_all_of_them_have():
    right = {
        "baseline": {0.05: {0: 50, 1: 90}, 0.1: {0: 60}},
        "gce": {0.05: {0: 70, 1: 10}, 0.1: {0: 65, 1: 5}},
        "scn": {0.05: {0: 70}, 0.1: {1: 90}},
        "agfn": {0.05: {0: 80}},
    }
    text = render("sweep", sweep(right), "ferplus")
    assert lines(text, "baseline (seed 0)")[0][1:3] == ["50.00, 25.0%", "**60.00, 25.0%**"]
    assert lines(text, "gce")[0][1].startswith("**40.00 ± 42.43")
    assert lines(text, "gce")[0][3].startswith("+10.00 (")  # seed 0: 70 and 60
    assert "scn" not in text
    assert "| agfn" not in text
    assert "scripts/reproduce.py --sweep 0.05 0.1 --dataset" in text


def test_runs_that_differ_in_more_than_the_rate_are_no_sweep():
    records = sweep({"gce": {0.05: {0: 70}}}) + sweep({"gce": {0.1: {0: 80}}}, weight_decay=0.0)
    with pytest.raises(InputError, match="--sweep --dataset ferplus"):
        render("sweep", records, "ferplus")
