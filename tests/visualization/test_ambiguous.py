import pytest
import torch
from matplotlib.figure import Figure

from pyg_agfn.runs.folder import Answers
from pyg_agfn.visualization.ambiguous import mean_margins, most_ambiguous, plot_ambiguous


@pytest.fixture
def answers() -> dict[str, Answers]:
    labels = torch.tensor([0, 1, 2, 0])
    first = torch.tensor([[0.9, 0.1, 0.0], [0.4, 0.5, 0.1], [0.3, 0.3, 0.4], [0.8, 0.2, 0.0]])
    second = torch.tensor([[0.1, 0.9, 0.0], [0.1, 0.9, 0.0], [0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    return {
        "baseline": Answers(first.add(1e-9).log(), labels),
        "agfn": Answers(second.add(1e-9).log(), labels),
    }


def test_the_first_model_decides_which_images_are_ambiguous(answers):
    chosen = most_ambiguous(answers, 2)
    assert [image.index for image in chosen] == [1, 2]  # margins 0.1 and 0.1; 0.6 and 0.8 are not
    (label, p), (second, q) = chosen[0].top_two["baseline"]
    assert (label, second) == (1, 0)
    assert (p, q) == pytest.approx((0.5, 0.4))
    assert chosen[1].top_two["agfn"][0] == (0, pytest.approx(0.7))
    labels = Answers(answers["baseline"].logits, torch.tensor([2, 2, 2, 2]))
    again = most_ambiguous({"baseline": labels, "agfn": answers["agfn"]}, 2)
    assert [image.index for image in again] == [1, 2]  # the labels do not matter


def test_margins_and_accuracy_are_of_the_chosen_images(answers):
    found = mean_margins(answers, most_ambiguous(answers, 2))
    assert found["baseline"] == {"margin": pytest.approx(0.1), "accuracy": 1.0}
    assert found["agfn"] == {"margin": pytest.approx((0.8 + 0.5) / 2), "accuracy": 0.5}


def test_a_picture_is_drawn_for_any_number_of_images(answers, tiny, tmp_path):
    for count in (1, 4):
        path = tmp_path / f"{count}.svg"
        plot_ambiguous(most_ambiguous(answers, count), tiny, [path], "title")
        text = path.read_text()
        assert text.count("<image") == count


def test_no_number_stands_on_a_bar(answers, tiny, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: kept.append(figure))
    plot_ambiguous(most_ambiguous(answers, 1), tiny, [tmp_path / "a.png"])
    kept[0].draw_without_rendering()
    axes = kept[0].axes[1]
    assert len(axes.patches) == 4
    for text in axes.texts:
        box = text.get_window_extent()
        assert not any(box.overlaps(bar.get_window_extent()) for bar in axes.patches)
