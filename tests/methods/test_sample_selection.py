import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step
from own_data import trainer

from pyg_agfn.methods import sample_selection
from pyg_agfn.methods.method import TrainingOutputs
from pyg_agfn.methods.sample_selection import (
    SampleSelection,
    SelectionClassifier,
    draw_balanced,
    mix,
    moved,
)


def build() -> SelectionClassifier:
    torch.manual_seed(0)
    return SelectionClassifier("small-cnn", 3, in_channels=1).train()


def test_the_published_settings_are_the_defaults():
    method = SampleSelection()
    assert (method.select_share, method.relabel_confidence) == (1.0, 0.9)
    assert (method.num_neighbors, method.weight, sample_selection.MIXUP) == (200, 1.0, 4.0)
    sizes = [layer.out_features for layer in build().projector if hasattr(layer, "out_features")]
    assert sizes == [256, 128]


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_labels_are_selected_by_the_votes_over_their_share(share):
    torch.manual_seed(0)
    features, labels = torch.randn(40, 4), torch.randint(0, 3, (40,)).clamp(max=1)
    labels[:6] = 2
    method = set_up(SampleSelection(select_share=share), build(), 40)
    found = method.select(features, labels, k=7)
    counts = [int((labels == c).sum()) for c in range(3)]
    for i in range(40):
        cosine = [float(F.cosine_similarity(features[i], features[j], dim=0)) for j in range(40)]
        nearest = sorted(range(40), key=lambda j: -cosine[j])[:7]
        votes = [sum(int(labels[j]) == c for j in nearest) / counts[c] for c in range(3)]
        assert bool(found[i]) == (votes[labels[i]] >= share * max(votes) - 1e-9)
    assert 0 < found.sum() < 40


def test_sure_answers_replace_labels_and_then_the_neighbours_select():
    torch.manual_seed(0)
    true = torch.arange(90) % 3
    features = 5.0 * F.one_hot(true, 3) + 0.1 * torch.randn(90, 3)
    given = true.clone()
    given[[0, 1, 2]] = torch.tensor([1, 2, 0])
    p = torch.full((90, 3), 1 / 3)
    p[0] = torch.tensor([0.91, 0.05, 0.04])
    p[1] = torch.tensor([0.05, 0.89, 0.06])
    method = set_up(SampleSelection(), build(), 90)
    method.begin_epoch(1, lambda: TrainingOutputs(features, p.log(), given))
    assert method.relabelled.tolist() == [0] + [-1] * 89
    assert method.selected.tolist() == [True, False, False] + [True] * 87


def test_selected_rows_are_drawn_with_each_class_equally_often():
    torch.manual_seed(0)
    labels = torch.tensor([0] * 3000 + [1] * 1000 + [2] * 1000)
    selected = torch.ones(5000, dtype=torch.bool)
    selected[4000:] = False
    rows = draw_balanced(labels, selected)
    assert len(rows) == 5000
    assert selected[rows].all()
    assert labels[rows].float().mean() == pytest.approx(0.5, abs=0.03)


def test_images_and_targets_are_mixed_alike_and_the_first_has_most():
    torch.manual_seed(0)
    targets = torch.eye(6)
    shares = []
    for _ in range(50):
        images, mixed = mix(targets.view(6, 1, 2, 3), targets)
        torch.testing.assert_close(images.flatten(1), mixed)
        torch.testing.assert_close(mixed.sum(1), torch.ones(6))
        shares.append(float(mixed.diagonal().min()))
    assert min(shares) >= 0.5
    assert max(shares) < 1
    # max(l, 1 - l) of Beta(4, 4) has the mean 1/2 + E|l - 1/2| = 0.6367
    assert sum(shares) / 50 == pytest.approx(0.637, abs=0.05)


def test_the_loss_is_that_of_mixed_labels_and_of_the_features(batch, monkeypatch):
    images, labels, index = batch
    view = images + 0.1
    model = build()
    method = set_up(SampleSelection(weight=2.0), model)
    method.relabelled[index[0]] = 2
    method.selected[index[6:]] = False
    current = labels.clone()
    current[0] = 2
    monkeypatch.setattr(sample_selection, "draw_balanced", lambda labels, chosen: torch.arange(6))
    monkeypatch.setattr(sample_selection, "mix", lambda images, targets: (images, targets))
    out = step(method, images, labels, index, moved=view)
    assert torch.equal(out.targets, current)
    z = model.projector(model.features(images))
    p = model.predictor(model.projector(model.features(view)))
    cosine = sum(F.cosine_similarity(p[i], z[i], dim=0) for i in range(12)) / 12
    learned = F.cross_entropy(model(torch.cat([images[:6], view[:6]])), current[:6].repeat(2))
    torch.testing.assert_close(out.loss, learned - 2 * cosine)


def test_a_batch_without_a_selected_image_has_the_features_alone(batch):
    images, labels, index = batch
    model = build()
    method = set_up(SampleSelection(), model)
    method.selected[:] = False
    out = step(method, images, labels, index, moved=images)
    assert -1 <= out.loss <= 1
    out.loss.backward()
    assert model.classifier.weight.grad.eq(0).all()


def test_the_second_view_is_never_mirrored():
    images = torch.linspace(-1, 1, 9).repeat(50, 1, 9, 1)  # brighter to the right
    draw = torch.rand(9, 50)
    draw[8] = 1.0  # nothing erased
    view = moved(images, draw)
    assert (view[..., -2] > view[..., 1]).all()
    assert not torch.equal(view, images)


def test_labels_of_other_classes_are_refused():
    method = set_up(SampleSelection(), build(), 4)
    state = {"relabelled": torch.tensor([0, 3, -1, 1]), "selected": torch.ones(4).bool()}
    with pytest.raises(ValueError, match="other classes"):
        method.load_state_dict(state)


def test_it_is_trained(tiny):
    result = trainer(method="ssr", epochs=10).fit(tiny, tiny)
    assert result.history[-1]["test_accuracy"] > 0.9
