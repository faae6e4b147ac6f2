import pytest

from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1_fer0034656.png 8 0\n7_fer0032220.png 8 3\n", {"fer0034656": 1, "fer0032220": 7}),
        (
            "test_0003_aligned 3 4\ntest_2005_aligned 4 3",
            {"test_0003_aligned": 3, "test_2005_aligned": 4},
        ),
        ("0/fer0032226.jpg\r\n4/fer0032239.jpg\r\n", {"fer0032226": 0, "fer0032239": 4}),
        # Labels 0 to 7 of the whole test part, and how many crops there are of each image.
        ("7/fer0032220 6\n0/fer0032223 6\n", {"fer0032220": 7, "fer0032223": 0}),
        # As published: the list of occlusions ends its lines as Windows does.
        ("1_fer0034656.png 8 0\r\n2_fer0033359.png 8 2\r\n", {"fer0034656": 1, "fer0033359": 2}),
        (
            "0/test_0004_aligned.jpg\n\n6/test_2389_aligned.jpg\n",
            {"test_0004_aligned": 0, "test_2389_aligned": 6},
        ),
    ],
)
def test_the_published_forms_are_read(tmp_path, text, expected):
    path = tmp_path / "list.txt"
    path.write_text("\ufeff" + text)
    assert read_subset_list(path) == expected


def test_an_image_may_be_named_twice_with_one_label(tmp_path):
    """As test_2464_aligned is in RAF-DB's published list."""
    path = tmp_path / "list.txt"
    path.write_text("test_2464_aligned 6 2\ntest_2464_aligned 6 2\n")
    assert read_subset_list(path) == {"test_2464_aligned": 6}
    path.write_text("test_2464_aligned 6 2\n5/test_2464_aligned.jpg\n")
    with pytest.raises(InputError, match=r"list\.txt, row 2: image test_2464_aligned: has label 6"):
        read_subset_list(path)


@pytest.mark.parametrize(
    "line", ["fer0034656.png", "x/fer0034656.jpg", "../1/fer0034656.jpg", "1_fer0034656.png 8"]
)
def test_another_line_is_named(tmp_path, line):
    path = tmp_path / "list.txt"
    path.write_text(f"0/fer0032226.jpg\n{line}\n")
    with pytest.raises(InputError, match=r"list\.txt, row 2: expected"):
        read_subset_list(path)


def test_a_list_without_an_image_is_said(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n\n")
    with pytest.raises(InputError, match="lists no image"):
        read_subset_list(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_subset_list(tmp_path / "missing.txt")
