"""Old names of options, of versions before 0.2: read for one more version."""

from collections.abc import Mapping
from typing import Any

from pyg_agfn.choices import CORRECTED, OLD_CORRECTED
from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError, printable

#: Today's names by the old ones.
RENAMED = {
    "teacher": "teacher_decay",
    "memory": "memory_size",
    "judges": "label_source",
    "correct_at_most": "max_share",
    "heads": "classifier_inputs",
}
#: Today's values of these options by the old ones.
RENAMED_VALUES: dict[str, dict[str, str]] = {
    "judges": {"nobody": "given", "neighbours": "neighbors"},
    "heads": {"alone": "single"},
}
#: Old names of options; ``recipe`` has no new one.
OLD_NAMES = (*RENAMED, "recipe")

#: AGFN to the letter; with corrected labels it was ``--recipe best``.
PAPER = "agfn"
#: The methods where none was named.
_METHODS = ("baseline", PAPER)

#: What ``--recipe paper`` stood for. Where some were set by hand, the others were so.
PAPER_SETTINGS: dict[str, Any] = {
    "teacher_decay": 0.0,
    "memory_size": 0,
    "label_source": "given",
    "max_share": 1.0,
    "classifier_inputs": "graph",
    "graph_optimizer": "sgd",
    "alpha": 1.0,
    "beta": 0.0,
    "lr_graph": 0.001,
}
#: Those that make ``agfn`` a method which corrects labels, at any other value.
_PARTS = ("teacher_decay", "memory_size", "label_source", "classifier_inputs")


def translate(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Options of a command line, a ``config.json`` or a record of results, by today's names.

    With ``recipe: best`` the method ``agfn`` becomes ``agfn-nlc``; ``recipe: paper`` is dropped,
    and so are its settings of ``agfn-nlc``'s options, which would hold for that method once it is
    named in the place of ``agfn``. ``agfn`` with parts of the best recipe that were set by hand
    becomes ``agfn-nlc`` too, with the paper's settings for the rest. What has no old name is
    returned as it is, and no value is checked.

    Args:
        options: Some or all options, by old and new names.

    Returns:
        The options by today's names, and for each old name a line that says the new one.

    Raises:
        InputError: An option is given by its old and its new name, or the recipe is unknown.
    """
    found = dict(options)
    lines = [_rename(found, name) for name in RENAMED if name in options]
    recipe = found.pop("recipe", "paper")
    if recipe not in ("paper", "best"):
        raise InputError(
            f"--recipe {printable(str(recipe), 80)}: this option is gone; choose --method {PAPER} "
            f"or {CORRECTED}"
        )
    if "recipe" in options:
        now = CORRECTED if recipe == "best" else PAPER
        lines.append(f"--recipe {recipe} is now --method {now}")
    method = found.get("method", _METHODS)
    if recipe == "best":
        found["method"] = _replaced(method, PAPER)
    elif lines and any(found.get(k, PAPER_SETTINGS[k]) != PAPER_SETTINGS[k] for k in _PARTS):
        found["method"] = _replaced(method, PAPER)
        if found["method"] != method:
            found = {**_settings_in_use(found), **found}
            lines.append(f"--method {PAPER} with corrected labels is now --method {CORRECTED}")
    elif "recipe" in options:
        found["method"] = method
        own = ("max_share", *_PARTS)
        found = {k: v for k, v in found.items() if k not in own or v != PAPER_SETTINGS[k]}
    if "method" in found and found["method"] != (new := _replaced(found["method"], OLD_CORRECTED)):
        found["method"] = new
        lines.append(f"--method {OLD_CORRECTED} is now --method {CORRECTED}")
    return found, lines


def _rename(options: dict[str, Any], old: str) -> str:
    """Puts a value under its new name; returns the line that says so."""
    new = RENAMED[old]
    if new in options:
        raise InputError(
            f"{flag_of(old)} is the old name of {flag_of(new)}: give the new one alone"
        )
    value = options.pop(old)
    values = RENAMED_VALUES.get(old, {})
    if isinstance(value, str) and value in values:
        options[new] = values[value]
        return f"{flag_of(old)} {value} is now {flag_of(new)} {values[value]}"
    options[new] = value
    return f"{flag_of(old)} is now {flag_of(new)}"


def _replaced(method: Any, old: str) -> Any:
    """The methods with ``agfn-nlc`` in the place of an old one; what is no method as it is."""
    if isinstance(method, str):
        return CORRECTED if method == old else method
    if isinstance(method, list | tuple):
        return type(method)(CORRECTED if name == old else name for name in method)
    return method


def _settings_in_use(options: Mapping[str, Any]) -> dict[str, Any]:
    """The paper's settings, but for those that say nothing beside these options."""
    settings = {**PAPER_SETTINGS, **options}
    idle = set()
    if settings["label_source"] == "given":
        idle.add("max_share")
    if settings["classifier_inputs"] == "single" and settings["memory_size"] == 0:
        idle |= {"graph_optimizer", "lr_graph"}
    return {name: value for name, value in PAPER_SETTINGS.items() if name not in idle}
