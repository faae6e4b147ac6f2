"""Labelled images, decoded once, and wrong labels for them."""

from pyg_agfn.datasets.digits import Digits
from pyg_agfn.datasets.ferplus import FERPlus
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_folder import ImageFolder
from pyg_agfn.datasets.label_list import LabelList, read_noise_file
from pyg_agfn.datasets.mnist import MNIST
from pyg_agfn.datasets.noise import inject_label_noise
from pyg_agfn.datasets.rafdb import RAFDB

__all__ = [
    "MNIST",
    "RAFDB",
    "Digits",
    "FERPlus",
    "ImageDataset",
    "ImageFolder",
    "LabelList",
    "inject_label_noise",
    "read_noise_file",
]
