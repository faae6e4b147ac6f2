import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.errors import InputError
from pyg_agfn.methods import BatchFormer, BatchFormerClassifier


def build() -> BatchFormerClassifier:
    torch.manual_seed(0)
    return BatchFormerClassifier("small-cnn", 3, in_channels=1).train()


def test_the_layer_is_that_of_the_authors_code():
    """zhihou7/BatchFormer, README.md: TransformerEncoderLayer(C, 4, C, 0.5)."""
    encoder = build().encoder
    assert (encoder.self_attn.num_heads, encoder.self_attn.dropout) == (4, 0.5)
    assert encoder.linear1.weight.shape == (128, 128)
    assert [encoder.dropout.p, encoder.dropout1.p, encoder.dropout2.p] == [0.5] * 3


def test_one_classifier_learns_the_features_with_and_without_the_transformer(batch):
    images, labels, index = batch
    model = build()
    method = set_up(BatchFormer(), model)
    model.encoder.eval()  # without dropout
    out = step(method, images, labels, index)
    x = model.features(images)
    # The layer's definition: attention over the images, then two linear layers.
    encoder, heads = model.encoder, []
    q, k, v = F.linear(x, encoder.self_attn.in_proj_weight, encoder.self_attn.in_proj_bias).chunk(
        3, dim=1
    )
    for part in range(4):
        own = slice(32 * part, 32 * part + 32)
        attention = (q[:, own] @ k[:, own].t() / 32**0.5).softmax(1)
        heads.append(attention @ v[:, own])
    seen = encoder.norm1(x + encoder.self_attn.out_proj(torch.cat(heads, 1)))
    joined = encoder.norm2(seen + encoder.linear2(encoder.linear1(seen).relu()))
    losses = [F.cross_entropy(model.classifier(each), labels) for each in (x, joined)]
    torch.testing.assert_close(out.loss, sum(losses) / 2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.logits, model.classifier(x))
    assert losses[0] != losses[1]


def test_the_transformer_has_no_part_in_an_answer(batch):
    model = build().eval()
    before = model(batch[0])
    torch.nn.init.zeros_(model.encoder.linear1.weight)
    assert torch.equal(model(batch[0]), before)
    torch.testing.assert_close(torch.cat([model(image[None]) for image in batch[0]]), before)


def test_features_that_the_heads_cannot_share_are_refused():
    with pytest.raises(InputError, match="6 features, which its 4 heads cannot share equally"):
        BatchFormerClassifier(torch.nn.Flatten(), 3, num_features=6)
