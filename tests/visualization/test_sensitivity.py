from matplotlib.figure import Figure

from pyg_agfn.visualization.sensitivity import plot_sensitivity


def test_both_sides_are_drawn_with_holes_and_with_seeds(tmp_path):
    by_batch = {"baseline": {4: [0.5, 0.7], 16: [0.8, 0.8]}, "agfn": {16: [0.9]}}
    by_backbone = {
        "baseline": {"resnet18": [0.7], "resnet34": [0.8, 0.9]},
        "agfn": {"resnet34": [0.9]},
    }
    paths = [tmp_path / "a.png", tmp_path / "a.svg"]
    plot_sensitivity(by_batch, by_backbone, paths, "title")
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1].stat().st_size > 5000


def test_backbones_are_dots_as_the_axis_does_not_begin_at_0(monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: kept.append(figure))
    by_backbone = {"baseline": {"resnet18": [0.70, 0.72]}, "agfn": {"resnet18": [0.74]}}
    plot_sensitivity({}, by_backbone, [tmp_path / "a.png"])
    right = kept[0].axes[1]
    assert not right.patches
    assert sorted(text.get_text() for text in right.texts) == ["71.0", "74.0"]
    low, high = right.get_ylim()
    assert low < 70 < 74 < high
