"""Tests on a GPU against the CPU's answers; skipped where there is no CUDA.

``PYG_AGFN_TEST_DEVICE=cpu`` runs the same on the CPU, which shows that the tests themselves are
right.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import torch

DEVICE = torch.device(os.environ.get("PYG_AGFN_TEST_DEVICE", "cuda"))


@pytest.fixture(scope="session", autouse=True)
def device() -> torch.device:
    """Where the tests run."""
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA; PYG_AGFN_TEST_DEVICE=cpu runs the same tests on the CPU")
    return DEVICE


@pytest.fixture(autouse=True)
def full_precision(device: torch.device) -> Iterator[None]:
    """float32 as on the CPU, and the same sums each time where there is a kernel for them."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = before


@pytest.fixture
def same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are drawn from the CPU's generator, as a GPU's has other numbers."""
    rand: Callable[..., torch.Tensor] = torch.rand

    def rand_on_cpu(*size, device=None, **given):
        return rand(*size, **given).to(device)

    monkeypatch.setattr(torch, "rand", rand_on_cpu)
