import pytest
import torch
from scipy.stats import chisquare

from pyg_agfn.datasets import inject_label_noise, read_noise_file
from pyg_agfn.errors import InputError

CLASSES = ["neutral", "happy", "sad"]


@pytest.mark.parametrize(("n", "ratio"), [(1000, 0.2), (7, 0.5), (13, 0.1), (5, 0.0), (9, 1.0)])
def test_exactly_the_asked_share_becomes_another_class(n, ratio):
    labels = torch.arange(n) % 4
    before = labels.clone()
    noisy = inject_label_noise(labels, ratio, 4, seed=0)
    assert torch.equal(labels, before)
    assert int((noisy != labels).sum()) == round(ratio * n)
    assert noisy.min() >= 0
    assert noisy.max() < 4


def test_the_other_class_is_drawn_uniformly_whatever_the_label():
    labels = torch.arange(5).repeat(6000)
    noisy = inject_label_noise(labels, 0.5, 5, seed=1)
    moved = noisy != labels
    for label in range(5):
        counts = torch.bincount(noisy[moved & (labels == label)], minlength=5)
        assert counts[label] == 0
        others = counts[torch.arange(5) != label]
        assert chisquare(others.numpy()).pvalue > 1e-4
    assert chisquare(torch.bincount(labels[moved]).numpy()).pvalue > 1e-4


def test_a_seed_gives_the_same_labels_and_leaves_the_global_generator_alone():
    labels = torch.arange(100) % 3
    state = torch.get_rng_state()
    first = inject_label_noise(labels, 0.3, 3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, inject_label_noise(labels, 0.3, 3, seed=5))
    assert not torch.equal(first, inject_label_noise(labels, 0.3, 3, seed=6))


@pytest.mark.parametrize(
    ("labels", "ratio", "num_classes"),
    [
        ([0, 1], -0.1, 2),
        ([0, 1], 1.1, 2),
        ([0, 1], float("nan"), 2),
        ([0, 0], 0.5, 1),
        ([3], 0.5, 3),
    ],
)
def test_ratios_and_labels_out_of_range_are_refused(labels, ratio, num_classes):
    with pytest.raises(InputError):
        inject_label_noise(torch.tensor(labels), ratio, num_classes, 0)


def write(tmp_path, text):
    path = tmp_path / "noise.txt"
    path.write_text(text)
    return path


def test_a_list_is_read_by_path_by_base_name_and_by_class_name(tmp_path):
    path = write(tmp_path, "a/1.png 2\n\n./b/1.png happy\n3.png 0\nwith space.png\tsad\n")
    names = ["a/1.png", "b/1.png", "b/3.png", "b/with space.png", "b/4.png"]
    assert read_noise_file(path, names, CLASSES) == {0: 2, 1: 1, 2: 0, 3: 2}


def test_raf_db_lists_count_from_one_and_leave_out_aligned(tmp_path):
    path = write(tmp_path, "train_00001.jpg 3\ntrain_00002_aligned.jpg 1\n")
    names = ["train_00001_aligned.jpg", "train_00002_aligned.jpg"]
    assert read_noise_file(path, names, CLASSES, first_label=1) == {0: 2, 1: 0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1.png 0\n1.png\n", "row 2"),
        ("1.png 0\n1.png 3\n", "row 2.*'3'"),
        ("1.png -1\n", "row 1"),
        ("1.png angry\n", "angry.*neutral, happy, sad"),
        ("1.png -0\n", "row 1"),
        ("1.png nan\n", "row 1.*'nan'"),
        ("1.png 1.0\n", r"row 1.*'1\.0'"),
        (f"1.png {'9' * 5000}\n", "row 1"),
        ("1.png 0\n1.png 1\n", r"row 2: image 1\.png: has another label further above"),
        ("9.png 0\n", r"row 1: image 9\.png: is not among"),
        ("double.png 0\n", r"row 1: image double\.png: is the name of several"),
        ("../../etc/passwd 0\n", r"row 1: image \.\./\.\./etc/passwd: is not among"),
        ("\n", "no image"),
    ],
)
def test_broken_lists_are_named_with_their_row(tmp_path, text, complaint):
    names = ["1.png", "a/double.png", "b/double.png"]
    with pytest.raises(InputError, match=complaint) as error:
        read_noise_file(write(tmp_path, text), names, CLASSES)
    assert "noise.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.txt"):
        read_noise_file(tmp_path / "gone.txt", ["1.png"], CLASSES)
