import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_agfn.datasets import MNIST, Digits, ImageDataset
from pyg_agfn.errors import InputError


def dataset(n: int = 12) -> ImageDataset:
    images = np.arange(n * 4, dtype=np.uint8).reshape(n, 1, 2, 2)
    return ImageDataset(images, np.arange(n) % 3, ["a", "b", "c"], [f"{i}.png" for i in range(n)])


def test_is_a_map_style_dataset():
    data = dataset()
    image, label = data[4]
    assert image.tolist() == [[[16, 17], [18, 19]]]
    assert label == 1
    assert len(data) == 12
    assert repr(data) == "ImageDataset(12 images of 1x2x2, 3 classes, 0 wrong labels)"


def test_noise_keeps_the_true_labels():
    clean = dataset()
    noisy = clean.with_noise(0.5, seed=0)
    assert noisy.wrong_labels.sum() == 6
    assert torch.equal(noisy.true_labels, clean.labels)
    assert not clean.wrong_labels.any()
    assert noisy.images.data_ptr() == clean.images.data_ptr()
    assert noisy.with_noise(0.0, seed=0).wrong_labels.sum() == 0  # always from the true labels


def test_a_noise_list_gives_the_labels(tmp_path: Path):
    (tmp_path / "list.txt").write_text("0.png c\n3.png b\n5.png c\n")
    noisy = dataset().with_noise_file(tmp_path / "list.txt")
    assert noisy.labels.tolist() == [2, 1, 2, 1, 1, 2, 0, 1, 2, 0, 1, 2]
    assert noisy.wrong_labels.sum() == 2


def test_subset_takes_everything_along():
    part = dataset().with_noise(0.5, seed=1).subset(torch.tensor([7, 2]))
    assert part.names == ["7.png", "2.png"]
    assert part.images[:, 0, 0, 0].tolist() == [28, 8]
    assert part.true_labels.tolist() == [1, 2]
    assert len(part) == len(part.labels) == 2


def test_soft_labels_are_those_of_the_images_in_subsets_and_batches():
    rows = torch.rand(12, 3, generator=torch.Generator().manual_seed(0))
    rows /= rows.sum(1, keepdim=True)
    plain = dataset()
    soft = ImageDataset(
        plain.images.numpy(), plain.labels, plain.classes, plain.names, (), (), True, rows
    )
    assert torch.equal(soft.soft_labels, rows)
    assert torch.equal(soft.subset(torch.tensor([7, 2])).soft_labels, rows[[7, 2]])
    for shuffle in (True, False):
        for batch in soft.batches(5, "cpu", shuffle=shuffle):
            assert torch.equal(batch.soft_labels, rows[batch.index])
            assert torch.equal(batch.labels, plain.labels[batch.index])
    assert {batch.soft_labels for batch in plain.batches(5, "cpu")} == {None}
    assert soft.fingerprint() != plain.fingerprint()
    with pytest.raises(InputError, match="made wrong contradict its soft labels"):
        soft.with_noise(0.2, seed=0)
    with pytest.raises(InputError, match="made wrong contradict its soft labels"):
        soft.with_noise_file(Path("list.txt"))


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([[0.5, 0.5]] * 12, r"numbers of shape \(12, 3\)"),
        ([[1, 0, 0]] * 11, r"numbers of shape \(12, 3\)"),
        ([[1, 0, 0]] * 11 + [[1]], r"numbers of shape \(12, 3\)"),
        ("votes", r"numbers of shape \(12, 3\)"),
        ([[1, 0, 0]] * 11 + [[4, 3, 3]], "of image 11 must be at least 0 and sum to 1"),
        ([[-0.5, 1, 0.5]] + [[1, 0, 0]] * 11, "of image 0 must be at least 0"),
        ([[1, 0, 0], [float("nan"), 0, 1]] + [[1, 0, 0]] * 10, "of image 1 must"),
    ],
)
def test_soft_labels_that_are_no_distributions_are_refused(rows, complaint):
    plain = dataset()
    with pytest.raises(InputError, match=complaint) as error:
        ImageDataset(
            plain.images.numpy(), plain.labels, plain.classes, plain.names, soft_labels=rows
        )
    assert "\n" not in str(error.value)


def test_a_class_without_an_image_is_refused():
    images = np.zeros((2, 1, 2, 2), np.uint8)
    with pytest.raises(InputError, match="no image of class b"):
        ImageDataset(images, [0, 2], ["a", "b", "c"], ["0", "1"])


@pytest.mark.parametrize(
    ("labels", "names", "complaint"),
    [
        ([0, 1, 2], ["0", "1"], "2 images with 3 labels and 2 names"),
        ([0, 1], ["0"], "2 images with 2 labels and 1 names"),
        ([0, 2], ["0", "1"], "labels must be 0 to 1, got 0 to 2"),
        ([-1, 1], ["0", "1"], "labels must be 0 to 1, got -1 to 1"),
        ([], ["0", "1"], "2 images with 0 labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, names, complaint):
    with pytest.raises(InputError, match=complaint):
        ImageDataset(np.zeros((2, 1, 2, 2), np.uint8), labels, ["a", "b"], names)


def test_no_image_at_all_is_refused():
    with pytest.raises(InputError, match="no image of class a, b among 0"):
        ImageDataset(np.zeros((0, 1, 2, 2), np.uint8), [], ["a", "b"], [])


def test_digits_are_scikit_learns():
    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1347, 450)
    assert not set(train.names) & set(test.names)
    assert train.images.shape[1:] == (1, 8, 8)
    assert (int(train.images.min()), int(train.images.max())) == (0, 255)
    assert test.labels.bincount().min() >= 43  # stratified
    assert Digits(image_size=12).images.shape == (1347, 1, 12, 12)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


def test_mnist_reads_torchvisions_layout(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels)
    data = MNIST(tmp_path, train=False)
    assert np.array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == labels.tolist()
    assert MNIST(tmp_path, image_size=14).images.shape == (20, 1, 14, 14)
    (raw / "train-images-idx3-ubyte").write_bytes(gzip.compress(b"not unpacked"))
    with pytest.raises(InputError, match="cannot be read") as error:
        MNIST(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("labels", [[*range(10), 200], list(range(10)), [*range(10), 0, 1]])
def test_mnist_labels_that_do_not_fit_are_named(tmp_path, labels):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", np.zeros((11, 28, 28), np.uint8))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.array(labels, np.uint8))
    with pytest.raises(InputError, match=f"t10k-labels-idx1-ubyte: {len(labels)} labels") as error:
        MNIST(tmp_path, train=False)
    assert "\n" not in str(error.value)


def test_mnist_without_an_image_is_named(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", np.zeros((0, 28, 28), np.uint8))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.zeros(0, np.uint8))
    with pytest.raises(InputError, match="cannot be read"):
        MNIST(tmp_path)


def test_mnist_says_what_it_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"MNIST/raw.*train-images-idx3-ubyte"):
        MNIST(tmp_path)
