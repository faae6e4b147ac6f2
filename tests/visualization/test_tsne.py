import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.ferplus import CLASSES
from pyg_agfn.evaluation.separation import Separation
from pyg_agfn.visualization.confusion import plot_confusion
from pyg_agfn.visualization.feature_panels import Panel, PanelRow
from pyg_agfn.visualization.tsne import plot_tsne, write_page

HOSTILE = ("</script><script>alert(1)</script>", "$\\frac$ [/b] \x1b[2J")


@pytest.fixture
def rows() -> list[PanelRow]:
    images = np.zeros((6, 1, 4, 4), np.uint8)
    names = [f"{i}<img src=x onerror=alert(1)>" for i in range(6)]
    data = ImageDataset(images, np.arange(6) % 2, HOSTILE, names)
    positions = np.arange(12.0).reshape(6, 2)
    return [PanelRow("test images", data, [Panel("agfn, after", positions, Separation(1, 0, 1))])]


def test_a_page_holds_names_as_text(rows, tmp_path):
    write_page(rows, tmp_path / "page.html", HOSTILE[0])
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{safe}" not in page  # Bokeh marks the text of a tooltip as HTML by this
    start = page.index('<script type="application/json"')
    document = page[page.index(">", start) + 1 : page.index("</script>", start)]
    assert "alert(1)" in document
    json.loads(document.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_pictures_show_names_as_text(rows, tmp_path):
    plot_tsne(rows, [tmp_path / "a.png"], HOSTILE[1])
    plot_confusion([[1, 2], [3, 4]], HOSTILE, tmp_path / "b.png", HOSTILE[1])
    for name in ("a.png", "b.png"):
        assert Image.open(tmp_path / name).size[0] > 200


def names_drawn(monkeypatch, panel: Panel, data: ImageDataset) -> list[str]:
    """The names of classes in a panel. None may hide another."""
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: kept.append(figure))
    plot_tsne([PanelRow("test images", data, [panel])], [Path("a.png")])
    texts = kept[0].axes[0].texts
    boxes = [text.get_window_extent() for text in texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    legend = [text.get_text() for text in kept[0].legends[0].get_texts()]
    assert legend == list(data.classes)
    return [text.get_text() for text in texts]


@pytest.mark.parametrize(
    ("distance", "named"), [(20.0, True), (0.0, False)], ids=["apart", "in one another"]
)
def test_names_of_classes_hide_each_other_nowhere(monkeypatch, distance, named):
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 8
    data = ImageDataset(np.zeros((400, 1, 4, 4), np.uint8), labels, CLASSES, list(map(str, labels)))
    circle = np.stack([np.cos(labels / 8 * 2 * np.pi), np.sin(labels / 8 * 2 * np.pi)], 1)
    positions = distance * circle + rng.standard_normal((400, 2))
    panel = Panel("agfn", positions, Separation(1, 0, 1))
    assert names_drawn(monkeypatch, panel, data) == (list(CLASSES) if named else [])


def test_hundreds_of_classes_leave_room_for_the_picture(monkeypatch):
    labels = np.arange(200)
    classes = tuple(f"class {k}" for k in labels)
    data = ImageDataset(np.zeros((200, 1, 4, 4), np.uint8), labels, classes, list(classes))
    positions = np.random.default_rng(0).standard_normal((200, 2))
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: kept.append(figure))
    rows = [PanelRow("test images", data, [Panel("agfn", positions, None, "a note")])]
    plot_tsne(rows, [Path("a.png")])
    assert kept[0].get_size_inches()[1] < 12
    assert kept[0].legends[0].get_texts()[-1].get_text() == "... and 160 more"
    assert kept[0].axes[0].get_xlabel() == "a note"
