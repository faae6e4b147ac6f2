"""What a table, a figure or a suite is made of."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyg_agfn.registry import METHODS

#: The method whose parts the ablation leaves out one by one.
NLC = "agfn-nlc"


@dataclass(frozen=True)
class Target:
    """A table or a figure of the paper, or a suite.

    Attributes:
        title: What it shows.
        varied: The options that differ between its runs, and their values in turn; ``None``
            stands for the value that the user chose.
        methods: What it can compare; any method if empty.
        variants: Or, by its name, what differs in each of its runs.
        dataset: Its data set where the user names none.
        any_of: The options of ``varied`` that may be had at other values too.
        options: What all runs of a suite have where the user gives nothing else.
        on_cpu: What these are on a CPU, in their place.
        of_method: By the name of a method what its runs have in their place.
        needs: The options that only the user can give.
        splits: The splits that its runs are measured on beside the one of ``eval_split``.
        note: What the user should know of its size.
    """

    title: str
    varied: dict[str, tuple[Any, ...]]
    methods: tuple[str, ...] = ()
    variants: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    dataset: str = "ferplus"
    any_of: frozenset[str] = frozenset()
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    on_cpu: dict[str, Any] = dataclasses.field(default_factory=dict)
    of_method: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    note: str = ""

    def shows(self, found: dict[str, Any]) -> bool:
        """Whether a run belongs to it, by the options that it varies."""
        if "noise" in self.any_of and not found.get("noise") and 0.0 not in self.varied["noise"]:
            return False
        own = set(self.varied) - self.any_of
        return all(found.get(name) in self.varied[name] for name in own)

    @property
    def rows(self) -> tuple[str, ...]:
        """The methods that it can compare."""
        return self.methods or tuple(METHODS)

    @property
    def sets(self) -> set[str]:
        """The options that it sets itself."""
        changed = {name for variant in self.variants.values() for name in variant}
        return {*self.varied, *changed}

    def options_of(self, given: Mapping[str, Any], on_cpu: bool) -> dict[str, Any]:
        """What the runs have in common: the suite's options, and over them what the user gives.

        With other epochs than the suite's the share of them before the graph stays the same.
        """
        own = {**self.options, **(self.on_cpu if on_cpu else {})}
        if "epochs" in given and {"epochs", "pretrain_epochs"} <= own.keys():
            own["pretrain_epochs"] = given["epochs"] * own["pretrain_epochs"] // own["epochs"]
        return {**own, **given}

    def settings_of(self, method: str, given: Mapping[str, Any], on_cpu: bool) -> dict[str, Any]:
        """What :meth:`options_of` and :attr:`of_method` set in a method's runs, as JSON has it."""
        of_method = {k: v for k, v in self.of_method.get(method, {}).items() if k not in given}
        every = {**self.options_of(given, on_cpu), **of_method}
        found: dict[str, Any] = json.loads(json.dumps(every, default=str))
        return found
