import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small_ferplus import write_ferplus
from small_run import TINY_BASELINE, small_run

from pyg_agfn.training import TrainOptions, train_methods


def test_all_protocols_are_reported_with_intervals(script, trained):
    done = script("evaluate.py", "--checkpoint", trained["agfn"], "--format", "json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    metrics = json.loads((trained["agfn"] / "metrics.json").read_text())
    assert list(report["protocols"]) == ["bank", "shuffled", "single", "class_sorted"]
    for name, outcome in report["protocols"].items():
        low, high = outcome["interval"]
        assert 0 <= low <= outcome["accuracy"] <= high <= 1
        # Training measured the same images by the same protocols.
        trained_value = metrics["accuracy"][name]
        if name == "shuffled":
            trained_value = trained_value["mean"]
        assert outcome["accuracy"] == pytest.approx(trained_value, abs=1e-6)
    assert report["leak"] == pytest.approx(metrics["leak"], abs=1e-6)
    assert report["images"] == 6
    assert sum(map(sum, report["bank"]["confusion"])) == 6
    stored = json.loads((trained["agfn"] / "evaluation.json").read_text())
    assert stored == report
    assert (trained["agfn"] / "evaluation.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_an_unchanged_run_has_the_figures_of_its_training(script, tmp_path):
    small = {"method": ("agfn",), "seed": 3, "eval_draws": 4, "batch_size": 8, "beta": 4.0}
    options = small_run(tmp_path / "runs", **small)
    (metrics,) = train_methods(options, Console(quiet=True))
    train_methods(dataclasses.replace(options, seed=5), Console(quiet=True))
    runs = [options.out / f"digits-agfn-noise0.2-seed{seed}" for seed in (3, 5)]
    done = script("evaluate.py", "--checkpoint", *runs, "--format", "json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    found = {name: outcome["accuracy"] for name, outcome in first["protocols"].items()}
    shuffled = first["protocols"]["shuffled"]
    found["shuffled"] = {name: shuffled[name] for name in ("std", "draws")}
    found["shuffled"]["mean"] = shuffled["accuracy"]
    assert found == metrics["accuracy"]
    assert first["leak"] == metrics["leak"]
    assert shuffled["std"] > 0  # other shuffles would have given other figures
    assert (shuffled["seed"], shuffled["batch_size"]) == (3, 8)
    # Two runs are compared on the same shuffles.
    assert second["protocols"]["shuffled"]["seed"] == 3
    done = script("evaluate.py", "--checkpoint", runs[1], "--format", "json", "--seed", 3)
    assert json.loads(done.stdout) == [second]


def test_many_classes_take_little_room(script, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (120, 2, 4, 4), dtype=np.uint8)
    for label, of_class in enumerate(images):
        for split, pixels in zip(("train", "test"), of_class, strict=True):
            folder = tmp_path / "many" / split / f"class {label:03d}"
            folder.mkdir(parents=True)
            Image.fromarray(pixels).save(folder / "0.png")
    options = TrainOptions.for_dataset(
        "folder",
        root=tmp_path / "many",
        method=("baseline",),
        epochs=1,
        out=tmp_path / "runs",
        cache=tmp_path / "cache",
        **{**TINY_BASELINE, "image_size": 4},
    )
    train_methods(options, Console(quiet=True))
    run = options.out / "folder-baseline-noise0-seed0"
    done = script("evaluate.py", "--checkpoint", run)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"class \d{3}", done.stdout)) == 50
    said = " ".join(done.stdout.split())
    assert "the 50 classes of the lowest accuracy of 120; evaluation.json has all" in said
    (line,) = done.stderr.splitlines()
    assert "no picture of the confusion matrix of 120 classes" in line
    assert not (run / "evaluation.png").exists()
    scores = json.loads((run / "evaluation.json").read_text())["bank"]
    assert "confusion" not in scores
    pairs = scores["confusion_pairs"]
    assert len(pairs["true"]) == len(pairs["predicted"]) == len(pairs["images"]) <= 120
    assert sum(pairs["images"]) == 120
    right = sum(
        images for true, predicted, images in zip(*pairs.values(), strict=True) if true == predicted
    )
    assert right / 120 == scores["accuracy"]


def test_two_runs_are_compared(script, trained):
    done = script("evaluate.py", "--checkpoint", trained["agfn"], trained["baseline"])
    assert done.returncode == 0, done.stderr
    assert "exact McNemar test" in done.stdout
    for text in ("bank", "shuffled", "single", "class_sorted", "leak", "macro F1", "bottom"):
        assert text in done.stdout


def test_ferplus_is_measured_where_more_than_half_of_the_raters_agree(script, tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (2, 24, 48, 48), dtype=np.uint8)
    votes = 10 * np.eye(10, dtype=int)[np.arange(24) % 8]
    votes[16:] = (votes[16:] + np.roll(votes[16:], 1, axis=1)) // 2
    for part, of_part in zip(("Train", "Valid"), faces, strict=True):
        write_ferplus(tmp_path / "fer" / f"FER2013{part}", of_part, votes.tolist())
    # It lists training images too on which the raters disagree: the run has learned them.
    listed = tmp_path / "listed.txt"
    listed.write_text("".join(f"fer{i:07d}.png {i % 8}\n" for i in range(24)))
    options = TrainOptions.for_dataset(
        "ferplus",
        root=tmp_path / "fer",
        method=("agfn",),
        noise_file=listed,
        epochs=2,
        pretrain_epochs=1,
        out=tmp_path / "runs",
        cache=tmp_path / "cache",
        **TINY_BASELINE,
    )
    train_methods(options, Console(quiet=True))
    command = ["evaluate.py", "--checkpoint", options.out / "ferplus-agfn-noiselist-seed0"]
    reports = []
    for mode in ("plurality", "majority", "official-majority"):
        done = script(*command, "--label-mode", mode, "--format", "json")
        assert done.returncode == 0, done.stderr
        reports += json.loads(done.stdout)
    everyone, agreed, official = (np.array(report["bank"]["confusion"]) for report in reports)
    assert (everyone.sum(), agreed.sum(), official.sum()) == (24, 16, 16)
    # The answers are the same for fewer images, because the bank holds no test image.
    assert (agreed <= everyone).all()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--draws", "0"], "--draws"),
        (["--draws", "9" * 20], "--draws"),
        (["--seed", "-1"], "--seed"),
        (["--device", "tpu"], "--device tpu"),
        (["--batch-size", "1"], "--batch-size"),
        (["--root", "nowhere"], "--root nowhere"),
        (["--label-mode", "majority"], "--label-mode must be left out"),
    ],
)
def test_bad_input_is_one_line(script, trained, arguments, complaint):
    done = script("evaluate.py", "--checkpoint", trained["baseline"], *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("evaluate.py: error: ")
    assert complaint in line
