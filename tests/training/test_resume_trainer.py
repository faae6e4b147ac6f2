"""A training of Python that was stopped and is resumed is the one that was never stopped."""

from pathlib import Path

import pytest
import torch
from killed_run import assert_same_run, kill_after, without_times
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, Dataset

from pyg_agfn import Trainer
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.training.checkpoint import FILE
from pyg_agfn.training.validation import Accuracies

STEPS = 4  # an epoch: 48 images, batches of 12
SMALL = {"backbone": "small-cnn", "epochs": 3, "pretrain_epochs": 1, "batch_size": 12}
SMALL |= {"feature_dim": 16, "eval_draws": 1, "bank_size": 30, "device": "cpu"}
SMALL |= {"checkpoint_seconds": 0.0, "quiet": True}


@pytest.fixture
def parts(tiny) -> tuple[ImageDataset, ImageDataset]:
    """Images to train on, and others to choose the epoch."""
    return tiny.subset(torch.arange(48)).with_noise(0.2, seed=0), tiny.subset(torch.arange(48, 60))


@pytest.fixture
def accuracies(monkeypatch):
    """The second epoch of three is the best one."""

    def accuracy(fabric, options, state, test) -> Accuracies:
        return Accuracies([0.4, 0.9, 0.6][state.epoch - 1], 0.5, 0.5)

    monkeypatch.setattr("pyg_agfn.training.validation.accuracies_on", accuracy)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["agfn", "agfn-nlc"])
@pytest.mark.parametrize("killed", [STEPS + 2, 2 * STEPS, 2 * STEPS + 2])
def test_the_best_epoch_is_kept_over_a_stop(
    method, killed, parts, accuracies, tmp_path, monkeypatch
):
    def train(name: str, keep: str = "best") -> dict[str, torch.Tensor]:
        (tmp_path / name).mkdir(exist_ok=True)
        trainer = Trainer(method=method, keep=keep, **SMALL)
        return trainer.fit(*parts, tmp_path / name).model.state_dict()

    best, last = train("whole"), train("last", "last")
    assert not torch.equal(best["classifier.weight"], last["classifier.weight"])
    kill_after(killed, monkeypatch, lambda: train("killed"))
    assert (tmp_path / "killed" / FILE).exists()
    resumed = train("killed")
    assert all(torch.equal(resumed[name], value) for name, value in best.items())
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


class Photos(Dataset):
    """Floats and labels; random ones are another view at each pass."""

    def __init__(self, images: ImageDataset, random: bool) -> None:
        self.images, self.random = images, random

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        pixels, label = self.images[index]
        image = torch.as_tensor(pixels).float() / 128 - 1
        return image + 0.1 * torch.randn(image.shape) * self.random, label


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeded", "workers", "random"),
    [(True, 0, False), (False, 0, False), (True, 1, True)],
    ids=["by a generator", "by the global generator", "random transforms in a worker"],
)
def test_a_loader_of_the_users_is_resumed(seeded, workers, random, parts, tmp_path, monkeypatch):
    options = {name: value for name, value in SMALL.items() if name != "batch_size"}

    def train(folder: Path) -> dict[str, object]:
        folder.mkdir(exist_ok=True)
        generator = torch.Generator().manual_seed(5) if seeded else None
        loader = DataLoader(
            Photos(parts[0], random),
            batch_size=12,
            shuffle=True,
            num_workers=workers,
            generator=generator,
        )
        torch.manual_seed(9)  # of the order, without a generator
        result = Trainer(method="agfn", batch_size=12, **options).fit(loader, parts[1], folder)
        return {
            "history": list(map(without_times, result.history)),
            "weights": [value.tolist() for value in result.model.state_dict().values()],
        }

    whole = train(tmp_path / "whole")
    kill_after(STEPS + 2, monkeypatch, lambda: train(tmp_path / "killed"))
    kill_after(STEPS, monkeypatch, lambda: train(tmp_path / "killed"))
    assert train(tmp_path / "killed") == whole
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("method", ["agfn", "agfn-nlc"])
def test_a_checkpoint_of_a_gpu_is_resumed_on_the_cpu(method, parts, tmp_path, monkeypatch):
    def train(name: str) -> list[dict[str, float]]:
        (tmp_path / name).mkdir(exist_ok=True)
        return Trainer(method=method, **SMALL).fit(parts[0], None, tmp_path / name).history

    whole = train("whole")
    kill_after(STEPS + 2, monkeypatch, lambda: train("killed"))
    path = tmp_path / "killed" / FILE
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    # What a GPU's has in addition.
    save_file(load_file(path) | {"generator.cuda": torch.zeros(16, dtype=torch.uint8)}, path, facts)
    resumed = train("killed")
    assert [e["loss"] for e in resumed] == [e["loss"] for e in whole]
