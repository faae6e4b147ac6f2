"""What an unknown name may have been meant to be."""

import difflib
from collections.abc import Sequence

from pyg_agfn.errors import InputError, printable


def unknown_name(family: str, name: str, known: Sequence[str]) -> InputError:
    """The error for a name that a library of models does not have: it names the near ones."""
    near = difflib.get_close_matches(name, known, 4, 0.5)
    near += [other for other in known if name and name in other and other not in near][
        : 4 - len(near)
    ]
    shown = ", ".join(f"{family}/{other}" for other in near)
    way = f"near it are {shown}" if near else f"{family}.list_models() lists all {len(known):,}"
    return InputError(f"unknown backbone {printable(repr(f'{family}/{name}'), 80)}: {way}")
