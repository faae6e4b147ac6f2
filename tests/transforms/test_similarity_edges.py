import pytest
import torch
import torch.nn.functional as F

from pyg_agfn.transforms import cosine_similarity


def test_cosine_similarity_is_eq_2():
    x = torch.randn(6, 4, dtype=torch.float64)
    expected = F.cosine_similarity(x.unsqueeze(1), x.unsqueeze(0), dim=-1)
    torch.testing.assert_close(cosine_similarity(x), expected, atol=1e-12, rtol=0)


def test_zero_vector_has_cosine_zero_and_no_exploding_gradient():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    similarity = cosine_similarity(x)
    assert similarity.tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0)]]
    similarity.sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() < 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_compared_in_float32(dtype):
    x = torch.randn(8, 64).to(dtype)
    similarity = cosine_similarity(x)
    assert similarity.dtype == torch.float32
    torch.testing.assert_close(similarity, cosine_similarity(x.double()).float())


def test_autocast_does_not_round_the_similarity():
    x = torch.randn(8, 64)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = cosine_similarity(x)
    assert torch.equal(under_autocast, cosine_similarity(x))
