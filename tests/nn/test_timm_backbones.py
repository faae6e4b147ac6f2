"""Models of timm as backbones."""

import copy
import subprocess
import sys

import pytest
import torch

from pyg_agfn import distributed
from pyg_agfn.errors import InputError
from pyg_agfn.nn import build_backbone
from pyg_agfn.registry import BACKBONES

timm = pytest.importorskip("timm")


@pytest.mark.parametrize(
    ("name", "arguments", "side"),
    [
        ("mobilenetv1_100", {"pad_type": "same"}, 32),
        ("mobilenetv3_small_050", {}, 32),  # whose features are not those of its last map
        ("test_vit", {"img_size": 32}, 32),
        ("resnet18.a1_in1k", {}, 32),
    ],
)
def test_they_yield_their_features(name, arguments, side):
    backbone = build_backbone(f"timm/{name}", 1, arguments).eval()
    with torch.no_grad():
        features = backbone(torch.randn(2, 1, side, side))
    assert features.shape == (2, backbone.num_features)


def test_every_name_of_timm_is_known_and_no_other():
    assert all(f"timm/{name}" in BACKBONES for name in timm.list_models())
    for name in ("", "resnet_18", "hf-hub:timm/resnet18", "local-dir:x", "resnet18.none", "."):
        assert f"timm/{name}" not in BACKBONES


@pytest.mark.parametrize(
    ("name", "near"), [("mobilenetv1_10", "timm/mobilenetv1_100"), ("hf-hub:x/y", "list_models()")]
)
def test_an_unknown_name_is_one_line_that_names_what_is_near(name, near):
    with pytest.raises(InputError) as error:
        BACKBONES[f"timm/{name}"]
    assert near in str(error.value)
    assert "\n" not in str(error.value)


def test_without_timm_the_line_says_which_extra(monkeypatch):
    from pyg_agfn.nn import timm_backbones

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    timm_backbones._names.cache_clear()
    assert "timm/resnet18" not in BACKBONES
    with pytest.raises(InputError, match=r'not installed: pip install "pyg_agfn\[timm\]"'):
        BACKBONES["timm/resnet18"]


def test_neither_the_package_nor_its_command_line_imports_timm():
    code = (
        "import sys, pyg_agfn, pyg_agfn.nn\n"
        "from pyg_agfn.training.command_line import OptionParser, parse_options\n"
        "OptionParser().format_help(); parse_options([])\n"
        "pyg_agfn.nn.build_backbone('resnet18')\n"
        "assert 'timm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_processes_share_its_batch_normalization_and_keep_the_activation(monkeypatch):
    torch.manual_seed(0)
    whole = build_backbone("timm/mobilenetv1_100", 1, {"pad_type": "same"}).double()
    shared = copy.deepcopy(whole)
    # Two processes with the same images: the sums of both are twice those of one.
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "sum_over_processes", lambda x: 2 * x)
    distributed.synchronize_batch_norm(shared, torch.device("cpu"))
    images = torch.randn(3, 1, 32, 32).double()
    found, expected = shared(images), whole(images.repeat(2, 1, 1, 1))[:3]
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], value, atol=1e-9, rtol=1e-9)
