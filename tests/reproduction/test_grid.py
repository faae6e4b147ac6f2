import dataclasses
from pathlib import Path

import pytest

from pyg_agfn.reproduction.grid import (
    ABLATION,
    ROWS,
    cell_name,
    grid,
    quick,
    row_of,
    same_settings,
    settings,
)
from pyg_agfn.runs.folder import BEST
from pyg_agfn.training import TrainOptions


def test_table_2_is_every_method_at_two_noise_levels_the_first_seed_first(base):
    cells = grid("table-2", base, ROWS, [3, 1])
    assert [c.seed for c in cells] == [3] * 18 + [1] * 18
    assert [row_of(settings(c)) for c in cells[:9]] == list(ROWS)
    assert [c.noise for c in cells[:18]] == [0.1] * 9 + [0.2] * 9
    assert len({cell_name(c) for c in cells}) == 36


def test_table_2_can_be_had_at_other_noise_rates(base):
    cells = grid("table-2", base, ("scn", "agfn"), [0], {"noise": [0.4, 0.1]})
    assert [c.noise for c in cells] == [0.4, 0.4, 0.1, 0.1]
    assert cell_name(cells[2]) == cell_name(grid("table-2", base, ("scn",), [0])[0])


def test_the_sweep_has_runs_in_common_with_the_tables(base):
    base = dataclasses.replace(base, noise=0.1)
    cells = grid("sweep", base, ("scn", BEST), [0])
    assert [c.lr for c in cells] == [0.02, 0.02, 0.05, 0.05, 0.1, 0.1]
    assert cell_name(cells[2]) == cell_name(grid("table-2", base, ("scn",), [0])[0])
    assert cells[3] == grid("table-2", base, (BEST,), [0])[0]


@pytest.mark.parametrize("target", ["table-1", "table-3", "table-4"])
def test_the_subsets_are_measured_on_the_runs_of_table_1(base, target):
    names = [cell_name(c) for c in grid(target, base, ROWS, [0])]
    assert names == [cell_name(c) for c in grid("table-1", base, ROWS, [0])]
    assert len(names) == 9


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


def test_label_correction_is_a_row_of_its_own_with_options_of_its_own(base):
    base = dataclasses.replace(base, teacher=0.5, lr_graph=0.3)
    scn, paper, best = grid("table-1", base, ("agfn-best", "agfn", "scn"), [0])
    assert (best.recipe, best.method, best.memory, best.heads) == ("best", ("agfn",), 4096, "alone")
    assert (best.teacher, best.alpha, best.lr_graph) == (0.5, 8.0, 0.3)
    assert (paper.recipe, paper.teacher, paper.memory, paper.alpha) == ("paper", 0.0, 0, 1.0)
    assert paper.lr_graph == 0.3
    assert (scn.recipe, scn.teacher) == ("paper", 0.0)
    assert cell_name(best).startswith("digits-agfn-best-small-cnn-noise0-")


def test_the_ablation_leaves_out_one_part_at_a_time(base):
    cells = grid("ablation", base, ROWS, [0, 1])
    assert len({cell_name(c) for c in cells}) == 2 * len(ABLATION) == len(cells)
    whole = cells[0]
    for options, changed in zip(cells, ABLATION.values(), strict=False):
        assert options == dataclasses.replace(whole, **changed)
        assert (options.seed, options.noise) == (0, base.noise)


def test_a_name_is_of_what_a_run_is_not_of_where(base, tmp_path):
    elsewhere = dataclasses.replace(base, out=tmp_path / "other", cache=tmp_path, device="cpu")
    assert cell_name(elsewhere) == cell_name(base)
    assert same_settings(settings(base), elsewhere)
    for change in ({"lr": 0.1}, {"epochs": 3}, {"precision": "bf16"}, {"seed": 1}):
        changed = dataclasses.replace(base, **change)
        assert cell_name(changed) != cell_name(base)
        assert not same_settings(settings(base), changed)


def test_a_new_option_at_its_default_does_not_orphan_a_finished_run(base):
    recorded = settings(base)
    del recorded["bank_scale"]  # recorded before the option existed
    assert same_settings(recorded, base)


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_quick_is_small(base, warmup):
    long = dataclasses.replace(base, train_size=None, epochs=40, pretrain_epochs=10)
    small = quick(dataclasses.replace(long, warmup_epochs=warmup))
    assert (small.train_size, small.epochs, small.pretrain_epochs) == (512, 2, 1)
    assert small.warmup_epochs == min(warmup, 1)
