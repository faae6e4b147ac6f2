"""What a training gives: a model that predicts, is measured, and finds wrong labels."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pyg_agfn.audit.label_audit import LabelAudit
from pyg_agfn.choices import run_label
from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.evaluation import Bank, EvaluationSettings, extract_features
from pyg_agfn.evaluation.report import Report, make_report
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.prediction import Prediction, find_images, predict
from pyg_agfn.runs.folder import Answers, References, Run, load_run, save_answers, save_model
from pyg_agfn.runs.json_files import read_json, write_json
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training.checkpoint import Epoch
from pyg_agfn.training.data import DataLike, TrainingData, as_measured_data, check_images
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.precision import autocast
from pyg_agfn.training.run_audit import audit_model
from pyg_agfn.training.saved_options import load_options
from pyg_agfn.training.training_dynamics import TrainingDynamics

if TYPE_CHECKING:
    from pyg_agfn.export.exporter import ExportReport, Precision


@dataclass
class TrainingResult:
    r"""A trained model with all that belongs to it.

    Attributes:
        config: What the model is.
        model: In evaluation mode.
        references: Training images in whose place a batch would be; None without a graph.
        options: Of the training; None for one that was loaded without its ``config.json``.
        metrics: What was measured, as ``metrics.json`` holds it.
        history: What each epoch measured.
        answers: Logits of the test images; None where there were none.
        train_answers: Logits and given labels of the training images, in order; None once loaded.
        train: The training images; None once loaded.
        dynamics: What the network said of each training label while it was trained; None of a run
            that has kept nothing of it.
    """

    config: ModelConfig
    model: BaselineClassifier
    references: References | None
    options: TrainOptions | None
    metrics: dict[str, Any]
    history: list[Epoch] = field(default_factory=list)
    answers: Answers | None = None
    train_answers: Answers | None = None
    train: TrainingData | None = None
    dynamics: TrainingDynamics | None = None

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        r"""Class probabilities of images in memory, each by itself.

        Args:
            images: ``uint8`` as stored, or floats as the model was trained on.

        Shapes:
            - **input:** :math:`(N, C, H, W)`
            - **output:** :math:`(N, K)`, rows sum to 1

        Raises:
            InputError: No tensor of ``uint8`` or floats, or images of another size or number of
                channels.
        """
        check_images(images, self._image_shape)
        self.model.eval()
        found = [torch.zeros(0, len(self.config.classes))]
        for part in images.split(256) if len(images) else ():
            x = part.to(self._device)
            x = to_float(x) if x.dtype == torch.uint8 else x.float()
            with self._autocast():
                features = self.model.features(x).float()
            found.append(self._logits(features).float().softmax(1).cpu())
        return torch.cat(found)

    def predict_files(
        self, paths: Iterable[Path | str] | Path | str, num_references: int = 5
    ) -> list[Prediction]:
        """Predictions for image files and folders of them, each with what shaped it.

        Raises:
            InputError: A path does not exist, or an image cannot be read.
        """
        run = Run(Path(), self.config, self.model.eval(), self.references)
        files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
        return list(predict(run, find_images(files), num_references))

    def evaluate(self, data: DataLike, name: str = "result") -> Report:
        """Measures the model on labelled images by every protocol.

        Args:
            data: As :meth:`pyg_agfn.Trainer.fit` takes it.
            name: What the report calls it.

        Raises:
            InputError: The data cannot be used, or have other classes.
        """
        test = as_measured_data(data, self.config.classes, self._image_shape)
        options = self.options or TrainOptions(batch_size=self.config.batch_size)
        features = self._features(test, options.batch_size)
        settings = EvaluationSettings(
            None if self.references is None else self.references.bank,
            options.batch_size,
            options.eval_draws,
            options.seed,
        )
        return make_report(name, self.config.classes, self.model, features, test.labels, settings)

    def label_issues(self, data: DataLike | None = None, share: float | None = None) -> LabelAudit:
        """Training images by how likely their given label is wrong, the likeliest first.

        The score is 1 minus the probability of the label, the mean of the trained model's and of
        what the network answered over the epochs, calibrated to the share of wrong labels. The
        latter is known of the images and labels of the training alone.

        Args:
            data: Labelled images; those of the training if not given.
            share: Share of the labels that counts as wrong. (default: an estimate)

        Raises:
            InputError: The result was loaded, and no data are given; the images are too few, or of
                one class.
        """
        images = self.train
        if data is not None:
            images = as_measured_data(data, self.config.classes, self._image_shape)
        if images is None:
            raise InputError("a loaded result has no training images: give them to label_issues()")
        options = self.options or TrainOptions(batch_size=self.config.batch_size)
        return audit_model(
            self.model, images, options, self.config.classes, self.dynamics, share, self._autocast()
        )

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        return self.config.channels, self.config.height, self.config.width

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _autocast(self) -> AbstractContextManager[object]:
        precision = "fp32" if self.options is None else self.options.precision
        return autocast(precision, self._device)

    def _features(self, data: TrainingData, batch_size: int) -> Tensor:
        batches = data.batches(batch_size=batch_size, device=self._device)
        return extract_features(self.model, batches, self._autocast())

    @torch.no_grad()
    def _logits(self, features: Tensor) -> Tensor:
        """The headline's answers, each by the image's own features and the bank."""
        bank = None if self.references is None else self.references.bank
        return next(Bank(bank).logits(self.model, features, torch.empty(0)))

    def save(self, folder: Path | str) -> Path:
        """Writes a run folder that :meth:`load`, ``predict.py`` and ``evaluate.py`` read.

        Returns:
            The folder.

        Raises:
            InputError: It holds a finished run, or cannot be written.
        """
        folder = as_path(folder, "folder")
        if (folder / "metrics.json").exists():
            raise InputError(f"{folder}: there is a finished run; choose another folder")
        if self.references is not None and not len(self.references.images):
            raise InputError(
                f"{folder}: a model of from_pretrained() lacks the bank's images, which a run "
                "folder has: use save_pretrained()"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}; choose another folder") from None
        if self.options is not None:
            self.options.save(folder / "config.json")
        self.write(folder)
        return folder

    def export(
        self,
        path: Path | str,
        images: Tensor | None = None,
        *,
        precision: Precision = "fp32",
        overwrite: bool = False,
    ) -> ExportReport:
        """Writes the model as one file for other programs, ``.onnx`` or ``.pt2`` by the ending.

        Args:
            path: The file.
            images: What it is compared with PyTorch on; those of the bank if not given, or random
                pixels where there is none.
            precision: Of the backbone's weights; ``fp16`` and ``int8`` are for ``.onnx``.
            overwrite: Replace an existing file.

        Raises:
            InputError: As :func:`pyg_agfn.export.export_model`.
        """
        from pyg_agfn.export.results import export_result

        if images is not None:
            check_images(images, self._image_shape)
        return export_result(self, path, images, precision, overwrite)

    def save_pretrained(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Writes ``config.json``, ``model.safetensors`` and a model card, as hubs expect them.

        Pixels and names of training images are left out.

        Raises:
            InputError: The files exist, or cannot be written.
        """
        from pyg_agfn.export.results import save_result

        return save_result(self, folder, overwrite)

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, backbone: nn.Module | str | None = None
    ) -> TrainingResult:
        """Reads what :meth:`save_pretrained` wrote. No code of the folder is run.

        Args:
            folder: On this machine; nothing is fetched.
            backbone: As for :meth:`load`.

        Raises:
            InputError: A file is missing, broken, or does not fit the others.
        """
        from pyg_agfn.export.pretrained import load_pretrained

        found = load_pretrained(folder, backbone)
        # In training's layout, in which sums are rounded as they were.
        found.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(found.config, found.model, found.references, None, found.metrics)

    def write(self, folder: Path) -> None:
        """Model, bank, answers and, last, the metrics: where they are, the run is finished."""
        save_model(folder, self.config, self.model, self.references)
        if self.answers is not None:
            save_answers(folder, self.answers)
        if self.dynamics is not None:
            self.dynamics.save(folder)
        write_json(folder / "metrics.json", self.metrics)

    def draw_learning_curve(self, path: Path) -> None:
        """Draws loss and accuracy by epoch, as a PNG, SVG or PDF."""
        from pyg_agfn.visualization.learning_curves import plot_learning_curves  # an extra

        label = run_label(self.config.method)
        accuracy = self.metrics.get("accuracy", {}).get("bank")
        bank = {} if accuracy is None else {label: accuracy}
        plot_learning_curves({label: self.history}, path, bank=bank)

    @classmethod
    def load(cls, folder: Path | str, backbone: nn.Module | str | None = None) -> TrainingResult:
        """Reads a run folder.

        Args:
            folder: Of a finished run.
            backbone: The module that was trained, where it was no registered one; it gets the
                weights. Or ``module:Class``.

        Raises:
            InputError: A file is missing, broken, or does not fit the others.
        """
        folder = as_path(folder, "folder")
        run = load_run(folder, backbone)
        metrics = folder / "metrics.json"
        found = read_json(metrics) if metrics.exists() else {}
        config = folder / "config.json"
        options = load_options(config) if config.exists() else None
        if options is not None and isinstance(run.model, AGFNClassifier):
            run.model.agfn.propagation = options.propagation
        # In training's layout, in which sums are rounded as they were.
        run.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        dynamics = TrainingDynamics.load(folder)
        return cls(run.config, run.model, run.references, options, found, dynamics=dynamics)

    def __repr__(self) -> str:
        label = run_label(self.config.method, self.metrics.get("recipe"))
        accuracy = self.metrics.get("accuracy", {}).get("bank")
        measured = "" if accuracy is None else f", inductive accuracy {accuracy:.1%}"
        return f"{type(self).__name__}({label}, {len(self.config.classes)} classes{measured})"
