import dataclasses
from pathlib import Path

import pytest

from pyg_agfn.reproduction.grid import (
    cell_name,
    grid,
    known_settings,
    lacks_parts,
    quick,
    row_of,
    same_settings,
    settings,
)
from pyg_agfn.reproduction.paper_targets import ABLATION, COMPARED
from pyg_agfn.reproduction.target import NLC
from pyg_agfn.training import TrainOptions

ROWS = COMPARED


def test_table_2_is_every_row_at_two_noise_levels_the_first_seed_first(base):
    cells = grid("table-2", base, ROWS, [3, 1])
    n = len(ROWS)
    assert [c.seed for c in cells] == [3] * 2 * n + [1] * 2 * n
    assert [row_of(settings(c)) for c in cells[:n]] == list(ROWS)
    assert [c.noise for c in cells[: 2 * n]] == [0.1] * n + [0.2] * n
    assert len({cell_name(c) for c in cells}) == 4 * n


def test_a_method_that_is_no_row_of_the_documents_is_had_by_its_name(base):
    assert [c.method for c in grid("table-1", base, ("ran", "scn"), [0])] == [("scn",), ("ran",)]


def test_table_2_can_be_had_at_other_noise_rates(base):
    cells = grid("table-2", base, ("scn", "agfn"), [0], {"noise": [0.4, 0.1]})
    assert [c.noise for c in cells] == [0.4, 0.4, 0.1, 0.1]
    assert cell_name(cells[2]) == cell_name(grid("table-2", base, ("scn",), [0])[0])


def test_the_sweep_has_runs_in_common_with_the_tables(base):
    base = base.changed(noise=0.1)
    cells = grid("sweep", base, ("scn", NLC), [0])
    assert [c.lr for c in cells] == [0.02, 0.02, 0.05, 0.05, 0.1, 0.1]
    assert cell_name(cells[2]) == cell_name(grid("table-2", base, ("scn",), [0])[0])
    assert cells[3] == grid("table-2", base, (NLC,), [0])[0]


@pytest.mark.parametrize("target", ["table-1", "table-3", "table-4"])
def test_the_subsets_are_measured_on_the_runs_of_table_1(base, target):
    names = [cell_name(c) for c in grid(target, base, ROWS, [0])]
    assert names == [cell_name(c) for c in grid("table-1", base, ROWS, [0])]
    assert len(names) == len(ROWS)


def test_backbones_and_batch_sizes_are_with_and_without_agfn(base):
    cells = grid("table-5", base, ROWS, [0])
    assert [(c.backbone, c.method[0]) for c in cells] == [
        (backbone, method)
        for backbone in ("resnet18", "resnet34", "resnet152")
        for method in ("baseline", "agfn")
    ]
    cells = grid("figure-3", base, ROWS, [0])
    sizes = [c.batch_size for c in cells if c.backbone == base.backbone and c.method[0] == "agfn"]
    assert sizes == [4, 8, 16, 32, 64, 128, 256, 512]
    assert {c.backbone for c in cells} == {base.backbone, "resnet34", "resnet152"}


def test_only_the_chosen_methods_run(base):
    assert [c.method for c in grid("figure-4", base, ("scn", "agfn"), [0])] == [("scn",), ("agfn",)]


def test_a_run_has_the_name_it_had_before_label_correction_existed():
    base = TrainOptions.for_dataset("mnist", root=Path("anywhere"))
    names = [cell_name(c) for c in grid("figure-4", base, ("baseline", "label-smoothing"), [0])]
    assert names == [
        "mnist-baseline-resnet18-noise0.1-batch256-seed0-0d0234fd",
        "mnist-label-smoothing-resnet18-noise0.1-batch256-seed0-bafbae2f",
    ]


def test_what_one_method_takes_changes_no_other_methods_run():
    given = TrainOptions.for_dataset("digits", teacher_decay=0.5, lr_graph=0.3)
    scn, paper, nlc = grid("table-1", given, (NLC, "agfn", "scn"), [0])
    assert [options.method for options in (scn, paper, nlc)] == [("scn",), ("agfn",), (NLC,)]
    assert (nlc.teacher_decay, nlc.lr_graph, nlc.alpha) == (0.5, 0.3, 8.0)
    assert (paper.lr_graph, paper.alpha) == (0.3, 1.0)
    rows = ("scn", "eac", "threshold-gcn", "agfn")
    others = grid("table-1", TrainOptions.for_dataset("digits", lr_graph=0.3), rows, [0])
    assert [cell_name(scn), cell_name(paper)] == [
        cell_name(options) for options in (others[0], others[-1])
    ]
    assert cell_name(nlc).startswith("digits-agfn-nlc-small-cnn-noise0-")


def test_an_option_at_the_general_default_is_heard_by_a_method_with_another_one():
    base = TrainOptions.for_dataset("digits", alpha=1.0)
    (nlc,) = grid("table-1", base, (NLC,), [0])
    (whole,) = grid("table-1", TrainOptions.for_dataset("digits"), (NLC,), [0])
    assert (nlc.alpha, whole.alpha) == (1.0, 8.0)
    assert cell_name(nlc) != cell_name(whole)


def test_the_ablation_leaves_out_one_part_at_a_time(base):
    cells = grid("ablation", base, ROWS, [0, 1])
    assert len({cell_name(c) for c in cells}) == 2 * len(ABLATION) == len(cells)
    whole = cells[0]
    for options, changed in zip(cells, ABLATION.values(), strict=False):
        assert options == dataclasses.replace(whole, **changed)
        assert (options.seed, options.noise) == (0, base.noise)


def test_a_name_is_of_what_a_run_is_not_of_where(base, tmp_path):
    base = base.for_method("agfn")
    elsewhere = dataclasses.replace(base, out=tmp_path / "other", cache=tmp_path, device="cpu")
    assert cell_name(elsewhere) == cell_name(base)
    assert same_settings(settings(base), elsewhere)
    for change in ({"lr": 0.1}, {"epochs": 3}, {"precision": "bf16"}, {"seed": 1}):
        changed = dataclasses.replace(base, **change)
        assert cell_name(changed) != cell_name(base)
        assert not same_settings(settings(base), changed)


def test_a_new_option_at_its_default_does_not_orphan_a_finished_run(base):
    base = base.for_method("agfn")
    recorded = settings(base)
    del recorded["bank_scale"]  # recorded before the option existed
    assert same_settings(recorded, base)
    assert not same_settings(recorded, dataclasses.replace(base, bank_scale=False))


#: ``--recipe best`` of the version before 0.2, as it was recorded.
BEST = {
    **{"recipe": "best", "alpha": 8.0, "beta": -4.0, "graph_optimizer": "adam", "lr_graph": 0.02},
    **{"teacher": 0.99, "memory": 4096, "judges": "neighbours", "heads": "alone"},
    "correct_at_most": None,
}
NEW = {"teacher_decay", "memory_size", "label_source", "classifier_inputs", "max_share"}


def older(options: TrainOptions, **changes) -> dict:
    """The record of a run of an older version with the paper's settings, but for the changes."""
    found = {name: value for name, value in settings(options).items() if name not in NEW}
    paper = {"recipe": "paper", "alpha": 1.0, "beta": 0.0, "graph_optimizer": "sgd"}
    parts = {"teacher": 0.0, "memory": 0, "judges": "nobody", "heads": "graph"}
    return found | paper | parts | {"lr_graph": 0.001, "correct_at_most": 1.0} | changes


@pytest.mark.parametrize("method", [name for name in ROWS if name != NLC])
def test_an_older_record_of_a_method_of_the_paper_is_of_the_same_run(base, method):
    (options,) = grid("table-1", base, (method,), [0])
    recorded = older(options)
    assert row_of(recorded) == method
    assert same_settings(recorded, options)
    for name in BEST:  # in versions before any of these options
        del recorded[name]
        assert same_settings(recorded, options)
        assert not lacks_parts(recorded, "digits")
    assert known_settings(recorded, "digits") == settings(options)


@pytest.mark.parametrize(
    ("older_name", "lacking"),
    [
        ("all parts", {}),
        ("α, β fixed", {"lr_graph": 0.0}),
        ("α, β from 1 and 0", {"alpha": 1.0, "beta": 0.0}),
        ("no teacher", {"teacher": 0.0}),
        ("label source: teacher and neighbours", {"judges": "both"}),
        ("no memory", {"judges": "teacher", "memory": 0}),
        ("any number of labels corrected", {"correct_at_most": 1.0}),
        ("labels as given", {"judges": "nobody"}),
        ("classifier with graph", {"heads": "graph"}),
        ("classifier with and without graph", {"heads": "both"}),
        ("memory of 512", {"memory": 512}),
    ],
)
def test_an_older_run_of_the_best_recipe_is_that_of_the_ablation(base, older_name, lacking):
    cells = dict(zip(ABLATION, grid("ablation", base, (NLC,), [0]), strict=True))
    (paper,) = grid("figure-5", base, ("agfn",), [0])
    recorded = older(paper, **{**BEST, **lacking, "noise": base.noise})
    assert row_of(recorded) == NLC
    assert [name for name, options in cells.items() if same_settings(recorded, options)] == [
        older_name
    ]
    assert not same_settings(recorded, paper)


def test_a_part_that_did_not_exist_yet_was_as_in_the_paper(base):
    (whole,) = grid("table-1", base, (NLC,), [0])
    for name in ("correct_at_most", "teacher", "heads", "graph_optimizer"):
        recorded = older(whole, **BEST)
        assert not lacks_parts(recorded, "digits")
        assert same_settings(recorded, whole)
        del recorded[name]
        assert lacks_parts(recorded, "digits")
        assert not same_settings(recorded, whole)
    assert not lacks_parts(settings(whole), "digits")


def test_parts_that_were_set_by_hand_make_another_method_than_the_papers(base):
    paper, nlc = grid("table-1", base, ("agfn", NLC), [0])
    recorded = older(paper, teacher=0.99, judges="teacher")
    assert row_of(recorded) == NLC
    assert not same_settings(recorded, paper)
    by_hand = {"teacher_decay": 0.99, "label_source": "teacher", "memory_size": 0}
    by_hand |= {"max_share": 1.0, "classifier_inputs": "graph", "graph_optimizer": "sgd"}
    by_hand |= {"alpha": 1.0, "beta": 0.0, "lr_graph": 0.001}
    assert same_settings(recorded, dataclasses.replace(nlc, **by_hand))


@pytest.mark.parametrize(
    "recorded",
    [
        None,
        3,
        [],
        {},
        {"method": []},
        {"method": "agfn"},
        {"method": ["gat"]},
        {"method": [{}]},
        {"method": ["agfn"], "recipe": "gat"},
        {"method": ["agfn"], "heads": 1, "dataset": []},
    ],
)
def test_what_is_no_record_is_of_no_run(base, recorded):
    assert not same_settings(recorded, base.for_method("agfn"))


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_quick_is_small(base, warmup):
    long = dataclasses.replace(base, train_size=None, epochs=40, pretrain_epochs=10)
    small = quick(dataclasses.replace(long, warmup_epochs=warmup))
    assert (small.train_size, small.epochs, small.pretrain_epochs) == (512, 2, 1)
    assert small.warmup_epochs == min(warmup, 1)


def test_quick_leaves_a_method_its_own_defaults(base):
    assert quick(base).for_method(NLC).alpha == 8.0
