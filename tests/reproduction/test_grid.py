import dataclasses

import pytest

from pyg_agfn.reproduction.grid import METHODS, cell_name, grid, quick, same_settings, settings


def test_table_2_is_every_method_at_two_noise_levels_the_first_seed_first(base):
    cells = grid("table-2", base, METHODS, [3, 1])
    assert [c.seed for c in cells] == [3] * 16 + [1] * 16
    assert [c.method[0] for c in cells[:8]] == list(METHODS)
    assert [c.noise for c in cells[:16]] == [0.1] * 8 + [0.2] * 8
    assert len({cell_name(c) for c in cells}) == 32


@pytest.mark.parametrize("target", ["table-1", "table-3", "table-4"])
def test_the_subsets_are_measured_on_the_runs_of_table_1(base, target):
    names = [cell_name(c) for c in grid(target, base, METHODS, [0])]
    assert names == [cell_name(c) for c in grid("table-1", base, METHODS, [0])]
    assert len(names) == 8


def test_backbones_and_batch_sizes_are_with_and_without_agfn(base):
    cells = grid("table-5", base, METHODS, [0])
    assert [(c.backbone, c.method[0]) for c in cells] == [
        (backbone, method)
        for backbone in ("resnet18", "resnet34", "resnet152")
        for method in ("baseline", "agfn")
    ]
    cells = grid("figure-3", base, METHODS, [0])
    sizes = [c.batch_size for c in cells if c.backbone == base.backbone and c.method[0] == "agfn"]
    assert sizes == [4, 8, 16, 32, 64, 128, 256, 512]
    assert {c.backbone for c in cells} == {base.backbone, "resnet34", "resnet152"}


def test_only_the_chosen_methods_run(base):
    assert [c.method for c in grid("figure-4", base, ("scn", "agfn"), [0])] == [("scn",), ("agfn",)]


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
    del recorded["bank_scale"]  # recorded before there was such an option
    assert same_settings(recorded, base)


def test_quick_is_small(base):
    small = quick(dataclasses.replace(base, train_size=None, epochs=40, pretrain_epochs=10))
    assert (small.train_size, small.epochs, small.pretrain_epochs) == (512, 2, 1)
