import pytest
import torch

from pyg_agfn.audit import label_issue_scores, neighbor_label_scores
from pyg_agfn.audit.neighbors import find_neighbors
from pyg_agfn.audit.scores import calibrate_scores, combine_scores
from pyg_agfn.errors import InputError


def test_neighbours_score_a_label_by_the_share_that_has_another():
    features = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]])
    labels = torch.tensor([0, 0, 1, 1, 1, 0])
    scores = neighbor_label_scores(features, labels, k=2)
    assert scores.tolist() == pytest.approx([0.5, 0.5, 1, 0.5, 0.5, 1], abs=1e-3)
    assert torch.equal(scores, neighbor_label_scores(features.numpy(), labels.numpy(), k=2))


def test_neighbours_of_no_label_are_refused():
    with pytest.raises(InputError, match="all labels are of one class"):
        neighbor_label_scores(torch.ones(3, 2), torch.zeros(3, dtype=torch.long))


def test_the_model_ranks_where_there_is_one():
    torch.manual_seed(0)
    labels = torch.arange(40) % 3
    model = torch.randn(40, 3).softmax(1)
    posterior = find_neighbors(torch.randn(40, 4), labels, 3).posterior
    assert torch.equal(combine_scores(model, posterior, labels), label_issue_scores(model, labels))
    assert torch.equal(
        combine_scores(None, posterior, labels), label_issue_scores(posterior, labels)
    )
    with pytest.raises(ValueError, match="are needed"):
        combine_scores(None, None, labels)


def test_the_score_is_the_mean_of_the_models_and_that_over_the_epochs():
    labels = torch.tensor([0, 1, 1])
    model = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    epochs = torch.tensor([0.5, 1.0, torch.nan])
    found = combine_scores(model, None, labels, epochs)
    assert found.tolist() == pytest.approx([1 - 0.7, 1 - 0.8, 0.5])
    # Without a model it takes the neighbours' place, where it is known.
    found = combine_scores(None, model, labels, epochs)
    assert found.tolist() == pytest.approx([0.5, 0.0, 0.5])


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_calibrated_scores_have_the_shares_mean_one_shift_and_the_same_order(share):
    torch.manual_seed(0)
    scores = torch.rand(500, dtype=torch.double)
    found = calibrate_scores(scores, share)
    assert float(found.mean()) == pytest.approx(share, abs=1e-6)
    shift = torch.logit(found) - torch.logit(scores)
    assert torch.allclose(shift, shift[0].expand(500), atol=1e-6)
    assert torch.equal(found.argsort(), scores.argsort())


def test_calibrated_scores_at_the_ends():
    scores = torch.tensor([0.0, 0.5, 1.0])
    assert calibrate_scores(scores, 0.0).max() < 1e-6
    assert calibrate_scores(scores, 1.0).min() > 1 - 1e-6
