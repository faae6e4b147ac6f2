"""The site of the documentation: `make docs` builds it with every warning as an error."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

import pyg_agfn

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "pyg_agfn"
copyright = "the pyg_agfn contributors"
release = version = pyg_agfn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "myst_nb",
    "command_help",
]
#: Files above this folder, and the pages that include them.
PAGES = {"SECURITY.md": "security", "pyg_agfn/shipped/digits/README.md": "reference/digits_model"}

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"pyg_agfn {release}"

# Pages are Markdown, and link to headings as GitHub does.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin its levels where GitHub shows them best

# Tutorials are run by the build; one that fails stops it.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say them
napoleon_use_rtype = False
napoleon_use_ivar = True  # fields of named tuples are members already
napoleon_custom_sections = ["Shapes"]


def setup(app: Sphinx) -> None:
    """Lets the pages link to files above this folder as GitHub has it."""
    app.connect("source-read", _link_to_pages)


def _link_to_pages(app: Sphinx, page: str, source: list[str]) -> None:
    if page not in PAGES.values():
        for file, name in PAGES.items():
            source[0] = source[0].replace(f"(../{file}", f"({name}.md")
