"""Weights that a backbone begins with: matched, loaded, refused, and what they say of images."""

import json
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from killed_run import kill_after
from own_data import Net, floats, trainer
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file
from small_run import small_run
from torch import nn

from pyg_agfn.datasets import Digits
from pyg_agfn.errors import InputError
from pyg_agfn.nn import InputConvention, build_backbone, timm_backbones, torchvision_backbones
from pyg_agfn.nn.input_normalization import NormalizedBackbone
from pyg_agfn.prediction import predict
from pyg_agfn.runs.folder import load_run
from pyg_agfn.training import TrainingResult
from pyg_agfn.training.match_weights import load_weights, match_names
from pyg_agfn.training.run import train_methods
from pyg_agfn.training.run_data import load_run_data
from pyg_agfn.training.weights_file import weights_of


def face_resnet18(prefix: str = "module.") -> dict[str, object]:
    """A checkpoint of the form in which SCN, RUL and EAC publish theirs."""
    torch.manual_seed(5)
    model = torchvision.models.resnet18()
    model(torch.randn(4, 3, 32, 32))  # statistics that are not 0 and 1
    tensors = {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    tensors[f"{prefix}feature.weight"] = torch.randn(256, 512)
    return {"state_dict": tensors, "epoch": 9}


@pytest.mark.parametrize("prefix", ["", "module.", "module.backbone.", "model.encoder.module."])
def test_the_published_face_resnet18_loads_as_it_is(prefix):
    tensors = face_resnet18(prefix)["state_dict"]
    backbone = build_backbone("resnet18")
    before = backbone.conv1.weight.clone()
    line = load_weights(backbone, weights_of("--weights face.pth", tensors))
    assert line == (
        f"--weights face.pth: 100 of 100 tensors match; left over: {prefix}fc.weight, "
        f"{prefix}fc.bias, {prefix}feature.weight"
    )
    assert not torch.equal(backbone.conv1.weight, before)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, tensors[prefix + name]), name


def test_a_name_as_it_is_wins_over_one_without_a_prefix():
    match = match_names(
        {"model.a": (1,), "a": (2,), "module.model.a": (2,), "encoder.b": (3,), "c": (1,)},
        {"a": (2,), "encoder.b": (3,), "d": (1,)},
    )
    assert match.names == {"a": "a", "encoder.b": "encoder.b"}
    assert match.missing == ["d"]
    assert set(match.left_over) == {"model.a", "module.model.a", "c"}


def test_old_files_without_counters_of_batch_normalization_match():
    tensors = build_backbone("resnet18").state_dict()
    old = {k: v.half() for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    backbone = build_backbone("resnet18")
    line = load_weights(backbone, weights_of("--weights old.pth", old))
    assert line == "--weights old.pth: 100 of 100 tensors match"
    assert backbone.conv1.weight.dtype == torch.float32
    assert torch.equal(backbone.conv1.weight, tensors["conv1.weight"].half().float())


def test_fewer_than_nine_tenths_are_refused_with_the_shapes_that_differ():
    weights = weights_of("--weights w.pth", build_backbone("resnet34").state_dict())
    with pytest.raises(InputError) as error:
        load_weights(build_backbone("resnet50"), weights)
    text = str(error.value)
    assert "tensors match; shapes differ: layer1.0.conv1.weight is [64, 64, 3, 3] where " in text
    assert "the backbone has [64, 64, 1, 1]" in text
    assert "missing: layer1.0.conv3.weight, " in text
    assert "90% have to match: choose the --backbone" in text


def test_a_few_that_lack_keep_their_own():
    torch.manual_seed(0)
    tensors = build_backbone("resnet18").state_dict()
    backbone = build_backbone("resnet18")
    own = backbone.layer4[1].bn2.weight.detach().clone().fill_(7)
    with torch.no_grad():
        backbone.layer4[1].bn2.weight.fill_(7)
    del tensors["layer4.1.bn2.weight"]
    line = load_weights(backbone, weights_of("--weights w.pth", tensors))
    assert line == ("--weights w.pth: 99 of 100 tensors match; missing: layer4.1.bn2.weight")
    assert torch.equal(backbone.layer4[1].bn2.weight, own)


@pytest.mark.parametrize(("have", "need"), [(1, 3), (3, 1)])
def test_another_number_of_channels_is_not_guessed_at(have, need):
    weights = weights_of("--weights w.pth", build_backbone("resnet18", have).state_dict())
    with pytest.raises(InputError, match=f"for images of {have} channels.*--input-channels {have}"):
        load_weights(build_backbone("resnet18", need), weights)


def test_what_is_not_finite_is_refused():
    tensors = build_backbone("resnet18").state_dict()
    tensors["bn1.bias"][3] = float("nan")
    with pytest.raises(InputError, match=r"--weights w.pth: bn1.bias is not finite"):
        load_weights(build_backbone("resnet18"), weights_of("--weights w.pth", tensors))


@pytest.fixture
def face(tmp_path):
    path = tmp_path / "face.pth"
    torch.save(face_resnet18(), path)
    return path


def spoken(made) -> Console:
    made.console = Console(record=True, width=300, quiet=False)
    return made.console


def test_a_training_begins_with_them_and_its_run_is_read_back(tiny, face, tmp_path):
    made = trainer(
        "resnet18", epochs=1, lr=0.0, weights=face, input_range=255, input_mean=(90, 8, 7)
    )
    console = spoken(made)
    result = made.fit(tiny, tiny, tmp_path / "run")
    text = console.export_text()
    assert "100 of 100 tensors match; left over: module.fc.weight" in text
    assert "images by range 255, mean 90 8 7" in text
    assert "grey images become 3 channels" in text
    inner = result.model.backbone
    assert isinstance(inner, NormalizedBackbone)
    published = face_resnet18()["state_dict"]["module.layer1.0.conv1.weight"]
    assert torch.equal(inner.backbone.layer1[0].conv1.weight, published)
    config = json.loads((tmp_path / "run" / "model.json").read_text())
    assert (config["input_channels"], config["input_mean"]) == (3, [90, 8, 7])
    loaded = TrainingResult.load(tmp_path / "run")
    torch.testing.assert_close(loaded.predict(tiny.images), result.predict(tiny.images))
    # The pixels themselves, through torchvision's network.
    pixels = tiny.images[:4].float().expand(-1, 3, -1, -1) - torch.tensor([90.0, 8, 7]).view(
        3, 1, 1
    )
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.model.features(tiny.images[:4] / 127.5 - 1), inner.backbone.cpu()(pixels)
        )


def test_without_weights_the_numbers_are_those_of_before(tiny):
    plain = trainer("resnet18", epochs=1).fit(tiny).model
    assert not isinstance(plain.backbone, NormalizedBackbone)
    assert plain.backbone.conv1.in_channels == 1
    torch.manual_seed(0)
    first = build_backbone("resnet18", 1).conv1.weight
    rest = trainer("resnet18", epochs=1, lr=0.0).fit(tiny).model.backbone.conv1.weight
    assert torch.equal(rest, first)


def test_they_are_read_once_and_not_where_a_run_is_resumed(tiny, tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_file(build_backbone("face-cnn").state_dict(), path, {"mean": "0.25"})
    made = trainer("face-cnn", epochs=2, weights=path, checkpoint_seconds=0.0)
    kill_after(3, monkeypatch, lambda: made.fit(tiny, tiny, tmp_path / "run"))
    whole = trainer("face-cnn", epochs=2, weights=path).fit(tiny, tiny)
    path.unlink()
    resumed = made.fit(tiny, tiny, tmp_path / "run")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    config = load_run(tmp_path / "run").config
    assert config.convention == whole.config.convention == InputConvention((0.25,), channels=3)


def test_metadata_of_the_file_are_the_default_and_options_stand_over_them(tiny, tmp_path):
    path = tmp_path / "w.safetensors"
    says = {"mean": "[0.5, 0.4, 0.3]", "std": "0.2", "input_size": "[3, 64, 64]"}
    save_file(build_backbone("face-cnn").state_dict(), path, says)
    made = trainer("face-cnn", epochs=1, weights=str(path), input_std=0.7)
    console = spoken(made)
    config = made.fit(tiny).config
    assert config.convention == InputConvention((0.5, 0.4, 0.3), (0.7,), channels=3)
    assert "made for images of 64 pixels, and these have 8x8: a greater --image-size" in (
        console.export_text()
    )


def test_images_are_resized_as_those_of_the_weights_were(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(build_backbone("small-cnn", 1).state_dict(), path, {"interpolation": "nearest"})
    given = {"weights": path, "image_size": 6, "epochs": 1, "pretrain_epochs": 0}

    def train(folder, **others):
        options = small_run(tmp_path / folder, method=["baseline"], **given, **others)
        console = Console(record=True, width=300)
        train_methods(options, console)
        (written,) = (tmp_path / folder).iterdir()
        run = load_run(written)
        return run, load_run_data(run)[2].images, console.export_text()

    run, images, said = train("weights")
    assert run.config.interpolation == "nearest"
    assert np.array_equal(images, Digits(False, 6, interpolation="nearest").images)
    assert "interpolation nearest" in said
    picture = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8)).save(picture)
    (predicted,) = predict(run, [picture])
    resized = np.array(Image.open(picture).resize((6, 6), Image.Resampling.NEAREST))
    assert torch.equal(predicted.image[0], torch.from_numpy(resized))

    run, images, said = train("option", interpolation="bilinear")
    assert run.config.interpolation == "bilinear"
    assert np.array_equal(images, Digits(False, 6, interpolation="bilinear").images)
    assert "interpolation" not in said


def test_libraries_say_how_the_images_of_their_weights_were_resized():
    assert torchvision_backbones.pretrained_interpolation("resnet18") == "bilinear"
    assert torchvision_backbones.pretrained_interpolation("swin_t") == "bicubic"
    pytest.importorskip("timm")
    assert timm_backbones.pretrained_interpolation("mobilenetv1_100") == "bicubic"
    assert timm_backbones.pretrained_interpolation("tf_efficientnet_b0.ns_jft_in1k") == "bicubic"
    assert timm_backbones.pretrained_interpolation("resnet18.tv_in1k") == "bilinear"


def test_weights_for_grey_images_stay_grey(tiny, tmp_path):
    save_file(build_backbone("face-cnn", 1).state_dict(), tmp_path / "w.safetensors")
    result = trainer("face-cnn", epochs=1, weights=tmp_path / "w.safetensors").fit(tiny)
    assert result.config.input_channels is None
    assert result.model.backbone[0].in_channels == 1


def test_floats_are_used_as_they_are(tiny, tmp_path):
    save_file(build_backbone("face-cnn").state_dict(), tmp_path / "w.safetensors", {"mean": "0.5"})
    config = (
        trainer("face-cnn", epochs=1, weights=tmp_path / "w.safetensors").fit(floats(tiny)).config
    )
    assert config.convention == InputConvention(channels=3)
    with pytest.raises(InputError, match="input_mean has no effect on images that are floats"):
        trainer("small-cnn", input_mean=0.5).fit(floats(tiny))


def test_a_module_of_the_users_own_takes_them_too(tiny, tmp_path):
    torch.manual_seed(3)
    save_file(Net().state_dict(), tmp_path / "w.safetensors")
    net = Net()
    before = net.layers[0].weight.clone()
    result = trainer(net, epochs=1, lr=0.0, weights=tmp_path / "w.safetensors").fit(tiny)
    torch.manual_seed(3)
    assert torch.equal(result.model.backbone.layers[0].weight, Net().layers[0].weight)
    assert torch.equal(net.layers[0].weight, before)
    assert not torch.equal(result.model.backbone.layers[0].weight, before)


def test_a_class_of_the_users_own_may_have_channels_of_its_own(tiny, own_nets):
    (own_nets / "own_nets.py").write_text(
        "from torch import nn\n"
        "def grey():\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
        "def any_kind(in_channels):\n"
        "    layers = nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()\n"
        "    return nn.Sequential(*layers)\n"
    )
    for name, channels in (("grey", 1), ("any_kind", 3)):
        path = own_nets / f"{name}.safetensors"
        tensors = {"0.weight": torch.ones(4, channels, 3, 3), "0.bias": torch.ones(4)}
        save_file(tensors, path)
        made = trainer(f"own_nets:{name}", epochs=1, lr=0.0, weights=path)
        result = made.fit(tiny)
        assert result.config.backbone_channels == channels
        assert (result.model.backbone.state_dict().popitem()[1] == 1).all()


@pytest.mark.parametrize("name", ["small-cnn", "resnet18-small", "face-cnn"])
def test_default_weights_are_timms_or_torchvisions(tiny, name):
    with pytest.raises(InputError, match=f"there are none of {name}; choose timm/NAME or"):
        trainer(name, weights="default").fit(tiny)


def unreachable(*_, **__):
    raise URLError("no route to host")


def test_a_hub_that_cannot_be_reached_is_one_line_with_a_way_out(tiny, monkeypatch):
    weights = torchvision.models.ResNet18_Weights
    monkeypatch.setattr(weights, "get_state_dict", unreachable)
    for name in ("resnet18", "torchvision/resnet18"):
        with pytest.raises(InputError) as error:
            trainer(name, weights="default").fit(tiny)
        line = (
            f"--weights default: those of {name} cannot be had (URLError: <urlopen error no route"
        )
        assert str(error.value).startswith(line)
        assert str(error.value).endswith("give the file, --weights FILE")


def test_torchvisions_default_weights_say_what_they_expect(tiny, monkeypatch):
    tensors = face_resnet18("")["state_dict"]
    weights = torchvision.models.ResNet18_Weights
    monkeypatch.setattr(weights, "get_state_dict", lambda *_, **__: tensors)
    made = trainer("resnet18", epochs=1, lr=0.0, weights="default")
    console = spoken(made)
    result = made.fit(tiny)
    says = InputConvention((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1, "rgb", 3)
    assert result.config.convention == says
    assert torch.equal(result.model.backbone.backbone.conv1.weight, tensors["conv1.weight"])
    assert "made for images of 224 pixels" in console.export_text()


def test_timms_default_weights_say_what_they_expect(tiny, monkeypatch):
    timm = pytest.importorskip("timm")
    create = timm.create_model

    def offline(name, pretrained=False, **given):
        model = create(name, **given)
        if pretrained:
            with torch.no_grad():
                model.conv_stem.weight.fill_(0.125)
        return model

    monkeypatch.setattr(timm, "create_model", offline)
    made = trainer("timm/mobilenetv1_100", epochs=1, lr=0.0, weights="default")
    result = made.fit(tiny)
    assert result.config.input_channels == 3
    assert result.config.input_mean == (0.5, 0.5, 0.5)
    assert (result.model.backbone.backbone.conv_stem.weight == 0.125).all()

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(InputError, match="those of timm/mobilenetv1_100 cannot be had"):
        trainer("timm/mobilenetv1_100", weights="default").fit(tiny)


def test_a_color_image_has_no_use_for_grey_weights(tmp_path):
    from pyg_agfn.datasets import ImageDataset

    save_file(build_backbone("face-cnn", 1).state_dict(), tmp_path / "w.safetensors")
    images = np.zeros((40, 3, 8, 8), np.uint8)
    data = ImageDataset(images, np.arange(40) % 2, ["a", "b"], [f"{i}" for i in range(40)])
    with pytest.raises(InputError, match="are made for grey images, and these have 3 channels"):
        trainer("face-cnn", weights=tmp_path / "w.safetensors").fit(data)


def test_no_linear_layer_is_taken_for_a_stem():
    weights = weights_of("--weights w", {"0.weight": torch.ones(4, 1)})
    line = r"0 of 1 tensors match; shapes differ: 0.weight is \[4, 1\]"
    with pytest.raises(InputError, match=line):
        load_weights(nn.Sequential(nn.Linear(3, 4, bias=False)), weights)
