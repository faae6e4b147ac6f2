import numpy as np
import pytest
import torch

from pyg_agfn.audit import audit_labels, from_cleanlab
from pyg_agfn.errors import InputError


@pytest.fixture
def made():
    torch.manual_seed(0)
    labels = torch.arange(200) % 4
    true = torch.where(torch.rand(200) < 0.2, (labels + 1) % 4, labels)
    logits = 3 * torch.nn.functional.one_hot(true, 4) + torch.randn(200, 4)
    return logits.double().softmax(1).numpy(), labels.numpy()


def test_the_forms_are_written_by_brute_force(made):
    probabilities, labels = made
    audit = audit_labels(labels=labels, probabilities=probabilities)
    indices, table = audit.to_cleanlab()
    own = probabilities[np.arange(200), labels]
    assert list(table) == ["is_label_issue", "label_quality", "given_label", "predicted_label"]
    assert table["label_quality"] == pytest.approx(own)
    assert (table["given_label"] == labels).all()
    assert (table["predicted_label"] == probabilities.argmax(1)).all()
    issues = {audit.index[i] for i, row in enumerate(audit) if row.is_issue}
    assert set(np.flatnonzero(table["is_label_issue"])) == issues
    assert indices.tolist() == sorted(issues, key=lambda i: own[i])


def test_label_quality_has_the_epochs_in_it(made):
    probabilities, labels = made
    epochs = np.random.default_rng(1).random(200)
    epochs[0] = np.nan
    audit = audit_labels(labels=labels, probabilities=probabilities, epoch_probability=epochs)
    indices, table = audit.to_cleanlab()
    own = probabilities[np.arange(200), labels]
    both = np.where(np.isnan(epochs), own, (own + epochs) / 2)
    assert table["label_quality"] == pytest.approx(both)
    ranked = [i for i in audit.index if table["is_label_issue"][i]]
    assert indices.tolist() == ranked


def test_a_table_comes_back_as_it_was(made):
    probabilities, labels = made
    audit = audit_labels(labels=labels, probabilities=probabilities, classes=["a", "b", "c", "d"])
    _, table = audit.to_cleanlab()
    back = from_cleanlab(table, classes=["a", "b", "c", "d"])
    assert list(back.index) == list(audit.index)
    for row, expected in zip(back, audit, strict=True):
        assert row[:4] == expected[:4]
        assert row.is_issue == expected.is_issue
        assert row.score == pytest.approx(1 - expected.model_probability)
    assert back.noise_rate == pytest.approx(len(audit.issues) / 200)


@pytest.mark.parametrize("form", ["mask", "positions"])
def test_a_mask_and_ranked_positions_are_read(made, form):
    probabilities, labels = made
    positions = np.array([7, 3, 5])
    mask = np.isin(np.arange(200), positions)
    back = from_cleanlab(mask if form == "mask" else positions, labels, probabilities)
    own = probabilities[np.arange(200), labels]
    first = [7, 3, 5] if form == "positions" else sorted([3, 5, 7], key=lambda i: own[i])
    rest = sorted(set(range(200)) - {3, 5, 7}, key=lambda i: own[i])
    assert list(back.index) == first + rest
    assert [row.is_issue for row in back] == [True] * 3 + [False] * 197


def test_cleanlab_itself_agrees(made):
    filters = pytest.importorskip("cleanlab.filter")
    ranks = pytest.importorskip("cleanlab.rank")
    probabilities, labels = made
    indices, table = audit_labels(labels=labels, probabilities=probabilities).to_cleanlab()
    quality = ranks.get_label_quality_scores(labels, probabilities, method="self_confidence")
    assert table["label_quality"] == pytest.approx(quality)
    assert (quality[indices] == np.sort(quality[indices])).all()
    theirs = filters.find_label_issues(
        labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert len(theirs) > 10
    back = from_cleanlab(theirs, labels, probabilities)
    assert list(back.index[: len(theirs)]) == theirs.tolist()
    assert back.to_cleanlab().indices.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("issues", "given", "reason"),
    [
        ({"label_quality": []}, {}, "no column is_label_issue, given_label, predicted_label"),
        ([1, 2], {}, "need labels and probabilities"),
        ([0, 200], {"arrays": True}, "different positions of 200 images"),
        ([0, 0], {"arrays": True}, "different positions"),
        ([True], {"arrays": True}, "must be a mask"),
    ],
)
def test_bad_input_is_one_line(made, issues, given, reason):
    arrays = (made[1], made[0]) if given else ()
    with pytest.raises(InputError, match=reason):
        from_cleanlab(issues, *arrays)
