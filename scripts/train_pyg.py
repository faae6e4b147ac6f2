"""Trains classifiers on labels that may be wrong, with and without AGFN, and compares them."""

from pyg_agfn.cli import make_console, run_script
from pyg_agfn.training import parse_options, parse_resume, resume_run, train_methods


def main() -> int:
    """Trains what the command line asks for; returns the exit code."""
    resume = parse_resume()
    if resume is not None:
        resume_run(*resume, make_console())
    else:
        train_methods(parse_options(), make_console())
    return 0


if __name__ == "__main__":
    run_script("train_pyg.py", main)
