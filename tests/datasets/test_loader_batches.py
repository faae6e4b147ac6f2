import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    WeightedRandomSampler,
)

from pyg_agfn import distributed
from pyg_agfn.datasets import loader_batches
from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.loader_batches import LoaderBatches, make_loader
from pyg_agfn.errors import InputError

CPU = torch.device("cpu")


class Items(Dataset):
    """Each item (image, label) as it is given, the image made again by a function at each read."""

    def __init__(self, items, transform=lambda image: image):
        self.items, self.transform = items, transform

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        image, label = self.items[index]
        return self.transform(image), label


def jitter(image: torch.Tensor) -> torch.Tensor:
    return image + torch.rand(())


def floats(tiny, transform=lambda image: image) -> Items:
    images = to_float(tiny.images)
    return Items([(images[i], int(tiny.labels[i])) for i in range(len(tiny))], transform)


def same(one, other) -> bool:
    pairs = [*zip(one[:3], other[:3], strict=True)]
    pairs += [(one.views[name], other.views[name]) for name in one.views]
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [True, False])
def test_ours_brings_what_batches_bring(tiny, shuffle, workers):
    ours = LoaderBatches(make_loader(floats(tiny), 16, shuffle, 4, workers), views=(), seed=4)
    theirs = Batches(tiny, 16, CPU, shuffle, seed=4)
    assert (len(ours), ours.batch_size, ours.num_images) == (len(theirs), 16, 60)
    before = torch.get_rng_state()
    for _ in range(2):
        assert all(same(a, b) for a, b in zip(ours, theirs, strict=True))
        assert ours.done == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_views_of_ours_are_those_of_batches(tiny):
    ours = LoaderBatches(make_loader(floats(tiny), 20, True, 4), views=("mirrored",), seed=4)
    # Batches draw all of a pass at its beginning, in the same order.
    theirs = Batches(tiny, 20, CPU, True, seed=4, views=("mirrored",))
    found = list(zip(ours, theirs, strict=True))
    assert len(found) == 3
    assert all(same(a, b) for a, b in found)


def test_bytes_are_augmented_and_floats_are_not(tiny):
    items = Items([(tiny.images[i], int(tiny.labels[i])) for i in range(len(tiny))])
    plain, changed = (
        next(iter(LoaderBatches(make_loader(items, 30), augmented=a))).images for a in (False, True)
    )
    assert torch.equal(plain, to_float(tiny.images[:30]))
    assert not torch.equal(plain, changed)
    untouched = next(iter(LoaderBatches(make_loader(floats(tiny), 30), augmented=True))).images
    assert torch.equal(untouched, plain)


def test_a_users_loader_keeps_its_sampler_and_batches(tiny):
    weights = torch.zeros(60)
    weights[10:20] = 1.0
    sampler = WeightedRandomSampler(weights, 25, generator=torch.Generator().manual_seed(3))
    batches = LoaderBatches(DataLoader(floats(tiny), 10, sampler=sampler))
    found = list(batches)
    assert [len(batch.labels) for batch in found] == [10, 10, 5]
    index = torch.cat([batch.index for batch in found])
    assert index.min() >= 10
    assert index.max() < 20
    assert torch.equal(torch.cat([batch.labels for batch in found]), tiny.labels[index])
    assert torch.equal(torch.cat([b.images for b in found]), to_float(tiny.images[index]))
    in_order = BatchSampler(SequentialSampler(floats(tiny)), 7, drop_last=True)
    batches = LoaderBatches(DataLoader(floats(tiny), batch_sampler=in_order))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(56))


def test_a_users_collate_function_is_used(tiny):
    def darker(items):
        images, labels = torch.utils.data.default_collate(items)
        return images - 3, labels

    batch = next(iter(LoaderBatches(DataLoader(floats(tiny), 5, collate_fn=darker))))
    assert torch.equal(batch.images, to_float(tiny.images[:5]) - 3)


@pytest.mark.parametrize("own_generator", [True, False])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_is_resumed_bitwise(tiny, workers, own_generator):
    # With workers the transform draws in them; without, it would draw between the steps.
    data = floats(tiny, jitter) if workers else floats(tiny)

    def start() -> LoaderBatches:
        generator = torch.Generator().manual_seed(1) if own_generator else None
        loader = DataLoader(data, 10, True, num_workers=workers, generator=generator)
        return LoaderBatches(loader, views=("mirrored",), seed=2)

    def steps(batches, count=100):
        found = []
        for batch in batches:
            found.append((batch, torch.rand(3)))  # what a step draws
            if len(found) == count:
                break
        return found

    torch.manual_seed(5)
    whole = start()
    steps(whole)
    passing = iter(whole)
    for _ in range(2):
        next(passing)
        torch.rand(3)
    state, done, rng = whole.state_dict(), whole.done, torch.get_rng_state()
    assert done == 2
    rest = steps(passing) + steps(whole)
    other = start()
    other.load_state_dict(copy.deepcopy(state), done)
    assert other.done == 2
    torch.set_rng_state(rng)
    resumed = steps(other) + steps(other)
    assert len(resumed) == len(rest) == 10
    for (one, drawn), (two, drawn_again) in zip(rest, resumed, strict=True):
        assert same(one, two)
        assert torch.equal(drawn, drawn_again)


def test_a_state_that_is_none_is_refused_when_it_is_loaded(tiny):
    batches = LoaderBatches(DataLoader(floats(tiny), 10))
    state = {**batches.state_dict(), "global_generator": torch.zeros(3, dtype=torch.uint8)}
    with pytest.raises(RuntimeError):
        batches.load_state_dict(state, 1)


GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)
COLOURED = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(GREY), GREY[None]),
        (Image.fromarray(COLOURED), COLOURED.transpose(2, 0, 1)),
        (GREY, GREY[None]),
        (COLOURED, COLOURED.transpose(2, 0, 1)),
        (COLOURED.transpose(2, 0, 1), COLOURED.transpose(2, 0, 1)),
        (GREY[::-1], GREY[None, ::-1]),
        (torch.from_numpy(GREY), GREY[None]),
        (torch.from_numpy(COLOURED.transpose(2, 0, 1)), COLOURED.transpose(2, 0, 1)),
    ],
)
def test_images_of_bytes_may_be_anything(image, expected):
    for label in (1, np.int64(1), torch.tensor(1), np.array(1)):
        batch = next(iter(LoaderBatches(DataLoader(Items([(image, label)] * 2), 2))))
        assert torch.equal(batch.images[1], to_float(torch.tensor(expected.copy())[None])[0])
        assert batch.labels.tolist() == [1, 1]


@pytest.mark.parametrize("image", [np.ones((3, 4, 4)), torch.ones(3, 4, 4).half()])
def test_floats_are_used_as_they_are(image):
    batch = next(iter(LoaderBatches(DataLoader(Items([(image * 7, 0)] * 2), 2))))
    assert batch.images.dtype == torch.float32
    assert (batch.images == 7).all()


GOOD = (torch.zeros(1, 4, 4), 0)
BAD = {
    "shape": ((torch.zeros(1, 4, 5), 0), r"item 2: image is 1x4x5 of float32, where item 0 is 1x4"),
    "type": ((torch.zeros(1, 4, 4).byte(), 0), r"item 2: image is 1x4x4 of uint8, where item 0"),
    "numbers": (
        (torch.zeros(1, 4, 4).long(), 0),
        r"item 2: image must be.*got a tensor of torch.i",
    ),
    "wide": ((np.zeros((4, 4), np.uint16), 0), r"item 2: image must be.*got an array of uint16"),
    "text": (("a.png", 0), r"item 2: image must be.*got a str"),
    "flat": ((torch.zeros(16), 0), r"item 2: image must be.*got one of shape \(16,\)"),
    "soft label": ((GOOD[0], 0.5), r"item 2: label must be the number of a class.*got 0\.5"),
    "label of two": ((GOOD[0], torch.tensor([0, 1])), r"item 2: label must be.*tensor\(\[0, 1\]\)"),
    "truth": ((GOOD[0], True), r"item 2: label must be.*got True"),
    "no label": ((GOOD[0], None), r"item 2: label must be.*got None"),
    "negative": ((GOOD[0], -1), r"item 2: label must be 0 or more, got -1"),
    "alone": (GOOD[0], r"item 2: must be \(image, label\), got a Tensor"),
    "three": ((*GOOD, "name"), r"item 2: must be \(image, label\), got a tuple of 3"),
    "mapping": ({"image": GOOD[0]}, r"item 2: must be \(image, label\), got a dict"),
}


class Plain(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_item_is_one_line_that_names_it(kind):
    item, complaint = BAD[kind]
    with pytest.raises(InputError, match=complaint) as error:
        list(LoaderBatches(DataLoader(Plain([GOOD, GOOD, item]), 3)))
    assert "\n" not in str(error.value)


def test_a_bad_item_in_a_worker_is_one_line_too():
    item, complaint = BAD["soft label"]
    with pytest.raises(InputError, match=complaint) as error:
        list(LoaderBatches(DataLoader(Plain([GOOD, GOOD, item]), 3, num_workers=1)))
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize(
    ("collate_fn", "complaint"),
    [
        (lambda items: torch.zeros(3), r"\(images, labels\), got a Tensor"),
        (lambda items: (torch.zeros(3, 4), [0] * 3), r"images a tensor \(N, C, H, W\)"),
        (lambda items: (torch.zeros(2, 1, 4, 4), [0] * 3), "one image and one label for each of"),
        (lambda items: (torch.zeros(3, 1, 4, 4).long(), [0] * 3), "of uint8 or floats, got torch"),
        (lambda items: (torch.zeros(3, 1, 4, 4), 0), "one image and one label for each"),
        (lambda items: (torch.zeros(3, 1, 4, 4), torch.rand(3, 2)), "item 0: label must be"),
    ],
)
def test_a_collate_function_that_gives_something_else_is_refused(collate_fn, complaint):
    with pytest.raises(InputError, match=complaint):
        list(LoaderBatches(DataLoader(Plain([GOOD] * 3), 3, collate_fn=collate_fn)))


class Stream(IterableDataset):
    def __iter__(self):
        yield GOOD


def test_what_has_no_numbers_or_no_batches_is_refused():
    with pytest.raises(InputError, match="Stream: an IterableDataset gives no image by its number"):
        LoaderBatches(DataLoader(Stream(), 2))
    with pytest.raises(InputError, match="batch_size is None; give one"):
        LoaderBatches(DataLoader(Plain([GOOD] * 3), batch_size=None))

    class Endless(torch.utils.data.Sampler):
        def __iter__(self):
            yield 0

    with pytest.raises(InputError, match="its sampler has no length"):
        LoaderBatches(DataLoader(Plain([GOOD] * 3), 2, sampler=Endless()))


def test_labels_that_change_are_refused():
    batches = LoaderBatches(DataLoader(Plain([GOOD] * 3), 3), labels=torch.tensor([0, 0, 2]))
    with pytest.raises(InputError, match="item 2: its label is 0, where it was 2 before"):
        list(batches)


def test_processes_share_the_batches_of_one(tiny, monkeypatch):
    def batches():
        loader = make_loader(floats(tiny), 20, True, 4)
        return list(LoaderBatches(loader, views=("mirrored",), seed=4))

    whole, parts = batches(), []
    for module in (distributed, loader_batches):
        monkeypatch.setattr(module, "world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(batches())
    for batch, first, second in zip(whole, *parts, strict=True):
        for name in ("images", "labels", "index"):
            both = torch.cat([getattr(first, name), getattr(second, name)])
            assert torch.equal(both, getattr(batch, name))
        views = torch.cat([part.views["mirrored"] for part in (first, second)])
        assert torch.equal(views, batch.views["mirrored"])
    with pytest.raises(InputError, match="several processes cannot share a DataLoader: give its"):
        LoaderBatches(DataLoader(floats(tiny), 20))
