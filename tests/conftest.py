from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded images go to a folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYG_AGFN_CACHE", str(folder))
    return folder
