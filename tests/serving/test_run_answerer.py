"""A run as the server asks it."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.errors import InputError
from pyg_agfn.prediction import predict
from pyg_agfn.runs.folder import load_run
from pyg_agfn.serving.run_answerer import RunAnswerer


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resize": "crop"},
        {"resize": "pad", "interpolation": "bilinear"},
        {"white_integer": 4095},
    ],
)
def test_an_upload_becomes_the_pixels_that_predict_makes_of_the_file(digits_run, tmp_path, changes):
    run = load_run(digits_run)
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, **changes))
    pixels = np.random.default_rng(0).integers(0, 4096, (30, 50), dtype=np.uint16)
    image = Image.fromarray(pixels if "white_integer" in changes else (pixels >> 4).astype("uint8"))
    out = io.BytesIO()
    image.save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    (expected,) = predict(run, [tmp_path / "a.png"])
    decoded = RunAnswerer(run).decode(ImageBytes("a.png", out.getvalue()))
    assert np.array_equal(decoded, np.asarray(expected.image))


def test_a_model_that_takes_no_files_is_refused(digits_run):
    run = load_run(digits_run)
    config = dataclasses.replace(run.config, own_transforms=True)
    with pytest.raises(InputError, match="transforms in Python"):
        RunAnswerer(dataclasses.replace(run, config=config))
