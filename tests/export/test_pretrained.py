"""A model as a folder for hubs: saved, read back, and refused where something is wrong."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from own_data import Net, trainer
from PIL import Image
from safetensors.torch import load_file, save_file

from pyg_agfn import TrainingResult
from pyg_agfn.errors import InputError


@pytest.fixture(scope="module")
def graph(tiny):
    method = trainer(method="agfn-nlc", feature_dim=16, bank_size=30, pretrain_epochs=1)
    return method.fit(tiny, tiny)


@pytest.fixture(scope="module")
def saved(graph, tmp_path_factory) -> Path:
    return graph.save_pretrained(tmp_path_factory.mktemp("hub") / "rows")


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(saved, tmp_path / "copy")


def test_the_answers_are_the_same(graph, saved, tiny):
    found = TrainingResult.from_pretrained(saved)
    assert torch.equal(found.predict(tiny.images), graph.predict(tiny.images))
    assert found.metrics == graph.metrics
    assert found.config == graph.config


@pytest.mark.parametrize("method", ["baseline", "ran", "threshold-gcn"])
def test_other_methods_are_kept_too(tiny, tmp_path, method):
    given = {"feature_dim": 16, "bank_size": 30} if method == "threshold-gcn" else {}
    result = trainer(method=method, **given).fit(tiny, tiny)
    result.save_pretrained(tmp_path / "model")
    found = TrainingResult.from_pretrained(tmp_path / "model")
    assert torch.equal(found.predict(tiny.images), result.predict(tiny.images))


def test_the_files_are_those_of_a_hub(graph, saved):
    assert {file.name for file in saved.iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    config = json.loads((saved / "config.json").read_text())
    assert config["library_name"] == "pyg_agfn"
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c"}
    assert config["architectures"] == ["AGFNClassifier"]
    assert graph.model.state_dict().keys() < load_file(saved / "model.safetensors").keys()


def test_no_pixel_and_no_name_of_a_training_image_is_in_it(graph, saved, tmp_path):
    assert all(tensor.dim() != 4 or "weight" in name for name, tensor in tensors(saved).items())
    text = b"".join(file.read_bytes() for file in saved.iterdir())
    assert graph.references.names[0].endswith(".png")
    assert not any(name.encode() in text for name in graph.references.names)
    Image.new("L", (8, 8)).save(tmp_path / "grey.png")
    (prediction,) = TrainingResult.from_pretrained(saved).predict_files(tmp_path / "grey.png")
    assert prediction.references[0].name.startswith("training image ")


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_it_cannot_be_saved_as_a_run_folder(saved, tmp_path):
    with pytest.raises(InputError, match=r"lacks the bank's images.*use save_pretrained"):
        TrainingResult.from_pretrained(saved).save(tmp_path / "run")
    again = TrainingResult.from_pretrained(saved).save_pretrained(tmp_path / "again")
    assert tensors(again).keys() == tensors(saved).keys()


def test_a_sheet_is_drawn_without_the_bank_s_images(saved, tmp_path):
    from pyg_agfn.visualization.contact_sheet import plot_contact_sheet

    result = TrainingResult.from_pretrained(saved)
    Image.new("L", (8, 8)).save(tmp_path / "grey.png")
    found = result.predict_files(tmp_path / "grey.png")
    plot_contact_sheet(found, result.references, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_existing_files_are_replaced_only_where_asked(graph, folder):
    with pytest.raises(InputError, match=r"config.json: exists already"):
        graph.save_pretrained(folder)
    graph.save_pretrained(folder, overwrite=True)


def test_a_link_is_not_written_through(graph, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        graph.save_pretrained(tmp_path / "model", overwrite=True)
    assert not (tmp_path / "elsewhere").exists()


def test_an_own_backbone_is_given_again(tiny, tmp_path):
    result = trainer(backbone=Net()).fit(tiny, tiny)
    result.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="module of the user's own"):
        TrainingResult.from_pretrained(tmp_path / "model")
    found = TrainingResult.from_pretrained(tmp_path / "model", Net())
    assert torch.equal(found.predict(tiny.images), result.predict(tiny.images))


def test_the_card_has_protocol_figures_data_and_limits(graph, saved):
    card = (saved / "README.md").read_text()
    for heading in ("Use", "Data", "Figures", "Training", "Limits", "Licence"):
        assert f"\n## {heading}\n" in card
    accuracy = graph.metrics["accuracy"]
    assert f"| **bank** | {100 * accuracy['bank']:.1f} | the headline" in card
    shuffled = accuracy["shuffled"]
    assert f"| {100 * shuffled['mean']:.1f} ± {100 * shuffled['std']:.1f} |" in card
    assert "Trained on 60 images of the user's own." in card
    assert "inherit the licence" in card


def test_the_card_of_a_training_without_test_images_says_so(tiny, tmp_path):
    result = trainer().fit(tiny)
    card = (result.save_pretrained(tmp_path / "model") / "README.md").read_text()
    assert "None were measured: the training had no test images." in card
    assert "The bank holds" not in card


def test_a_name_does_not_become_markup(tmp_path, graph):
    from pyg_agfn.export.model_card import write_model_card

    card = write_model_card("x", graph.config, {"dataset": "<b>[a](b)\n# c"}, {})
    assert "<b>" not in card.replace(r"\<b\>", "")
    assert "\n# c" not in card


def spoil_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"library_name": "timm"}, "is no model that save_pretrained"),
        ({"format": 2}, "is no model that save_pretrained"),
        ({"model": None}, "must be JSON objects"),
        ({"model": {"format": 1}}, "missing or unknown"),
        ({"metrics": []}, "must be JSON objects"),
        ({"bank": None}, "bank.labels does not belong to this model"),
        ({"bank": {"size": 0, "batch_size": 20}}, "bank cannot be"),
        ({"bank": {"size": 1 << 40, "batch_size": 20}}, "bank cannot be"),
        ({"bank": {"size": True, "batch_size": 20}}, "bank cannot be"),
        ({"bank": {"size": 30}}, "bank cannot be"),
        ({"bank": {"size": 29, "batch_size": 20}}, r"bank.labels is of shape \[30\]"),
        ({"bank": "x"}, "bank cannot be"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(folder, changes, line):
    spoil_config(folder, **changes)
    with pytest.raises(InputError, match=line) as error:
        TrainingResult.from_pretrained(folder)
    assert "\n" not in str(error.value)


def test_a_method_without_a_graph_has_no_bank(folder):
    fields = json.loads((folder / "config.json").read_text())["model"]
    spoil_config(folder, model={**fields, "method": "baseline"})
    with pytest.raises(InputError, match="does not belong to this model"):
        TrainingResult.from_pretrained(folder)


def test_labels_of_the_bank_are_classes(folder):
    content = tensors(folder)
    content["bank.labels"][0] = 3
    save_file(content, folder / "model.safetensors")
    with pytest.raises(InputError, match="labels must be 0 to 2"):
        TrainingResult.from_pretrained(folder)


def test_a_plugin_in_the_folder_is_not_imported(folder, monkeypatch):
    (folder / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(folder)
    fields = json.loads((folder / "config.json").read_text())["model"]
    spoil_config(folder, model={**fields, "method": "evil", "plugin": ["evil"]})
    with pytest.raises(InputError, match="pass --plugin evil"):
        TrainingResult.from_pretrained(folder)


def test_a_name_of_a_hub_is_no_folder():
    with pytest.raises(InputError, match="fetched first, such as by hf download"):
        TrainingResult.from_pretrained("someone/model")
