"""One object that trains a method on images, from the backbone to the measured result."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import Logger
from rich.console import Console
from torch import nn

from pyg_agfn.choices import Keep
from pyg_agfn.distributed import launched_processes, rank
from pyg_agfn.errors import InputError, printable
from pyg_agfn.methods.method import Method
from pyg_agfn.nn.own_backbone import copy_backbone
from pyg_agfn.registry import METHODS
from pyg_agfn.training.build_model import fit_backbone
from pyg_agfn.training.checkpoint import FILE as CHECKPOINT
from pyg_agfn.training.data import DataLike, TrainingData, as_measured_data, as_training_data
from pyg_agfn.training.few_images import changed_defaults, fit_to_images
from pyg_agfn.training.fit import fit, make_method
from pyg_agfn.training.image_options import note_on_scale, options_for_images
from pyg_agfn.training.merge_options import merge_options
from pyg_agfn.training.options import CUSTOM, TrainOptions
from pyg_agfn.training.result import TrainingResult
from pyg_agfn.training.run_in_folder import make_resumable_folder, run_in_folder
from pyg_agfn.training.saved_options import load_options
from pyg_agfn.training.setup import make_fabric
from pyg_agfn.training.validation import split_rows
from pyg_agfn.training.weights import describe_convention, open_weights, with_convention
from pyg_agfn.training.weights_file import StoredWeights

_SPECS = {spec.name: spec.metadata["group"] for spec in dataclasses.fields(TrainOptions)}
#: Options of the command line, and what does in Python what they do there.
ELSEWHERE = {
    **{
        name: "fit() takes the images as they are"
        for name, group in _SPECS.items()
        if group == "data" and name not in ("augment", "workers", "val_fraction")
    },
    "out": "fit() and save() take the folder",
    "plugin": "import the module instead",
}


class Trainer:
    """Trains one method; the options are those of ``train_pyg.py``.

    Args:
        backbone (str or torch.nn.Module, optional): A name of
            :data:`pyg_agfn.registry.BACKBONES`, ``timm/NAME``, ``torchvision/NAME`` or
            ``module:Class``, or a module that yields :math:`(N, F)`, of which
            each :meth:`fit` trains a copy, ``result.model.backbone``: the module keeps its
            weights, with which each training begins. (default: :obj:`"resnet18"`)
        method (str or Method): A name of :data:`pyg_agfn.registry.METHODS`, or a
            :class:`~pyg_agfn.methods.Method`, whose settings then are its own; it is copied, too.
            (default: :obj:`"agfn-nlc"`)
        keep (str): ``"last"`` keeps the last epoch, ``"best"`` the one of the highest accuracy on
            the validation images, the first of several; with the option ``val_fraction`` it is
            chosen on that share of the training images. (default: :obj:`"last"`)
        quiet (bool): Print nothing. (default: :obj:`False`)
        **options: Of :class:`~pyg_agfn.training.TrainOptions`, such as ``epochs``, ``batch_size``,
            ``lr``, ``seed``, ``device``. What has no effect is refused.

    Raises:
        InputError: An unknown option, a value of another type or out of its range, or one that
            would have no effect; the message names it.

    Example:
        >>> trainer = Trainer(backbone="small-cnn", method="agfn-nlc", epochs=10)
        >>> result = trainer.fit(train, validation)
        >>> result.predict(images); result.label_issues(); result.save("runs/mine")
    """

    def __init__(
        self,
        backbone: str | nn.Module | None = None,
        method: str | Method = "agfn-nlc",
        *,
        keep: Keep = "last",
        quiet: bool = False,
        **options: Any,
    ) -> None:
        if keep not in ("last", "best"):
            raise InputError(f"keep must be 'last' or 'best', got {printable(repr(keep), 80)}")
        if unknown := sorted(options.keys() - _SPECS.keys()):
            raise InputError(
                f"Trainer has no option {', '.join(unknown)}; help(pyg_agfn.training.TrainOptions) "
                "lists them"
            )
        for option in options.keys() & ELSEWHERE.keys():
            raise InputError(f"{option} is no option of Trainer: {ELSEWHERE[option]}")
        if backbone is not None and not isinstance(backbone, str | nn.Module):
            raise _no_object("backbone", "a name or a torch.nn.Module", backbone)
        self.backbone = backbone if isinstance(backbone, nn.Module) else None
        self.method = method if isinstance(method, Method) else None
        self.console = Console(quiet=quiet, markup=False, emoji=False)
        given = {"dataset": CUSTOM, "keep": keep, **options}
        name = given["method"] = _name_of(method)
        if isinstance(method, Method):
            own = [option for option in options if _SPECS[option] == "method"]
            if own:
                raise InputError(
                    f"{own[0]} has no effect with a Method object, whose settings are its own: "
                    f"give it to {type(method).__name__}()"
                )
            if options.get("balance") == "loss":
                raise InputError(
                    "balance='loss' has no effect with a Method object, whose loss is its own: "
                    "give it a criterion with class weights, or take balance='sampler'"
                )
        if backbone is not None:
            given["backbone"] = backbone if isinstance(backbone, str) else CUSTOM
        self.options = merge_options(given).for_method(name)

    @classmethod
    def from_options(cls, options: TrainOptions, console: Console) -> "Trainer":
        """A trainer of the one method of options as they are.

        Raises:
            InputError: The options have several methods.
        """
        if len(options.method) != 1:
            raise InputError(f"a trainer trains one method, got {' '.join(options.method)}")
        trainer = cls()
        trainer.options, trainer.console = options, console
        return trainer

    @property
    def keep(self) -> Keep:
        """Which epoch is kept."""
        return self.options.keep

    def fit(
        self, train: DataLike, validation: DataLike | None = None, folder: Path | str | None = None
    ) -> TrainingResult:
        """Trains on labelled images.

        Args:
            train: An :class:`~pyg_agfn.datasets.ImageDataset`, a map-style
                :class:`torch.utils.data.Dataset` of (image, label), or a
                :class:`~torch.utils.data.DataLoader` of one.
            validation: The same to measure on, by the classes of ``train``, of which some may have
                no image; with ``keep="best"`` it chooses the epoch.
            folder: A run folder. Checkpoints are written to it, from which the same call resumes a
                training that was interrupted, and in the end all of the result.

        Raises:
            InputError: The data, the backbone or the folder cannot be used, or the training stops.
            InterruptedRunError: A signal has come; with a folder the training is saved.
        """
        share = self.options.val_fraction
        if self.options.keep == "best" and validation is None and not share:
            raise InputError(
                "keep='best' needs validation images that choose the epoch: give them, or a "
                "val_fraction of the training images"
            )
        images = as_training_data(train)
        usual = options_for_images(self.options, images)
        set_aside = None
        if share:
            rows = split_rows(images.labels, share, self.options.seed)
            images, set_aside = images.subset(rows[0]), images.subset(rows[1])
            self.console.print(f"validation: {len(set_aside):,} training images are set aside")
        held_out = None
        if validation is not None:
            held_out = as_measured_data(validation, images.classes, images.image_shape)
            if note := note_on_scale(images, held_out):
                self.console.print(note, soft_wrap=True, highlight=False)
        options = fit_to_images(usual, len(images), launched_processes()[1])
        if changed := changed_defaults(usual, options):
            self.console.print(f"by default for {len(images):,} training images: {changed}")
        if options.profile and folder is None and not rank():
            raise InputError("profile has no effect without a folder: give one to fit()")
        sized = fit_backbone(self.options, images.image_shape)
        if sized is not self.options:
            options = options.changed(backbone=sized.backbone)
            side = max(images.image_shape[1:])
            self.console.print(
                f"by default for images of {side} pixels on a GPU: --backbone {options.backbone}"
            )
        options, weights = self._with_weights(options, images, folder)
        own = self.method
        method = make_method(options, images) if own is None else copy.deepcopy(own)
        backbone = None if self.backbone is None else copy_backbone(self.backbone)

        # Of several processes the first one writes.
        run_folder = None if folder is None or rank() else make_resumable_folder(folder, options)

        def run(logger: Logger | None = None) -> TrainingResult:
            return fit(
                make_fabric(options, logger),
                options,
                method,
                images,
                held_out,
                self.console,
                run_folder,
                backbone,
                options.keep == "best",
                set_aside,
                weights,
            )

        if run_folder is None:
            return run()
        skipped = [bad for data in (images, held_out) if data is not None for bad in data.skipped]
        return run_in_folder(run_folder, options, skipped, self.console, run)

    def _with_weights(
        self, options: TrainOptions, images: TrainingData, folder: Path | str | None
    ) -> tuple[TrainOptions, StoredWeights | None]:
        """The weights to begin with, and the options with what these expect of images."""
        if options.weights is None:
            return options, None
        if folder is not None and (Path(folder) / CHECKPOINT).exists():
            # A resumed run has its weights in the checkpoint, and their convention in its options.
            before = load_options(Path(folder) / "config.json")
            said = {name: getattr(before, name) for name in _SPECS if name.startswith("input_")}
            return options.changed(**said), None
        channels = images.image_shape[0]
        weights = open_weights(options, self.backbone)
        options = with_convention(
            options, weights, channels, self.backbone, scaled=not images.are_floats
        )
        for line in describe_convention(options, weights, images.image_shape):
            self.console.print(line, soft_wrap=True, highlight=False)
        return options, weights


def _name_of(method: str | Method) -> str:
    """What a method is registered as."""
    if isinstance(method, str):
        return method
    if not isinstance(method, Method):
        raise _no_object("method", "a name or a pyg_agfn.methods.Method", method)
    kind = type(method)
    if kind.name not in METHODS or METHODS[kind.name] is not kind:
        raise InputError(
            f"method {kind.__name__} is not registered: give it a name by "
            '@pyg_agfn.register_method("...")'
        )
    return kind.name


def _no_object(name: str, what: str, found: object) -> InputError:
    if isinstance(found, type):
        return InputError(
            f"{name} must be {what}, got the class {found.__name__}: give an object, "
            f"{found.__name__}(...)"
        )
    return InputError(f"{name} must be {what}, got {printable(repr(found), 80)}")
