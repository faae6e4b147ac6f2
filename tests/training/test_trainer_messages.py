"""What a trainer cannot use is one line that says what to do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from own_data import Net, floats, photos, trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pyg_agfn import Trainer
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.errors import InputError
from pyg_agfn.methods import (
    AGFNMethod,
    Baseline,
    ErasingAttention,
)
from pyg_agfn.nn import BaselineClassifier


class Lazy(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.LazyLinear(8))


class Uncopied(Net):
    def __deepcopy__(self, memo):
        raise RuntimeError("only\nonce")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"speed": 3}, r"^Trainer has no option speed; help\("),
        ({"method": "nlc"}, r"^--method must be one of baseline, .*agfn-nlc"),
        ({"method": 3}, r"^method must be a name or a pyg_agfn.methods.Method, got 3$"),
        ({"method": Baseline}, r"got the class Baseline: give an object, Baseline\(\.\.\.\)$"),
        ({"method": AGFNMethod(), "descent": "joint"}, r"^descent has no effect with a Method obj"),
        ({"method": Baseline(), "loss": "squared-error"}, r"give it to Baseline\(\)$"),
        ({"backbone": "resnet9"}, r"^--backbone must be one of small-cnn, "),
        ({"backbone": 3}, r"^backbone must be a name or a torch.nn.Module, got 3$"),
        ({"backbone": Net}, r"got the class Net: give an object, Net\(\.\.\.\)$"),
        ({"keep": "first"}, r"^keep must be 'last' or 'best', got 'first'$"),
        ({"epochs": "3"}, r"^--epochs must be a whole number, got '3'"),
        ({"lr": None}, r"^--lr must be a number, got None"),
        ({"lr": -1.0}, r"^--lr must be at least 0, got -1"),
        ({"alpha": 2.0}, r"^--alpha has no effect with --method baseline"),
        ({"memory_size": 9}, r"^--memory-size has no effect with --method baseline"),
        ({"image_size": 9}, r"^image_size is no option of Trainer: fit\(\) takes the images as "),
        ({"noise": 0.2}, r"^noise is no option of Trainer: fit\(\) takes the images as they are$"),
        ({"dataset": "digits"}, r"^dataset is no option of Trainer: fit\(\) takes the images"),
        ({"out": Path("runs")}, r"^out is no option of Trainer: fit\(\) and save\(\) take the"),
        ({"plugin": ("json",)}, r"^plugin is no option of Trainer: import the module instead$"),
    ],
)
def test_what_cannot_be_trained_is_one_line(given, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        trainer(**given)
    assert "\n" not in str(error.value)


OTHER = ImageDataset(np.zeros((2, 3, 8, 8), np.uint8), [0, 1], ["x", "y"], ["0", "1"])


@pytest.mark.parametrize(
    ("backbone", "complaint"),
    [
        (Net(3), r"^backbone Net fails on images of 1x8x8: RuntimeError: Given groups=1"),
        (nn.Conv2d(1, 4, 3), r"^backbone Conv2d makes shape \[2, 4, 6, 6\] of two images of 1x8x8"),
        (nn.LSTM(8, 4), r"^backbone LSTM fails on images of 1x8x8"),
        (Lazy(), r"^backbone Lazy has lazy parameters.*call it on a batch of images once$"),
        (Uncopied(), r"^backbone Uncopied cannot be copied: RuntimeError: only once$"),
    ],
)
def test_a_module_that_is_no_backbone_is_one_line(tiny, backbone, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        trainer(backbone).fit(tiny)
    assert "\n" not in str(error.value)


def test_a_module_that_says_a_wrong_number_of_features_is_one_line(tiny):
    backbone = Net()
    backbone.num_features = 24
    with pytest.raises(InputError, match="says num_features = 24, and yields 192 features"):
        trainer(backbone).fit(tiny)


def test_a_backbone_without_maps_is_refused_by_the_method_that_needs_them(tiny):
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    with pytest.raises(InputError, match="Sequential does not end in an AdaptiveAvgPool2d"):
        trainer(backbone, ErasingAttention()).fit(tiny)


def test_data_that_cannot_be_used_are_one_line(tiny, tmp_path):
    plain = floats(tiny)
    (tmp_path / "file").write_text("")
    for call, complaint in (
        (lambda: trainer().fit("photos"), r"must be an ImageDataset, a map-style Dataset.*got str"),
        (lambda: trainer().fit(tiny, 3), r"must be an ImageDataset.*got int"),
        (lambda: trainer(keep="best").fit(tiny), r"^keep='best' needs validation images"),
        (lambda: trainer().fit(tiny, OTHER), r"are 3x8x8, where training's are 1x8x8$"),
        (lambda: trainer().fit(OTHER, tiny), r"are 1x8x8, where training's are 3x8x8$"),
        (
            lambda: trainer().fit(tiny, photos(tiny, classes=["a", "b", "c", "z"])),
            r"have classes that the training images have not: z; training's are a, b, c$",
        ),
        (
            lambda: trainer().fit(tiny, TensorDataset(tiny.images, tiny.labels + 1)),
            r"labels must be 0 to 2, got 1 to 3",
        ),
        (
            lambda: trainer(augment=True).fit(plain),
            r"^augment has no effect on images that are floats",
        ),
        (
            lambda: trainer().fit(DataLoader(plain, 10)),
            r"^batch_size has no effect with a DataLoader, which has its own",
        ),
        (
            lambda: Trainer("small-cnn", "baseline", workers=1).fit(DataLoader(plain, 10)),
            r"^workers has no effect with a DataLoader",
        ),
        (lambda: trainer(profile=True).fit(tiny), r"^profile has no effect without a folder"),
        (lambda: trainer().fit(tiny, folder=tmp_path / "file" / "x"), r"x: Not a directory; ch"),
        (lambda: trainer().fit(tiny, folder=3), r"^folder must be a path, got 3"),
        (lambda: trainer().fit(tiny.subset(torch.arange(1))), r"at least 2 images"),
    ):
        with pytest.raises(InputError, match=complaint) as error:
            call()
        assert "\n" not in str(error.value)


class Plain(BaselineClassifier):
    """Has the argument by which a graph is switched off, and no graph."""

    def head(self, x, use_graph=True):
        return super().head(x)


def test_a_method_that_does_not_fit_its_model_is_refused(tiny, registered):
    class Says(Baseline):
        joins_images = True

    class Hides(AGFNMethod):
        joins_images = False

    class Other(Baseline):
        joins_images = True

        @classmethod
        def build_model(cls, config, backbone=None):
            return Plain(backbone or config.backbone, len(config.classes), config.channels)

    class Forgets(Baseline):
        def setup(self, model, num_images):
            self.network = model

    for name, method, complaint in (
        ("says", Says, r"^Says: joins_images is True, and the head of its BaselineClassifier has "),
        ("hides", Hides, r"^Hides: joins_images is False.*AGFNClassifier has an argument use_gr"),
        ("other", Other, r"^Other: its Plain joins images, and is no AGFNClassifier"),
        ("forgets", Forgets, r"^Forgets: setup\(\) does not set the model: call super\(\)\.setup"),
    ):
        registered(name, method)
        with pytest.raises(InputError, match=complaint) as error:
            trainer(method=name).fit(tiny)
        assert "\n" not in str(error.value)
