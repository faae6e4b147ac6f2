import pytest
import torch

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import label_issue_scores


@pytest.fixture
def made():
    """Probabilities of 50 images and 4 classes, and labels."""
    torch.manual_seed(0)
    return (2 * torch.randn(50, 4)).softmax(1), torch.arange(50) % 4


def test_the_score_is_the_probability_of_all_other_classes(made):
    probabilities, labels = made
    expected = [
        sum(float(p) for k, p in enumerate(row) if k != label)
        for row, label in zip(probabilities, labels.tolist(), strict=True)
    ]
    scores = label_issue_scores(probabilities, labels)
    assert scores.shape == (50,)
    assert scores.tolist() == pytest.approx(expected, abs=1e-6)


def test_half_precision_is_no_matter(made):
    probabilities, labels = made
    whole = label_issue_scores(probabilities, labels)
    half = label_issue_scores(probabilities.half(), labels.int())
    assert (half.float() - whole).abs().max() < 1e-2


P, Y = torch.full((3, 2), 0.5), torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("probabilities", "labels", "reason"),
    [
        (P.numpy(), Y, "probabilities must be a tensor, got ndarray"),
        (P, [0, 1, 1], "labels must be a tensor, got list"),
        (P[0], Y, r"shape \(N, K\).* got torch.float32 of shape \(2,\)"),
        (P[:, :1], Y, "K at least 2"),
        (P.long(), Y, "must be floats"),
        (P, Y[:2], r"labels must be integers of shape \(3,\), got torch.int64 of shape \(2,\)"),
        (P, Y.double(), "labels must be integers"),
        (P, torch.tensor([0, 1, 2]), "labels must be 0 to 1, got 2 of image 2"),
        (P, torch.tensor([0, -1, 1]), "got -1 of image 1"),
        (3 * P, Y, "those of image 0 do not; logits become probabilities"),
        (torch.tensor([[0.5, 0.5], [1.4, -0.4]]), Y[:2], "those of image 1 do not"),
        (torch.tensor([[0.5, 0.5], [float("nan"), 1]]), Y[:2], "those of image 1 do not"),
    ],
)
def test_bad_input_is_one_line(probabilities, labels, reason):
    with pytest.raises(InputError, match=reason) as caught:
        label_issue_scores(probabilities, labels)
    assert "\n" not in str(caught.value)
