"""The directive ``command-help``: what a command of ``pyg-agfn`` prints for ``--help``."""

import os
import subprocess
import sys
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class CommandHelp(SphinxDirective):
    """Its argument is the command's name."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """The help as a literal block."""
        code = "import sys; from pyg_agfn.commands import main; sys.argv[0] = 'pyg-agfn'; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, self.arguments[0], "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "100"},
        )
        block = nodes.literal_block(done.stdout, done.stdout)
        block["language"] = "text"
        return [block]


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
