"""Draws how runs distribute the same images in feature space, before and after normalization.

Without an argument it draws the digits with 20% wrong labels, and trains what is not there yet.
"""

from pathlib import Path

from rich.console import Console

from pyg_agfn.cli import OneLineParser, make_console, run_script
from pyg_agfn.run_folder import Method
from pyg_agfn.training import TrainOptions, train_methods
from pyg_agfn.visualization.feature_panels import caption, compare_features, save_numbers
from pyg_agfn.visualization.tsne import plot_tsne, write_page

DIGITS_METHODS: tuple[Method, ...] = ("baseline", "center-loss", "agfn")


def main() -> int:
    """Draws what the command line asks for; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs")
    parser.add_argument("--root", help="folder of the data set, where it is not as in training")
    parser.add_argument("--points", type=int, default=2000, help="images a panel, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images and of t-SNE")
    parser.add_argument("--out", type=Path, help="picture, its ending left out")
    parser.add_argument("--title", default="")
    arguments = parser.parse_args()
    if arguments.points < 20:
        parser.error("--points must be at least 20")

    runs, out, title = arguments.runs, arguments.out, arguments.title
    if not runs:
        runs = digits_runs(Path("runs"), make_console())
        title = title or "Digits, 20% of the training labels wrong"
    out = out or Path("visualizations") / ("tsne" if arguments.runs else "digits_tsne")
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = compare_features(runs, arguments.root, arguments.points, arguments.seed)
    plot_tsne(rows, [Path(f"{out}.png"), Path(f"{out}.svg")], title)
    write_page(rows, Path(f"{out}.html"), title)
    save_numbers(rows, Path(f"{out}.json"))
    print(caption(rows))
    print(f"written: {out}.png, .svg, .html, .json")
    return 0


def digits_runs(folder: Path, console: Console) -> list[Path]:
    """The digits runs to draw; those that are not finished are trained."""

    def find() -> dict[Method, Path]:
        return {
            method: run.parent
            for method in DIGITS_METHODS
            for run in sorted(folder.glob(f"digits-{method}-noise0.2-seed0*/metrics.json"))[:1]
        }

    missing = tuple(method for method in DIGITS_METHODS if method not in find())
    if missing:
        console.print(f"training {', '.join(missing)} on the digits first")
        train_methods(TrainOptions.for_dataset("digits", method=missing, out=folder), console)
    return [find()[method] for method in DIGITS_METHODS]


if __name__ == "__main__":
    run_script("plot_tsne.py", main)
