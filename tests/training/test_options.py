"""What a run's options are by default, and what they cannot be."""

from pathlib import Path

import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.training import DATASET_DEFAULTS, TrainOptions, parse_options


def test_without_arguments_three_methods_learn_digits_with_wrong_labels():
    options = parse_options([])
    assert (options.dataset, options.noise) == ("digits", 0.2)
    assert options.method == ("baseline", "agfn", "agfn-nlc")


def test_defaults_for_ferplus_are_the_papers():
    options = parse_options(["--dataset", "ferplus", "--root", "data"])
    assert options.backbone == "resnet18"
    assert options.feature_dim == 512
    assert options.batch_size == 256
    assert (options.lr, options.lr_graph) == (0.01, 0.001)
    assert options.pretrain_epochs == 10
    assert options.root == Path("data")


def test_defaults_for_mnist_are_the_papers():
    options = parse_options(["--dataset", "mnist", "--root", "data"])
    assert (options.train_size, options.noise) == (10_000, 0.1)


def test_data_sets_defaults_are_options():
    for name, defaults in DATASET_DEFAULTS.items():
        TrainOptions.for_dataset(name, root=None if name == "digits" else "x")
        assert set(defaults) <= set(TrainOptions.__dataclass_fields__)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "cifar"],
        ["--method", "gat"],
        ["--epochs", "0"],
        ["--epochs", "many"],
        ["--noise", "1.0"],
        ["--noise", "-0.1"],
        ["--noise", "nan"],
        ["--batch-size", "1"],
        ["--samples", "0"],
        ["--backbone", "vgg"],
        ["--loss", "hinge"],
        ["--lr", "-1"],
        ["--seed", "-1"],
        ["--image-size", "2"],
        ["--precision", "fp8"],
        ["--eval-split", "valid"],
        ["--label-mode", "majority"],
        ["--unknown", "1"],
        ["--epoch", "3"],
        ["--optimizer", "lion"],
        ["--schedule", "linear"],
        ["--milestones", "2", "x"],
        ["--lr-backbone", "-1"],
        ["--freeze-epochs", "-1"],
        ["--gamma", "1.5", "--schedule", "step"],
        ["--ema-decay", "1", "--weight-averaging", "ema"],
        ["--balance", "classes"],
        ["--val-fraction", "1"],
        ["--keep", "first"],
    ],
)
def test_unknown_options_and_values_are_one_clear_line(arguments):
    with pytest.raises(InputError) as error:
        parse_options(arguments)
    assert arguments[0] in str(error.value)
    assert "\n" not in str(error.value)


def test_every_data_set_but_digits_needs_a_root():
    for dataset in ("mnist", "ferplus", "rafdb", "folder"):
        with pytest.raises(InputError, match="--root"):
            parse_options(["--dataset", dataset])


def test_pretraining_that_is_asked_for_leaves_an_epoch_with_the_graph():
    arguments = ["--dataset", "ferplus", "--root", "x", "--epochs", "4", "--pretrain-epochs", "4"]
    with pytest.raises(InputError, match="--pretrain-epochs 4 leaves none of --epochs 4"):
        parse_options(arguments)


def test_the_warm_up_leaves_epochs_for_the_fall():
    with pytest.raises(InputError, match="--warmup-epochs must be below --epochs 4, got 4"):
        parse_options(["--epochs", "4", "--warmup-epochs", "4"])


@pytest.mark.parametrize("milestones", [["0", "3"], ["3", "3"], ["5", "3"], ["4", "8"]])
def test_milestones_rise_and_lie_in_the_run(milestones):
    typed = ["--epochs", "8", "--schedule", "step", "--milestones", *milestones]
    message = "--milestones must be rising numbers of epochs, above 0 and below --epochs 8, got "
    with pytest.raises(InputError, match=message + " ".join(milestones)):
        parse_options(typed)
    assert TrainOptions(milestones=3).milestones == (3,)


def test_the_backbone_learns_in_some_epochs():
    with pytest.raises(InputError, match="--freeze-epochs must be below --epochs 4, got 4"):
        parse_options(["--epochs", "4", "--freeze-epochs", "4"])


def test_the_best_epoch_is_not_chosen_on_the_test_images():
    with pytest.raises(InputError, match="--keep best needs --val-fraction"):
        parse_options(["--keep", "best"])
    options = parse_options(["--keep", "best", "--val-fraction", "0.2"])
    assert (options.keep, options.val_fraction) == ("best", 0.2)


def test_adam_has_learning_rates_of_its_own(tmp_path):
    assert parse_options(["--optimizer", "adam"]).lr == 0.001  # and not that of digits for SGD
    adamw = parse_options(["--optimizer", "adamw", "--lr", "0.3"])
    assert (adamw.lr, adamw.weight_decay) == (0.3, 0.01)
    parse_options(["--lr", "0.7", "--momentum", "0.8"]).save(tmp_path / "config.json")
    saved = ["--config", str(tmp_path / "config.json")]
    assert parse_options(saved).lr == 0.7
    assert parse_options([*saved, "--optimizer", "sgd"]).lr == 0.7
    assert parse_options([*saved, "--optimizer", "adam"]).lr == 0.001


def test_noise_is_said_once():
    with pytest.raises(InputError, match="--noise-file"):
        parse_options(["--noise", "0.1", "--noise-file", "list.txt"])


def test_votes_are_learned_without_wrong_labels_and_by_methods_that_keep_them():
    ferplus = ["--dataset", "ferplus", "--root", "x", "--targets", "votes"]
    assert parse_options([*ferplus, "--label-mode", "official-majority"]).targets == "votes"
    for wrong in (["--noise", "0.1"], ["--noise-file", "list.txt"]):
        with pytest.raises(
            InputError, match=f"--targets votes .* and {wrong[0]} makes labels wrong"
        ):
            parse_options([*ferplus, *wrong])
    with pytest.raises(InputError, match="--targets votes: scn learns from labels alone; leave it"):
        parse_options([*ferplus, "--method", "baseline", "scn"])
    for dataset in ("digits", "mnist", "rafdb", "folder"):
        root = [] if dataset == "digits" else ["--root", "x"]
        noise = ["--noise", "0"] if dataset in ("digits", "mnist") else []
        with pytest.raises(InputError, match="--targets must be left out") as error:
            parse_options(["--dataset", dataset, *root, *noise, "--targets", "votes"])
        assert "\n" not in str(error.value)


def test_neighbours_need_a_memory():
    for source in ("neighbors", "both"):
        with pytest.raises(InputError, match=f"label_source '{source}' needs --memory-size"):
            TrainOptions(label_source=source, memory_size=0)
    for source in ("given", "teacher"):
        assert TrainOptions(label_source=source, memory_size=0).memory_size == 0
