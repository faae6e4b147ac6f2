"""Which label FERPlus' votes give: on made votes, and on the data where they are at hand."""

import hashlib
import os
from pathlib import Path

import pytest

from pyg_agfn.datasets import FERPlus
from pyg_agfn.datasets.ferplus_votes import vote_distribution, winner

#: Folder of FERPlus in the official layout, which cannot be shipped with the tests.
ROOT = os.environ.get("PYG_AGFN_FERPLUS", "")
#: SHA-256 of the 3,137 image names of RAN's test list, sorted, without endings, a line each:
#: ``dlib_ferplus_val_center_crop_range_list.txt`` of kaiwang960112/Challenge-condition-FER-dataset.
RAN_TEST = "36bb606564c00e7efcf31f59acac90933c48f64eea009d403507a991d52e1e1b"


@pytest.mark.parametrize(
    ("votes", "plurality", "majority", "official"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, 0, 0),
        ([5, 1, 1, 1, 1, 1, 0, 0, 0, 0], 0, None, 0),  # single votes are outliers
        ([5, 1, 1, 1, 0, 0, 0, 0, 1, 1], 0, None, 0),  # those for unknown and NF, too
        ([0, 0, 3, 2, 1, 1, 1, 1, 1, 0], 2, None, 2),  # 3 of the 5 that are left
        ([0, 0, 4, 4, 1, 1, 0, 0, 0, 0], 2, None, None),  # a tie is no majority
        ([0, 4, 0, 2, 0, 0, 0, 0, 2, 2], 1, None, None),  # 4 of 10: unknown and NF count
        ([0, 4, 0, 2, 0, 0, 0, 0, 2, 0], 1, None, None),  # exactly half is not more
        ([0, 5, 0, 0, 0, 0, 0, 0, 4, 1], 1, None, 1),
        ([0, 4, 0, 0, 0, 0, 0, 0, 6, 0], None, None, None),  # unknown wins
        ([0, 1, 1, 1, 0, 0, 0, 0, 0, 7], None, None, None),  # NF wins
        ([0, 1, 1, 1, 1, 1, 1, 1, 1, 1], 1, None, None),  # nothing is left
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None, None, None),
        ([0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1, 1, None),
    ],
)
def test_the_three_rules(votes, plurality, majority, official):
    assert winner(votes, "plurality") == plurality
    assert winner(votes, "majority") == majority
    assert winner(votes, "official-majority") == official


def test_the_distribution_is_of_the_eight_classes_without_single_votes():
    assert vote_distribution([5, 0, 0, 3, 1, 0, 0, 0, 1, 0]) == [5 / 8, 0, 0, 3 / 8, 0, 0, 0, 0]
    assert vote_distribution([4, 0, 0, 0, 0, 0, 0, 2, 4, 0])[7] == 2 / 6  # unknown is no class
    # Where all are single votes they all count.
    assert vote_distribution([1, 1, 0, 0, 0, 0, 0, 1, 1, 1]) == [1 / 3, 1 / 3, 0, 0, 0, 0, 0, 1 / 3]


@pytest.mark.skipif(not ROOT, reason="PYG_AGFN_FERPLUS names no folder of FERPlus")
@pytest.mark.parametrize(("split", "count"), [("valid", 3191), ("test", 3137)])
def test_the_official_rule_leaves_the_images_that_the_literature_counts(split, count):
    data = FERPlus(Path(ROOT), split, label_mode="official-majority", targets="votes")
    assert len(data) == count
    assert data.soft_labels.argmax(1).equal(data.labels)
    if split == "test":
        stems = sorted(Path(name).stem for name in data.names)
        assert hashlib.sha256("\n".join(stems).encode()).hexdigest() == RAN_TEST
