"""Labelled images, decoded once, and wrong labels for them."""

from typing import TYPE_CHECKING

from pyg_agfn.lazy import lazy

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "digits": ["Digits"],
        "ferplus": ["FERPlus"],
        "image_batch": ["ImageBatch"],
        "image_dataset": ["ImageDataset"],
        "image_folder": ["ImageFolder"],
        "label_list": ["LabelList", "read_noise_file"],
        "loader_data": ["LoaderData"],
        "mnist": ["MNIST"],
        "noise": ["inject_label_noise"],
        "rafdb": ["RAFDB"],
        "reader": ["DatasetReader", "register_dataset"],
        "views": ["register_view"],
    },
)
