"""Which score finds wrong labels best, where to cut it, and what it costs.

    .venv/bin/python benchmarks/label_issues.py --results issues.jsonl --seeds 0 1 2 -- \
        --dataset digits --noise 0.2
    .venv/bin/python benchmarks/label_issues.py --results issues.jsonl -- \
        --dataset digits --noise 0.2 --noise-kind pair
    .venv/bin/python benchmarks/label_issues.py --results issues.jsonl        # the tables alone

What follows on ``--`` are ``train_pyg.py``'s options. Needs cleanlab. Each set and seed is trained
once: its results are a line of the file, which a second call with the same options finds there.
With ``--arrays`` what was trained is kept too, and scores are computed of it again without
training, where the file of results lacks the line. Prints two Markdown tables of all lines of the
file, means over seeds. Times are CPU seconds.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from label_issue_scores import first, mean_log_odds, mean_over_epochs, quality
from label_issue_trainings import Arrays, collect
from seeded_runs import Line, add_arguments, run_seeds
from torch import Tensor

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.methods.neighbor_correction import estimate_issue_rate
from pyg_agfn.training import TrainOptions, load_datasets

#: Which training a score is of, by the first part of its name.
TRAININGS = {
    "agfn-nlc": "correction",
    "baseline": "baseline",
    "5 folds": "folds",
    "cleanlab": "folds",
}
#: Titles of what is kept of each score.
COLUMNS = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "precision_at_share": "P@share",
    "f1": "F1",
    "f1_confident": "F1 confident",
    "f1_half": "F1 at ½",
}


def given(name: str, arrays: Arrays) -> Tensor:
    """The probability of the given labels by a posterior."""
    return arrays[name].gather(1, arrays["labels"].unsqueeze(1)).squeeze(1)


def over_epochs(name: str, arrays: Arrays) -> Tensor:
    """The mean over epochs of what was recorded."""
    return mean_over_epochs(arrays[name])


def model_and_neighbors(arrays: Arrays) -> tuple[Tensor, Tensor]:
    """The given label's probability by the trained model and by its neighbours' labels."""
    return given("correction", arrays), given("neighbors_given", arrays)


def epochs_and_model(arrays: Arrays) -> Tensor:
    """The mean of the probability over epochs and that of the trained model."""
    return (over_epochs("network_probability", arrays) + given("correction", arrays)) / 2


#: The probability of the given label, or a margin that stands for it, by each score's name.
SCORES: dict[str, Callable[[Arrays], Tensor]] = {
    "agfn-nlc: model": lambda a: given("correction", a),
    "agfn-nlc: neighbors' labels": lambda a: given("neighbors_given", a),
    "agfn-nlc: neighbors' answers": lambda a: given("neighbors_answers", a),
    "agfn-nlc: model, neighbors: mean": lambda a: sum(model_and_neighbors(a)) / 2,
    "agfn-nlc: model, neighbors: product": lambda a: torch.stack(model_and_neighbors(a)).prod(0),
    "agfn-nlc: model, neighbors: log-odds": lambda a: mean_log_odds(*model_and_neighbors(a)),
    "agfn-nlc: network over epochs": lambda a: over_epochs("network_probability", a),
    "agfn-nlc: network over epochs, model: mean": epochs_and_model,
    "agfn-nlc: teacher over epochs": lambda a: over_epochs("teacher_probability", a),
    "agfn-nlc: neighbors over epochs": lambda a: over_epochs("neighbors_probability", a),
    "agfn-nlc: AUM": lambda a: over_epochs("network_margin", a),
    "agfn-nlc: AUM of the teacher": lambda a: over_epochs("teacher_margin", a),
    "baseline: model": lambda a: given("baseline", a),
    "baseline: network over epochs": lambda a: over_epochs("baseline_probability", a),
    "baseline: AUM": lambda a: over_epochs("baseline_margin", a),
    "baseline: deep k-NN": lambda a: given("deep_knn", a),
    "5 folds: our estimate as the cut": lambda a: given("out_of_sample", a),
}


#: The two estimates of the share that a score is cut at, by what it is of.
CUTS = {
    "agfn-nlc": ("noise_rate", "model, confident"),
    "baseline": ("baseline", "baseline, confident"),
    "deep k-NN": ("deep_knn", "deep_knn, confident"),
    "5 folds": ("5 folds", "cleanlab"),
    "cleanlab": ("cleanlab", "cleanlab"),
}


def rows_to_one(probabilities: Tensor) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Probabilities as cleanlab takes them."""
    found = probabilities.double().numpy()
    return found / found.sum(1, keepdims=True)


def cleanlab_scores(arrays: Arrays) -> tuple[dict[str, Tensor], Tensor]:
    """The two scores of cleanlab on out-of-sample probabilities, and its own cut."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels, found = arrays["labels"].numpy(), rows_to_one(arrays["out_of_sample"])
    scores = {
        f"cleanlab: {method.replace('_', ' ')}": torch.from_numpy(
            np.asarray(get_label_quality_scores(labels, found, method=method))
        )
        for method in ("self_confidence", "normalized_margin")
    }
    return scores, torch.from_numpy(find_label_issues(labels, found, n_jobs=1))


def estimated_shares(arrays: Arrays) -> dict[str, float]:
    """Estimates of the share of wrong labels by their names, the truth first."""
    from cleanlab.count import num_label_issues

    labels = arrays["labels"]

    def confident(name: str) -> float:
        """By the confident joint of given labels and those that a posterior is sure of."""
        return num_label_issues(labels.numpy(), rows_to_one(arrays[name])) / len(labels)

    rates = arrays["share_by_epoch"]
    return {
        "truth": float((labels != arrays["truth"]).double().mean()),
        "noise_rate": float(arrays["share"]),
        "first": float(rates[0]),
        "last": float(rates[-1]),
        "model": estimate_issue_rate(arrays["correction"], labels) or 0.0,
        "baseline": estimate_issue_rate(arrays["baseline"], labels) or 0.0,
        "deep_knn": estimate_issue_rate(arrays["deep_knn"], labels) or 0.0,
        "5 folds": estimate_issue_rate(arrays["out_of_sample"], labels) or 0.0,
        "model < ½": float((given("correction", arrays) < 0.5).double().mean()),
        "model, confident": confident("correction"),
        "epochs, confident": confident("network_posterior"),
        "baseline, confident": confident("baseline"),
        "deep_knn, confident": confident("deep_knn"),
        "cleanlab": confident("out_of_sample"),
    }


def compare(arrays: Arrays) -> Line:
    """The quality of every score at two cuts, the estimated shares, and the costs."""
    wrong = arrays["labels"] != arrays["truth"]
    shares = estimated_shares(arrays)
    good = {name: score(arrays) for name, score in SCORES.items()}
    of_cleanlab, flagged = cleanlab_scores(arrays)
    rows = {}
    for name, probability in {**good, **of_cleanlab}.items():
        cut, confident = CUTS["deep k-NN" if "k-NN" in name else name.split(":")[0]]
        own = flagged if name in of_cleanlab else first(-probability, shares[cut])
        sure = quality(-probability, wrong, first(-probability, shares[confident]))
        half = quality(-probability, wrong, probability < (0.0 if "AUM" in name else 0.5))
        rows[name] = quality(-probability, wrong, own)._asdict()
        rows[name] |= {"f1_confident": sure.f1, "f1_half": half.f1}
    costs = {name: float(arrays[f"{name}_cpu"]) for name in ("correction", "baseline", "folds")}
    return {
        "scores": rows,
        "shares": shares,
        "cpu_seconds": costs,
        "images": len(wrong),
        "accuracy": float(arrays["accuracy"]),
    }


def by_set(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """The runs of each set, with a title that says how many there are."""
    sets = defaultdict(list)
    for line in lines:
        sets[line["set"]].append(line)
    return {
        f"{name}{f', {len(runs)} seeds' if len(runs) > 1 else ''}": runs
        for name, runs in sets.items()
    }


def score_table(lines: Iterable[Line]) -> str:
    """The quality of all scores as Markdown, of the sets that have wrong labels."""
    titles = " | ".join(COLUMNS.values())
    text = [f"| set | score | {titles} | CPU s |", "|---|---|" + "---|" * (len(COLUMNS) + 1)]
    for title, runs in by_set(line for line in lines if line["shares"]["truth"]).items():
        means = {
            score: np.mean([[run["scores"][score][key] for key in COLUMNS] for run in runs], 0)
            for score in runs[0]["scores"]
        }
        best = np.max(list(means.values()), 0).round(3)
        for row, (score, values) in enumerate(means.items()):
            cells = [
                f"**{value:.3f}**" if value.round(3) == top else f"{value:.3f}"
                for value, top in zip(values, best, strict=True)
            ]
            training = TRAININGS[score.split(":")[0]]
            seconds = np.mean([run["cpu_seconds"][training] for run in runs])
            where = "" if row else title
            text.append(f"| {where} | {score} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(text)


def share_table(lines: Iterable[Line]) -> str:
    """The estimated shares as Markdown, a row for each run."""
    lines = list(lines)
    names = [name for name in lines[0]["shares"] if "baseline" not in name and "knn" not in name]
    text = [f"| set | seed | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for line in lines:
        cells = " | ".join(f"{100 * line['shares'][name]:.1f}" for name in names)
        text.append(f"| {line['set']} | {line['seed']} | {cells} |")
    return "\n".join(text)


def compare_seed(options: TrainOptions, arrays: Path | None) -> Line:
    """Trains, or reads what was trained, and compares."""
    if arrays is not None and arrays.exists():
        with np.load(arrays) as kept:
            return compare({name: torch.from_numpy(kept[name]) for name in kept.files})
    data, _ = load_datasets(options)
    found = collect(options, data)
    if arrays is not None:
        arrays.parent.mkdir(parents=True, exist_ok=True)
        np.savez(arrays, **{name: tensor.numpy() for name, tensor in found.items()})
    return compare(found)


def main() -> int:
    """Trains what is missing, and prints the tables."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    parser.add_argument("--arrays", type=Path, help="folder that keeps what was trained")
    arguments = parser.parse_args()

    def compute(options: TrainOptions, name: str) -> Line:
        kept = arguments.arrays and arguments.arrays / f"{name} {options.seed}.npz".replace(
            " ", "-"
        )
        return compare_seed(options, kept)

    lines = run_seeds(arguments, compute)
    if lines:
        print(f"{score_table(lines)}\n\n{share_table(lines)}")
    return 0


if __name__ == "__main__":
    run_script("label_issues.py", main)
