"""Compiled backbones with CUDA graphs give the numbers of eager steps."""

import pytest
import torch
from own_data import trainer, weights


@pytest.mark.parametrize("method", ["baseline", "agfn-nlc"])
def test_compiled_steps_are_eager_ones(device, tiny, method):
    more = {} if method == "baseline" else {"feature_dim": 16, "bank_size": 40}
    plain, compiled = (
        trainer(method=method, device=str(device), compile=which, **more).fit(tiny, tiny)
        for which in ("off", "on")
    )
    for one, other in zip(plain.history, compiled.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-2, abs=1e-3)
    expected = weights(plain)
    assert weights(compiled).keys() == expected.keys()
    for name, tensor in weights(compiled).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-2, atol=1e-2, msg=name)
