import json
import os

import pytest
from matplotlib.figure import Figure

from pyg_agfn.errors import InputError
from pyg_agfn.visualization.learning_curves import (
    bank_accuracy,
    plot_learning_curves,
    read_history,
)
from pyg_agfn.visualization.palette import method_style


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"epoch,test_accuracy,train_accuracy\n",
        b"epoch,loss\n1,2\n",
        b"epoch,test_accuracy,train_accuracy\n1,2\n",
        b"epoch,test_accuracy,train_accuracy\n1,2,high\n",
        b"epoch,test_accuracy,train_accuracy\n1,0.5,nan\n",
        b"\xff\xfe\n",
        b"epoch,test_accuracy,train_accuracy\n1,2," + b"3" * 200_000,
    ],
    ids=["empty", "header", "columns", "short", "text", "nan", "encoding", "long"],
)
def test_a_log_that_is_none_is_one_line(tmp_path, content):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "metrics.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"metrics.csv: is not the log of a run") as caught:
        read_history(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "log").mkdir()
    os.mkfifo(tmp_path / "log" / "metrics.csv")
    with pytest.raises(InputError, match="is no file"):
        read_history(tmp_path)
    with pytest.raises(InputError, match="there is no such file"):
        read_history(tmp_path / "none")


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The axes of a picture of these accuracies by epoch."""

    def draw(accuracies, method="agfn", measured=True, **given):
        kept = []
        monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: kept.append(figure))
        names = ("epoch", "test_accuracy", "train_accuracy")
        history = [dict(zip(names, (i, a, a), strict=True)) for i, a in enumerate(accuracies, 1)]
        if not measured:
            history = [{**epoch, "test_accuracy": None} for epoch in history]
        plot_learning_curves({method: history}, tmp_path / "a.png", **given)
        kept[0].draw_without_rendering()
        return kept[0].axes[0]

    return draw


@pytest.mark.parametrize(
    "accuracies", [[0.28, 0.38], [0.1, 0.97], [0.5], [0.901, 0.904], [0, 1], [0.3, 0.36, 0.33]]
)
def test_a_tick_says_where_it_is(drawn, accuracies):
    axes = drawn(accuracies)
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    for place, label in ticks:
        assert float(label.get_text().removesuffix("%")) == pytest.approx(100 * place, abs=1e-6)


def test_the_legend_quotes_the_headline_by_its_protocol_or_nothing(drawn):
    def entries(axes):
        return [text.get_text() for text in axes.get_legend().get_texts()]

    assert entries(drawn([0.2, 0.3])) == ["agfn, test", "agfn, training labels"]
    found = entries(drawn([0.2, 0.3], bank={"agfn": 0.964}))
    assert found[0] == "agfn, test (inductive: 96.4%)"


def test_a_run_without_test_images_has_the_curve_of_its_training_only(drawn, tmp_path):
    axes = drawn([0.2, 0.3], measured=False)
    assert [line.get_label() for line in axes.lines] == ["agfn, training labels"]
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "metrics.csv").write_text("epoch,train_accuracy\n1,0.5\n")
    assert read_history(tmp_path) == [{"epoch": 1.0, "train_accuracy": 0.5}]
    (tmp_path / "metrics.json").write_text(json.dumps({"test_images": 0}))
    assert bank_accuracy(tmp_path) is None


def test_a_run_by_its_former_name_is_called_as_the_method_is_now(drawn):
    axes = drawn([0.2, 0.3], method="agfn-best", bank={"agfn-best": 0.5})
    name = axes.get_legend().get_texts()[0].get_text()
    assert name == "agfn-nlc, test (inductive: 50.0%)"
    assert axes.lines[0].get_color() == method_style("agfn-nlc")["color"]


def test_the_headline_is_that_of_the_metrics(tmp_path):
    assert bank_accuracy(tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"accuracy": {"bank": 0.5}}))
    assert bank_accuracy(tmp_path) == 0.5
    for content in ({}, {"accuracy": 3}, {"accuracy": {"bank": "x"}}, {"accuracy": {"bank": 7}}):
        (tmp_path / "metrics.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="does not hold the metrics of a run"):
            bank_accuracy(tmp_path)
