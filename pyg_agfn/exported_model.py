"""An exported model, opened by onnxruntime: for machines without torch.

Imports numpy, Pillow and onnxruntime alone (extra ``serve``).
"""

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyg_agfn.choices import MAX_SIZE, SIDES
from pyg_agfn.datasets.image_file import ImageBytes, decode
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.errors import InputError, as_path, printable
from pyg_agfn.extras import require
from pyg_agfn.image_predictions import Prediction, fitting_batch_size, read_in_batches
from pyg_agfn.preprocessing import Preprocessing
from pyg_agfn.runs.json_files import check_file

#: Version of what an exported file says of itself.
FORMAT = 1
#: What the file calls its input, (N, C, H, W) of float32, and its output, (N, K).
INPUT, OUTPUT = "images", "probabilities"
#: Most images that are classified at once.
BATCH = 256
#: Most bytes of a file: what its format can hold.
MOST_BYTES = 1 << 31

Probabilities = np.ndarray[Any, np.dtype[np.float32]]


class ExportedModel:
    """A model that ``export`` wrote as ``.onnx``.

    Each image is classified by itself, whatever else is in its batch.

    Args:
        file: The ``.onnx`` file.
        providers: What runs it, by onnxruntime's names. (default: the CPU)
        threads: Threads of one call; as many as there are cores if not given.

    Attributes:
        classes: Names of the classes, in the order of the probabilities.
        preprocessing: How an image file becomes an input; None: transforms in Python made the
            images that it was trained on, and no file can be made one.
        method, backbone, version, precision: What trained it, its feature extractor, the version
            of this package that exported it, and ``fp32``, ``fp16`` or ``int8``.

    Raises:
        InputError: onnxruntime is not installed, or the file is missing, broken, or was not
            exported by this package.

    Example:
        >>> model = ExportedModel("model.onnx")
        >>> pixels = [model.preprocess(file) for file in files]
        >>> model.predict(pixels)  # (N, K)
    """

    def __init__(
        self,
        file: Path | str,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int | None = None,
    ) -> None:
        require("onnxruntime")
        self.file = as_path(file, "exported model")
        self.session = _open_session(self.file, providers, threads)
        told = self.session.get_modelmeta().custom_metadata_map
        try:
            self.classes, self.preprocessing = _read_metadata(told)
            self.input_shape = _check_signature(self.session, len(self.classes))
            if self.preprocessing is not None:
                p = self.preprocessing
                if (p.channels, p.height, p.width) != self.input_shape:
                    raise ValueError(f"its input is {self.input_shape}, not as preprocessing says")
        except ValueError as error:
            raise InputError(
                f"{self.file}: cannot be used ({error}); export the run again, with export.py"
            ) from None
        self.method, self.backbone, self.version, self.precision = (
            printable(str(told.get(name, "")), 100)
            for name in ("method", "backbone", "version", "precision")
        )

    def preprocess(self, file: Path | ImageBytes) -> Pixels:
        """An image file as an input, uint8 (C, H, W).

        Raises:
            InputError: The file cannot be read, or the model takes no image files.
        """
        p = self._refuse_own_transforms()
        size = (p.height, p.width)
        return decode(file, size, p.channels, p.resize, p.white, p.interpolation)

    def predict(self, images: Sequence[Pixels] | Pixels) -> Probabilities:
        """Class probabilities, float32 (N, K), of uint8 images (N, C, H, W).

        Raises:
            InputError: Images of another type or shape, or an answer is not finite.
        """
        pixels = np.asarray(images)
        if pixels.size and pixels.dtype != np.uint8:
            raise InputError(f"images must be uint8, got {pixels.dtype}")
        parts = [self.predict_floats(to_float(part)) for part in self._parts(pixels)]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *parts])

    def predict_floats(self, images: np.ndarray[Any, np.dtype[np.float32]]) -> Probabilities:
        """The same of one batch of inputs as the network takes them, float32 (N, C, H, W).

        Raises:
            InputError: Images of another shape, or an answer is not finite.
        """
        if images.shape[1:] != self.input_shape:
            shape = ", ".join(map(str, self.input_shape))
            raise InputError(f"images must be of shape [N, {shape}], got {list(images.shape)}")
        if not len(images):
            return np.zeros((0, len(self.classes)), np.float32)
        found: Probabilities = self.session.run([OUTPUT], {INPUT: images.astype(np.float32)})[0]
        if found.shape != (len(images), len(self.classes)) or not np.isfinite(found).all():
            raise InputError(f"{self.file}: the model's answers are no numbers; it is broken")
        return found

    def predict_files(
        self, files: Iterable[Path], report: Callable[[str], None] | None = None
    ) -> Generator[Prediction, None, None]:
        """Classifies image files, each by itself, in their order; the next are read meanwhile.

        The predictions have no references: an exported model does not know its training images.

        Args:
            files: The images; the iterable may be infinite.
            report: Is called with a line about each file that cannot be read; the other files are
                classified.

        Raises:
            InputError: The model takes no image files, an answer is not finite, or a file cannot be
                read and there is no ``report``.
            OutOfMemoryError: There is too little memory for an image.
        """
        self._refuse_own_transforms()
        batch_size = fitting_batch_size(BATCH, *self.input_shape[1:])
        for named, images in read_in_batches(files, self.preprocess, batch_size, report):
            answers = self.predict(images).tolist()
            for file, image, probabilities in zip(named, images, answers, strict=True):
                by_class = dict(zip(self.classes, probabilities, strict=True))
                yield Prediction(file, by_class, [], None, image)

    def _refuse_own_transforms(self) -> Preprocessing:
        if self.preprocessing is None:
            raise InputError(
                f"{self.file}: transforms in Python made the images that the model was trained "
                "on: make them by the same, and classify them by ExportedModel.predict_floats()"
            )
        return self.preprocessing

    def _parts(self, images: Pixels) -> list[Pixels]:
        _, height, width = self.input_shape
        size = fitting_batch_size(BATCH, height, width)
        return [images[start : start + size] for start in range(0, len(images), size)]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.file.name}, {self.method}, {self.backbone}, "
            f"{len(self.classes)} classes, {self.precision})"
        )


def find_providers(device: str) -> tuple[str, ...]:
    """What runs a model on a device, by onnxruntime's names.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: Another device, or there is none here.
    """
    require("onnxruntime")
    import onnxruntime

    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    has_cuda = cuda in onnxruntime.get_available_providers()
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device {device}: an exported model runs on auto, cpu or cuda")
    if device == "cuda" and not has_cuda:
        raise InputError(
            "--device cuda: this onnxruntime has none: pip install onnxruntime-gpu, or leave it out"
        )
    return (cuda, cpu) if has_cuda and device != "cpu" else (cpu,)


def to_float(images: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
    """uint8, 0 to 255, as float32, -1 to 1: what training does, in the same two steps."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _open_session(file: Path, providers: Sequence[str], threads: int | None) -> Any:
    """The file in onnxruntime, which gets its bytes: so it opens no other file that it names."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what is wrong is said in one line here
    if threads is not None:
        settings.intra_op_num_threads = threads
    try:
        size = check_file(file)
        if not 0 < size < MOST_BYTES:
            raise ValueError(f"{size:,} bytes")
        return onnxruntime.InferenceSession(file.read_bytes(), settings, providers=list(providers))
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file") from None
    except Exception as error:  # onnxruntime has exceptions without a common base
        reason = printable(" ".join(str(error).split()), 200)
        raise InputError(f"{file}: cannot be opened as ONNX ({reason})") from None


def _read_metadata(told: Mapping[str, str]) -> tuple[tuple[str, ...], Preprocessing | None]:
    if told.get("format") != str(FORMAT):
        raise ValueError(f"its format is {told.get('format')!r}, this version reads {FORMAT}")
    classes = json.loads(told.get("classes", "null"))
    if (
        not isinstance(classes, list)
        or not 2 <= len(classes) <= MAX_SIZE
        or not all(isinstance(name, str) for name in classes)
        or len(set(classes)) != len(classes)
    ):
        raise ValueError("classes must be a list of names")
    preprocessing = json.loads(told.get("preprocessing", ""))
    if preprocessing is None:
        return tuple(classes), None
    return tuple(classes), Preprocessing.from_json(preprocessing)


def _check_signature(session: Any, num_classes: int) -> tuple[int, int, int]:
    """Channels, height and width of the images."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [each.name for each in inputs] != [INPUT] or [each.name for each in outputs] != [OUTPUT]:
        raise ValueError(f"it must have one input, {INPUT}, and one output, {OUTPUT}")
    shape, given = inputs[0].shape[1:], outputs[0].shape[1:]
    if inputs[0].type != "tensor(float)" or len(shape) != 3:
        raise ValueError(f"{INPUT} must be float32 of four dimensions")
    if not all(isinstance(side, int) and 1 <= side <= SIDES[1] for side in shape):
        raise ValueError(f"{INPUT} must have a fixed size")
    if given != [num_classes]:
        raise ValueError(f"{OUTPUT} must have {num_classes} columns, as there are classes")
    return shape[0], shape[1], shape[2]
