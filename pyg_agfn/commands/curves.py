"""Draws the learning curves of several runs into one picture."""

from pathlib import Path

from pyg_agfn.cli import OneLineParser
from pyg_agfn.output_files import check_output_file, refuse_existing
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins
from pyg_agfn.visualization.picture_file import check_ending


def main() -> int:
    """Draws what the command line asks for; returns the exit code."""
    import_plugins()
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--out", type=Path, required=True, help="picture, a .png, .svg or .pdf")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it is there")
    parser.add_argument("--title", default="")
    add_backbone_option(parser)
    add_plugin_option(parser)
    arguments = parser.parse_args()
    check_ending(arguments.out)
    if not arguments.overwrite:
        refuse_existing([arguments.out], "--out")
    check_output_file(arguments.out, "--out")
    from pyg_agfn.runs.folder import load_run
    from pyg_agfn.visualization.learning_curves import (
        bank_accuracy,
        plot_learning_curves,
        read_history,
    )
    from pyg_agfn.visualization.run_titles import run_titles

    runs = [load_run(folder, arguments.backbone) for folder in arguments.runs]
    titles = run_titles(runs)
    histories = {title: read_history(run.folder) for title, run in zip(titles, runs, strict=True)}
    found = {title: bank_accuracy(run.folder) for title, run in zip(titles, runs, strict=True)}
    bank = {title: accuracy for title, accuracy in found.items() if accuracy is not None}
    plot_learning_curves(histories, arguments.out, arguments.title, bank)
    print(f"written: {arguments.out}")
    return 0
