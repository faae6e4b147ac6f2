import pytest
import torch


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(12, 1, 8, 8), torch.arange(12) % 3, torch.arange(100, 112)  # of 120 images
