"""Files about the project agree with each other."""

import re
from pathlib import Path

import pytest
import yaml

import pyg_agfn

ROOT = Path(__file__).parents[1]


def test_every_file_names_the_same_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == pyg_agfn.__version__
    (newest, *_) = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest == pyg_agfn.__version__
    bibtex = (ROOT / "README.md").read_text("utf-8")
    assert re.findall(r"version = \{(.+)\}", bibtex) == [pyg_agfn.__version__]


def test_the_workflow_runs_the_checks_on_three_versions_of_python():
    workflow = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text("utf-8"))
    job = workflow["jobs"]["checks"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (lowest,) = re.findall(r'requires-python = ">=(.+)"', project)
    versions = job["strategy"]["matrix"]["python"]
    assert len(versions) == 3
    assert versions[0] == lowest
    for version in versions:
        assert f"Python :: {version}" in project


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_templates_are_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)
