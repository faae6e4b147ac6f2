import os

import numpy as np
import pytest
import torch

from pyg_agfn.datasets import MNIST
from pyg_agfn.errors import InputError


def test_files_of_tensors_beside_it_are_not_unpickled(tmp_path):
    for folder in ("raw", "processed"):
        (tmp_path / "MNIST" / folder).mkdir(parents=True)
    labels = np.arange(10, dtype=np.uint8)
    for part in ("train", "t10k"):
        raw = tmp_path / "MNIST" / "raw"
        head = np.array([0x0803, 10, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + b"\7" * 7840)
        head = np.array([0x0801, 10], ">i4").tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    for name in ("training.pt", "test.pt"):  # where torchvision once kept them
        path = tmp_path / "MNIST" / "processed" / name
        torch.save((torch.zeros(10, 28, 28, dtype=torch.uint8), torch.arange(10)), path)
    for train in (True, False):
        assert bool((MNIST(tmp_path, train).images == 7).all())


def test_a_file_that_claims_more_than_the_memory_holds_is_refused(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / name).touch()
        os.truncate(raw / name, 1 << 42)
    with pytest.raises(InputError, match="train-images-idx3-ubyte: 4,398,046,511,104 bytes, where"):
        MNIST(tmp_path)
