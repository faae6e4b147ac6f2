"""The model card: what a model is for, what was measured of it and how, and its limits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_agfn.errors import printable
from pyg_agfn.evaluation.protocols import HEADLINE
from pyg_agfn.export.describe import license_note
from pyg_agfn.registry import METHODS, PROTOCOLS
from pyg_agfn.runs.model_config import ModelConfig

#: Options of the training that a card lists, in this order.
LISTED = ("batch_size", "optimizer", "lr", "schedule", "augment", "loss", "precision", "weights")

CARD = """\
---
library_name: pyg_agfn
pipeline_tag: image-classification
license: other
tags:
- noisy-labels
- graph-neural-network
metrics:
- accuracy
---

# {name}

{channels} images of {height}x{width} pixels in {num_classes} classes: {classes}.
Method `{method}` ({summary}), backbone `{backbone}`.

## Use

```python
from pyg_agfn import TrainingResult

model = TrainingResult.from_pretrained({folder})
model.predict_files("photos")
```

{inputs}

## Data

{data}

## Figures

{figures}

## Training

{training}

## Limits

- Labels of the training may have been wrong, and the model may have learned what was wrong in them.
- A figure holds for images like those it was measured on. Other cameras, crops, ages or groups of
  people may give other ones: measure on your own images first.
- The probabilities are not calibrated.
{bank}
## Licence

{license}
"""


BANK = """\
- The bank holds features of training images, not their pixels or names. Features may still tell
  something about these images.
"""


def write_model_card(
    name: str, config: ModelConfig, metrics: Mapping[str, Any], training: Mapping[str, Any]
) -> str:
    """The text of a model card.

    Args:
        name: Of the model.
        config: What it is.
        metrics: What ``metrics.json`` holds; what it lacks is said to be unknown.
        training: Options of the training, by their names in ``config.json``.
    """
    classes = ", ".join(_text(c, 40) for c in config.classes[:20])
    more = len(config.classes) - 20
    dataset = metrics.get("dataset")
    known = isinstance(dataset, str) and dataset not in ("custom", "folder")
    if config.own_transforms:
        inputs = (
            "Transforms in Python made the images of the training: make images by the same, and "
            "call `model.predict(images)`."
        )
    else:
        inputs = (
            f"An image of another size is brought to {config.height}x{config.width} by "
            f"`{config.resize}`, {config.interpolation}, and scaled to -1..1; `predict_files` does "
            "this."
        )
    joined = METHODS[config.method].joins_images
    return CARD.format(
        name=_text(name, 100),
        folder=json.dumps(printable(name, 100)),
        channels="Grey" if config.channels == 1 else "Colour",
        height=config.height,
        width=config.width,
        num_classes=len(config.classes),
        classes=classes + (f" and {more:,} more" if more > 0 else ""),
        method=config.method,
        summary=METHODS[config.method].summary,
        backbone=config.backbone,
        inputs=inputs,
        data=_data(metrics, dataset if known else None),
        figures=_figures(metrics, joined),
        training=_training(metrics, training),
        bank=BANK if joined else "",
        license=_text(license_note(dataset if known else None), 2000),
    )


def _data(metrics: Mapping[str, Any], dataset: str | None) -> str:
    origin = f"of the data set {_text(dataset, 40)}" if dataset else "of the user's own"
    count, wrong = metrics.get("train_images"), metrics.get("noise")
    lines = [f"Trained on {_number(count)} images {origin}."]
    if isinstance(wrong, float) and wrong > 0:
        lines.append(f"{wrong:.1%} of the training labels are known to be wrong.")
    if isinstance(rate := metrics.get("noise_rate"), float):
        lines.append(f"The method's own estimate of the share of wrong labels is {rate:.1%}.")
    return " ".join(lines)


def _figures(metrics: Mapping[str, Any], joined: bool) -> str:
    accuracy = metrics.get("accuracy")
    if not isinstance(accuracy, dict) or not accuracy:
        return "None were measured: the training had no test images."
    lines = [
        f"Accuracy on the {_number(metrics.get('test_images'))} images of the split "
        f"`{_text(metrics.get('split'), 20)}`, one run, seed {_text(metrics.get('seed'), 20)}:",
        "",
        "| protocol | accuracy in % | good for |",
        "|---|---|---|",
    ]
    for name, value in accuracy.items():
        if isinstance(value, dict):
            mean, std = value.get("mean"), value.get("std")
            shown = f"{_percent(mean)} ± {_percent(std)}"
        else:
            shown = _percent(value)
        good_for = PROTOCOLS[name].good_for if name in PROTOCOLS else ""
        label = f"**{_text(name, 40)}**" if name == HEADLINE else _text(name, 40)
        lines.append(f"| {label} | {shown} | {good_for} |")
    if joined:
        lines += [
            "",
            f"`{HEADLINE}` is the figure to quote: each test image is joined to training images "
            "only. The others say what the composition of test batches would add.",
        ]
    if isinstance(memorized := metrics.get("memorized"), float):
        lines += ["", f"Of the wrong training labels the model predicts {memorized:.1%}."]
    return "\n".join(lines)


def _training(metrics: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    facts = [f"{_number(metrics.get('epochs'))} epochs"]
    for name in LISTED:
        if (value := training.get(name)) is not None:
            facts.append(f"`{name}` {_text(value.name if isinstance(value, Path) else value, 80)}")
    return ", ".join(facts) + "."


def _text(value: object, limit: int) -> str:
    """On one line, without what Markdown or HTML would read as more than text."""
    text = printable(str(value), limit)
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _percent(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, int | float) else "unknown"
