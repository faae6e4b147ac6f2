"""Draws the paper's figures from finished runs of their grids."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import QUICK_MARK, cell_name, is_quick, settings
from pyg_agfn.reproduction.results_file import ResultsFile
from pyg_agfn.runs.folder import load_answers
from pyg_agfn.training import TrainOptions, load_datasets
from pyg_agfn.visualization.ambiguous import mean_margins, most_ambiguous, plot_ambiguous
from pyg_agfn.visualization.feature_panels import caption, compare_features, save_numbers
from pyg_agfn.visualization.sensitivity import plot_sensitivity
from pyg_agfn.visualization.tsne import plot_tsne, write_page

#: The methods whose features Figures 1 and 4 show.
SHOWN = {"figure-1": ("baseline", "agfn"), "figure-4": ("baseline", "center-loss", "agfn")}


def draw_figure(
    target: str,
    cells: Sequence[TrainOptions],
    results: ResultsFile,
    pictures: Path,
    points: int = 2000,
) -> str:
    """Draws a figure as PNG and SVG with its numbers as JSON; returns its caption.

    If runs that it needs have no result, nothing is drawn, and the caption says so.

    Args:
        target: ``"figure-1"``, ``"figure-3"``, ``"figure-4"`` or ``"figure-5"``.
        cells: The runs of the figure. Those of the first seed are drawn; for Figure 3, all
            finished ones.
        results: The results of finished runs.
        pictures: Folder for the pictures.
        points: Images a panel of Figures 1 and 4, at most.

    Raises:
        InputError: Nothing can be written.
    """
    shown = SHOWN.get(target, ())
    if shown and not set(shown) & set(_first_seed(cells)):
        return f"{target} is not drawn: it shows {', '.join(shown)}, and none of these is chosen"
    finished = [options for options in cells if results.has(options)]
    if len(finished) < (1 if target == "figure-3" else len(cells)):
        missing = len(cells) - len(finished)
        return f"{target} is not drawn: {missing} of {len(cells)} runs have no result yet"
    dataset = cells[0].dataset
    if target != "figure-3":  # Figure 3 needs the results only
        first = _first_seed(cells)
        folders = [_folder(o) for name, o in first.items() if not shown or name in shown]
        if gone := [folder for folder in folders if not (folder / "metrics.json").is_file()]:
            return (
                f"{target} is not drawn: the run {gone[0]} has a result, but its folder is missing"
            )
    base = figure_base(target, dataset, pictures)
    paths = figure_files(target, base)[:2]
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        if target == "figure-3":
            text = _draw_sensitivity(finished, results, base, paths)
        elif target == "figure-5":
            text = _draw_ambiguous(cells, base, paths)
        else:
            text = _draw_features(target, cells, base, paths, points)
    except OSError as error:
        raise InputError(
            f"--pictures {pictures}: {error.strerror}; choose another folder"
        ) from None
    return f"{text}\nwritten: {base}.*"


def figure_base(target: str, dataset: str, pictures: Path) -> Path:
    """The path of a figure's files, without their endings."""
    return pictures / f"{target.replace('-', '')}_{dataset}"


def figure_files(target: str, base: Path) -> list[Path]:
    """The files of a figure: its pictures, then its numbers and its page."""
    endings = ["png", "svg", "json"] + (["html"] if target in SHOWN else [])
    return [Path(f"{base}.{ending}") for ending in endings]


def _mark(options: TrainOptions) -> str:
    return f" - {QUICK_MARK}" if is_quick(settings(options)) else ""


def _first_seed(cells: Sequence[TrainOptions]) -> dict[str, TrainOptions]:
    """The run of the first seed, by row."""
    found: dict[str, TrainOptions] = {}
    for options in cells:
        found.setdefault(options.method[0], options)
    return found


def _folder(options: TrainOptions) -> Path:
    return options.out / cell_name(options)


def _draw_features(
    target: str, cells: Sequence[TrainOptions], base: Path, paths: list[Path], points: int
) -> str:
    first = _first_seed(cells)
    shown = [first[method] for method in SHOWN[target] if method in first]
    options = shown[0]
    rows = compare_features([_folder(o) for o in shown], _text(options.root), points)
    title = f"{options.dataset}, {options.noise:.0%} of the training labels wrong{_mark(options)}"
    plot_tsne(rows, paths, title)
    write_page(rows, Path(f"{base}.html"), title)
    save_numbers(rows, Path(f"{base}.json"))
    return caption(rows)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _draw_sensitivity(
    cells: Sequence[TrainOptions], results: ResultsFile, base: Path, paths: list[Path]
) -> str:
    by_batch: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    by_backbone: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    at_sizes = [o for o in cells if o.backbone == cells[0].backbone]
    others = [o.batch_size for o in cells if o.backbone != cells[0].backbone]
    for options in cells:
        record = results.find(options)
        if record is None:  # it was there a moment ago
            continue
        value = record["metrics"]["accuracy"]["bank"]
        (method,) = options.method
        if options in at_sizes:
            by_batch[method][options.batch_size].append(value)
        if options.batch_size in others:
            by_backbone[method][options.backbone].append(value)
    title = f"{cells[0].dataset}, no wrong labels added{_mark(cells[0])}"
    plot_sensitivity(by_batch, by_backbone, paths, title)
    numbers = {"inductive accuracy by batch size": by_batch, "by backbone": by_backbone}
    Path(f"{base}.json").write_text(json.dumps(numbers) + "\n")
    return "Inductive accuracy. Left: by batch size. Right: by backbone, with and without AGFN."


def _draw_ambiguous(cells: Sequence[TrainOptions], base: Path, paths: list[Path]) -> str:
    first = _first_seed(cells)
    answers = {method: load_answers(_folder(options)) for method, options in first.items()}
    _, test = load_datasets(next(iter(first.values())))
    chosen = most_ambiguous(answers, 12)
    title = f"The images that the {next(iter(answers))} is least sure of{_mark(cells[0])}"
    plot_ambiguous(chosen, test, paths, title)
    margins = mean_margins(answers, most_ambiguous(answers, max(12, len(test) // 10)))
    images = [{**asdict(image), "name": test.names[image.index]} for image in chosen]
    numbers = {"images": images, "most ambiguous tenth": margins}
    Path(f"{base}.json").write_text(json.dumps(numbers) + "\n")
    lines = [
        f"{method}: on the tenth that the baseline is least sure of, mean distance of the two "
        f"best scores {found['margin']:.3f}, accuracy {found['accuracy']:.1%}"
        for method, found in margins.items()
    ]
    return "\n".join(lines)
