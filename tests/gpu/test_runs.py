"""A run on a GPU, and what the CPU makes of its folder."""

import pytest
import torch
from killed_run import kill_after
from own_data import trainer
from PIL import Image

from pyg_agfn.registry import METHODS
from pyg_agfn.training import TrainingResult

#: Of an epoch: 60 images in batches of 20.
STEPS = 3


def make(method: str, device: torch.device, **given):
    more = {"feature_dim": 16, "bank_size": 40} if METHODS[method].joins_images else {}
    more |= {"memory_size": 50, "lr_graph": 0.05} if method == "agfn-nlc" else {}
    return trainer(method=method, device=str(device), **{"compile": "off", **more, **given})


@pytest.mark.parametrize("method", METHODS)
def test_the_cpu_answers_as_the_gpu_does(device, tiny, tmp_path, method):
    result = make(method, device).fit(tiny, tiny, tmp_path / "run")
    assert result.metrics["device"].startswith(device.type)
    assert {p.device.type for p in result.model.parameters()} == {device.type}
    loaded = TrainingResult.load(tmp_path / "run")
    assert {p.device.type for p in loaded.model.parameters()} == {"cpu"}

    images = tiny.images[:30]
    torch.testing.assert_close(result.predict(images), loaded.predict(images), rtol=0, atol=1e-4)
    outcomes = [r.evaluate(tiny).outcomes for r in (result, loaded)]
    for name, outcome in outcomes[1].items():
        found = outcomes[0][name].logits.float().cpu()
        torch.testing.assert_close(found, outcome.logits.float(), rtol=1e-3, atol=1e-3, msg=name)
    if result.references is not None:
        bank = result.references.bank
        assert bank.projected.device.type == device.type
        torch.testing.assert_close(
            bank.inverse_root_degree.cpu(),
            loaded.references.bank.inverse_root_degree,
            rtol=1e-4,
            atol=1e-4,
        )

    audits = [r.label_issues(tiny, share=0.1) for r in (result, loaded)]
    scores = [{row.file: row.score for row in audit.rows} for audit in audits]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    files = [result.predict_files, loaded.predict_files]
    path = tmp_path / "one.png"
    Image.fromarray(tiny.images[0, 0].numpy()).save(path)
    found, expected = (predict(path)[0] for predict in files)
    assert found.top(1)[0][0] == expected.top(1)[0][0]
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_is_resumed(device, tiny, tmp_path, monkeypatch, method):
    def train(name):
        made = make(method, device, augment=True, checkpoint_seconds=0.0)
        return made.fit(tiny, tiny, tmp_path / name)

    whole = train("whole")
    kill_after(STEPS + 2, monkeypatch, lambda: train("killed"))
    resumed = train("killed")
    assert [e["epoch"] for e in resumed.history] == [1, 2, 3]
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-3)
    expected = whole.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        # Sums with atomics may be of another order.
        tolerance = 0.0 if device.type == "cpu" else 1e-3
        torch.testing.assert_close(tensor, expected[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", ["baseline", "agfn", "agfn-nlc"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_run_changes_its_device(device, tiny, tmp_path, monkeypatch, method, precision):
    """Begun on one device, a run is resumed on another, and back."""

    def train(where):
        made = make(
            method,
            where,
            augment=True,
            checkpoint_seconds=0.0,
            precision=precision,
            optimizer="adam",
        )
        return made.fit(tiny, tiny, tmp_path / "run")

    cpu = torch.device("cpu")
    kill_after(STEPS + 1, monkeypatch, lambda: train(device))
    kill_after(2, monkeypatch, lambda: train(cpu))
    result = train(device)
    assert result.metrics["device"].startswith(device.type)
    assert [e["epoch"] for e in result.history] == [1, 2, 3]
    assert result.history[-1]["loss"] < result.history[0]["loss"]
