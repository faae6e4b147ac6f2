import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from small_ferplus import write_ferplus

from pyg_agfn.datasets import FERPlus, ferplus
from pyg_agfn.datasets.ferplus_votes import vote_distribution
from pyg_agfn.errors import InputError

#: Votes, and the class by plurality (None: left out), and whether it has more than half.
ROWS = [
    ([4, 0, 0, 1, 3, 2, 0, 0, 0, 0], 0, False),
    ([0, 9, 1, 0, 0, 0, 0, 0, 0, 0], 1, True),
    ([0, 0, 10, 0, 0, 0, 0, 0, 0, 0], 2, True),
    ([0, 0, 0, 5, 5, 0, 0, 0, 0, 0], 3, False),  # a tie goes to the first
    ([0, 0, 0, 0, 6, 0, 0, 0, 4, 0], 4, True),
    ([0, 0, 0, 0, 0, 5, 0, 0, 5, 0], 5, False),  # also against unknown
    ([0, 0, 0, 0, 0, 0, 6, 4, 0, 0], 6, True),
    ([1, 1, 0, 0, 0, 0, 0, 6, 1, 1], 7, True),
    ([0, 4, 0, 0, 0, 0, 0, 0, 6, 0], None, False),
    ([0, 4, 0, 0, 0, 0, 0, 0, 0, 6], None, False),
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None, False),
    ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, True),
    ([0, 0, 0, 8, 2, 0, 0, 0, 0, 0], 3, True),
    ([0, 0, 0, 0, 0, 7, 3, 0, 0, 0], 5, True),
]
HEADER = [
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
]


def faces() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(ROWS), 48, 48), dtype=np.uint8)


@pytest.fixture
def folders(tmp_path) -> Path:
    for name in ("FER2013Train", "FER2013Valid"):
        write_ferplus(tmp_path / "folders" / name, faces(), [votes for votes, _, _ in ROWS])
    return tmp_path / "folders"


@pytest.fixture
def pair(tmp_path) -> Path:
    root = tmp_path / "pair"
    root.mkdir()
    pixels = [["0", " ".join(map(str, face.ravel())), "Training"] for face in faces()]
    votes = [["Training", f"fer{i:07d}.png", *v] for i, (v, _, _) in enumerate(ROWS)]
    # A row without a name is no image of FERPlus; and one of another split.
    pixels += [["0", "1 2 3", "Training"], ["0", pixels[0][1], "PublicTest"]]
    votes += [["Training", "", *[0] * 10], ["PublicTest", "fer0000099.png", *ROWS[0][0]]]
    write_csv(root / "fer2013.csv", [["emotion", "pixels", "Usage"], *pixels])
    write_csv(root / "fer2013new.csv", [["Usage", "Image name", *HEADER], *votes])
    return root


def write_csv(path: Path, rows) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize("mode", ["plurality", "majority"])
def test_labels_are_the_winners(folders, mode):
    data = FERPlus(folders, "train", label_mode=mode)
    kept = [
        i for i, row in enumerate(ROWS) if row[1] is not None and (row[2] or mode == "plurality")
    ]
    assert data.labels.tolist() == [ROWS[i][1] for i in kept]
    assert data.names == [f"FER2013Train/fer{i:07d}.png" for i in kept]
    assert np.array_equal(data.images.numpy()[:, 0], faces()[kept])
    assert data.classes == tuple(HEADER[:8])
    assert not data.wrong_labels.any()


def test_both_layouts_give_the_same(folders, pair):
    one, other = FERPlus(folders, "train"), FERPlus(pair, "train")
    assert (one.images == other.images).all()
    assert one.labels.tolist() == other.labels.tolist()
    assert one.names == other.names


@pytest.mark.parametrize("mode", ["plurality", "majority", "official-majority"])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_votes_belong_to_the_images_that_have_a_label(folders, pair, mode, split):
    path = folders / "FER2013Train" / "label.csv"
    path.write_text('gone.png,"(0, 0, 48, 48)",0,0,0,9,1,0,0,0,0,0\n' + path.read_text())
    given = {"label_mode": mode, "targets": "votes", "skip_bad": True}
    found = [FERPlus(folders, split, **given)]
    found += [FERPlus(pair, split, **given)] if split == "train" else []
    for data in found:
        expected = [vote_distribution(ROWS[int(name[-11:-4])][0]) for name in data.names]
        torch.testing.assert_close(data.soft_labels, torch.tensor(expected))
        assert (
            data.soft_labels.gather(1, data.labels[:, None])
            .flatten()
            .equal(data.soft_labels.amax(1))
        )
        part = data.subset(torch.tensor([5, 2]))
        assert part.soft_labels.equal(data.soft_labels[[5, 2]])
    assert len(found[0].skipped) == (split == "train")
    assert FERPlus(folders, "valid").soft_labels is None


def test_a_second_start_reads_no_pixel_of_the_pair(pair, monkeypatch):
    first = FERPlus(pair, "train")
    with monkeypatch.context() as patch:
        patch.setattr(ferplus, "_face", lambda *_: pytest.fail("pixels read again"))
        assert FERPlus(pair, "train").images.equal(first.images)
    change(pair / "fer2013.csv", 2, put(1, "7 " * 2304))
    assert (FERPlus(pair, "train").images[0] == 7).all()  # made again


def test_the_pair_is_resized_as_the_folders_are(folders, pair):
    one, other = FERPlus(folders, "train", 24), FERPlus(pair, "train", 24)
    assert other.images.shape == (len(one), 1, 24, 24)
    assert one.images.equal(other.images)


def test_an_image_listed_twice_with_one_label_is_no_conflict(folders, pair):
    """As in published label files."""
    expected = FERPlus(folders, "train").names
    for path in (folders / "FER2013Train" / "label.csv", pair / "fer2013new.csv"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines, lines[3]]) + "\n")
    with (pair / "fer2013.csv").open("a") as file:
        file.write("0," + "7 " * 2304 + ",Training\n")
    for root in (folders, pair):
        data = FERPlus(root, "train")
        assert data.names == expected
        assert len(data.skipped) == 0


def test_an_image_listed_twice_with_two_labels_is_refused(folders, pair):
    change(folders / "FER2013Train" / "label.csv", 3, put(0, "fer0000000.png"))
    with pytest.raises(
        InputError,
        match=r"label\.csv, row 3: image fer0000000\.png: has votes for another label in row 1",
    ):
        FERPlus(folders, "train")
    change(pair / "fer2013new.csv", 4, put(1, "fer0000000.png"))
    with pytest.raises(
        InputError,
        match=r"fer2013new\.csv, row 4: image fer0000000\.png: has votes for another .* row 2",
    ):
        FERPlus(pair, "train")


def test_a_control_character_behind_a_vote_is_a_space(folders, pair):
    for path, row, column in (("FER2013Train/label.csv", 3, 4), ("fer2013new.csv", 4, 3)):
        for root in (folders, pair):
            if (root / path).exists():
                before = FERPlus(root, "train").labels
                change(root / path, row, lambda cells, i=column: put(i, cells[i] + "\x1e")(cells))
                assert FERPlus(root, "train").labels.equal(before)


def test_splits_are_their_own_folders(folders):
    assert FERPlus(folders, "valid").names[0].startswith("FER2013Valid/")
    with pytest.raises(InputError, match=r"FER2013Test.*fer2013\.csv"):
        FERPlus(folders, "test")
    with pytest.raises(InputError, match="looked for"):
        FERPlus(folders / ("x" * 300))  # longer than a name may be
    with pytest.raises(InputError, match="train, valid, test"):
        FERPlus(folders, "validation")
    with pytest.raises(InputError, match="plurality, majority, official-majority"):
        FERPlus(folders, label_mode="soft")
    with pytest.raises(InputError, match="targets must be labels or votes"):
        FERPlus(folders, targets="soft")


def change(path: Path, row: int, edit) -> None:
    rows = list(csv.reader(path.open(newline="")))
    edit(rows[row - 1])
    # csv of Python 3.10 writes no NUL.
    path.write_text("\n".join(",".join(f'"{cell}"' for cell in row) for row in rows))


def put(column: int, text: str):
    return lambda row: row.__setitem__(column, text)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda row: row.pop(), r"row 3: image fer0000002\.png: expected 10 columns"),
        (put(5, "many"), r"row 3: image fer0000002\.png: votes for sadness.*'many'"),
        (put(5, "-1"), r"row 3: image fer0000002\.png: votes for sadness"),
        (put(5, "nan"), r"row 3: image fer0000002\.png: votes for sadness"),
        (put(5, ""), r"row 3: image fer0000002\.png: votes for sadness"),
        (put(0, "../fer0000002.png"), r"row 3: expected the name.*\.\./fer"),
        (put(0, "..\\fer0000002.png"), r"row 3: expected the name.*\.\.\\+fer"),
        (put(0, "C:fer0000002.png"), r"row 3: expected the name.*C:fer"),
        (put(0, "/etc/passwd"), r"row 3: expected the name.*/etc/passwd"),
        (put(0, "a\0b.png"), r"row 3: (expected the name.*a\\+x00b|is no row of CSV)"),
        (put(0, "gone.png"), r"gone\.png: there is no such file"),
    ],
)
def test_broken_rows_are_named(folders, edit, complaint):
    change(folders / "FER2013Train" / "label.csv", 3, edit)
    with pytest.raises(InputError, match=complaint) as error:
        FERPlus(folders, "train")
    assert "FER2013Train" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "row", "edit", "complaint"),
    [
        ("fer2013new.csv", 1, put(4, "smile"), r"fer2013new\.csv, row 1: column surprise"),
        ("fer2013.csv", 1, put(1, "x"), r"fer2013\.csv, row 1: column pixels"),
        ("fer2013new.csv", 4, put(3, "3.5"), r"fer2013new\.csv, row 4: .*votes for happiness"),
        ("fer2013new.csv", 4, put(0, "PublicTest"), r"row 4: Usage 'PublicTest' is not that of"),
        ("fer2013new.csv", 4, put(0, "Trainning"), "row 4: .*Usage must be one of Training"),
        ("fer2013.csv", 4, lambda row: row.pop(), r"fer2013\.csv, row 4: has fewer columns"),
        ("fer2013new.csv", 4, lambda row: row.pop(), r"fer2013new\.csv, row 4: has fewer columns"),
        ("fer2013.csv", 4, put(1, "1 2 3"), r"fer2013\.csv, row 4: pixels must be 2304"),
        ("fer2013.csv", 4, put(1, "256 " * 2304), r"fer2013\.csv, row 4: pixels"),
        ("fer2013.csv", 4, put(1, "a " * 2304), r"fer2013\.csv, row 4: pixels"),
    ],
)
def test_broken_pairs_are_named(pair, file, row, edit, complaint):
    change(pair / file, row, edit)
    with pytest.raises(InputError, match=complaint) as error:
        FERPlus(pair, "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("short", ["fer2013.csv", "fer2013new.csv"])
def test_pairs_of_different_length_are_refused(pair, short):
    rows = list(csv.reader((pair / short).open(newline="")))
    write_csv(pair / short, rows[:-1])
    with pytest.raises(InputError, match="ends before"):
        FERPlus(pair, "train")


def test_empty_lines_and_a_byte_order_mark_are_passed_over(folders):
    path = folders / "FER2013Train" / "label.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\r\n\r\n"))
    assert FERPlus(folders, "train").names[0] == "FER2013Train/fer0000000.png"


def test_a_file_that_is_no_csv_is_named(folders):
    (folders / "FER2013Train" / "label.csv").write_bytes(b"\x89PNG\r\n\xff")
    with pytest.raises(InputError, match=r"label\.csv: is no UTF-8 text"):
        FERPlus(folders, "train")


def test_a_class_without_an_image_is_named(folders):
    path = folders / "FER2013Train" / "label.csv"
    write_csv(path, [r for r in csv.reader(path.open(newline="")) if r[9] != "6"])
    with pytest.raises(InputError, match="contempt"):
        FERPlus(folders, "train")


def test_no_image_at_all(folders):
    path = folders / "FER2013Train" / "label.csv"
    path.write_text("")
    with pytest.raises(InputError, match="no image has a label"):
        FERPlus(folders, "train")
