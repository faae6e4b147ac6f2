"""Runs whose backbone is a class of the user's own, by the commands."""

import numpy as np
import pytest
from own_data import trainer
from PIL import Image

OWN = ("--backbone", "own_nets:Net")
RUN = "runs/folder-baseline-noise0-seed0"


@pytest.fixture
def photos_of_two(own_nets):
    rng = np.random.default_rng(0)
    for name, light in (("dark", 0), ("light", 150)):
        (own_nets / "photos" / name).mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 60, (8, 8), dtype=np.uint8) + np.uint8(light)
            Image.fromarray(pixels).save(own_nets / "photos" / name / f"{i}.png")


def test_the_commands_take_the_class_of_a_run(own_nets, photos_of_two, script):
    small = "--image-size 8 --batch-size 8 --epochs 2 --no-augment --method baseline --device cpu"
    given = ("--dataset", "folder", "--root", "photos", *small.split())
    trained = script("train_pyg.py", *given, *OWN)
    assert (trained.returncode, trained.stderr) == (0, "")
    commands = (
        ("predict.py", "photos/dark", "--checkpoint", RUN),
        ("evaluate.py", "--checkpoint", RUN),
        ("audit_labels.py", RUN),
    )
    for command in commands:
        refused = script(*command)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "name it by --backbone module:Class" in refused.stderr
        assert script(*command, *OWN).returncode == 0
        refused = script(*command, "--backbone", "resnet18")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "'resnet18' is no module:Class" in refused.stderr
    (own_nets / RUN / "metrics.json").unlink()  # as if it had been killed at its last moment
    refused = script("train_pyg.py", "--resume", RUN)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert script("train_pyg.py", "--resume", RUN, "--backbone", "resnet18").returncode == 2
    assert script("train_pyg.py", "--resume", RUN, *OWN).returncode == 0
    assert (own_nets / RUN / "metrics.json").exists()


def test_a_class_has_no_effect_on_other_runs(own_nets, tiny, script):
    folder = trainer(epochs=1).fit(tiny).save(own_nets / "plain")
    Image.fromarray(tiny.images[0, 0].numpy()).save(own_nets / "one.png")
    refused = script("predict.py", "one.png", "--checkpoint", folder, *OWN)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--backbone has no effect on a run of small-cnn: leave it out" in refused.stderr
