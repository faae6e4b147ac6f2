"""Draws how runs distribute the same images in feature space, before and after normalization.

Without an argument it draws the digits with 20% wrong labels, and trains what is not there yet.
"""

import argparse
from pathlib import Path

from pyg_agfn.choices import SEED_LIMIT
from pyg_agfn.cli import OneLineParser, make_console
from pyg_agfn.extras import require
from pyg_agfn.output_files import check_output_file, refuse_existing
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins
from pyg_agfn.training.interruption import same_command_resumes
from pyg_agfn.visualization.picture_file import FORMATS, picture_paths

#: Where the pictures are that no name was given for; git ignores it.
PICTURES = Path("runs") / "pictures"


def main() -> int:
    """Draws what the command line asks for; returns the exit code."""
    import_plugins()
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs")
    parser.add_argument("--root", help="folder of the data set, where it is not as in training")
    parser.add_argument("--points", type=int, default=2000, help="images a panel, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images and of t-SNE")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"picture, with or without its ending (default: a new name in {PICTURES}); its page "
        "and its numbers are beside it, as .html and .json",
    )
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, help="endings of the picture (default: png svg)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files of --out that are there"
    )
    parser.add_argument("--title", default="")
    add_backbone_option(parser)
    add_plugin_option(parser)
    arguments = parser.parse_args()
    if arguments.points < 20:
        parser.error("--points must be at least 20")
    if not 0 <= arguments.seed < SEED_LIMIT:
        parser.error(f"--seed must be 0 to {SEED_LIMIT - 1}")
    base, pictures = output_files(arguments)
    page, numbers = Path(f"{base}.html"), Path(f"{base}.json")
    for path in (*pictures, page, numbers):
        check_output_file(path, "--out")
    for package in ("matplotlib", "bokeh"):
        require(package)

    from pyg_agfn.visualization.feature_panels import caption, compare_features, save_numbers
    from pyg_agfn.visualization.tsne import plot_tsne, write_page

    runs, title = arguments.runs, arguments.title
    if not runs:
        from pyg_agfn.commands.digits_runs import digits_runs

        with same_command_resumes():
            runs = digits_runs(Path("runs"), make_console())
        title = title or "Digits, 20% of the training labels wrong"
    rows = compare_features(
        runs, arguments.root, arguments.points, arguments.seed, arguments.backbone
    )
    plot_tsne(rows, pictures, title)
    write_page(rows, page, title)
    save_numbers(rows, numbers)
    print(caption(rows))
    print(f"written: {', '.join(map(str, (*pictures, page, numbers)))}")
    return 0


def output_files(arguments: argparse.Namespace) -> tuple[Path, list[Path]]:
    """The pictures, and their name without its ending: none that is there, unless so told."""
    if arguments.out is not None:
        base, pictures = picture_paths(arguments.out, arguments.format)
        if not arguments.overwrite:
            refuse_existing((*pictures, Path(f"{base}.html"), Path(f"{base}.json")), "--out")
        return base, pictures
    name = PICTURES / ("tsne" if arguments.runs else "digits_tsne")
    base, number = name, 1
    while list(PICTURES.glob(f"{base.name}.*")):
        number += 1
        base = Path(f"{name}-{number}")
    return picture_paths(base, arguments.format)
