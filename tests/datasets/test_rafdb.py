from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import RAFDB
from pyg_agfn.errors import InputError


@pytest.fixture
def base(tmp_path) -> Path:
    base = tmp_path / "rafdb" / "basic"
    (base / "Image" / "aligned").mkdir(parents=True)
    (base / "EmoLabel").mkdir()
    lines = []
    for split, count in (("train", 14), ("test", 7)):
        for i in range(count):
            pixels = np.full((10, 10, 3), (i * 10, 50, 90), np.uint8)
            name = f"{split}_{i + 1:05d}"
            Image.fromarray(pixels).save(
                base / "Image" / "aligned" / f"{name}_aligned.jpg", quality=100, subsampling=0
            )
            lines.append(f"{name}.jpg {i % 7 + 1}")
    (base / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n\n")
    return base


@pytest.mark.parametrize("below", [False, True])
def test_reads_the_official_layout(base, below):
    data = RAFDB(base.parent if below else base, "train")
    assert data.labels.tolist() == [i % 7 for i in range(14)]
    assert data.classes[0] == "surprise"
    assert data.names[0] == "train_00001_aligned.jpg"
    assert data.images.shape == (14, 3, 10, 10)
    means = data.images.float().mean((2, 3))
    assert (means[:, 0] - 10 * np.arange(14)).abs().max() < 3
    assert len(RAFDB(base, "test", image_size=4)) == 7


def test_a_list_may_name_the_aligned_files_and_repeat_a_line(base):
    expected = RAFDB(base, "train")
    path = base / "EmoLabel" / "list_patition_label.txt"
    lines = path.read_text().replace(".jpg", "_aligned.jpg").splitlines()
    path.write_text("\n".join([*lines, lines[0]]))
    data = RAFDB(base, "train")
    assert data.names == expected.names
    assert data.labels.equal(expected.labels)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("train_00003.jpg 8", r"row 3: image train_00003_aligned\.jpg: label must be 1 to 7"),
        ("train_00003.jpg 0", "row 3: .*label"),
        ("train_00003.jpg", "row 3: expected"),
        ("../train_00003.jpg 1", "row 3: expected"),
        ("..\\train_00003.jpg 1", "row 3: expected"),
        ("C:train_00003.jpg 1", "row 3: expected"),
        ("train_00003.jpg nan", "row 3: .*label"),
        ("train_00002.jpg 3", r"row 3: image train_00002_aligned\.jpg: has another label in row 2"),
        ("train_00099.jpg 3", r"train_00099_aligned\.jpg: there is no such file"),
    ],
)
def test_broken_lines_are_named(base, line, complaint):
    path = base / "EmoLabel" / "list_patition_label.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]))
    with pytest.raises(InputError, match=complaint):
        RAFDB(base, "train")


def test_a_wrong_root_says_what_was_looked_for(base, tmp_path):
    with pytest.raises(InputError, match=r"list_patition_label\.txt.*aligned"):
        RAFDB(tmp_path, "train")
    with pytest.raises(InputError, match="train or test"):
        RAFDB(base, "valid")
    with pytest.raises(InputError, match="looked for"):
        RAFDB(tmp_path / ("x" * 300))  # longer than a name may be
    path = base / "EmoLabel" / "list_patition_label.txt"
    path.write_text("test_00001.jpg 1\n")
    with pytest.raises(InputError, match="no line of the train split"):
        RAFDB(base, "train")
