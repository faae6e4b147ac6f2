"""Writes a trained run as one file for other programs, and checks it against PyTorch."""

from pathlib import Path

from pyg_agfn.cli import OneLineParser
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins


def main() -> int:
    """Exports the run that the command line names; returns 0."""
    import_plugins()
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="file to write: .onnx, which needs no torch to be run, or .pt2, for torch.export.load",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="of the backbone's weights; fp16 and int8 are for .onnx",
    )
    parser.add_argument(
        "--images",
        type=Path,
        help="folder of images to check the file on (default: the run's test images where they "
        "can be read, else the images of its bank)",
    )
    parser.add_argument("--root", help="folder of the data set, where it is not as in training")
    parser.add_argument("--cache", type=Path, help="folder for decoded images")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    add_backbone_option(parser)
    add_plugin_option(parser)
    arguments = parser.parse_args()
    if arguments.images is not None and arguments.root is not None:
        parser.error("--images and --root: one of them says what the file is checked on")

    from pyg_agfn.commands.export_run import export_run

    export_run(arguments)
    return 0
