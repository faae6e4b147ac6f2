"""The trainings of the comparison of scores leave everything that a score is made of."""

import pytest
import torch
from label_issue_trainings import collect

from pyg_agfn.training import TrainOptions, load_datasets


@pytest.mark.slow
def test_every_score_has_what_it_is_made_of():
    pytest.importorskip("sklearn")
    options = TrainOptions.for_dataset(
        "digits", train_size=200, noise=0.2, epochs=3, pretrain_epochs=1, batch_size=32
    )
    data, _ = load_datasets(options)
    arrays = collect(options, data)
    for name in ("network", "teacher", "neighbors", "baseline"):
        record = arrays[f"{name}_probability"]
        assert record.shape == (3, 200)
        assert ((record >= 0) & (record <= 1.001) | record.isnan()).all()
    # Neighbours are asked once the labels are corrected; a step leaves out what fills no batch.
    assert arrays["neighbors_probability"][0].isnan().all()
    assert arrays["network_probability"].isnan().sum() == 3 * (200 % 32)
    for name in ("correction", "baseline", "out_of_sample", "deep_knn", "neighbors_given"):
        assert arrays[name].shape == (200, 10)
        assert arrays[name].sum(1).tolist() == pytest.approx([1.0] * 200, abs=1e-3)
    assert len(arrays["share_by_epoch"]) == 2
    assert (arrays["labels"] != arrays["truth"]).sum() == 40
    assert torch.equal(arrays["labels"], data.labels)
