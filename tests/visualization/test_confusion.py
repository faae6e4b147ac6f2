import pytest
from PIL import Image

from pyg_agfn.visualization.confusion import MOST_CLASSES, plot_confusion


@pytest.mark.parametrize("title", ["a-long-run-name-" * 8, "n" * 120, "W" * 120])
def test_a_long_title_is_whole(tmp_path, title):
    """No part of the matrix touches the edge of the picture."""
    path = tmp_path / "confusion.png"
    plot_confusion([[1, 2], [3, 4]], ["a", "b"], path, title)
    with Image.open(path) as picture:
        grey = picture.convert("L")
    width, height = grey.size
    for box in ((0, 0, width, 3), (0, 0, 3, height), (width - 3, 0, width, height)):
        assert grey.crop(box).getextrema() == (255, 255)


def test_more_classes_than_can_be_read_are_refused(tmp_path):
    names = [str(i) for i in range(MOST_CLASSES + 1)]
    with pytest.raises(ValueError, match="61 classes"):
        plot_confusion([[0] * 61] * 61, names, tmp_path / "confusion.png")
