import json

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import ImageDataset
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
    assert "{safe}" not in page  # Bokeh's way to say that a tooltip's text is HTML
    start = page.index('<script type="application/json"')
    document = page[page.index(">", start) + 1 : page.index("</script>", start)]
    assert "alert(1)" in document
    json.loads(document.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_pictures_show_names_as_text(rows, tmp_path):
    plot_tsne(rows, [tmp_path / "a.png"], HOSTILE[1])
    plot_confusion([[1, 2], [3, 4]], HOSTILE, tmp_path / "b.png", HOSTILE[1])
    for name in ("a.png", "b.png"):
        assert Image.open(tmp_path / name).size[0] > 200
