"""What a user brings to a trainer: a backbone of their own, and data sets of other kinds."""

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from pyg_agfn import Trainer
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.augmentation import to_float

SMALL = {"epochs": 3, "batch_size": 20, "lr": 0.05, "augment": False, "device": "cpu"}


def trainer(backbone="small-cnn", method="baseline", quiet=True, **given) -> Trainer:
    return Trainer(backbone, method, quiet=quiet, **{**SMALL, **given})


class Net(nn.Module):
    """A user's own feature extractor, which says nothing of its features."""

    def __init__(self, channels: int = 1, features: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, features, 3, padding=1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.AdaptiveAvgPool2d((8, 1)),
            nn.Flatten(),
        )

    def forward(self, images):
        return self.layers(images)


class Photos(Dataset):
    """Pillow images and labels, as torchvision's data sets have them."""

    def __init__(self, images, labels, classes, transform=lambda image: image) -> None:
        self.images = [Image.fromarray(image[0]) for image in np.asarray(images)]
        self.targets, self.classes = list(map(int, labels)), classes
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), self.targets[index]


def photos(data: ImageDataset, keep=None, classes=None, **settings) -> Photos:
    """The images of some classes only, which are numbered as a folder of them would be."""
    classes = list(classes or data.classes)
    given = [data.classes[label] for label in data.labels.tolist()]
    rows = [i for i, name in enumerate(given) if keep is None or name in keep]
    labels = [classes.index(given[i]) for i in rows]
    return Photos(data.images[rows], labels, classes, **settings)


def floats(data: ImageDataset) -> TensorDataset:
    return TensorDataset(to_float(data.images), data.labels)


def weights(result) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in result.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
