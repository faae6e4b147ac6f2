"""Which texts name a backbone. Imports nothing large."""

from pyg_agfn.backbone_args import is_own_class
from pyg_agfn.choices import CUSTOM
from pyg_agfn.errors import InputError, printable
from pyg_agfn.registry import BACKBONES


class BackboneNames(tuple[str, ...]):
    """What an option's help lists. Names with a slash or a colon are taken too, and checked later.

    That check may have to import timm.
    """

    def __new__(cls) -> "BackboneNames":
        return super().__new__(cls, BACKBONES)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and _may_be_known(name))


def check_backbone(name: str) -> None:
    """Stops at a name that no backbone has. A ``module:Class`` is not imported.

    Raises:
        InputError: There is none; the line names those that are near.
    """
    if name == CUSTOM or name in BACKBONES or is_own_class(name):
        return
    if BACKBONES.family_of(name) is not None:
        try:
            BACKBONES[name]
        except InputError as error:
            raise InputError(f"--backbone {name}: {error}") from None
    known = ", ".join(BACKBONES)
    raise InputError(
        f"--backbone must be one of {known}, timm/NAME, torchvision/NAME or module:Class, got "
        f"{printable(name, 80)}"
    )


def _may_be_known(name: str) -> bool:
    return BACKBONES.family_of(name) is not None or is_own_class(name)
