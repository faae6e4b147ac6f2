"""Labelled images, decoded once, and wrong labels for them."""

from pyg_agfn.datasets.digits import Digits
from pyg_agfn.datasets.ferplus import FERPlus
from pyg_agfn.datasets.image_batch import ImageBatch
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_folder import ImageFolder
from pyg_agfn.datasets.label_list import LabelList, read_noise_file
from pyg_agfn.datasets.loader_data import LoaderData
from pyg_agfn.datasets.mnist import MNIST
from pyg_agfn.datasets.noise import inject_label_noise
from pyg_agfn.datasets.rafdb import RAFDB
from pyg_agfn.datasets.reader import DatasetReader, register_dataset
from pyg_agfn.datasets.views import register_view

__all__ = [
    "MNIST",
    "RAFDB",
    "DatasetReader",
    "Digits",
    "FERPlus",
    "ImageBatch",
    "ImageDataset",
    "ImageFolder",
    "LabelList",
    "LoaderData",
    "inject_label_noise",
    "read_noise_file",
    "register_dataset",
    "register_view",
]
