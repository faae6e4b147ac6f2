"""One object that trains a method on images, from the backbone to the measured result."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.loggers.logger import Logger
from rich.console import Console
from torch import nn

from pyg_agfn.distributed import launched_processes, rank
from pyg_agfn.errors import InputError, as_path, printable
from pyg_agfn.methods.method import Method
from pyg_agfn.training.data import DataLike, as_training_data
from pyg_agfn.training.few_images import changed_defaults, fit_to_images
from pyg_agfn.training.fit import fit, make_method
from pyg_agfn.training.merge_options import merge_options
from pyg_agfn.training.options import CUSTOM, TrainOptions
from pyg_agfn.training.result import TrainingResult
from pyg_agfn.training.run_in_folder import run_in_folder
from pyg_agfn.training.setup import make_fabric


class Trainer:
    """Trains one method; the options are those of ``train_pyg.py``.

    Args:
        backbone (str or torch.nn.Module, optional): A name of
            :data:`pyg_agfn.registry.BACKBONES`, or a module that yields :math:`(N, F)` and has
            attribute ``num_features``. (default: :obj:`"resnet18"`)
        method (str or Method): A name of :data:`pyg_agfn.registry.METHODS`, or a
            :class:`~pyg_agfn.methods.Method`, whose settings then are its own.
            (default: :obj:`"agfn-nlc"`)
        keep (str): ``"last"`` keeps the last epoch, ``"best"`` the one of the highest accuracy on
            the validation images. (default: :obj:`"last"`)
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
        keep: Literal["last", "best"] = "last",
        quiet: bool = False,
        **options: Any,
    ) -> None:
        if keep not in ("last", "best"):
            raise InputError(f"keep must be 'last' or 'best', got {printable(repr(keep), 80)}")
        known = {spec.name for spec in dataclasses.fields(TrainOptions)}
        if unknown := sorted(options.keys() - known):
            raise InputError(
                f"Trainer has no option {', '.join(unknown)}; help(pyg_agfn.training.TrainOptions) "
                "lists them"
            )
        self.backbone = backbone if isinstance(backbone, nn.Module) else None
        self.method = method if isinstance(method, Method) else None
        self.keep = keep
        self.console = Console(quiet=quiet, markup=False, emoji=False)
        given = {"dataset": CUSTOM, **options}
        given["method"] = (method.name if isinstance(method, Method) else method,)
        if isinstance(backbone, str):
            given["backbone"] = backbone
        (name,) = given["method"]
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

    def fit(
        self, train: DataLike, validation: DataLike | None = None, folder: Path | None = None
    ) -> TrainingResult:
        """Trains on labelled images.

        Args:
            train: An :class:`~pyg_agfn.datasets.ImageDataset`, a map-style
                :class:`torch.utils.data.Dataset` of (image, label), or a
                :class:`~torch.utils.data.DataLoader` of one.
            validation: The same to measure on; with ``keep="best"`` it chooses the epoch.
            folder: A run folder that is there. Checkpoints are written to it, from which a training
                that was interrupted is resumed, and in the end all of the result.

        Raises:
            InputError: The data cannot be used, or the training stops.
            InterruptedRunError: A signal has come; with a folder the training is saved.
        """
        if self.keep == "best" and validation is None:
            raise InputError("keep='best' needs validation images that choose the epoch")
        images = as_training_data(train)
        held_out = None if validation is None else as_training_data(validation, images.classes)
        options = fit_to_images(self.options, len(images), launched_processes()[1])
        if changed := changed_defaults(self.options, options):
            self.console.print(f"by default for {len(images):,} training images: {changed}")
        method = self.method if self.method is not None else make_method(options)

        def run(logger: Logger | None = None) -> TrainingResult:
            fabric = make_fabric(options, logger)
            best = self.keep == "best"
            return fit(
                fabric,
                options,
                method,
                images,
                held_out,
                self.console,
                folder,
                self.backbone,
                best,
            )

        if folder is None or rank():  # of several processes the first one writes
            return run()
        folder = as_path(folder, "folder")
        skipped = [bad for data in (images, held_out) if data is not None for bad in data.skipped]
        return run_in_folder(folder, options, skipped, self.console, run)
