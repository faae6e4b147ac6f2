"""What a method may look at before an epoch, and what that does not change."""

import torch
from killed_run import assert_same_run, folder_of, kill_after
from own_data import same, trainer, weights
from rich.console import Console
from small_run import small_run

from pyg_agfn.evaluation import extract_features
from pyg_agfn.methods import Baseline
from pyg_agfn.training import resume_run, train_methods

QUIET = Console(quiet=True)


class Looking(Baseline):
    """Looks at all images before each epoch."""

    def begin_epoch(self, epoch, extract):
        seen.append((epoch, self.model, extract()))


seen: list = []


def test_outputs_are_those_of_all_images_in_their_order(registered, tiny):
    seen.clear()
    registered("looking", Looking)
    trainer(method="looking", epochs=3, augment=True).fit(tiny)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3]
    _, _, outputs = seen[-1]
    assert torch.equal(outputs.labels, tiny.labels)
    assert outputs.features.shape[0] == outputs.logits.shape[0] == 60
    assert not any(x.requires_grad for x in outputs)


def test_looking_changes_nothing_in_the_training(registered, tiny):
    registered("looking", Looking)
    usual, looking = (
        trainer(method=name, augment=True).fit(tiny, tiny) for name in ("baseline", "looking")
    )
    assert same(weights(usual), weights(looking))
    assert [e["loss"] for e in usual.history] == [e["loss"] for e in looking.history]


def test_features_are_those_of_the_model_in_evaluation_mode(registered, tiny):
    seen.clear()
    registered("looking", Looking)

    class Stopping(Looking):
        def begin_epoch(self, epoch, extract):
            outputs = extract()
            batches = tiny.batches(batch_size=7, device="cpu")
            features = extract_features(self.model, batches)
            torch.testing.assert_close(outputs.features, features)
            torch.testing.assert_close(outputs.logits, self.model.eval().head(features))
            seen.append(epoch)

    registered("stopping", Stopping)
    trainer(method="stopping", epochs=2).fit(tiny)
    assert seen == [1, 2]


def test_a_run_resumed_inside_an_epoch_does_not_look_again(registered, tmp_path, monkeypatch):
    registered("looking", Looking)
    small = {"method": ("looking",), "batch_size": 32, "checkpoint_seconds": 0.0, "epochs": 3}
    seen.clear()
    train_methods(small_run(tmp_path / "whole", **small), QUIET)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3]
    seen.clear()
    run = small_run(tmp_path / "killed", **small)
    kill_after(6, monkeypatch, lambda: train_methods(run, QUIET))  # in the second epoch
    resume_run(folder_of(tmp_path / "killed"), {}, QUIET)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3]
    assert_same_run(folder_of(tmp_path / "whole"), folder_of(tmp_path / "killed"))
