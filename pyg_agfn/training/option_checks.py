"""Which values training options may have."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, get_type_hints

from pyg_agfn.backbone_args import parse_args
from pyg_agfn.choices import CUSTOM, MAX_SIZE, SIDES
from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError
from pyg_agfn.registry import DATASETS, METHODS
from pyg_agfn.training.backbone_names import check_backbone
from pyg_agfn.training.option_values import describe_type, fits, shown

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions


def check_options(options: TrainOptions) -> None:
    """Stops at the first value that cannot be.

    Raises:
        InputError: A value of another type or out of its range; the message names the option.
    """
    hints = get_type_hints(type(options))

    def check(good: bool, name: str, rule: str) -> None:
        if not good:
            value = shown(getattr(options, name), hints[name])
            raise InputError(f"{flag_of(name)} must be {rule}, got {value}")

    for name, hint in hints.items():
        check(fits(getattr(options, name), hint), name, describe_type(hint))
    check(bool(options.method), "method", "at least one method")
    for name, values, registry in (
        ("dataset", {options.dataset} - {CUSTOM}, DATASETS),
        ("method", {*options.method}, METHODS),
    ):
        check(values <= {*registry}, name, f"one of {', '.join(registry)}")
    check_backbone(options.backbone)
    parse_args(options.backbone_arg)
    for name in ("input_mean", "input_std"):
        numbers = getattr(options, name)
        check(numbers is None or len(numbers) in (1, 3), name, "one number or three")
    least = min(options.input_std or (1,))
    check(least >= 1e-6, "input_std", "greater than 0")
    check(options.input_range in (None, 1, 255), "input_range", "1 or 255")
    check(options.input_channels in (None, 1, 3), "input_channels", "1 or 3")
    check(0 <= options.noise < 1, "noise", "at least 0 and below 1")
    check(-1 <= options.threshold <= 1, "threshold", "a cosine, -1 to 1")
    check(0 <= options.teacher_decay < 1, "teacher_decay", "at least 0 and below 1")
    check(0 <= options.memory_size <= MAX_SIZE, "memory_size", f"0 to {MAX_SIZE}")
    if options.label_source in ("neighbors", "both") and not options.memory_size:
        raise InputError(
            f"label_source {options.label_source!r} needs --memory-size, where neighbours are "
            "found; 'teacher' or 'given' needs none"
        )
    share = options.max_share
    check(share is None or 0 <= share <= 1, "max_share", "a share, 0 to 1")
    check(0 <= options.momentum < 1, "momentum", "at least 0 and below 1")
    for name in ("epochs", "samples", "feature_dim", "eval_draws", "bank_size"):
        check(getattr(options, name) >= 1, name, "at least 1")
    for name in ("samples", "feature_dim", "bank_size", "batch_size", "eval_draws"):
        check(getattr(options, name) <= MAX_SIZE, name, f"at most {MAX_SIZE}")
    for name in ("pretrain_epochs", "warmup_epochs", "lr", "lr_graph", "weight_decay", "seed"):
        check(getattr(options, name) >= 0, name, "at least 0")
    for name in ("freeze_epochs", "lr_backbone", "gamma"):
        check((getattr(options, name) or 0) >= 0, name, "at least 0")
    check(options.gamma is None or options.gamma <= 1, "gamma", "at most 1")
    check(0 <= options.ema_decay < 1, "ema_decay", "at least 0 and below 1")
    check(0 <= options.val_fraction < 1, "val_fraction", "at least 0 and below 1")
    for name in ("workers", "checkpoint_seconds"):
        check(getattr(options, name) >= 0, name, "at least 0")
    check(
        options.batch_size >= 2,
        "batch_size",
        "at least 2 (batch normalization cannot train on one image)",
    )
    check(
        options.image_size is None or SIDES[0] <= options.image_size <= SIDES[1],
        "image_size",
        f"{SIDES[0]} to {SIDES[1]} pixels",
    )
    for name, usual in (("resize", "stretch"), ("interpolation", "bicubic")):
        if (value := getattr(options, name)) != usual and options.image_size is None:
            raise InputError(f"--{name} {value} needs --image-size, the side in pixels")
    check(options.train_size is None or options.train_size >= 2, "train_size", "at least 2 images")
    for name in ("warmup_epochs", "freeze_epochs"):
        check(getattr(options, name) < options.epochs, name, f"below --epochs {options.epochs}")
    rising = (0, *options.milestones, options.epochs)
    check(
        all(a < b for a, b in itertools.pairwise(rising)),
        "milestones",
        f"rising numbers of epochs, above 0 and below --epochs {options.epochs}",
    )
    if options.keep == "best" and options.dataset != CUSTOM and not options.val_fraction:
        raise InputError(
            "--keep best needs --val-fraction, a share of the training images to choose the epoch "
            "on: it is never chosen on the images that accuracy is reported of"
        )
    if options.pretrain_epochs >= options.epochs and any(
        METHODS[name].joins_images for name in options.method
    ):
        raise InputError(
            f"--pretrain-epochs {options.pretrain_epochs} leaves none of --epochs {options.epochs} "
            "for the graph: give fewer, or more --epochs"
        )
    if options.dataset != CUSTOM:
        reader = DATASETS[options.dataset]
        splits = " or ".join(reader.splits)
        check(options.eval_split in reader.splits, "eval_split", f"{splits} with {options.dataset}")
        if "label_mode" not in reader.options:
            check(options.label_mode == "plurality", "label_mode", "left out (it has no votes)")
        if "targets" not in reader.options:
            check(options.targets == "labels", "targets", "left out (it has no votes)")
        if reader.needs_root and options.root is None:
            raise InputError(f"--dataset {options.dataset} needs --root, the folder of its files")
    if options.targets == "votes":
        _check_votes(options)
    if options.noise and options.noise_file:
        raise InputError("--noise and --noise-file both say which labels are wrong: give one")


def _check_votes(options: TrainOptions) -> None:
    """What contradicts learning from the raters' votes."""
    if options.noise or options.noise_file:
        wrong = "--noise" if options.noise else "--noise-file"
        raise InputError(
            f"--targets votes learns the raters' votes, and {wrong} makes labels wrong: leave one "
            "of the two out"
        )
    hard = [name for name in options.method if not METHODS[name].learns_soft_labels]
    if hard:
        raise InputError(
            f"--targets votes: {', '.join(hard)} learns from labels alone; leave it out of --method"
        )
