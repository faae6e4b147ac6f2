import csv

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pyg_agfn.datasets import Digits
from pyg_agfn.datasets.noise import inject_label_noise
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import LabelIssue, find_label_issues, label_issue_scores
from pyg_agfn.methods.neighbor_correction import estimate_issue_rate


@pytest.fixture
def made():
    """Probabilities of 50 images and 4 classes, and labels."""
    torch.manual_seed(0)
    return (2 * torch.randn(50, 4)).softmax(1), torch.arange(50) % 4


@pytest.fixture(scope="module")
def digits():
    """Digits with 20% wrong labels, and the probabilities of a model that cannot memorize them."""
    data = Digits()
    given = inject_label_noise(data.labels, 0.2, 10, seed=0)
    pixels = data.images.flatten(1).numpy() / 255
    model = LogisticRegression(C=0.05, max_iter=200).fit(pixels, given.numpy())
    return torch.from_numpy(model.predict_proba(pixels)), given, data.labels


def test_the_score_is_the_probability_of_all_other_classes(made):
    probabilities, labels = made
    expected = [
        sum(float(p) for k, p in enumerate(row) if k != label)
        for row, label in zip(probabilities, labels.tolist(), strict=True)
    ]
    scores = label_issue_scores(probabilities, labels)
    assert scores.shape == (50,)
    assert scores.tolist() == pytest.approx(expected, abs=1e-6)


def test_rows_are_ranked_by_brute_force(made):
    probabilities, labels = made
    names = [f"image {i}" for i in range(50)]
    classes = ["a", "b", "c", "d"]
    issues = find_label_issues(probabilities, labels, 0.25, names, classes)
    scored = [(1 - float(probabilities[i, labels[i]]), -i) for i in range(50)]
    order = [-i for _, i in sorted(scored, reverse=True)]
    assert issues.index.tolist() == order
    assert len(issues) == 50
    for rank, (row, i) in enumerate(zip(issues, order, strict=True), 1):
        assert row == LabelIssue(
            rank,
            names[i],
            classes[labels[i]],
            classes[int(np.argmax(probabilities[i].numpy()))],
            pytest.approx(1 - float(probabilities[i, labels[i]]), abs=1e-6),
            rank <= 12,  # round(0.25 * 50), to the even number
        )


def test_equal_scores_stay_in_the_images_order():
    probabilities = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]])
    issues = find_label_issues(probabilities, torch.zeros(4, dtype=torch.long), share=0.5)
    assert [row.name for row in issues] == ["3", "1", "2", "0"]
    assert issues.is_issue.tolist() == [True, True, False, False]


def test_the_share_is_estimated_where_none_is_given(digits):
    probabilities, given, _ = digits
    issues = find_label_issues(probabilities, given)
    share = estimate_issue_rate(probabilities, given)
    assert int(issues.is_issue.sum()) == round(share * len(given))


def test_wrong_labels_of_digits_are_found_and_suggestions_are_true(digits):
    probabilities, given, true = digits
    issues = find_label_issues(probabilities, given)
    wrong = given != true
    found = issues.index[issues.is_issue]
    assert wrong[found].double().mean() > 0.9  # precision; by chance 0.2
    assert wrong[found].sum() / wrong.sum() > 0.85  # recall; by chance 0.19
    suggested = issues.suggested[issues.is_issue]
    assert (suggested == true[found]).double().mean() > 0.85
    assert torch.equal(issues.given, given[issues.index])


def test_half_precision_and_gradients_are_no_matter(made):
    probabilities, labels = made
    whole = find_label_issues(probabilities, labels, 0.1)
    half = find_label_issues(probabilities.half().requires_grad_(), labels.int(), 0.1)
    assert not half.score.requires_grad
    assert (half.score.float() - whole.score).abs().max() < 1e-2


def test_the_csv_has_every_row_and_no_formula(made, tmp_path):
    probabilities, labels = made
    names = ["=cmd()", "two\nlines", "caf\udce9", *(f"{i}.png" for i in range(47))]
    issues = find_label_issues(probabilities, labels, 0.1, names)
    path = tmp_path / "issues.csv"
    path.write_text("of before")
    issues.to_csv(path)
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(LabelIssue._fields)
    shown = {"=cmd()": "'=cmd()", "two\nlines": r"two\nlines"}
    for row, issue in zip(rows, issues, strict=True):
        assert row["name"] == shown.get(issue.name, issue.name)
        assert int(row["rank"]) == issue.rank
        assert (row["given_label"], row["suggested_label"]) == issue[2:4]
        assert float(row["score"]) == pytest.approx(issue.score)
        assert row["is_issue"] == str(issue.is_issue)
    with pytest.raises(InputError, match="cannot be written"):
        issues.to_csv(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        issues.to_csv(tmp_path / "none" / "issues.csv")


def test_no_link_is_written_through(made, tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "link.csv").symlink_to(tmp_path / "kept")
    find_label_issues(*made, 0.1).to_csv(tmp_path / "link.csv")
    assert (tmp_path / "kept").read_text() == "kept"
    assert not (tmp_path / "link.csv").is_symlink()


def test_it_says_in_a_line_how_many_there_are(made):
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(30, 1)
    labels = torch.zeros(60, dtype=torch.long)
    issues = find_label_issues(probabilities, labels, 0.5, ["a\n", *"b" * 59], ["cat", "dog"])
    assert str(issues) == (
        "30 of 60 labels are likely wrong; first b: given cat, suggested dog (80.0% wrong)"
    )
    assert str(find_label_issues(probabilities, labels, 0)) == "0 of 60 labels are likely wrong"
    assert str(find_label_issues(probabilities[:0], labels[:0], 1)).startswith("0 of 0")


P, Y = torch.full((3, 2), 0.5), torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("probabilities", "labels", "given", "reason"),
    [
        (P, Y, {}, "at least 30 images"),
        (P.repeat(20, 1), Y.repeat(20), {}, "at least 30 images"),  # nothing is known of any
        (P, Y, {"share": 1.5}, "share must be a number from 0 to 1, got 1.5"),
        (P, Y, {"share": float("nan")}, "share must be"),
        (P, Y, {"share": True}, "share must be"),
        (P, Y, {"share": "a\nb"}, r"got 'a\\nb'"),
        (P, Y, {"share": 0.5, "names": ["a"]}, "names must be 3 texts, one for each of the images"),
        (P, Y, {"share": 0.5, "names": "abc"}, "names must be 3 texts"),
        (P, Y, {"share": 0.5, "classes": ["a"]}, "classes must be 2 texts"),
        (P.numpy(), Y, {}, "probabilities must be a tensor, got ndarray"),
        (P, [0, 1, 1], {}, "labels must be a tensor, got list"),
        (P[0], Y, {}, r"shape \(N, K\).* got torch.float32 of shape \(2,\)"),
        (P[:, :1], Y, {}, "K at least 2"),
        (P.long(), Y, {}, "must be floats"),
        (P, Y[:2], {}, r"labels must be integers of shape \(3,\), got torch.int64 of shape \(2,\)"),
        (P, Y.double(), {}, "labels must be integers"),
        (P, torch.tensor([0, 1, 2]), {}, "labels must be 0 to 1, got 2 of image 2"),
        (P, torch.tensor([0, -1, 1]), {}, "got -1 of image 1"),
        (3 * P, Y, {}, "those of image 0 do not; logits become probabilities"),
        (torch.tensor([[0.5, 0.5], [1.4, -0.4]]), Y[:2], {}, "those of image 1 do not"),
        (torch.tensor([[0.5, 0.5], [float("nan"), 1]]), Y[:2], {}, "those of image 1 do not"),
    ],
)
def test_bad_input_is_one_line(probabilities, labels, given, reason):
    with pytest.raises(InputError, match=reason) as caught:
        find_label_issues(probabilities, labels, **given)
    assert "\n" not in str(caught.value)
