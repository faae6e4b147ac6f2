"""The paper's tables and figures, and the ablation."""

from typing import Any

from pyg_agfn.reproduction.target import NLC, Target

WITH_AND_WITHOUT = ("baseline", "agfn")
#: What a table compares where the user names no methods, beside those of plugins: the rows of the
#: documents. Every other method is had by its name.
COMPARED = (
    "baseline",
    "label-smoothing",
    "gce",
    "center-loss",
    "scn",
    "eac",
    "threshold-gcn",
    "agfn",
    NLC,
)

#: ``agfn-nlc``, it without each of its parts, and other settings of them.
ABLATION: dict[str, dict[str, Any]] = {
    "all parts": {},
    "α, β fixed": {"lr_graph": 0.0},
    "α, β from 1 and 0": {"alpha": 1.0, "beta": 0.0},
    "no teacher": {"teacher_decay": 0.0},
    "label source: teacher and neighbours": {"label_source": "both"},
    "label source: teacher": {"label_source": "teacher"},
    "no memory": {"label_source": "teacher", "memory_size": 0},
    "any number of labels corrected": {"max_share": 1.0},
    "labels as given": {"label_source": "given"},
    "classifier with graph": {"classifier_inputs": "graph"},
    "classifier with and without graph": {"classifier_inputs": "both"},
    "memory of 512": {"memory_size": 512},
    "batches of 32": {"batch_size": 32},
    "classifier with graph, S = 4": {"classifier_inputs": "graph", "samples": 4},
    "squared error (Eq. 7)": {"loss": "squared-error"},
    # 256 only: a bank that holds all images leaves no choice of members.
    "bank of the 256 images that agree most with their neighbours": {
        "bank_choice": "agreement",
        "bank_size": 256,
    },
}

_CLEAN = {"noise": (0.0,)}
BACKBONES = {"noise": (0.0,), "backbone": ("resnet18", "resnet34", "resnet152")}

PAPER_TARGETS = {
    "table-1": Target("no wrong labels added", _CLEAN),
    "table-2": Target(
        "10% and 20% wrong labels", {"noise": (0.1, 0.2)}, any_of=frozenset({"noise"})
    ),
    "table-3": Target("occluded faces", _CLEAN),
    "table-4": Target("turned faces", _CLEAN),
    "table-5": Target("deeper backbones, with and without AGFN", BACKBONES, WITH_AND_WITHOUT),
    "figure-1": Target("features, 20% wrong labels", {"noise": (0.2,)}, WITH_AND_WITHOUT),
    "figure-3": Target(
        "batch sizes and backbones",
        {"noise": (0.0,), "batch_size": (4, 8, 16, 32, 64, 128, 256, 512)},
        WITH_AND_WITHOUT,
    ),
    "figure-4": Target("MNIST, 10% wrong labels", {"noise": (0.1,)}, dataset="mnist"),
    "figure-5": Target("ambiguous images", _CLEAN, WITH_AND_WITHOUT),
    "sweep": Target(
        "each method at its best learning rate", {"lr": (0.02, 0.05, 0.1)}, any_of=frozenset({"lr"})
    ),
    "ablation": Target(f"the parts of {NLC}", {}, (NLC,), ABLATION, dataset="digits"),
}
