import asyncio
import io
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small_run import small_run

from pyg_agfn.datasets.digits import Digits
from pyg_agfn.runs.folder import load_run
from pyg_agfn.serving.app import make_app
from pyg_agfn.serving.run_answerer import RunAnswerer
from pyg_agfn.serving.service import Service
from pyg_agfn.training import train_methods


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """A finished run of AGFN on the digits."""
    out = tmp_path_factory.mktemp("serving")
    train_methods(small_run(out, method=("agfn",)), Console(quiet=True))
    return next(out.iterdir())


@pytest.fixture(scope="session")
def answerer(digits_run) -> RunAnswerer:
    return RunAnswerer(load_run(digits_run))


@pytest.fixture(scope="session")
def pngs() -> list[bytes]:
    """Test images of the digits as PNG files."""
    files = []
    for image in Digits(train=False).images[:40]:
        out = io.BytesIO()
        Image.fromarray(np.asarray(image[0])).save(out, "PNG")
        files.append(out.getvalue())
    return files


Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]


@pytest.fixture
def served() -> Callable[[Service, Ask], Any]:
    """Runs a service in this process, and what a client asks of it."""

    def run(service: Service, ask: Ask) -> Any:
        async def both() -> Any:
            transport = httpx.ASGITransport(make_app(service))
            await service.start()
            try:
                async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                    return await ask(client)
            finally:
                await service.stop()

        return asyncio.run(asyncio.wait_for(both(), 120))

    return run
