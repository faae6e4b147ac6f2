"""What is kept of each training label over the epochs, against the same sum made by hand."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from pyg_agfn.errors import InputError
from pyg_agfn.methods import Baseline, Method, StepOutput, TrainingBatch
from pyg_agfn.registry import METHODS, register_method
from pyg_agfn.training import Trainer, TrainingResult
from pyg_agfn.training.training_dynamics import FILE, TrainingDynamics

SETTINGS = {"backbone": "small-cnn", "epochs": 3, "batch_size": 20, "device": "cpu"}


def batch(labels, index) -> TrainingBatch:
    labels, index = torch.tensor(labels), torch.tensor(index)
    return TrainingBatch(torch.zeros(len(labels), 1, 8, 8), labels, index, {})


def output(logits: torch.Tensor) -> StepOutput:
    return StepOutput(torch.zeros(()), logits, logits.argmax(1))


def test_the_mean_is_that_of_all_steps_and_draws():
    torch.manual_seed(0)
    dynamics = TrainingDynamics(4, "")
    steps = [([0, 2], [3, 1], 2), ([2, 0], [1, 3], 1), ([1, 1], [0, 3], 1)]
    met = {i: [] for i in range(4)}
    for labels, index, draws in steps:
        logits = torch.randn(draws * 2, 3)
        dynamics.add(batch(labels, index), output(logits))
        for place, (label, i) in enumerate(zip(labels, index, strict=True)):
            of_draws = [float(logits[d * 2 + place].softmax(0)[label]) for d in range(draws)]
            met[i].append(sum(of_draws) / draws)
    mean = dynamics.mean().tolist()
    for i in (0, 1, 3):
        assert mean[i] == pytest.approx(sum(met[i]) / len(met[i]))
    assert math.isnan(mean[2])  # it was in no batch


def test_an_image_that_is_twice_in_a_batch_counts_twice():
    dynamics = TrainingDynamics(1, "")
    logits = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
    dynamics.add(batch([0, 0], [0, 0]), output(logits))
    assert dynamics.mean().tolist() == [pytest.approx(0.7)]


def test_answers_of_something_else_are_passed_over():
    dynamics = TrainingDynamics(3, "")
    dynamics.add(batch([0, 1], [0, 1]), output(torch.zeros(3, 2)))
    dynamics.add(batch([0, 1], [0, 1]), output(torch.zeros(0, 2)))
    assert dynamics.mean().isnan().all()


class Recorded(Baseline):
    """The baseline, which keeps what its steps answered."""

    seen: list[tuple[torch.Tensor, torch.Tensor]] = []  # noqa: RUF012 - of the copies too

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        out = super().training_step(batch)
        own = out.logits.detach().softmax(1).gather(1, batch.labels.unsqueeze(1)).squeeze(1)
        self.seen.append((batch.index, own))
        return out


@pytest.fixture
def register():
    names = []

    def add(method: type[Method]) -> Method:
        names.append(f"test-{len(names)}")
        register_method(names[-1])(method)
        return method()

    yield add
    for name in names:
        METHODS.unregister(name)


def test_a_training_keeps_the_mean_over_its_epochs(tiny, tmp_path, register):
    Recorded.seen.clear()
    result = Trainer(method=register(Recorded), **SETTINGS).fit(tiny)
    assert len(Recorded.seen) == 9
    total = torch.zeros(60)
    for index, own in Recorded.seen:
        total[index] += own
    assert result.dynamics.mean() == pytest.approx((total / 3).numpy(), rel=1e-5)

    by_epoch = {row.file: row.epoch_probability for row in result.label_issues(share=0.1)}
    assert by_epoch == {f"{i}.png": pytest.approx(float(total[i] / 3)) for i in range(60)}
    # A folder keeps it, for these images with these labels.
    back = TrainingResult.load(result.save(tmp_path / "run"), result.model.backbone)
    again = back.label_issues(tiny, share=0.1)
    assert {row.file: row.epoch_probability for row in again} == by_epoch
    assert [row.file for row in again] == [row.file for row in result.label_issues(share=0.1)]
    others = tiny.subset(torch.arange(60))
    others.labels = others.labels.roll(1)
    assert all(math.isnan(row.epoch_probability) for row in back.label_issues(others, 0.1))


def test_a_wrong_label_that_is_memorized_is_found_by_the_epochs(tiny, register):
    class Memorizing(Method):
        """Answers right at first, and the given label in the last epoch."""

        def training_step(self, batch):
            out = super().training_step(batch)
            says = batch.labels if batch.epoch == 3 else batch.index % 3
            logits = 9 * torch.nn.functional.one_hot(says, 3).float()
            return StepOutput(out.loss, logits, batch.labels)

    noisy = tiny.subset(torch.arange(60))
    noisy.labels[:6] = (noisy.labels[:6] + 1) % 3
    result = Trainer(method=register(Memorizing), **SETTINGS).fit(noisy)
    mean = result.dynamics.mean()
    assert (mean[:6] < 0.4).all()
    assert (mean[6:] > 0.9).all()


@pytest.mark.parametrize(
    "change",
    [
        {"total": torch.full((60,), -1.0)},
        {"total": torch.full((60,), 9.0)},
        {"count": torch.full((60,), -3)},
        {"total": torch.full((60,), torch.nan)},
        {"total": torch.zeros(59)},
        {"count": torch.zeros(60)},
        {"count": torch.tensor(3)},
        {"total": None},
        {"more": torch.zeros(1)},
    ],
    ids=str,
)
def test_a_file_that_cannot_be_is_refused_in_one_line(tiny, tmp_path, change):
    dynamics = TrainingDynamics(60, tiny.fingerprint())
    dynamics.save(tmp_path)
    tensors = {**load_file(tmp_path / FILE), **change}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, tmp_path / FILE, {"facts": json.dumps({"data": "0"})})
    with pytest.raises(InputError) as caught:
        TrainingDynamics.load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / FILE}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metadata", [None, {"facts": "no json"}, {"facts": "[]"}], ids=str)
def test_a_file_without_its_facts_is_refused(tmp_path, metadata):
    save_file(TrainingDynamics(2, "").state_dict(), tmp_path / FILE, metadata)
    with pytest.raises(InputError, match="cannot be read"):
        TrainingDynamics.load(tmp_path)


def test_a_folder_without_the_file_has_none(tmp_path):
    assert TrainingDynamics.load(tmp_path) is None
