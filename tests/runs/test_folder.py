import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pyg_agfn.choices import run_label
from pyg_agfn.errors import InputError
from pyg_agfn.nn import AGFNClassifier, ReferenceBank
from pyg_agfn.registry import METHODS
from pyg_agfn.runs.folder import (
    Answers,
    References,
    label_of_folder,
    load_answers,
    load_run,
    save_answers,
    save_model,
)
from pyg_agfn.runs.model_config import ModelConfig


def card(method: str = "agfn", **changes) -> ModelConfig:
    sizes = {"channels": 1, "height": 8, "width": 8, "feature_dim": 16, "batch_size": 32}
    return ModelConfig(method, "small-cnn", ("a", "b", "c"), **{**sizes, **changes})


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run")
    model = card(alpha=3.0).build()
    for _ in range(5):
        model(torch.randn(20, 1, 8, 8))
    model.eval()
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8)
    bank = ReferenceBank.from_features(model.agfn, model.features(images / 255), 32)
    references = References(bank, images, torch.arange(12) % 3, [f"{i}.png" for i in range(12)])
    save_model(folder, card(alpha=3.0), model, references)
    return folder


@pytest.fixture
def run(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def test_a_run_comes_back_as_it_was(saved):
    first, second = load_run(saved), load_run(saved)
    assert first.config == card(alpha=3.0)
    assert not first.model.training
    assert first.model.agfn.edges.alpha.item() == 3.0
    assert (first.config.plugin, first.config.own_transforms) == ((), False)
    images = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        one, other = (
            run.model.classifier(run.references.bank(run.model.features(images)))
            for run in (first, second)
        )
    assert torch.equal(one, other)
    assert first.references.bank.batch_size == 32
    assert first.references.names[3] == "3.png"
    assert first.references.images.dtype == torch.uint8
    weights = load_file(saved / "model.safetensors")
    assert torch.equal(first.model.state_dict()["classifier.weight"], weights["classifier.weight"])


def test_a_bank_may_be_unscaled(run):
    edit(run / "bank.json", batch_size=None)
    assert load_run(run).references.bank.share == 1.0


def test_a_baseline_has_no_bank(tmp_path):
    model = card("baseline").build()
    save_model(tmp_path, card("baseline"), model, None)
    assert load_run(tmp_path).references is None
    assert not (tmp_path / "bank.safetensors").exists()


def test_nothing_half_written_stays(saved):
    names = {path.name for path in saved.iterdir()}
    assert names == {"model.json", "model.safetensors", "bank.json", "bank.safetensors"}


def edit(path: Path, **changes) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": 2}, "is of format 2, this version reads 1"),
        ({"method": "gat"}, "method cannot be 'gat'"),
        ({"backbone": "vgg"}, "backbone cannot be 'vgg'"),
        ({"classes": ["a"]}, "classes cannot be"),
        ({"classes": [1, 2]}, "classes cannot be"),
        ({"height": -1}, "height cannot be -1"),
        ({"feature_dim": 10**12}, "feature_dim cannot be 1000000000000"),
        ({"alpha": "1"}, "alpha cannot be '1'"),
        ({"alpha": True}, "alpha cannot be True"),
        ({"alpha": float("nan")}, "alpha cannot be nan"),
        ({"beta": float("-inf")}, "beta cannot be -inf"),
        ({"threshold": 10**400}, "threshold cannot be 1000"),
        ({"classes": ["a", "a", "b"]}, "classes cannot be"),
        ({"classes": [str(i) for i in range(70_000)]}, "classes cannot be"),
        ({"classes": {"a": 1}}, "classes cannot be"),
        ({"channels": 2}, "channels cannot be 2"),
        ({"channels": True}, "channels cannot be True"),
        ({"width": 3}, "images of height 8 and width 3"),
        ({"height": 4096}, "images of height 4096 and width 8: a model takes 4 to 2048"),
        ({"\x1b[2J\n": 1}, r"missing or unknown: \\x1b\[2J\\n"),
        ({"method": ["agfn"]}, "method cannot be"),
        ({"colour": 1}, "missing or unknown: colour"),
        ({"own_transforms": 1}, "own_transforms cannot be 1"),
        ({"plugin": "some_module"}, "plugin cannot be 'some_module'"),
        ({"plugin": [1]}, r"plugin cannot be \[1\]"),
        ({"plugin": ["x"] * 17}, r"plugin cannot be \['x', "),
        ({"plugin": ["x"], "method": 3}, "method 3 is not known: pass --plugin x or"),
        ({"plugin": [], "method": "mine"}, "method cannot be 'mine'"),
        ({"backbone": "torchvision/resnet9"}, "unknown backbone 'torchvision/resnet9': near it"),
        ({"backbone": "timm/hf-hub:x/y"}, "backbone 'timm/hf-hub:x/y'|timm, which is not"),
        ({"backbone": "own_nets:Net"}, "backbone cannot be 'own_nets:Net'"),
        ({"backbone_args": [1]}, r"backbone_args cannot be \[1\]"),
        ({"backbone_args": {"depth": 10**9}}, "backbone_args cannot be"),
        ({"backbone_args": {"a": {}}}, "backbone_args cannot be"),
        ({"backbone_args": {"checkpoint_path": "/x"}}, "checkpoint_path: cannot be given"),
        ({"backbone_args": {"depth": 3}}, "--backbone-arg depth=3 cannot be built: TypeError"),
        ({"input_channels": 2}, "input_channels cannot be 2"),
        ({"input_mean": [1, 2]}, r"input_mean cannot be \[1, 2\]"),
        ({"input_mean": "1"}, "input_mean cannot be '1'"),
        (
            {"input_mean": [1, 2, 3]},
            "--input-mean must be 1 number for grey images, got 3; --input-channels 3",
        ),
        ({"input_std": [0]}, r"input_std cannot be \[0\]"),
        ({"input_range": 100}, "input_range cannot be 100"),
        ({"input_range": [1]}, r"input_range cannot be \[1\]"),
        ({"input_order": "gbr"}, "input_order cannot be 'gbr'"),
        ({"input_mean": [0.5]}, r"backbone\.\S+ (is missing|does not belong)"),
        ({"backbone": "custom"}, r"by load_run\(folder, backbone=module\)"),
        ({"classes": ["a", "b"]}, r"classifier\.bias is of shape \[3\] where the model has \[2\]"),
        ({"method": "baseline"}, r"agfn\..* does not belong to this model"),
        ({"backbone": "resnet18"}, r"is of shape \[16, 128\] where the model has \[16, 512\]"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(run, changes, complaint):
    edit(run / "model.json", **changes)
    with pytest.raises(InputError, match=complaint) as error:
        load_run(run)
    assert "\n" not in str(error.value)


def test_a_card_of_a_giant_takes_no_memory(run):
    # The weights would take 17 GB for the projector and as much for the classifier.
    edit(run / "model.json", feature_dim=1 << 16, classes=[str(i) for i in range(1 << 16)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"of shape \[.*\] where the model has \[65536"):
        load_run(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_bank_that_would_take_for_ever_is_refused(run):
    edit(run / "bank.json", names=["x"] * 70_000)
    with pytest.raises(InputError, match="more than 65,536 references"):
        load_run(run)


def test_weights_that_are_no_numbers_are_refused(run):
    path = run / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.bias"][1] = torch.nan
    save_file(tensors, path)
    with pytest.raises(InputError, match=r"classifier\.bias is not finite"):
        load_run(run)


@pytest.mark.parametrize("name", ["model.safetensors", "bank.safetensors"])
def test_nothing_is_unpickled(run, name):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (run / "touched",)

    torch.save({"a": Hostile()}, run / name)
    with pytest.raises(InputError, match="cannot be read"):
        load_run(run)
    assert not (run / "touched").exists()


def test_what_is_no_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none/model\.json: there is no such file"):
        load_run(tmp_path / "none")


@pytest.mark.parametrize(
    "name", ["model.json", "model.safetensors", "bank.json", "bank.safetensors"]
)
def test_missing_and_broken_files_are_named(run, name):
    (run / name).write_bytes(b"\x00\x01broken")
    with pytest.raises(InputError, match=f"{name}: cannot be read"):
        load_run(run)
    (run / name).unlink()
    with pytest.raises(InputError, match=f"{name}: there is no such file"):
        load_run(run)


def test_a_bank_that_does_not_fit_is_refused(run):
    path = run / "bank.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "labels": torch.full((12,), 3)}, path)
    with pytest.raises(InputError, match="labels must be 0 to 2"):
        load_run(run)
    save_file({**tensors, "images": tensors["images"][:, :, :4].contiguous()}, path)
    with pytest.raises(InputError, match=r"images is of shape \[12, 1, 4, 8\]"):
        load_run(run)
    for names in ([], "a", [1]):
        edit(run / "bank.json", names=names)
        with pytest.raises(InputError, match="names must be"):
            load_run(run)
    edit(run / "bank.json", names=[f"{i}.png" for i in range(12)], batch_size="many")
    with pytest.raises(InputError, match="batch_size must be"):
        load_run(run)


def test_json_that_is_no_object_is_refused(run):
    (run / "model.json").write_text("[]")
    with pytest.raises(InputError, match="must be a JSON object"):
        load_run(run)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_back_with_the_logits_it_had(tmp_path, method):
    torch.manual_seed(0)
    model = card(method).build().eval()
    references = None
    if isinstance(model, AGFNClassifier):
        images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
        bank = ReferenceBank.from_features(model.agfn, torch.randn(5, model.num_features), 32)
        names = [f"{i}.png" for i in range(5)]
        references = References(bank, images, torch.arange(5) % 3, names)
    save_model(tmp_path, card(method), model, references)
    images = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(load_run(tmp_path).model(images), model(images))


def test_answers_come_back(tmp_path):
    answers = Answers(torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 1, 1]))
    save_answers(tmp_path, answers)
    found = load_answers(tmp_path)
    assert torch.equal(found.logits, answers.logits)
    assert found.correct.tolist() == [True, True, False]


@pytest.mark.parametrize(
    "tensors",
    [
        {"logits": torch.zeros(3, 2)},
        {"logits": torch.zeros(3, 2), "labels": torch.zeros(4)},
        {"logits": torch.zeros(3), "labels": torch.zeros(3)},
        {"logits": torch.zeros(3, 2), "labels": torch.zeros(3)},
        {"logits": torch.zeros(3, 0), "labels": torch.zeros(3, dtype=torch.long)},
        {"logits": torch.zeros(0, 2), "labels": torch.zeros(0, dtype=torch.long)},
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "answers.safetensors")
    with pytest.raises(InputError, match=r"answers\.safetensors: must hold logits"):
        load_answers(tmp_path)


def test_answers_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match=r"answers\.safetensors: there is no such file"):
        load_answers(tmp_path)
    (tmp_path / "answers.safetensors").write_bytes(b"not tensors")
    with pytest.raises(InputError, match=r"answers\.safetensors: cannot be read"):
        load_answers(tmp_path)


def test_a_run_is_called_by_its_method_and_an_older_one_by_what_its_recipe_is_now(tmp_path):
    assert run_label("agfn", "best") == run_label("agfn-nlc") == "agfn-nlc"
    assert run_label("agfn", "paper") == run_label("agfn") == "agfn"
    assert run_label("scn", "best") == "scn"  # it has no recipe
    card = ModelConfig("agfn", "small-cnn", ("a", "b"), 1, 8, 8)
    assert label_of_folder(tmp_path, card) == "agfn"
    (tmp_path / "config.json").write_text('{"recipe": "best"}')
    assert label_of_folder(tmp_path, card) == "agfn-nlc"


def test_as_many_classes_as_can_be_saved_can_be_read(tmp_path):
    names = tuple(f"class {i:05d} of many" for i in range(1 << 16))
    many = ModelConfig("baseline", "small-cnn", names, 1, 8, 8)
    save_model(tmp_path, many, many.build(), None)
    assert load_run(tmp_path).config == many


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([str(i) for i in range((1 << 16) + 1)], "65,537 classes"),
        (["a" * 5_000_000, "b" * 5_000_000], "10,000,004 bytes"),
    ],
)
def test_classes_that_could_not_be_read_back_are_refused_before_training(names, complaint):
    with pytest.raises(InputError, match=complaint):
        ModelConfig("baseline", "small-cnn", tuple(names), 1, 8, 8)
