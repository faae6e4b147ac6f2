"""Which score finds wrong labels best, and what it costs.

    .venv/bin/python benchmarks/label_issues.py issues.jsonl --seeds 0 1 2 --dataset digits \
        --noise 0.2
    .venv/bin/python benchmarks/label_issues.py issues.jsonl --pair-flip 0.2 --dataset digits
    .venv/bin/python benchmarks/label_issues.py issues.jsonl                     # the table alone

Further options are ``train_pyg.py``'s. Needs cleanlab. Each set and seed is trained once: the
results are a line of the file, which a second call with the same options finds there. Prints a
Markdown table of all lines of the file, the mean over seeds. Times are CPU seconds.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from label_issue_scores import first, mean_log_odds, mean_over_epochs, pair_flip, quality
from label_issue_trainings import Arrays, collect
from torch import Tensor

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.methods.neighbor_correction import estimate_issue_rate
from pyg_agfn.training import TrainOptions, load_datasets, parse_options

COLUMNS = ("AUROC", "AP", "F1", "P@share", "counted")


def given(probabilities: Tensor, arrays: Arrays) -> Tensor:
    """The probability of the given labels."""
    return probabilities.gather(1, arrays["labels"].unsqueeze(1)).squeeze(1)


def late(record: Tensor) -> Tensor:
    """The second half of the epochs."""
    return record[len(record) // 2 :]


#: The probability of the given label, or what stands for it, by each score's name; the names say
#: which training it is of.
SCORES: dict[str, Callable[[Arrays], Tensor]] = {
    "agfn-nlc: model": lambda a: given(a["correction"], a),
    "agfn-nlc: neighbors": lambda a: given(a["neighbors_given"], a),
    "agfn-nlc: neighbors' answers": lambda a: given(a["neighbors_answers"], a),
    "agfn-nlc: mean of both": lambda a: (
        (given(a["correction"], a) + given(a["neighbors_given"], a)) / 2
    ),
    "agfn-nlc: product of both": lambda a: (
        given(a["correction"], a) * given(a["neighbors_given"], a)
    ),
    "agfn-nlc: mean log-odds of both": lambda a: mean_log_odds(
        given(a["correction"], a), given(a["neighbors_given"], a)
    ),
    "agfn-nlc: network, mean over epochs": lambda a: mean_over_epochs(a["network_probability"]),
    "agfn-nlc: teacher, mean over epochs": lambda a: mean_over_epochs(a["teacher_probability"]),
    "agfn-nlc: teacher, late epochs": lambda a: mean_over_epochs(late(a["teacher_probability"])),
    "agfn-nlc: neighbors, mean over epochs": lambda a: mean_over_epochs(a["neighbors_probability"]),
    "agfn-nlc: AUM": lambda a: mean_over_epochs(a["network_margin"]),
    "agfn-nlc: AUM of the teacher": lambda a: mean_over_epochs(a["teacher_margin"]),
    "baseline: model": lambda a: given(a["baseline"], a),
    "baseline: mean over epochs": lambda a: mean_over_epochs(a["baseline_probability"]),
    "baseline: AUM": lambda a: mean_over_epochs(a["baseline_margin"]),
    "baseline: deep k-NN": lambda a: given(a["deep_knn"], a),
    "5 folds: self-confidence": lambda a: given(a["out_of_sample"], a),
}


def cleanlab_scores(arrays: Arrays) -> tuple[dict[str, Tensor], Tensor, float]:
    """Cleanlab's two scores, its own cut, and its estimate of the share."""
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels, found = arrays["labels"].numpy(), arrays["out_of_sample"].double().numpy()
    found = found / found.sum(1, keepdims=True)
    scores = {
        f"cleanlab: {method.replace('_', ' ')}": torch.from_numpy(
            np.asarray(get_label_quality_scores(labels, found, method=method))
        )
        for method in ("self_confidence", "normalized_margin")
    }
    flagged = find_label_issues(labels, found, n_jobs=1)
    return scores, torch.from_numpy(flagged), num_label_issues(labels, found) / len(labels)


def shares(arrays: Arrays) -> dict[str, float]:
    """Estimates of the share of wrong labels, and the truth."""
    labels = arrays["labels"]
    found = {name: float(arrays[name]) for name in ("share",)}
    found["first"] = float(arrays["share_by_epoch"][0])
    found["last"] = float(arrays["share_by_epoch"][-1])
    for source in (
        "correction",
        "neighbors_given",
        "neighbors_answers",
        "baseline",
        "deep_knn",
        "out_of_sample",
    ):
        found[source] = estimate_issue_rate(arrays[source], labels) or 0.0
    return found | {"truth": float((labels != arrays["truth"]).double().mean())}


def compare(arrays: Arrays) -> dict[str, Any]:
    """The quality of every score, its cost and the estimated shares."""
    wrong = arrays["labels"] != arrays["truth"]
    share, rows = shares(arrays), {}
    cut = {"agfn-nlc": "share", "baseline": "baseline", "5 folds": "out_of_sample"}
    own, flagged, share["cleanlab"] = cleanlab_scores(arrays)
    for name, probability in SCORES.items():
        score = -probability(arrays)
        by = "deep_knn" if "k-NN" in name else cut[name.split(":")[0]]
        rows[name] = quality(score, wrong, first(score, share[by]))
    for name, probability in own.items():
        rows[name] = quality(-probability, wrong, flagged)
    costs = {name: float(arrays[f"{name}_cpu"]) for name in TRAININGS.values()}
    costs["neighbors"] = float(arrays["neighbors_cpu"])
    return {
        "scores": {name: row._asdict() for name, row in rows.items()},
        "shares": share,
        "cpu_seconds": costs,
        "images": len(wrong),
        "accuracy": float(arrays["accuracy"]),
    }


#: Which training a score is of, by the first part of its name.
TRAININGS = {
    "agfn-nlc": "correction",
    "baseline": "baseline",
    "5 folds": "folds",
    "cleanlab": "folds",
}


def table(lines: list[dict[str, Any]]) -> str:
    """All results as Markdown, the mean over seeds."""
    by_set = defaultdict(list)
    for line in lines:
        by_set[line["set"]].append(line)
    text = ["| set | score | " + " | ".join(COLUMNS) + " | CPU s |", "|---|---|" + "---|" * 6]
    for name, runs in by_set.items():
        means = {
            score: np.mean([list(run["scores"][score].values()) for run in runs], 0)
            for score in runs[0]["scores"]
        }
        best = np.max(list(means.values()), 0).round(3)
        truth = np.mean([run["shares"]["truth"] for run in runs])
        for row, (score, values) in enumerate(means.items()):
            cells = [
                f"**{value:.3f}**" if value.round(3) == top else f"{value:.3f}"
                for value, top in zip(values[:4], best, strict=False)
            ]
            seconds = np.mean([run["cpu_seconds"][TRAININGS[score.split(":")[0]]] for run in runs])
            seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
            title = f"{name}: {truth:.1%} wrong{seeds}" if not row else ""
            text.append(
                f"| {title} | {score} | {' | '.join(cells)} | {values[4]:.1%} | {seconds:.0f} |"
            )
    return "\n".join(text)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The results that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def compare_seed(options: TrainOptions, flip: float | None, arrays: Path | None) -> dict[str, Any]:
    """Trains, or reads what was trained, and compares."""
    if arrays is not None and arrays.exists():
        with np.load(arrays) as kept:
            return compare({name: torch.from_numpy(kept[name]) for name in kept.files})
    data, _ = load_datasets(options)
    if flip is not None:
        data = data.subset(torch.arange(len(data)))
        data.labels = pair_flip(data.true_labels, flip, data.num_classes, options.seed)
    found = collect(options, data)
    if arrays is not None:
        arrays.parent.mkdir(parents=True, exist_ok=True)
        np.savez(arrays, **{name: tensor.numpy() for name, tensor in found.items()})
    return compare(found)


def main() -> int:
    """Trains what is missing, and prints the table."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("results", type=Path, help="file of JSON lines that is added to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--pair-flip", type=float, help="share of labels that are the next class")
    parser.add_argument("--set", help="what the table calls it")
    parser.add_argument("--arrays", type=Path, help="folder that keeps what was trained")
    arguments, rest = parser.parse_known_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    lines = read_lines(arguments.results)
    for seed in arguments.seeds if rest else ():
        options = parse_options([*rest, "--seed", str(seed)])
        flip = arguments.pair_flip
        kind = "pair-flip" if flip else options.noise_file.stem if options.noise_file else "random"
        name = arguments.set or f"{options.dataset}, {kind}, {flip or options.noise:.0%}"
        if any((line["set"], line["seed"]) == (name, seed) for line in lines):
            continue
        kept = arguments.arrays and arguments.arrays / f"{name} {seed}.npz".replace(" ", "-")
        lines.append({"set": name, "seed": seed, **compare_seed(options, flip, kept)})
        with arguments.results.open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
    print(table(lines))
    return 0


if __name__ == "__main__":
    run_script("label_issues.py", main)
