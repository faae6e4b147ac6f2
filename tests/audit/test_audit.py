import csv
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pyg_agfn.audit import AuditRow, LabelAudit, audit_labels
from pyg_agfn.audit.audit_files import COLUMNS
from pyg_agfn.audit.neighbors import find_neighbors
from pyg_agfn.audit.scores import calibrate_scores, label_issue_scores
from pyg_agfn.datasets import Digits, ImageDataset
from pyg_agfn.datasets.noise import inject_label_noise
from pyg_agfn.errors import InputError


@pytest.fixture(scope="module")
def digits():
    """Digits with 20% wrong labels, their pixels, and a model that cannot memorize them."""
    data = Digits()
    given = inject_label_noise(data.labels, 0.2, 10, seed=0)
    pixels = data.images.flatten(1).float() / 255
    model = LogisticRegression(C=0.05, max_iter=200).fit(pixels.numpy(), given.numpy())
    return pixels, model.predict_proba(pixels.numpy()), given, data


@pytest.fixture
def made():
    """Probabilities of 50 images and 4 classes, features, and labels."""
    torch.manual_seed(0)
    return (2 * torch.randn(50, 4)).softmax(1), torch.randn(50, 6), torch.arange(50) % 4


def test_rows_are_ranked_by_brute_force(made):
    model, features, labels = made
    names, classes = [f"image {i}" for i in range(50)], ["a", "b", "c", "d"]
    audit = audit_labels(
        labels=labels,
        features=features,
        probabilities=model,
        names=names,
        classes=classes,
        share=0.3,
    )
    assert isinstance(audit, LabelAudit)
    found = find_neighbors(features, labels, 4)
    own = [float(model[i, labels[i]]) for i in range(50)]
    order = sorted(range(50), key=lambda i: own[i])
    issues = {i for i in order[:15] if int(model[i].argmax()) != labels[i]}
    scores = calibrate_scores(label_issue_scores(model, labels), 0.3)
    assert list(audit.index) == order
    assert (len(audit), audit.noise_rate) == (50, 0.3)
    for rank, (row, i) in enumerate(zip(audit, order, strict=True), 1):
        trusted = [names[m] for m in found.nearest[i].tolist() if m not in issues][:3]
        assert row == AuditRow(
            rank,
            names[i],
            classes[labels[i]],
            classes[int(model[i].argmax())],
            pytest.approx(float(scores[i])),
            i in issues,
            pytest.approx(own[i]),
            pytest.approx(math.nan, nan_ok=True),
            pytest.approx(float(found.posterior[i, labels[i]])),
            tuple(trusted),
        )
    matrix = [[0] * 4 for _ in range(4)]
    for i in issues:
        matrix[labels[i]][int(model[i].argmax())] += 1
    assert audit.issue_matrix().tolist() == matrix


def quality(audit, given, data):
    wrong = (given != data.labels)[torch.tensor(audit.index)]
    found = torch.tensor([row.is_issue for row in audit])
    return float((found & wrong).sum() / found.sum()), float((found & wrong).sum() / wrong.sum())


@pytest.mark.parametrize("sources", ["both", "features", "probabilities"])
def test_wrong_digits_are_found_by_either_source(digits, sources):
    pixels, model, given, data = digits
    audit = audit_labels(
        labels=given.numpy(),
        features=pixels.numpy() if sources != "probabilities" else None,
        probabilities=model if sources != "features" else None,
    )
    precision, recall = quality(audit, given, data)
    assert precision > 0.85  # by chance 0.2
    # A linear model is sure of few digits, and counts as issues only those that it is sure of.
    assert recall > (0.8 if sources == "features" else 0.7)
    assert audit.noise_rate == pytest.approx(0.2, abs=0.03 if sources == "features" else 0.06)
    assert audit.interval[0] <= 0.2 <= audit.interval[1]
    right = [row for row, i in zip(audit, audit.index, strict=True) if row.is_issue]
    true = [
        str(int(data.labels[i])) for row, i in zip(audit, audit.index, strict=True) if row.is_issue
    ]
    assert np.mean([row.suggested_label == t for row, t in zip(right, true, strict=True)]) > 0.8
    first = audit.rows[0]
    assert math.isnan(first.model_probability) == (sources == "features")
    assert math.isnan(first.neighbor_probability) == (sources == "probabilities")
    assert len(first.neighbors) == (0 if sources == "probabilities" else 3)


def test_labels_that_are_all_right_have_hardly_an_issue(digits):
    pixels, _, _, data = digits
    audit = audit_labels(features=pixels, labels=data.labels)
    assert len(audit.issues) <= 5  # of 1,347
    assert audit.interval[0] < 0.005
    none = audit_labels(features=pixels, labels=data.labels, share=0)
    assert "None of the labels is listed as an issue." in none.summary()
    assert str(none) == "0 of 1,347 labels are likely wrong"


def test_near_duplicates_are_by_appearance_where_it_is_given(made):
    model, features, labels = made
    features[1] = 2 * features[0]
    audit = audit_labels(labels=labels, features=features, classes=["a", "b", "c", "d"], share=0.1)
    (pair,) = audit.near_duplicates
    assert (pair.files, pair.labels) == (("0", "1"), ("a", "b"))
    assert pair.similarity == pytest.approx(1)
    assert "1 pair of nearly equal images with different labels, such as 0 (a)" in audit.summary()
    other = audit_labels(labels=labels, features=features, appearance=torch.eye(50), share=0.1)
    assert not other.near_duplicates
    assert not audit_labels(labels=labels, probabilities=model, share=0.1).near_duplicates


def test_it_says_in_words_what_there_is(digits):
    pixels, model, given, _ = digits
    audit = audit_labels(labels=given, features=pixels, probabilities=model)
    first = audit.issues[0]
    lines = audit.summary().splitlines()
    low, high = audit.interval
    assert lines[0] == (
        f"About {audit.noise_rate:.1%} of 1,347 labels are wrong, by 95% between {low:.1%} and "
        f"{high:.1%}."
    )
    assert lines[1] == f"{len(audit.issues)} labels are listed as issues."
    counts = audit.issue_matrix().sum(1)
    worst = int((counts / given.bincount(minlength=10)).argmax())
    assert lines[2].startswith(f"Worst classes: {worst} ({int(counts[worst])} of ")
    assert str(audit) == (
        f"{len(audit.issues)} of 1,347 labels are likely wrong; first {first.file}: given "
        f"{first.given_label}, suggested {first.suggested_label} ({first.score:.1%} wrong)"
    )


ODD_NAMES = ["=cmd()", "two\nlines", "caf\udce9", "a, b.png", 'say "x".png', " blank.png"]


def odd_audit():
    """40 images, of which the first ones have odd names and wrong labels."""
    names = [*ODD_NAMES, *(f"{i}.png" for i in range(len(ODD_NAMES), 40))]
    labels = torch.arange(40) % 2
    true = labels.clone()
    true[: len(ODD_NAMES)] = 1 - true[: len(ODD_NAMES)]
    model = torch.full((40, 2), 0.1).scatter(1, true.unsqueeze(1), 0.9)
    classes = ("=1+1", "big cat, old")
    audit = audit_labels(
        labels=labels,
        probabilities=model,
        names=names,
        classes=classes,
        share=len(ODD_NAMES) / 40,
    )
    return audit, names, labels, true


def test_the_csv_has_every_row_and_no_formula(tmp_path):
    audit, *_ = odd_audit()
    path = tmp_path / "issues.csv"
    path.write_text("of before")
    audit.to_csv(path)
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS == (
        "rank", "file", "given_label", "suggested_label", "score", "is_issue",
        "model_probability", "epoch_probability", "neighbor_probability",
        "neighbor_1", "neighbor_2", "neighbor_3",
    )  # fmt: skip
    shown = {"=cmd()": "'=cmd()", "two\nlines": r"two\nlines", "=1+1": "'=1+1"}
    for row, expected in zip(rows, audit, strict=True):
        assert row["file"] == shown.get(expected.file, expected.file)
        assert row["given_label"] == shown.get(expected.given_label, expected.given_label)
        assert float(row["score"]) == pytest.approx(expected.score, rel=1e-5)
        assert row["is_issue"] == str(expected.is_issue)
        assert (row["neighbor_probability"], row["neighbor_1"]) == ("", "")
    with pytest.raises(InputError, match="cannot be written"):
        audit.to_csv(tmp_path / "none" / "issues.csv")


def test_training_takes_the_cleaned_labels_back(tmp_path):
    audit, names, labels, true = odd_audit()
    assert audit.cleaned_to_csv(tmp_path / "cleaned.csv") == 3  # a line break, no UTF-8, a blank
    images = np.zeros((40, 1, 2, 2), dtype=np.uint8)
    data = ImageDataset(images, labels.numpy(), audit.classes, names)
    cleaned = data.with_noise_file(tmp_path / "cleaned.csv", notation="names")
    expected = true.clone()
    expected[[1, 2, 5]] = labels[[1, 2, 5]]
    assert torch.equal(cleaned.labels, expected)


def test_no_link_is_written_through(tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "link.csv").symlink_to(tmp_path / "kept")
    odd_audit()[0].to_csv(tmp_path / "link.csv")
    assert (tmp_path / "kept").read_text() == "kept"
    assert not (tmp_path / "link.csv").is_symlink()


P, Y = torch.full((3, 2), 0.5), torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "give features, probabilities or both"),
        ({"probabilities": P}, "at least 30 images .* give share"),
        ({"probabilities": P, "share": 1.5}, "share must be a number from 0 to 1, got 1.5"),
        ({"probabilities": P, "share": math.nan}, "share must be"),
        ({"probabilities": P, "share": True}, "share must be"),
        ({"probabilities": P, "share": 0.5, "names": ["a"]}, "names must be 3 texts"),
        ({"probabilities": P, "share": 0.5, "names": "abc"}, "names must be 3 texts"),
        ({"probabilities": P, "share": 0.5, "classes": ["a"]}, "classes must be 2 texts"),
        ({"probabilities": 3 * P}, "those of image 0 do not; logits become probabilities"),
        ({"features": P, "labels": torch.zeros(3).long()}, "all labels are of one class"),
        ({"features": P[:2]}, r"labels must be integers of shape \(2,\)"),
        ({"features": P, "labels": torch.tensor([0, -1, 1])}, "got -1 of image 1"),
        ({"features": P, "appearance": P[:2], "share": 0}, "appearance must be of 3 images, got 2"),
        ({"features": P, "labels": torch.zeros(0).long()}, "one class|shape"),
    ],
)
def test_bad_input_is_one_line(given, reason):
    with pytest.raises(InputError, match=reason) as caught:
        audit_labels(**{"labels": Y, **given})
    assert "\n" not in str(caught.value)


def test_an_audit_of_arrays_has_no_pixels(made):
    audit = audit_labels(labels=made[2], features=made[1], share=0.1)
    with pytest.raises(InputError, match="give pixels to audit_labels"):
        audit.pixels(["0"])
