"""What all registered methods have in common."""

import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods import (
    AGFNMethod,
    CenterLoss,
    ErasingAttention,
    GraphMethod,
    Method,
    SelfCure,
    generalized_cross_entropy,
    label_smoothing,
)
from pyg_agfn.registry import METHODS
from pyg_agfn.runs.folder import load_run
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.losses import LOSSES


def config(method: str) -> ModelConfig:
    return ModelConfig(method, "small-cnn", ("a", "b", "c"), 1, 8, 8, feature_dim=16)


def make(name: str, **given) -> Method:
    options = TrainOptions.for_dataset("digits", method=name, **given).for_method(name)
    return METHODS[name].from_options(options, LOSSES["cross-entropy"])


def test_the_published_settings_are_the_defaults():
    """Those of the authors' code where there is one; the source is in each docstring."""
    center = make("center-loss")
    assert (type(center), center.weight, center.rate) == (CenterLoss, 0.008, 0.5)
    cure = make("scn")
    assert type(cure) is SelfCure
    assert (cure.high_share, cure.rank_margin) == (0.7, 0.15)
    assert (cure.relabel_margin, cure.relabel_epoch) == (0.2, 10)
    attention = make("eac")
    assert (type(attention), attention.weight) == (ErasingAttention, 5.0)
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    for name, reference in {
        "label-smoothing": label_smoothing(logits, labels, epsilon=0.1),
        "gce": generalized_cross_entropy(logits, labels, q=0.7),
        "baseline": F.cross_entropy(logits, labels),
        "agfn": F.cross_entropy(logits, labels),
    }.items():
        assert make(name).criterion(logits, labels) == reference
    nlc = make("agfn-nlc")
    assert (nlc.teacher_decay, nlc.memory_size) == (0.99, 4096)
    assert (nlc.label_source, nlc.max_share, nlc.classifier_inputs) == ("neighbors", None, "single")


@pytest.mark.parametrize("name", METHODS)
def test_a_step_trains_the_model_and_is_what_it_was_after_its_state_is_loaded(name, batch):
    images, labels, index = batch
    torch.manual_seed(0)
    method = set_up(make(name), METHODS[name].build_model(config(name)))
    views = {view: images.flip(-1) for view in method.views}
    for epoch in (1, 30):
        out = step(method, images, labels, index, epoch, **views)
        assert out.loss.shape == ()
        assert out.logits.shape == (12, 3)
        assert out.targets.shape == (12,)
        assert (out.graph_loss is None) or method.uses_graph(epoch)
        out.loss.backward()
    trained = [p.grad for n, p in method.model.named_parameters() if ".edges." not in n]
    assert all(gradient is not None for gradient in trained)

    other = set_up(make(name), METHODS[name].build_model(config(name)))
    other.model.load_state_dict(method.model.state_dict())
    other.load_state_dict({k: v.clone() for k, v in method.state_dict().items()})
    found = []
    for each in (method, other):
        torch.manual_seed(7)
        found.append(step(each, images, labels, index - 20, 30, **views))
    assert torch.equal(found[0].logits, found[1].logits)
    assert torch.equal(found[0].loss, found[1].loss)
    assert other.inference_model().state_dict().keys() == method.model.state_dict().keys()


@pytest.mark.parametrize("name", [n for n in METHODS if METHODS[n].learns_soft_labels])
def test_soft_labels_are_learned_in_the_place_of_the_labels(name, batch):
    """The loss is linear in them, and that of the labels where they are one-hot."""
    images, labels, index = batch

    def loss(given: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
        torch.manual_seed(0)
        method = set_up(make(name), METHODS[name].build_model(config(name)))
        views = {view: images.flip(-1) for view in method.views}
        out = step(method, images, given, index, 30, soft, **views)
        assert torch.equal(out.targets, given)  # accuracy in training is by the labels
        return out.loss

    one_hot, other = (F.one_hot(y, 3).float() for y in (labels, (labels + 1) % 3))
    torch.testing.assert_close(loss(labels, one_hot), loss(labels, None))
    mixed = loss(labels, 0.7 * one_hot + 0.3 * other)
    ends = loss(labels, one_hot), loss(labels, other)
    assert ends[0] != ends[1]
    torch.testing.assert_close(mixed, 0.7 * ends[0] + 0.3 * ends[1])


def test_methods_that_replace_choose_or_group_by_labels_learn_labels_alone():
    alone = {name for name in METHODS if not METHODS[name].learns_soft_labels}
    assert alone == {"scn", "sop", "ssr", "co-teaching", "metacleaner"}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_whether_its_answers_join_the_images(name):
    method = make(name)
    assert method.joins_images == isinstance(method, GraphMethod)
    assert method.uses_graph(1) is False  # pre-training
    assert method.uses_graph(40) == method.joins_images
    assert method.color.startswith("#")


def test_only_a_model_with_a_graph_is_trained_over_a_graph():
    with pytest.raises(TypeError, match="agfn trains an AGFNClassifier, got BaselineClassifier"):
        AGFNMethod().setup(METHODS["baseline"].build_model(config("baseline")), 5)


@pytest.mark.parametrize("name", [n for n in METHODS if not METHODS[n].joins_images])
def test_a_trained_model_is_read_back_and_answers_each_image_by_itself(name, tiny, tmp_path):
    result = trainer(method=name).fit(tiny, tiny)
    if name not in ("deep-knn", "curriculumnet"):  # they train a second network from its beginning
        assert result.history[-1]["loss"] < result.history[0]["loss"]
    result.save(tmp_path / "run")
    model = load_run(tmp_path / "run").model
    assert type(model) is type(result.model)
    images = torch.randn(7, 1, 8, 8)
    with torch.no_grad():
        together = model(images)
        torch.testing.assert_close(together, result.model.eval()(images))
        alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
