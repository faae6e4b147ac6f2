import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods import density_curriculum
from pyg_agfn.methods.density_curriculum import DensityCurriculum, density_subsets
from pyg_agfn.methods.method import TrainingOutputs
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.training import TrainOptions


def spread(count: int) -> torch.Tensor:
    """A dense group, one around it, and some far from all others."""
    torch.manual_seed(0)
    half, quarter = count // 2, count // 4
    scales = torch.tensor([0.1] * half + [1.0] * quarter + [8.0] * (count - half - quarter))
    return scales.unsqueeze(1) * F.normalize(torch.randn(count, 6), dim=1)


def test_the_published_settings_are_the_defaults():
    method = DensityCurriculum()
    assert (method.weights, method.cutoff) == ((1.0, 0.5, 0.5), 0.6)
    options = TrainOptions(method="curriculumnet", epochs=60)
    assert DensityCurriculum.from_options(options, F.cross_entropy).first_epochs == 15


def test_subsets_are_those_of_the_densities_counted_one_by_one():
    x, labels = spread(40).repeat(2, 1), torch.arange(2).repeat_interleave(40)
    x[40:] *= 3.0  # the second class has another scale, and the same subsets
    found = density_subsets(x, labels)
    assert torch.equal(found[:40], found[40:])
    distance = torch.cdist(x[:40], x[:40])
    limit = distance.flatten().sort().values[int(0.6 * 1600)]
    density = [sum(float(d) < float(limit) for d in row) for row in distance]
    for i in range(40):
        for j in range(40):
            if density[i] > density[j]:
                assert found[i] <= found[j]
    assert found.unique().tolist() == [0, 1, 2]
    assert found[30:40].eq(2).all()  # what is far


def test_a_large_class_is_counted_among_some_of_its_images(monkeypatch):
    x, labels = spread(200), torch.zeros(200, dtype=torch.long)
    whole = density_subsets(x, labels)
    monkeypatch.setattr(density_curriculum, "MAX_REFERENCES", 50)
    assert (density_subsets(x, labels) == whole).float().mean() > 0.9


def test_equal_images_are_not_divided():
    assert density_subsets(torch.ones(9, 4), torch.arange(9) % 3).eq(0).all()


def test_stages_add_the_subsets_one_after_the_other():
    method = DensityCurriculum(first_epochs=3, epochs=12)
    found = [method.weights_of_subsets(epoch) for epoch in range(1, 13)]
    stages = [(1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (1.0, 0.5, 0.0), (1.0, 0.5, 0.5)]
    assert found == [stage for stage in stages for _ in range(3)]


@pytest.mark.parametrize("epochs", [2, 3, 5])
def test_a_short_run_has_the_first_stage(epochs):
    method = DensityCurriculum.from_options(
        TrainOptions(method="curriculumnet", epochs=epochs), F.cross_entropy
    )
    found = {method.weights_of_subsets(epoch) for epoch in range(1, epochs + 1)}
    assert {(1.0, 1.0, 1.0), (1.0, 0.0, 0.0)} <= found


def test_the_loss_is_that_of_the_stage(batch):
    images, labels, index = batch
    torch.manual_seed(0)
    model = BaselineClassifier("small-cnn", 3, in_channels=1)
    method = set_up(DensityCurriculum(first_epochs=3, epochs=12), model)
    outputs = TrainingOutputs(spread(120), torch.zeros(120, 3), torch.zeros(120).long())
    method.begin_epoch(4, lambda: outputs)
    method.subset[index] = torch.arange(12) % 3
    out = step(method, images, labels, index, 8)
    each = F.cross_entropy(out.logits, labels, reduction="none")
    weights = torch.tensor([1.0, 0.5, 0.0]).repeat(4)
    torch.testing.assert_close(out.loss, (weights * each).sum() / weights.sum())


def test_it_is_trained(tiny):
    result = trainer(method="curriculumnet", epochs=16).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
