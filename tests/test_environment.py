"""environment.yml, pyproject.toml and the imports of the package name the same packages."""

import ast
import itertools
import re
import sys
from importlib import metadata
from pathlib import Path

import yaml
from packaging.version import Version

from pyg_agfn.extras import OPTIONAL

ROOT = Path(__file__).parents[1]
#: conda-forge's name for a PyPI package, if it differs.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "openTSNE": "opentsne",
    "prometheus-client": "prometheus_client",
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
    "torch-scatter": "pytorch_scatter",
}
#: Imported by torch, where it writes ONNX.
BY_TORCH = {"onnxscript"}
#: Extras that the package uses, and names a line for.
EXTRAS = ("plots", "timm", "export", "serve")
#: The package of an imported module, if its name differs.
MODULES = {
    "PIL": "pillow",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "sklearn": "scikit-learn",
    "torch_geometric": "torch-geometric",
}


def requirements() -> dict[str, list[str]]:
    """Lists of requirements in pyproject.toml (tomllib is not in Python 3.10)."""
    text = (ROOT / "pyproject.toml").read_text()
    names = "dependencies|plots|reproduce|timm|export|serve|scatter|dev"
    lists = re.findall(rf"^({names}) = \[(.*?)\]$", text, re.M | re.S)
    found = {name: re.findall(r'"([^"]+)"', body) for name, body in lists}
    # An extra may be made of others: "pyg_agfn[plots]".
    return {
        name: [line for line in lines if not line.startswith("pyg_agfn[")]
        for name, lines in found.items()
    }


def split(requirement: str) -> tuple[str, str]:
    name, operator, version = re.fullmatch(r"([\w.-]+)(>=)?([\d.]*)", requirement).groups()
    return name, (operator or "") + version


def test_conda_and_pip_install_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = dict(split(line) for line in environment["dependencies"] if isinstance(line, str))
    assert environment["channels"] == ["conda-forge"]
    python = re.search(r'requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text())[1]
    assert conda.pop("python") == python
    conda.pop("pip")
    pip = {}
    for group in requirements().values():
        for name, version in map(split, group):
            pip[CONDA_NAMES.get(name, name)] = version
    assert conda == pip


def test_what_the_package_imports_is_required_and_nothing_else():
    imported = set()
    for folder in ("pyg_agfn", "scripts"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(node.module.split(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"pyg_agfn"}
    names = {MODULES.get(module, module) for module in third_party}
    needed = requirements()
    lines = itertools.chain(needed["dependencies"], *(needed[extra] for extra in EXTRAS))
    assert names | BY_TORCH == {split(line)[0] for line in lines}


def test_packages_of_extras_are_those_that_a_line_names():
    needed = requirements()
    for package, (_, extra) in OPTIONAL.items():
        assert MODULES.get(package, package) in {split(line)[0] for line in needed[extra]}
    lines = itertools.chain(*(needed[extra] for extra in EXTRAS))
    named = {MODULES.get(package, package) for package in OPTIONAL}
    assert {split(line)[0] for line in lines} == named


def test_dev_installs_every_extra_that_is_used():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^dev = \["pyg_agfn\[export,plots,reproduce,serve,timm\]",', text, re.M)


def test_what_is_installed_is_allowed():
    # `make test-lowest` leaves this file; without the comparison it could test newer versions.
    lowest = (Path(sys.prefix) / "lowest.txt").exists()
    groups = (requirements()[group] for group in ("dependencies", *EXTRAS))
    for name, bound in map(split, itertools.chain(*groups)):
        installed, declared = Version(metadata.version(name)), Version(bound.removeprefix(">="))
        installed = Version(installed.public)  # without "+cpu"
        assert installed == declared if lowest else installed >= declared, name
