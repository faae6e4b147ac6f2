"""Suites are data: each is a grid whose runs can be made, told apart and found again."""

import dataclasses
from pathlib import Path

import pytest

from pyg_agfn.registry import METHODS
from pyg_agfn.reproduction.grid import TARGETS, cell_name, grid, row_of, same_settings, settings
from pyg_agfn.reproduction.suites import SUITES
from pyg_agfn.training.command_line import options_of

PLACES = {"root": Path("DATA"), "weights": Path("somewhere/face.safetensors")}


def cells(suite: str, on_cpu: bool = True, given=None, seeds=(0,), values=None):
    """The runs of a suite with every method, as ``reproduce.py`` makes them."""
    target, given = SUITES[suite], given or {}
    needed = {name: PLACES[name] for name in (*target.needs, "root")}
    given = {"dataset": target.dataset, **given, **needed}
    if target.dataset == "digits":
        del given["root"]
    base = options_of(target.options_of(given, on_cpu), refuse=False)
    return grid(suite, base, tuple(METHODS), list(seeds), values, given)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("on_cpu", [False, True])
def test_a_suite_is_every_method_under_every_condition(suite, on_cpu):
    found = cells(suite, on_cpu, seeds=(0, 1))
    ((name, values),) = SUITES[suite].varied.items()
    assert len(found) == 2 * len(values) * len(METHODS)
    assert len({cell_name(options) for options in found}) == len(found)
    assert {getattr(options, name) for options in found} == set(values)
    assert [options.seed for options in found] == sorted(options.seed for options in found)
    for options in found:
        target = SUITES[suite]
        own = target.settings_of(options.method[0], {}, on_cpu)
        recorded = settings(options)
        assert {key: recorded[key] for key in own} == own
        assert "/" not in cell_name(options)


def test_the_methods_of_a_suite_differ_in_what_is_theirs_alone():
    """Network, images, optimizer and epochs are shared, but for the published settings of some."""
    for suite in SUITES:
        shared = {"backbone", "epochs", "batch_size", "lr", "optimizer", "augment", "image_size"}
        rows = {
            options.method[0]: tuple(getattr(options, name) for name in sorted(shared))
            for options in cells(suite)
        }
        differing = {method for method in rows if rows[method] != rows["baseline"]}
        assert differing == set(SUITES[suite].of_method)


def test_a_method_that_fails_with_the_shared_optimizer_has_its_authors():
    """kaiwang960112/Self-Cure-Network, src/train.py."""
    scn = next(o for o in cells("ferplus-scratch") if o.method == ("scn",))
    assert (scn.optimizer, scn.lr, scn.weight_decay) == ("adam", 0.001, 1e-4)
    assert (scn.schedule, scn.gamma) == ("exponential", 0.9)
    given = next(o for o in cells("ferplus-scratch", given={"lr": 0.3}) if o.method == ("scn",))
    assert (given.optimizer, given.lr) == ("adam", 0.3)


def test_label_correction_keeps_its_own_defaults():
    nlc = next(o for o in cells("digits") if o.method == ("agfn-nlc",))
    assert (nlc.alpha, nlc.beta, nlc.graph_optimizer) == (8.0, -4.0, "adam")


def test_what_the_user_gives_takes_the_place_of_the_suites():
    every = cells("ferplus-scratch", given={"epochs": 20, "backbone": "resnet34"})
    assert {(o.epochs, o.pretrain_epochs, o.backbone) for o in every} == {(20, 6, "resnet34")}
    given = {"epochs": 20, "pretrain_epochs": 9}
    assert {o.pretrain_epochs for o in cells("ferplus-scratch", given=given)} == {9}


def test_people_made_the_labels_of_cifar_wrong_and_a_cpu_gets_a_small_network():
    lists = [None, Path("labels/aggregate.txt"), Path("labels/worst.txt")]
    on_gpu = cells("cifar10n", False, values={"noise_file": lists})
    assert {o.noise_file for o in on_gpu} == set(lists)
    assert {(o.backbone, o.noise, o.train_size) for o in on_gpu} == {("resnet18-small", 0.0, None)}
    on_cpu = cells("cifar10n", True, values={"noise_file": lists})
    assert {(o.backbone, o.train_size) for o in on_cpu} == {("small-cnn", 10_000)}


def test_a_run_is_told_by_the_name_of_a_file_wherever_it_is():
    run = cells("cifar10n", values={"noise_file": [Path("labels/worst.txt")]})[0]
    elsewhere = dataclasses.replace(run, noise_file=Path("/mnt/other/worst.txt"))
    another = dataclasses.replace(run, noise_file=Path("labels/random1.txt"))
    assert cell_name(run) == cell_name(elsewhere) != cell_name(another)
    assert same_settings(settings(elsewhere), run)
    saved = {**settings(run), "noise_file": "/mnt/other/worst.txt"}  # a run folder has the path
    assert same_settings(saved, run)
    assert not same_settings(settings(another), run)


def test_names_of_suites_are_no_names_of_tables():
    assert len(TARGETS) == len(SUITES) + len([name for name in TARGETS if name not in SUITES])
    assert {row_of(settings(o)) for o in cells("digits")} == set(METHODS)
