"""Draws the learning curves of several runs into one picture."""

from pathlib import Path

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.run_folder import label_of_folder, load_run
from pyg_agfn.visualization.learning_curves import plot_learning_curves, read_history
from pyg_agfn.visualization.picture_file import check_ending


def main() -> int:
    """Draws what the command line asks for; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--out", type=Path, required=True, help="picture, a .png or .svg")
    parser.add_argument("--title", default="")
    arguments = parser.parse_args()
    check_ending(arguments.out)
    histories = {label_of_folder(f, load_run(f).card): read_history(f) for f in arguments.runs}
    plot_learning_curves(histories, arguments.out, arguments.title)
    return 0


if __name__ == "__main__":
    run_script("plot_learning_curves.py", main)
