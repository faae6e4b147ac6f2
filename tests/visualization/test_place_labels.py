import numpy as np
import pytest

from pyg_agfn.visualization.place_labels import place_labels

ROOM = (300.0, 280.0)


def overlaps(places, sizes) -> int:
    count = 0
    for i in range(len(places)):
        for j in range(i):
            apart = np.abs(places[i] - places[j]) >= (sizes[i] + sizes[j]) / 2 - 1e-9
            count += not apart.any()
    return count


@pytest.mark.parametrize("spread", [0.0, 3.0, 40.0])
@pytest.mark.parametrize("middle", [0.0, 150.0, 1e4])
def test_no_name_hides_another_or_leaves_the_panel(spread, middle):
    rng = np.random.default_rng(0)
    for count in range(1, 13):
        sizes = np.stack([rng.uniform(20, 90, count), np.full(count, 16.0)], 1)
        centers = rng.normal(middle, spread, (count, 2))
        places = place_labels(centers, sizes, ROOM)
        assert places is not None
        assert overlaps(places, sizes) == 0
        assert (places - sizes / 2 >= -1e-9).all()
        assert (places + sizes / 2 <= np.array(ROOM) + 1e-9).all()


def test_names_that_hide_nothing_stay_where_they_are():
    centers = np.array([[50.0, 50.0], [50.0, 70.0], [200.0, 100.0]])
    assert np.array_equal(place_labels(centers, np.full((3, 2), (40.0, 18.0)), ROOM), centers)


def test_where_there_is_no_room_there_is_no_place():
    assert place_labels(np.zeros((100, 2)), np.full((100, 2), (80.0, 16.0)), ROOM) is None
    assert place_labels(np.zeros((1, 2)), np.array([[400.0, 16.0]]), ROOM) is None
