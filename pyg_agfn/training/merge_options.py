"""Options by what the user gives, what is saved, and the defaults of data set and method."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pyg_agfn.training.defaults import OPTIMIZER_DEFAULTS, dataset_defaults, method_defaults
from pyg_agfn.training.option_uses import refuse_without_effect
from pyg_agfn.training.option_values import converted, fits
from pyg_agfn.training.options import TrainOptions


def merge_options(
    given: Mapping[str, Any], saved: Mapping[str, Any] | None = None, refuse: bool = True
) -> TrainOptions:
    """What the user gives, over a saved configuration, the data set's defaults and the defaults.

    A lower one gives way where it contradicts a higher one: wrong labels are made or read from a
    list, whichever is said higher up; what the saved method has as its own default, and what only
    the saved data set has, is not taken over to another one.

    Args:
        given: What the user says, by the names of :class:`TrainOptions`. None stands for nothing
            where it is the default.
        saved: A configuration, of some or all options.
        refuse: Whether to refuse what has no effect; whoever makes several runs of the options
            looks at them instead (:func:`~pyg_agfn.training.option_uses.refuse_without_effect`).

    Raises:
        InputError: As :meth:`TrainOptions.for_dataset`.
    """
    specs = {spec.name: spec for spec in dataclasses.fields(TrainOptions)}
    given = {
        name: value
        for name, value in given.items()
        if value is not None or name not in specs or specs[name].default is not None
    }
    saved = _without_replaced(saved or {}, given)
    dataset = {"dataset": TrainOptions.dataset, **saved, **given}["dataset"]
    of_dataset = dataset_defaults(dataset) if isinstance(dataset, str) else {}
    merged: dict[str, Any] = {}
    optimizer = {**of_dataset, **saved, **given}.get("optimizer")
    of_optimizer = OPTIMIZER_DEFAULTS.get(optimizer, {}) if isinstance(optimizer, str) else {}
    for layer in (of_dataset, of_optimizer, saved, given):
        if layer.get("noise_file") is not None:
            merged["noise"] = 0.0
        elif "noise" in layer:
            merged.pop("noise_file", None)
        merged.update(layer)
    set_names = saved.keys() | given.keys()
    if "pretrain_epochs" not in set_names:
        merged.update(_shorter_pretraining(merged, of_dataset))
    options = TrainOptions(**merged)
    object.__setattr__(options, "_defaulted", frozenset(specs.keys() - set_names))
    if refuse:
        refuse_without_effect([options], given)
    return options


def _without_replaced(saved: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The saved options but for those of another method or data set than is given now."""

    def another(name: str) -> bool:
        return name in saved and _names(given.get(name, saved[name])) != _names(saved[name])

    replaced: set[str] = set()
    if another("method"):
        names = (*_names(saved["method"]), *_names(given["method"]))
        replaced |= {option for name in names for option in method_defaults(name)}
    if another("backbone"):
        replaced.add("backbone_arg")
    if str(given.get("weights", saved.get("weights"))) != str(saved.get("weights")):
        # What is saved is what the other weights expect of their images.
        replaced |= {name for name in saved if name.startswith("input_")}
    if another("dataset"):
        replaced |= {"root", "eval_split", "label_mode", "targets"}
    if {"optimizer": "sgd", **saved, **given}["optimizer"] != saved.get("optimizer", "sgd"):
        replaced |= {"lr", "weight_decay", "momentum"}
    return {name: value for name, value in saved.items() if name not in replaced}


def _names(value: Any) -> tuple[Any, ...]:
    """One name or several, as a tuple."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _shorter_pretraining(
    merged: Mapping[str, Any], of_dataset: Mapping[str, Any]
) -> dict[str, int]:
    """The default share of the epochs, where the default number leaves none for the graph."""
    usual = {"epochs": TrainOptions.epochs, "pretrain_epochs": TrainOptions.pretrain_epochs}
    if usual.keys() <= of_dataset.keys():
        usual.update({name: of_dataset[name] for name in usual})
    epochs = converted(merged.get("epochs", usual["epochs"]), int)
    if not fits(epochs, int) or not 0 < epochs <= usual["pretrain_epochs"]:
        return {}
    return {"pretrain_epochs": epochs * usual["pretrain_epochs"] // usual["epochs"]}
