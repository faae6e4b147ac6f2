"""Finds the training labels that are likely wrong, and says what they should be."""

import sys
from pathlib import Path

from pyg_agfn.cli import OneLineParser
from pyg_agfn.errors import InputError
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins
from pyg_agfn.training.command_line import options_of, parse_given

#: The method that is trained for an audit.
METHOD = "agfn-nlc"
USAGE = """%(prog)s RUN [options]
       %(prog)s [options of train_pyg.py] [--retrain]"""


def main() -> int:
    """Audits the run that the command line names, or one that it trains; returns the exit code."""
    typed = sys.argv[1:]
    if not typed or not typed[0].startswith("-") or {"-h", "--help"} & set(typed):
        return _audit_finished(typed)
    retrain = "--retrain" in typed
    given = parse_given([word for word in typed if word != "--retrain"])
    if not {"method", "config"} & given.keys():
        given["method"] = (METHOD,)
    options = options_of(given)
    if len(options.method) != 1:
        raise InputError(f"--method {' '.join(options.method)}: an audit is of one method")
    from pyg_agfn.commands.audit_run import audit_new_run

    audit_new_run(options, retrain)
    return 0


def _audit_finished(typed: list[str]) -> int:
    import_plugins(typed)
    parser = OneLineParser(
        description=f"{__doc__} With training's options it trains {METHOD} first.",
        usage=USAGE,
        allow_abbrev=False,
        epilog="train_pyg.py --help lists the options of training.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--root", help="folder of the data set, where it is not as in training")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps; training's if not given")
    parser.add_argument("--cache", type=Path, help="folder for decoded images")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out rows and images that are bad"
    )
    parser.add_argument(
        "--retrain",
        action="store_true",
        help="train a second run on the cleaned labels, and compare the two",
    )
    add_backbone_option(parser)
    add_plugin_option(parser)
    arguments = parser.parse_args(typed)
    given = {name: getattr(arguments, name) for name in ("root", "device")}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"skip_bad": True} if arguments.skip_bad else {}
    from pyg_agfn.commands.audit_run import audit_finished_run

    audit_finished_run(
        arguments.run, given, arguments.cache, arguments.retrain, backbone=arguments.backbone
    )
    return 0
