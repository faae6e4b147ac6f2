"""Suites: every method on one data set by one protocol, over shares of wrong labels and seeds.

All methods of a suite share network, images, order, augmentation, optimizer and epochs. Where a
method fails with the shared optimizer, it has that of its authors.
"""

from typing import Any

from pyg_agfn.reproduction.target import Target

#: Shares of labels that are made wrong.
RATES: dict[str, tuple[Any, ...]] = {"noise": (0.0, 0.1, 0.2, 0.3, 0.4)}
_ANY_RATE = frozenset({"noise"})

#: FERPlus as the literature has it: 3,137 test images, of which more than half of the votes that
#: are not alone name one class (Barsoum et al., ICMI 2016).
_FERPLUS = {"label_mode": "official-majority", "eval_split": "test", "warmup_epochs": 1}

#: Learning rates are chosen on Valid, and Test is reported.
_SPLITS = ("valid",)

#: kaiwang960112/Self-Cure-Network, src/train.py: Adam with PyTorch's rate, and 0.9 each epoch. SCN
#: falls to chance at SGD's 0.1 in a network with the small stem.
_SCN = {
    "optimizer": "adam",
    "lr": 0.001,
    "weight_decay": 1e-4,
    "schedule": "exponential",
    "gamma": 0.9,
}

#: By the name on the command line.
SUITES: dict[str, Target] = {
    "ferplus-scratch": Target(
        "FERPlus, ResNet-18 with the small stem from random weights",
        RATES,
        any_of=_ANY_RATE,
        options={
            **_FERPLUS,
            "backbone": "resnet18-small",
            "epochs": 60,
            "pretrain_epochs": 18,
            "lr": 0.1,
        },
        of_method={"scn": _SCN},
        splits=_SPLITS,
        note="sized for a GPU; on a CPU a run takes hours, where ferplus-compact takes less",
    ),
    "ferplus-compact": Target(
        "FERPlus, a compact network from random weights",
        RATES,
        any_of=_ANY_RATE,
        options={
            **_FERPLUS,
            "backbone": "face-cnn",
            "batch_size": 64,
            "optimizer": "adam",
            "lr": 0.005,
            "weight_decay": 0.0,
            "epochs": 60,
            "pretrain_epochs": 18,
        },
        splits=_SPLITS,
        note="sized for a CPU: a network of 0.15 million parameters",
    ),
    "ferplus-face": Target(
        "FERPlus, MobileNet-v1 that begins with weights of face recognition",
        RATES,
        any_of=_ANY_RATE,
        options={
            "label_mode": "official-majority",
            "eval_split": "test",
            "image_size": 96,
            "backbone": "timm/mobilenetv1_100",
            "backbone_arg": ("pad_type=same",),
            # The convention of networks that were trained on VGGFace2 in Caffe's manner.
            "input_range": 255,
            "input_mean": (103.939, 116.779, 123.68),
            "batch_size": 128,
            "epochs": 5,
            "pretrain_epochs": 1,
            "lr": 0.1,
            "lr_backbone": 0.02,
        },
        needs=("weights",),
        splits=_SPLITS,
        note="sized for a CPU: images of 96 pixels, 5 epochs",
    ),
    "cifar10n": Target(
        "CIFAR-10 with labels by people (CIFAR-10N)",
        # Clean labels, and the lists that the user gives.
        {"noise_file": (None,)},
        dataset="folder",
        any_of=frozenset({"noise_file"}),
        options={
            "image_size": 32,
            "backbone": "resnet18-small",
            "batch_size": 128,
            "epochs": 120,
            "pretrain_epochs": 30,
            "lr": 0.05,
            "warmup_epochs": 1,
        },
        on_cpu={
            "backbone": "small-cnn",
            "train_size": 10_000,
            "epochs": 20,
            "pretrain_epochs": 5,
        },
        of_method={"scn": _SCN},
    ),
    "mnist": Target(
        "MNIST, 10,000 training images",
        RATES,
        dataset="mnist",
        any_of=_ANY_RATE,
        options={"warmup_epochs": 1},
        note="sized for a CPU: 10,000 of the 60,000 training images",
    ),
    "digits": Target(
        "scikit-learn's digits",
        RATES,
        dataset="digits",
        any_of=_ANY_RATE,
        options={"warmup_epochs": 1},
        note="sized for a CPU: 1,347 training images, a small network",
    ),
}
