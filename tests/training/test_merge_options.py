"""What is given, over what is saved, over the defaults of method and data set."""

from pathlib import Path

import numpy as np
import pytest

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.reader import register_dataset
from pyg_agfn.errors import InputError
from pyg_agfn.methods import Method
from pyg_agfn.registry import DATASETS, METHODS, register_method
from pyg_agfn.training import TrainOptions, parse_options
from pyg_agfn.training.merge_options import merge_options

GRAPH = ("alpha", "beta", "graph_optimizer", "lr_graph")


def graph_settings(options: TrainOptions, method: str) -> tuple[object, ...]:
    """Of a method's run, the options for which ``agfn-nlc`` has defaults of its own."""
    return tuple(getattr(options.for_method(method), name) for name in GRAPH)


def saved(options: TrainOptions) -> dict[str, object]:
    """Options as a file has them: all of them."""
    return {name: getattr(options, name) for name in TrainOptions.__dataclass_fields__}


def test_a_methods_own_defaults_are_under_what_is_given():
    options = parse_options(["--alpha", "2", "--lr-graph", "0.001"])
    assert graph_settings(options, "agfn") == (2.0, 0.0, "sgd", 0.001)
    assert graph_settings(options, "agfn-nlc") == (2.0, -4.0, "adam", 0.001)
    assert options.for_method("agfn-nlc").method == ("agfn-nlc",)
    named = parse_options(["--method", "agfn-nlc"])
    assert graph_settings(named, "agfn-nlc") == (8.0, -4.0, "adam", 0.02)


def test_a_methods_own_defaults_are_over_the_data_sets():
    @register_method("own-defaults")
    class OwnDefaults(Method):
        defaults = {"lr": 0.3, "epochs": 7}  # noqa: RUF012

    @register_dataset("own-defaults", needs_root=False, options=(), defaults={"lr": 0.2, "seed": 5})
    def read(split: str) -> ImageDataset:
        images = np.zeros((4, 1, 8, 8), np.uint8)
        return ImageDataset(images, np.arange(4) % 2, ["a", "b"], list("wxyz"))

    try:
        given = {"method": ["baseline", "own-defaults"], "weight_decay": 0.0}
        options = TrainOptions.for_dataset("own-defaults", **given)
        found = [options.for_method(name) for name in options.method]
        assert [(o.lr, o.epochs, o.seed) for o in found] == [(0.2, 40, 5), (0.3, 7, 5)]
        options = TrainOptions.for_dataset("own-defaults", **given, lr=0.1)
        assert [options.for_method(name).lr for name in options.method] == [0.1, 0.1]
    finally:
        METHODS.unregister("own-defaults")
        DATASETS.unregister("own-defaults")


def test_what_all_methods_share_is_the_data_sets():
    options = TrainOptions.for_dataset("mnist", root="x", method="agfn-nlc")
    assert (options.lr, options.epochs, options.train_size) == (0.05, 20, 10_000)
    assert (options.for_method("agfn-nlc").lr, options.defaulted) == (0.05, options.defaulted)


@pytest.mark.parametrize("method", ["baseline", "agfn", "threshold-gcn"])
def test_a_saved_methods_defaults_are_not_taken_over_to_another_one(method):
    run = TrainOptions.for_dataset("digits", seed=3, epochs=9).for_method("agfn-nlc")
    assert run.alpha == 8.0
    other = merge_options({"method": method}, saved(run)).for_method(method)
    assert other == TrainOptions.for_dataset("digits", method=method, seed=3, epochs=9)


def test_nor_are_another_methods_defaults_kept_from_one_that_has_its_own():
    run = TrainOptions.for_dataset("digits", seed=3).for_method("agfn")
    options = merge_options({"method": ("agfn", "agfn-nlc")}, saved(run))
    assert graph_settings(options, "agfn") == (1.0, 0.0, "sgd", 0.001)
    assert graph_settings(options, "agfn-nlc") == (8.0, -4.0, "adam", 0.02)
    same = merge_options({"seed": 4}, saved(run))
    assert graph_settings(same, "agfn-nlc") == (1.0, 0.0, "sgd", 0.001)  # saved, so it is set


def test_what_is_saved_counts_as_set_and_a_default_does_not():
    options = merge_options({"epochs": 5}, {"seed": 3})
    assert set(TrainOptions.__dataclass_fields__) - options.defaulted == {"epochs", "seed"}


def test_none_stands_for_nothing_where_it_is_the_default():
    assert merge_options({"noise_file": None, "root": None}).noise == 0.2
    with pytest.raises(InputError, match="--epochs must be a whole number, got None"):
        merge_options({"epochs": None})


@pytest.mark.parametrize(
    ("epochs", "pretrain_epochs"), [(1, 0), (4, 1), (10, 2), (14, 10), (40, 10), (80, 10)]
)
def test_pretraining_by_default_leaves_epochs_with_the_graph(epochs, pretrain_epochs):
    options = parse_options(["--dataset", "ferplus", "--root", "x", "--epochs", str(epochs)])
    assert options.pretrain_epochs == pretrain_epochs


@pytest.mark.parametrize("dataset", [["digits"], ["mnist", "--root", "x"]])
def test_a_list_takes_the_place_of_the_data_sets_own_noise(dataset):
    options = parse_options(["--dataset", *dataset, "--noise-file", "list.txt"])
    assert (options.noise, options.noise_file) == (0.0, Path("list.txt"))


def test_what_is_given_takes_the_place_of_saved_noise():
    of_file = saved(TrainOptions.for_dataset("digits"))
    listed = merge_options({"noise_file": "list.txt"}, of_file)
    assert (listed.noise, listed.noise_file) == (0.0, Path("list.txt"))
    assert merge_options({}, saved(listed)) == listed
    for noise in (0.0, 0.3):
        made = merge_options({"noise": noise}, saved(listed))
        assert (made.noise, made.noise_file) == (noise, None)


def test_another_data_set_takes_over_neither_root_nor_split():
    ferplus = TrainOptions.for_dataset("ferplus", root="x", label_mode="majority", seed=3)
    digits = merge_options({"dataset": "digits"}, saved(ferplus))
    assert (digits.root, digits.eval_split, digits.label_mode) == (None, "test", "plurality")
    assert digits.seed == 3
    with pytest.raises(InputError, match="--dataset rafdb needs --root"):
        merge_options({"dataset": "rafdb"}, saved(ferplus))
    assert merge_options({"dataset": "mnist"}, {"root": "there"}).root == Path("there")
