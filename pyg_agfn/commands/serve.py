"""Serves a trained run over HTTP: images are posted, and come back as predict's JSON."""

from argparse import Namespace
from dataclasses import fields

from pyg_agfn.choices import MAX_REFERENCES
from pyg_agfn.cli import OneLineParser, flag_of
from pyg_agfn.extras import require
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins
from pyg_agfn.runs.shipped import HELP, run_folder
from pyg_agfn.serving.limits import ServeLimits

#: What ``--help`` says of each limit.
LIMITS = {
    "max_batch": "most images that the model is given at once",
    "max_wait_ms": "how long a batch that is not full waits for images that are being decoded",
    "max_queue": "most images that wait; where it is full, requests get 503 and Retry-After",
    "max_images": "most images of a request",
    "max_bytes": "most bytes of an image file",
    "max_seconds": "longest time of a request, its upload included",
}


def main() -> int:
    """Serves until a signal ends it."""
    arguments, limits = parse_arguments()
    from pyg_agfn.commands.serve_run import serve_run

    return serve_run(arguments, limits)


def parse_arguments() -> tuple[Namespace, ServeLimits]:
    """The command line, checked before anything is read."""
    import_plugins()
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--checkpoint", type=run_folder, required=True, help=HELP)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0: a free one (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--references",
        type=int,
        default=5,
        help="training images listed for an image, if the request does not say (%(default)s)",
    )
    for limit in fields(ServeLimits):
        kind = float if isinstance(limit.default, float) else int
        said = f"{LIMITS[limit.name]} (%(default)s)"
        parser.add_argument(flag_of(limit.name), type=kind, default=limit.default, help=said)
    add_backbone_option(parser)
    add_plugin_option(parser)
    arguments = parser.parse_args()
    if not 0 <= arguments.references <= MAX_REFERENCES:
        parser.error(f"--references must be 0 to {MAX_REFERENCES}")
    if not 0 <= arguments.port < 1 << 16:
        parser.error(f"--port must be 0 to {(1 << 16) - 1}")
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(package)
    return arguments, ServeLimits(**{name: getattr(arguments, name) for name in LIMITS})
