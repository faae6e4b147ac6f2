"""The compact network, against its layers written out."""

import torch
import torch.nn.functional as F

from pyg_agfn.nn import FaceCNN


def by_hand(model, images):
    """Each separable convolution as a loop over channels, LeakyReLU before the pooling."""
    convolutions = [m for m in model if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in model if isinstance(m, torch.nn.BatchNorm2d)]
    x = images
    for i, norm in enumerate(norms):
        depthwise, pointwise = convolutions[2 * i], convolutions[2 * i + 1]
        planes = [
            F.conv2d(x[:, c : c + 1], depthwise.weight[c : c + 1], padding=1)
            for c in range(x.size(1))
        ]
        x = torch.einsum("nchw,kc->nkhw", torch.cat(planes, 1), pointwise.weight[:, :, 0, 0])
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        x = (x - norm.running_mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1)
        x = torch.where(x > 0, x, 0.3 * x)
        if i % 2:
            x = F.max_pool2d(x, 2)
    return x.mean((2, 3))


def test_it_is_what_its_layers_say():
    torch.manual_seed(0)
    model = FaceCNN(1).double()
    images = torch.randn(3, 1, 16, 16).double()
    model(images)  # statistics that are not 0 and 1
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(images), by_hand(model, images), atol=1e-10, rtol=1e-10)


def test_it_has_so_few_parameters_and_seven_convolutions_of_these_channels():
    model = FaceCNN(1)
    pointwise = [m for m in model if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (1, 1)]
    assert [m.out_channels for m in pointwise] == [48, 48, 96, 96, 192, 192, 384]
    assert 150_000 < sum(p.numel() for p in model.parameters()) < 170_000


def test_dropout_leaves_out_whole_channels():
    torch.manual_seed(0)
    dropped = next(m for m in FaceCNN(1, dropout=0.5) if isinstance(m, torch.nn.Dropout2d))
    kept = dropped(torch.ones(1, 64, 3, 3)).flatten(2)
    assert {tuple(row.tolist()) for row in kept[0]} == {(0.0,) * 9, (2.0,) * 9}
