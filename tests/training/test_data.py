"""Any data set of (image, label), a loader over one, or ours: what training reads of them."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from small_ferplus import write_ferplus
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from torchvision import datasets as tv
from torchvision import transforms

from pyg_agfn.datasets import ImageDataset, inject_label_noise, loader_data
from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.image_memory import OutOfMemoryError
from pyg_agfn.datasets.loader_data import LoaderData
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, load_datasets
from pyg_agfn.training.data import as_training_data

CPU = torch.device("cpu")


class Items(Dataset):
    def __init__(self, items, transform=None, **attributes):
        self.items, self.transform = items, transform
        self.reads = 0
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.reads += 1
        image, label = self.items[index]
        return (image if self.transform is None else self.transform(image)), label


def pictures(tiny, transform=None, **attributes) -> Items:
    items = [
        (Image.fromarray(image[0].numpy()), int(label))
        for image, label in zip(tiny.images, tiny.labels, strict=True)
    ]
    return Items(items, transform, **attributes)


@pytest.fixture
def photos(tmp_path):
    """Torchvision's layout: a folder a class, coloured and grey files."""
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = np.full((6, 6, 3) if i % 2 else (6, 6), 40 * k + i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_our_own_data_stays_as_it_is(tiny):
    assert as_training_data(tiny) is tiny
    data = as_training_data(DataLoader(tiny, 10))
    assert as_training_data(data) is data


@pytest.mark.parametrize("transform", [None, transforms.PILToTensor(), np.asarray])
def test_bytes_of_one_size_are_decoded_once(tiny, transform):
    items = pictures(tiny, transform)
    data = as_training_data(items)
    assert isinstance(data, ImageDataset)
    assert torch.equal(data.images, tiny.images)
    assert torch.equal(data.labels, tiny.labels)
    assert data.classes == ("0", "1", "2")
    assert data.names == [str(i) for i in range(60)]
    reads = items.reads
    assert len(list(data.batches(20, CPU, shuffle=True))) == 3
    assert items.reads == reads


def test_torchvisions_folder_brings_classes_and_names(photos):
    data = as_training_data(tv.ImageFolder(photos))
    assert isinstance(data, ImageDataset)
    assert data.classes == ("cat", "dog")
    assert data.names[5] == "dog/1.png"
    assert data.image_shape == (3, 6, 6)
    assert data.labels.tolist() == [0] * 4 + [1] * 4
    part = as_training_data(Subset(tv.ImageFolder(photos), [6, 1]))
    assert (part.classes, part.names) == (("cat", "dog"), ["dog/2.png", "cat/1.png"])
    floats = as_training_data(
        Subset(tv.ImageFolder(photos, transforms.ToTensor()), [6, 1]), classes=("cats", "dogs")
    )
    assert isinstance(floats, LoaderData)
    assert (floats.classes, floats.names) == (("cats", "dogs"), ["dog/2.png", "cat/1.png"])
    assert floats.labels.tolist() == [1, 0]


def test_floats_are_read_at_each_pass(tiny):
    items = pictures(tiny, transforms.ToTensor(), targets=tiny.labels.tolist())
    data = as_training_data(items)
    assert isinstance(data, LoaderData)
    assert repr(data) == "LoaderData(60 images of 1x8x8, 3 classes)"
    assert (len(data), data.num_images, data.num_classes) == (60, 60, 3)
    assert data.image_shape == (1, 8, 8)
    assert torch.equal(data.labels, tiny.labels)
    assert not data.wrong_labels.any()
    assert items.reads < 10  # the labels are the attribute's
    first, second = ([*data.batches(20, CPU, shuffle=True, seed=s)] for s in (3, 3))
    ours = [*Batches(tiny, 20, CPU, shuffle=True, seed=3)]
    for batch, again, expected in zip(first, second, ours, strict=True):
        assert torch.equal(batch.index, expected.index)
        assert torch.equal(batch.labels, expected.labels)
        assert torch.equal(batch.images, again.images)
        torch.testing.assert_close(2 * batch.images - 1, expected.images)
    whole = torch.cat([batch.index for batch in data.batches(25, CPU)])
    assert whole.tolist() == list(range(60))


def test_a_tensor_dataset_is_a_data_set(tiny):
    data = as_training_data(TensorDataset(to_float(tiny.images), tiny.labels))
    assert isinstance(data, LoaderData)
    assert torch.equal(data.labels, tiny.labels)


def test_a_random_transform_is_drawn_at_each_pass(tiny):
    data = as_training_data(pictures(tiny, transforms.RandomHorizontalFlip()))
    assert isinstance(data, LoaderData)
    torch.manual_seed(0)
    passes = [torch.cat([b.images for b in data.batches(60, CPU)]) for _ in range(2)]
    assert not torch.equal(*passes)


def test_images_too_many_for_the_memory_are_read_at_each_pass(tiny, monkeypatch):
    monkeypatch.setattr(loader_data, "MOST_BYTES", 60 * 64 - 1)
    data = as_training_data(pictures(tiny))
    assert isinstance(data, LoaderData)
    batch = next(iter(data.batches(60, CPU)))
    assert torch.equal(batch.images, to_float(tiny.images))
    monkeypatch.setattr(loader_data, "MOST_BYTES", 60 * 64)
    assert isinstance(as_training_data(pictures(tiny)), ImageDataset)


def test_want_of_memory_is_one_line(tiny, monkeypatch):
    def deny(*_):
        raise MemoryError

    monkeypatch.setattr(loader_data.np, "empty", deny)
    with pytest.raises(OutOfMemoryError, match=r"^Items: its images take \d+ MiB of memory"):
        as_training_data(pictures(tiny))


def test_a_loader_trains_by_its_own_batches_and_is_measured_in_order(tiny):
    items = pictures(tiny, transforms.ToTensor())
    loader = DataLoader(items, 8, shuffle=True, drop_last=True)
    data = as_training_data(loader)
    torch.manual_seed(0)
    training = data.batches(30, CPU, shuffle=True)
    assert [len(batch.labels) for batch in training] == [8] * 7
    assert training.batch_size == 8
    measured = list(data.batches(30, CPU))
    assert [len(batch.labels) for batch in measured] == [30, 30]
    assert torch.equal(torch.cat([batch.labels for batch in measured]), tiny.labels)
    assert torch.equal(data.labels, tiny.labels)  # without .targets, by a pass in order


def test_a_last_batch_of_one_image_is_refused_before_training(tiny):
    data = as_training_data(DataLoader(pictures(tiny, transforms.ToTensor()), 59))
    with pytest.raises(InputError, match=r"last batch has one image of 60.*drop_last=True"):
        data.batches(30, CPU, shuffle=True)
    assert len(data.batches(59, CPU)) == 2


def test_targets_that_are_not_the_items_labels_are_not_taken(tiny):
    other = (1 - tiny.labels).abs().tolist()
    items = pictures(tiny, transforms.ToTensor(), targets=other)
    assert torch.equal(as_training_data(items).labels, tiny.labels)
    partly = [*tiny.labels.tolist()[:59], 0]
    data = as_training_data(pictures(tiny, transforms.ToTensor(), targets=partly))
    with pytest.raises(InputError, match="item 59: its label is 2, where it was 0 before"):
        list(data.batches(60, CPU))
    renamed = pictures(tiny, transforms.ToTensor(), targets=other, target_transform=int)
    assert torch.equal(as_training_data(renamed).labels, tiny.labels)


@pytest.mark.parametrize("values", [["a"] * 60, [0.5] * 60, [0, 1], None, [[0, 1]] * 60])
def test_attributes_that_are_no_labels_are_not_taken(tiny, values):
    items = pictures(tiny, transforms.ToTensor(), targets=values)
    assert torch.equal(as_training_data(items).labels, tiny.labels)


def test_fingerprints_tell_images_order_and_labels(tiny):
    before = hashlib.sha256(repr(((60, 1, 8, 8), ("a", "b", "c"))).encode())
    before.update("\0".join(tiny.names).encode())
    before.update(tiny.labels.numpy().tobytes())
    assert tiny.fingerprint() == before.hexdigest()  # of checkpoints that are there

    def floats(**attributes):
        return as_training_data(pictures(tiny, transforms.ToTensor(), **attributes))

    assert floats().fingerprint() == floats().fingerprint()
    assert floats(classes=["x", "y", "z"]).fingerprint() != floats().fingerprint()
    noisy = tiny.with_noise(0.1, seed=0)
    assert noisy.fingerprint() != tiny.fingerprint()
    assert as_training_data(pictures(noisy)).fingerprint() == (
        as_training_data(pictures(noisy)).fingerprint()
    )


class Stream(IterableDataset):
    def __iter__(self):
        yield torch.zeros(1, 4, 4), 0


GOOD = (torch.zeros(1, 4, 4, dtype=torch.uint8), 0)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (Stream(), "IterableDataset gives no image by its number"),
        (DataLoader(Stream(), 2), "IterableDataset gives no image by its number"),
        (Items([]), "Items: has no image"),
        ("photos", "must be an ImageDataset, a map-style Dataset.*got str"),
        (torch.zeros(3, 1, 4, 4), "map-style Dataset.*got Tensor"),
        (3, "map-style Dataset.*got int"),
        (Items([GOOD, (Image.new("RGB", (4, 4)), 1)]), "item 1: image is 3x4x4.*item 0 is 1x4x4"),
        (Items([GOOD, (Image.new("L", (5, 4)), 1)]), "item 1: image is 1x4x5.*item 0 is 1x4x4"),
        (Items([GOOD, (GOOD[0], "dog")]), "item 1: label must be the number.*got 'dog'"),
        (Items([GOOD, (GOOD[0], 2)]), "no image of class 1 among 2"),
        (Items([GOOD, (GOOD[0], 2)], classes=["a", "b"]), "labels must be 0 to 1, got 0 to 2"),
        (Items([(GOOD[0].float(), 0), (GOOD[0].float(), 2)]), "no image of class 1 among 2"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(data, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        as_training_data(data)
    assert "\n" not in str(error.value)


def test_an_image_that_is_damaged_is_named(photos):
    path = photos / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:-30])
    items = Items([(Image.open(file), 0) for file in sorted(photos.rglob("*.png"))])
    with pytest.raises(InputError, match="item 6: image cannot be decoded"):
        as_training_data(items)


def test_the_kind_of_noise_and_the_votes_are_those_of_the_options(tmp_path):
    train, test = load_datasets(TrainOptions.for_dataset("digits", noise=0.2, noise_kind="pair"))
    wrong = train.wrong_labels
    assert int(wrong.sum()) == round(0.2 * len(train))
    assert torch.equal(train.labels[wrong], (train.true_labels[wrong] + 1) % 10)
    assert not test.wrong_labels.any()
    usual, _ = load_datasets(TrainOptions.for_dataset("digits", noise=0.2))
    assert torch.equal(usual.labels, inject_label_noise(usual.true_labels, 0.2, 10, seed=0))

    faces = np.random.default_rng(0).integers(0, 256, (2, 16, 48, 48), dtype=np.uint8)
    votes = 6 * np.eye(10, dtype=int)[np.arange(16) % 8]
    votes += 3 * np.roll(votes // 6, 1, axis=1) * (np.arange(16) > 7)[:, None]
    for part, of_part in zip(("Train", "Valid"), faces, strict=True):
        write_ferplus(tmp_path / f"FER2013{part}", of_part, votes.tolist())
    given = {"root": tmp_path, "label_mode": "official-majority", "train_size": 12}
    train, _ = load_datasets(TrainOptions.for_dataset("ferplus", targets="votes", **given))
    rows = [int(name[-11:-4]) for name in train.names]
    expected = votes[rows, :8] / votes[rows, :8].sum(1, keepdims=True)
    torch.testing.assert_close(train.soft_labels, torch.from_numpy(expected).float())
    assert load_datasets(TrainOptions.for_dataset("ferplus", **given))[0].soft_labels is None
