"""Trains classifiers on labels that may be wrong, with and without AGFN, and compares them."""

from pyg_agfn import training
from pyg_agfn.cli import make_console
from pyg_agfn.training.command_line import options_of, parse_given, resume_of


def main() -> int:
    """Trains what the command line asks for; returns the exit code."""
    given = parse_given()
    resume = resume_of(given)
    if resume is not None:
        training.resume_run(*resume, make_console())
    else:
        training.train_methods(options_of(given), make_console())
    return 0
