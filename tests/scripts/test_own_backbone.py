"""Runs whose backbone is a class of the user's own, by the commands."""

import numpy as np
from own_data import trainer
from PIL import Image


def test_the_commands_take_the_class_of_a_run(own_nets, script):
    rng = np.random.default_rng(0)
    for name, light in (("dark", 0), ("light", 150)):
        (own_nets / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 60, (8, 8), dtype=np.uint8) + np.uint8(light)
            Image.fromarray(pixels).save(own_nets / "photos" / name / f"{i}.png")
    small = "--image-size 8 --batch-size 8 --epochs 2 --no-augment --method baseline --device cpu"
    own = ("--backbone", "own_nets:Net")
    code, _, err = script(
        "train_pyg.py", "--dataset", "folder", "--root", "photos", *small.split(), *own
    )
    assert (code, err) == (0, "")
    run = "runs/folder-baseline-noise0-seed0"
    commands = (
        ("predict.py", "photos/dark", "--checkpoint", run),
        ("evaluate.py", "--checkpoint", run),
        ("audit_labels.py", run),
    )
    for command in commands:
        code, _, err = script(*command)
        assert (code, err.count("\n")) == (2, 1)
        assert "name it by --backbone module:Class" in err
        assert script(*command, *own)[0] == 0
        code, _, err = script(*command, "--backbone", "resnet18")
        assert (code, err.count("\n")) == (2, 1)
        assert "'resnet18' is no module:Class" in err
    assert script("train_pyg.py", "--resume", run, *own)[0] == 0
    code, _, err = script("train_pyg.py", "--resume", run, "--backbone", "resnet18")
    assert (code, err.count("\n")) == (2, 1)


def test_a_class_has_no_effect_on_other_runs(own_nets, tiny, script):
    folder = trainer(epochs=1).fit(tiny).save(own_nets / "plain")
    Image.fromarray(tiny.images[0, 0].numpy()).save(own_nets / "one.png")
    own = ("--backbone", "own_nets:Net")
    code, _, err = script("predict.py", "one.png", "--checkpoint", folder, *own)
    assert (code, err.count("\n")) == (2, 1)
    assert "--backbone has no effect on a run of small-cnn: leave it out" in err
