import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import MetaCleaner, MetaCleanerClassifier
from pyg_agfn.methods.meta_cleaner import divide_in_subsets


def build() -> MetaCleanerClassifier:
    torch.manual_seed(0)
    return MetaCleanerClassifier("small-cnn", 3, in_channels=1).train()


def test_a_subset_is_of_five_images():
    model = build()
    assert model.subset_size == 5
    assert model.weighting.weight.shape == (5, 5 * 128)


def test_every_image_is_in_a_subset_of_its_label():
    torch.manual_seed(0)
    labels = torch.tensor([0] * 11 + [1] * 5 + [4] * 2)[torch.randperm(18)]
    subsets = divide_in_subsets(labels, 5)
    assert subsets.shape == (3 + 1 + 1, 5)
    assert all(len(labels[subset].unique()) == 1 for subset in subsets)
    assert sorted(subsets.unique().tolist()) == list(range(18))
    counts = torch.bincount(subsets.flatten())
    assert (counts[labels == 0].sum(), counts[labels == 0].max()) == (15, 2)
    assert counts[labels == 1].tolist() == [1] * 5
    assert sorted(counts[labels == 4].tolist()) == [2, 3]
    assert not torch.equal(divide_in_subsets(labels, 5), subsets)  # another draw


def test_a_clean_representation_is_a_convex_combination():
    model = build()
    subsets = torch.randn(4, 5, 128)
    found = model.clean(subsets)
    for subset, clean in zip(subsets, found, strict=True):
        scores = model.weighting.weight @ torch.cat(list(subset)) + model.weighting.bias
        alpha = scores.exp() / scores.exp().sum()
        expected = sum(a * x for a, x in zip(alpha, subset, strict=True))
        torch.testing.assert_close(clean, expected, rtol=1e-4, atol=1e-5)


def test_the_loss_is_that_of_the_clean_representations(batch):
    images, labels, index = batch
    model = build()
    method = set_up(MetaCleaner(), model)
    torch.manual_seed(3)
    out = step(method, images, labels, index)
    torch.manual_seed(3)
    subsets = divide_in_subsets(labels, 5)
    x = model.features(images)
    losses = [
        F.cross_entropy(model.classifier(model.clean(x[subset][None])), labels[subset[:1]])
        for subset in subsets
    ]
    torch.testing.assert_close(out.loss, torch.stack(losses).mean())
    torch.testing.assert_close(out.logits, model.classifier(x))
    out.loss.backward()
    assert model.weighting.weight.grad.abs().max() > 0


def test_a_single_image_is_classified_without_the_weighting(batch):
    model = build().eval()
    x = model.features(batch[0])
    torch.testing.assert_close(model(batch[0]), model.classifier(x))
