import copy
import threading

import pytest
import torch
from torch.utils.data import TensorDataset

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.image_batch import ImageBatch
from pyg_agfn.datasets.loader_data import LoaderData

CPU = torch.device("cpu")


def test_an_unshuffled_pass_is_the_data_set(tiny):
    batches = Batches(tiny, 16, CPU)
    found = list(batches)
    assert [len(batch.labels) for batch in found] == [16, 16, 16, 12]
    assert len(batches) == 4
    assert batches.num_images == 60
    assert torch.equal(torch.cat([batch.images for batch in found]), to_float(tiny.images))
    assert torch.equal(torch.cat([batch.labels for batch in found]), tiny.labels)
    assert torch.cat([batch.index for batch in found]).tolist() == list(range(60))
    assert all(batch.views == {} for batch in found)


def test_a_shuffled_pass_has_full_batches_of_matching_labels(tiny):
    batches = Batches(tiny, 16, CPU, shuffle=True, seed=3)
    found = list(batches)
    assert [len(batch.labels) for batch in found] == [16, 16, 16]
    assert len(batches) == 3
    rows = [tiny.images.float().mean((1, 3))[:, 2 * k + 1].view(-1) for k in range(3)]
    brightest = torch.stack(rows, 1).argmax(1)
    assert torch.equal(brightest, tiny.labels)  # the label can be seen in the image
    for images, labels, index, *_ in found:
        assert torch.equal(images, to_float(tiny.images[index]))
        seen = torch.stack([images.mean((1, 3))[:, 2 * k + 1] for k in range(3)], 1).argmax(1)
        assert torch.equal(seen, labels)


def test_the_order_is_the_seeds_and_changes_by_pass(tiny):
    def orders(seed: int) -> list[list[int]]:
        batches = Batches(tiny, 20, CPU, shuffle=True, augmented=True, seed=seed)
        return [torch.cat([batch.labels for batch in batches]).tolist() for _ in range(2)]

    torch.manual_seed(0)
    first = orders(1)
    torch.manual_seed(99)  # the global generator decides nothing
    assert orders(1) == first
    assert first[0] != first[1]
    assert orders(2) != first


@pytest.mark.parametrize("shuffle", [True, False])
def test_workers_change_nothing(tiny, shuffle):
    def batches(workers: int) -> list[ImageBatch]:
        return list(Batches(tiny, 7, CPU, shuffle, shuffle, seed=5, workers=workers))

    alone = batches(0)
    assert len(alone) == (8 if shuffle else 9)
    for workers in (1, 3, 9):
        for one, other in zip(batches(workers), alone, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_workers_of_a_pass_that_is_left_early_stop(tiny):
    before = set(threading.enumerate())  # some may be those of another test, about to end
    passing = iter(Batches(tiny, 2, CPU, workers=2))
    next(passing)
    workers = set(threading.enumerate()) - before
    assert workers
    passing.close()
    for thread in workers:
        thread.join(10)
    assert not any(thread.is_alive() for thread in workers)


def test_fewer_images_than_a_batch_are_one_batch(tiny):
    assert [len(batch.labels) for batch in Batches(tiny, 1000, CPU, shuffle=True)] == [60]


@pytest.fixture
def unequal(tiny):
    """40, 15 and 5 images of three classes; the labels are not those that can be seen."""
    part = copy.copy(tiny)
    part.labels = torch.arange(3).repeat_interleave(torch.tensor([40, 15, 5]))
    return part


@pytest.mark.parametrize("loader", [False, True])
def test_a_balanced_pass_draws_each_class_equally_often(unequal, loader):
    pairs = TensorDataset(to_float(unequal.images), unequal.labels)
    data = LoaderData(pairs) if loader else unequal
    batches = data.batches(batch_size=20, device=CPU, shuffle=True, seed=1, balanced=True)
    passes = 200
    index = torch.cat([batch.index for _ in range(passes) for batch in batches])
    assert len(index) == 60 * passes
    # Of a share p of n draws, five standard deviations are 5 sqrt(p (1 - p) / n).
    drawn = torch.bincount(unequal.labels[index]) / len(index)
    assert (drawn - 1 / 3).abs().max() < 5 * (2 / 9 / len(index)) ** 0.5
    each = torch.bincount(index, minlength=60) / len(index)
    expected = 1 / (3 * torch.bincount(unequal.labels)[unequal.labels])
    assert ((each - expected).abs() < 5 * (expected / len(index)).sqrt()).all()


def test_a_balanced_order_is_the_seeds(unequal):
    def order(seed: int) -> list[int]:
        batches = unequal.batches(20, CPU, shuffle=True, seed=seed, balanced=True)
        return torch.cat([batch.index for _ in range(2) for batch in batches]).tolist()

    first = order(1)
    assert order(1) == first
    assert order(2) != first
    assert first[:60] != first[60:]
    in_order = torch.cat([b.index for b in unequal.batches(20, CPU, balanced=True)])
    assert in_order.tolist() == list(range(60))
