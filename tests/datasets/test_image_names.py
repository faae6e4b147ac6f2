import pytest

from pyg_agfn.datasets.image_names import SEVERAL, ImageNames

FOLDERS = ImageNames(["happy/0001.png", "happy/0004.png", "sad/0001.png"], ["sad/0004.png"])


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("happy/0004.png", 1),
        ("./happy/0004.png", 1),
        ("happy\\0004.png", 1),
        ("C:\\photos\\happy\\0004.png", 1),
        ("/home/someone/photos/happy/0004.png", 1),
        ("sad/0004.png", 3),  # set aside, and not the image of the same base name
        ("0004.png", SEVERAL),
        ("0001.png", SEVERAL),
        ("sad/0002.png", None),
        ("happy/0004.jpg", None),  # another ending is another file
        ("happy/0004", 1),
        ("happy", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_path_means_the_image_with_the_longest_common_end(path, position):
    assert FOLDERS.find(path) == position


def test_an_image_of_another_folder_of_the_data_set_is_not_meant():
    names = ImageNames(["happy/7.png", "sad/1.png"])
    assert names.find("sad/7.png") is None
    assert names.find("7.png") == 0
    assert names.find("elsewhere/7.png") == 0
    assert names.find("elsewhere/sad/7.png") is None


def test_a_bare_name_counts_only_where_no_other_image_has_it():
    assert ImageNames(["train/a/1.png"], ["test/a/1.png"]).find("1.png") == SEVERAL
    assert ImageNames(["train/a/1.png"], ["test/a/2.png"]).find("1.png") == 0
    # Behind a folder that is not of this data set, the image could be of either part.
    assert ImageNames(["train/a/1.png"], ["test/a/1.png"]).find("val/a/1.png") == SEVERAL


def test_the_training_folder_may_be_left_out():
    names = ImageNames(["train/a/1.png", "train/b/1.png"], ["test/a/1.png"])
    assert [names.find(p) for p in ("a/1.png", "train/a/1.png", "test/a/1.png")] == [0, 0, 2]


def test_raf_dbs_lists_leave_out_aligned():
    names = ImageNames(["train_00001_aligned.jpg", "train_00002_aligned.jpg"])
    for path in (
        "train_00002.jpg",
        "train_00002_aligned.jpg",
        "/x/aligned/train_00002_aligned.jpg",
    ):
        assert names.find(path) == 1
    # Unless there is such a file.
    assert ImageNames(["a_aligned.jpg", "a.jpg"]).find("a.jpg") == 1


def test_accents_may_be_composed_or_not():
    composed, decomposed = "gl\u00fccklich/1.png", "glu\u0308cklich/1.png"
    assert ImageNames([decomposed]).find(composed) == 0
    assert ImageNames([composed]).find(decomposed) == 0
