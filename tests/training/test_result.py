"""What a training gives: predictions, measures, label issues, and a folder that is read again."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from own_data import SMALL, Net, floats, photos, same, trainer, weights
from PIL import Image
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pyg_agfn import Trainer, TrainingResult
from pyg_agfn.datasets import Digits
from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.errors import InputError
from pyg_agfn.registry import METHODS
from pyg_agfn.training import TrainOptions, load_datasets

SCRIPTS = Path(__file__).parents[2] / "scripts"
#: Those of a model with a graph.
GRAPH = {"feature_dim": 16, "bank_size": 30, "eval_draws": 2, "seed": 5}


def options_of(method: str) -> dict[str, object]:
    return GRAPH if METHODS[method].joins_images else {"eval_draws": 2, "seed": 5}


@pytest.fixture(scope="module")
def held_out(tiny):
    """25 of the images, fewer than a batch of the training has."""
    return tiny.subset(torch.arange(1, 26))


@pytest.fixture(scope="module")
def results(tiny, held_out):
    """A result of every method."""
    return {
        method: trainer(method=method, batch_size=40, **options_of(method)).fit(tiny, held_out)
        for method in METHODS
    }


@pytest.fixture(scope="module")
def digits():
    """The method that corrects labels, after ten epochs on digits of which a fifth are wrong."""
    train = Digits().with_noise(0.2, seed=0)
    made = Trainer("small-cnn", **{**SMALL, "epochs": 10, "batch_size": 128}, quiet=True)
    return train, made.fit(train, Digits(train=False))


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """Runs a script in this process; returns its exit code and what it printed."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        printed = capsys.readouterr()
        return int(done.value.code or 0), printed.out, printed.err

    return run


# Answers


@pytest.mark.parametrize("method", METHODS)
def test_predictions_are_the_bank_protocols_answers(method, results, held_out):
    result = results[method]
    expected = result.answers.logits.softmax(1)
    for images in (held_out.images, to_float(held_out.images)):
        torch.testing.assert_close(result.predict(images), expected)
    alone = torch.cat([result.predict(image) for image in held_out.images.split(1)])
    torch.testing.assert_close(alone, expected)
    assert result.predict(held_out.images[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (torch.zeros(2, 1, 8, 9), r"^images must be of shape \[N, 1, 8, 8\], got \[2, 1, 8, 9\]$"),
        (torch.zeros(2, 3, 8, 8), r"^images must be of shape \[N, 1, 8, 8\], got \[2, 3, 8, 8\]$"),
        (torch.zeros(1, 8, 8), r"^images must be of shape \[N, 1, 8, 8\], got \[1, 8, 8\]$"),
        (torch.zeros(2, 1, 8, 8).long(), r"^images must be of uint8 or floats, got torch.int64$"),
        ([[0]], r"^images must be a tensor, got list$"),
    ],
)
def test_what_cannot_be_predicted_is_one_line(images, complaint, results):
    with pytest.raises(InputError, match=complaint):
        results["agfn"].predict(images)


def test_files_are_predicted_as_images_are(results, tiny, tmp_path):
    for i in range(3):
        Image.fromarray(tiny.images[i, 0].numpy()).save(tmp_path / f"{i}.png")
    for method in ("baseline", "agfn"):
        result = results[method]
        found = result.predict_files(tmp_path, num_references=2)
        assert [prediction.file.name for prediction in found] == ["0.png", "1.png", "2.png"]
        rows = torch.tensor([[*prediction.probabilities.values()] for prediction in found])
        torch.testing.assert_close(rows, result.predict(tiny.images[:3]))
        assert [len(p.references) for p in found] == ([0] * 3 if method == "baseline" else [2] * 3)
    (one,) = result.predict_files(str(tmp_path / "1.png"))
    assert one.references[0].name in tiny.names
    with pytest.raises(InputError, match="there is no such file"):
        result.predict_files([tmp_path / "4.png"])


# Measures


@pytest.mark.parametrize("method", METHODS)
def test_evaluation_is_that_of_the_training(method, results, held_out):
    result = results[method]
    report = result.evaluate(held_out, "mine")
    assert report.name == "mine"
    found = {name: outcome.as_metric() for name, outcome in report.outcomes.items()}
    assert found == result.metrics["accuracy"]
    assert report.leak == result.metrics["leak"]
    assert torch.equal(report.headline.logits.cpu(), result.answers.logits)


def test_evaluation_is_in_the_precision_of_the_training(tiny, held_out):
    result = trainer(method="agfn", epochs=1, precision="bf16", **GRAPH).fit(tiny, held_out)
    report = result.evaluate(held_out)
    assert torch.equal(report.headline.logits, result.answers.logits)
    torch.testing.assert_close(
        result.predict(held_out.images), result.answers.logits.softmax(1), rtol=1e-3, atol=1e-3
    )


def test_whatever_data_are_evaluated_by_the_classes_of_the_training(tiny, results):
    result = results["baseline"]
    expected = result.evaluate(tiny).outcomes["single"].mean
    for data in (photos(tiny), photos(tiny, classes="cab"), DataLoader(photos(tiny), 7)):
        assert result.evaluate(data).outcomes["single"].mean == expected
    rows = tiny.labels.ne(0).nonzero().flatten()
    part = result.evaluate(photos(tiny, keep="bc", classes="bc"))
    assert set(part.labels.tolist()) == {1, 2}
    assert part.labels.tolist() == tiny.labels[rows].tolist()
    with pytest.raises(InputError, match="classes that the training images have not: d; training"):
        result.evaluate(photos(tiny, classes="abcd"))
    with pytest.raises(InputError, match="labels must be 0 to 2, got 3 to 5"):
        result.evaluate(TensorDataset(tiny.images, tiny.labels + 3))
    with pytest.raises(InputError, match="are 1x8x4, where training's are 1x8x8"):
        result.evaluate(TensorDataset(tiny.images[..., :4], tiny.labels))


# Label issues


@pytest.mark.slow
def test_wrong_labels_are_found(digits):
    train, result = digits
    audit = result.label_issues()
    wrong = train.wrong_labels[torch.tensor(audit.index)]
    is_issue = torch.tensor([row.is_issue for row in audit.rows])
    assert float(wrong[is_issue].double().mean()) > 0.95  # precision
    assert float(is_issue[wrong].double().mean()) > 0.75  # recall
    assert int(is_issue.sum()) <= round(audit.noise_rate * len(train))
    names = [train.names[i] for i in audit.index]
    assert [row.file for row in audit.rows] == names
    given = [train.classes[train.labels[i]] for i in audit.index]
    assert [row.given_label for row in audit.rows] == given
    scores = [row.score for row in audit.rows]
    assert scores == sorted(scores, reverse=True)
    right = [
        row.suggested_label == train.classes[train.true_labels[i]]
        for row, i in zip(audit.rows, audit.index, strict=True)
        if row.is_issue and train.wrong_labels[i]
    ]
    assert sum(right) / len(right) > 0.95


@pytest.mark.slow
def test_wrong_labels_are_found_in_a_loaded_result_too(digits, tmp_path):
    train, result = digits
    loaded = TrainingResult.load(result.save(tmp_path / "run"))
    with pytest.raises(InputError, match="a loaded result has no training images: give them"):
        loaded.label_issues()
    first, second = result.label_issues(), loaded.label_issues(train)
    assert first.rows == second.rows
    # The images of a test are others, and hardly one of their labels is wrong.
    test = Digits(train=False)
    assert len(loaded.label_issues(test).issues) < 0.1 * len(test)
    assert loaded.label_issues(test, share=0).rows[0].file in test.names


# Folders


@pytest.mark.parametrize("method", METHODS)
def test_what_is_saved_is_loaded(method, results, held_out, tmp_path):
    result = results[method]
    folder = result.save(str(tmp_path / "runs" / "mine"))
    assert folder == tmp_path / "runs" / "mine"
    loaded = TrainingResult.load(folder)
    assert loaded.config == result.config
    assert loaded.metrics == result.metrics == json.loads((folder / "metrics.json").read_text())
    assert same(weights(loaded), weights(result))
    assert torch.equal(loaded.predict(held_out.images), result.predict(held_out.images))
    assert loaded.evaluate(held_out).as_json() == result.evaluate(held_out).as_json()
    assert repr(loaded) == repr(result)
    again = loaded.save(tmp_path / "again")
    assert (again / "config.json").read_text() == (folder / "config.json").read_text()
    for target in (folder, again):
        with pytest.raises(InputError, match="there is a finished run; choose another folder"):
            loaded.save(target)


def test_a_folder_without_its_options_is_loaded_and_evaluated(results, held_out, tmp_path):
    folder = results["agfn"].save(tmp_path / "run")
    (folder / "config.json").unlink()
    loaded = TrainingResult.load(folder)
    assert loaded.options is None
    expected = results["agfn"].metrics["accuracy"]["bank"]
    assert loaded.evaluate(held_out).headline.mean == expected


def test_what_cannot_be_saved_or_loaded_is_one_line(results, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Not a directory; choose another folder"):
        results["baseline"].save(tmp_path / "file" / "run")
    with pytest.raises(InputError, match="File exists; choose another folder"):
        results["baseline"].save(tmp_path / "file")
    with pytest.raises(InputError, match="give the folder of a finished run"):
        TrainingResult.load(tmp_path)


class Twice(Net):
    """Has a layer by two names, and buffers of further types."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.layers[0]
        self.register_buffer("seen", torch.tensor([True, False]))
        self.register_buffer("scale", torch.tensor([2.0], dtype=torch.float16))
        self.register_buffer("order", torch.tensor([1, 0], dtype=torch.int32))


@pytest.mark.parametrize("method", ["baseline", "agfn-nlc"])
@pytest.mark.parametrize("kind", [Net, Twice])
def test_a_backbone_of_the_users_own_gets_its_weights_back(method, kind, tiny, tmp_path):
    result = trainer(kind(), method, **options_of(method)).fit(tiny, tiny)
    folder = result.save(tmp_path / "run")
    with pytest.raises(InputError, match=r"user's own: name it by --backbone .* load_run\(folder"):
        TrainingResult.load(folder)
    mine = kind()
    loaded = TrainingResult.load(folder, mine)
    assert loaded.model.backbone is mine
    assert same(weights(loaded), weights(result))
    assert torch.equal(loaded.predict(tiny.images), result.predict(tiny.images))
    with pytest.raises(InputError, match=r"model\.json: backbone Net fails on images of 1x8x8"):
        TrainingResult.load(folder, Net(3))
    for other in (Net(1, 30), nn.Sequential(nn.Flatten(), nn.Linear(64, 192))):
        with pytest.raises(InputError, match=r"model\.safetensors: \S+ (is|does)") as error:
            TrainingResult.load(folder, other)
        assert "\n" not in str(error.value)


def test_commands_read_what_is_saved(tmp_path, script):
    options = TrainOptions.for_dataset(
        "digits",
        method="agfn",
        train_size=130,
        epochs=2,
        feature_dim=16,
        eval_draws=2,
        bank_size=30,
        device="cpu",
    )
    train, test = load_datasets(options)
    made = Trainer.from_options(options.for_method("agfn"), Console(quiet=True))
    result = made.fit(train, test)
    folder = result.save(tmp_path / "saved")
    code, out, _ = script("evaluate.py", "--checkpoint", folder, "--format", "json")
    assert code == 0
    (report,) = json.loads(out)
    found = {name: figures["accuracy"] for name, figures in report["protocols"].items()}
    assert found["bank"] == result.metrics["accuracy"]["bank"]
    assert found["shuffled"] == result.metrics["accuracy"]["shuffled"]["mean"]
    Image.fromarray(test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    command = ("predict.py", "--checkpoint", folder, "digit.png", "--format", "json")
    code, out, _ = script(*command)
    assert code == 0
    (prediction,) = json.loads(out)
    found = torch.tensor(list(prediction["probabilities"].values()))
    torch.testing.assert_close(found, result.predict(test.images[:1])[0])


def test_commands_say_what_they_cannot_read_of_own_data(tiny, results, tmp_path, script):
    Image.fromarray(tiny.images[0, 0].numpy()).save(tmp_path / "one.png")
    own = results["agfn"].save(tmp_path / "own")
    code, out, err = script("evaluate.py", "--checkpoint", own)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the images were given in Python, where no command finds them" in err
    assert "TrainingResult.load(folder).evaluate(images)" in err
    assert script("predict.py", "--checkpoint", own, "one.png")[0] == 0
    code, out, err = script("train_pyg.py", "--config", own / "config.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "the images were given in Python" in err

    transformed = trainer().fit(floats(tiny)).save(tmp_path / "transformed")
    code, out, err = script("predict.py", "--checkpoint", transformed, "one.png")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "was trained on images that transforms in Python made" in err

    module = trainer(Net()).fit(tiny).save(tmp_path / "module")
    for command in (("predict.py", "one.png"), ("evaluate.py",)):
        code, out, err = script(*command, "--checkpoint", module)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "the backbone is a module of the user's own" in err
