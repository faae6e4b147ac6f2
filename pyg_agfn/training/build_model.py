"""The model of a training, before its first step."""

import torch
from rich.console import Console
from torch import nn

from pyg_agfn.backbone_args import is_own_class, parse_args
from pyg_agfn.choices import CUSTOM
from pyg_agfn.device import find_device
from pyg_agfn.distributed import synchronize_batch_norm
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.nn.input_normalization import inner_backbone
from pyg_agfn.nn.own_backbone import build_own_backbone, find_num_features
from pyg_agfn.registry import BACKBONES, METHODS
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.defaults import dataset_defaults
from pyg_agfn.training.match_weights import load_weights
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.weights_file import StoredWeights
from pyg_agfn.transforms import PoissonEdges

#: The default backbone on a GPU for images of at most so many pixels a side. On a CPU its steps
#: would take several times as long.
SMALL_BACKBONE, SMALL_SIDE = "resnet18-small", 64


def fit_backbone(options: TrainOptions, image_shape: tuple[int, ...]) -> TrainOptions:
    """The options with the default backbone for small images on a GPU.

    One that the user or the data set names stays, and so does the usual one where weights or
    arguments are given for it.
    """
    named = "backbone" not in options.defaulted or "backbone" in dataset_defaults(options.dataset)
    if named or options.weights is not None or options.backbone_arg:
        return options
    if max(image_shape[1:]) > SMALL_SIDE or find_device(options.device).type != "cuda":
        return options
    return options.changed(backbone=SMALL_BACKBONE)


def describe_model(options: TrainOptions, method: str, data: TrainingData) -> ModelConfig:
    """What a method's model is, for these options and images."""
    channels, height, width = data.image_shape
    plugins = [METHODS.plugin_of(method), BACKBONES.plugin_of(options.backbone)]
    return ModelConfig(
        method=method,
        backbone=CUSTOM if is_own_class(options.backbone) else options.backbone,
        classes=data.classes,
        channels=channels,
        height=height,
        width=width,
        feature_dim=options.feature_dim,
        batch_size=min(options.batch_size, len(data)),
        samples=options.samples,
        alpha=options.alpha,
        beta=options.beta,
        threshold=options.threshold,
        resize=options.resize,
        interpolation=options.interpolation,
        white_integer=data.white.integer,
        white_float=data.white.floating,
        own_transforms=data.own_transforms,
        plugin=tuple(dict.fromkeys(name for name in plugins if name)),
        backbone_args=parse_args(options.backbone_arg),
        input_channels=options.input_channels,
        input_mean=options.input_mean,
        input_std=options.input_std,
        input_range=options.input_range,
        input_order=options.input_order,
    )


def build_model(
    config: ModelConfig,
    options: TrainOptions,
    backbone: nn.Module | None = None,
    weights: StoredWeights | None = None,
    console: Console | None = None,
) -> BaselineClassifier:
    """The model on the CPU, with weights drawn from the seed, and over them those of a file.

    Args:
        config: What the model is.
        options: Of the run.
        backbone: The feature extractor, where it is an object of the user's.
        weights: What the backbone begins with.
        console: Where it is told what of them matched.

    Raises:
        InputError: The backbone cannot be built, does not take the images, or is not the one that
            the weights are of.
    """
    shape = (config.backbone_channels, config.height, config.width)
    torch.manual_seed(options.seed)  # every method's backbone starts from the same weights
    if is_own_class(options.backbone):
        backbone = build_own_backbone(options.backbone, shape[0], config.backbone_args)
    if backbone is not None:
        features = find_num_features(backbone, shape)
        backbone.num_features = features  # type: ignore[assignment]
    model = config.build(backbone)
    inner = inner_backbone(model.backbone)
    if BACKBONES.family_of(options.backbone) is not None:
        find_num_features(inner, shape)  # some take images of one size alone
    if weights is not None:
        line = load_weights(inner, weights)
        if console is not None:
            console.print(line, soft_wrap=True, highlight=False)
    return model


def place_model(
    model: BaselineClassifier, options: TrainOptions, device: torch.device
) -> BaselineClassifier:
    """The model, where and how the options say."""
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    synchronize_batch_norm(model, device)
    if isinstance(model, AGFNClassifier):
        model.agfn.gather_distributed = options.graph_span == "global"
        model.agfn.propagation = options.propagation
        if isinstance(model.agfn.edges, PoissonEdges) and options.propagation == "edges":
            model.agfn.edges.pairs = options.graph_gradient
    return model
