"""Several processes, each with its part of every mini-batch: which rows each has, what they share.

Without a process group every function here works as in one process with the whole batch.

With K processes and a batch of N samples, process r owns N / K of them::

    samples      0 .. n-1    n .. 2n-1   ...  (K-1)n .. N-1        n = N / K
    owner        process 0   process 1        process K-1

A process passes its own images through the backbone and computes its own rows of the graph. It
gathers the rows of the other processes that it needs, and returns their gradient the same way. Each
process takes its step by the mean of the processes' gradients (:func:`average_gradients`). So its
loss is the mean over its *own* samples: the mean over the processes then is that over the batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pyg_agfn.launch import launched_processes as launched_processes


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def processes() -> range:
    """The numbers of all processes."""
    return range(world_size())


def own_rows(total: int) -> slice:
    """The part of a batch of ``total`` samples that this process has."""
    share = total // world_size()
    return slice(rank() * share, (rank() + 1) * share)


# torch.distributed.nn.functional has both of these; it is deprecated as of PyTorch 2.15, and its
# gather mixes up the gradients of rows that are not contiguous.
class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in processes()]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        own: Tensor = _SumOwnRows.apply(grad)
        return own


class _SumOwnRows(torch.autograd.Function):
    # The own rows of the sum over the processes: the transpose of _GatherRows. Autograd cannot
    # differentiate a collective, so the second derivative needs this operation as well.
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        if dist.get_backend() == "nccl":
            own = torch.empty_like(x[own_rows(len(x))])
            dist.reduce_scatter_tensor(own, x)
            return own
        dist.all_reduce(x)
        return x[own_rows(len(x))].clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        rows: Tensor = _GatherRows.apply(grad)
        return rows


class _SumOver(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        total: Tensor = _SumOver.apply(grad)
        return total


def gather_rows(x: Tensor) -> Tensor:
    r"""The rows of all processes, in their order; differentiable.

    A row's gradient is the sum of the gradients that all processes have for it.

    Shapes:
        - **input:** :math:`(N / K, *)`, the same in all processes
        - **output:** :math:`(N, *)`
    """
    if world_size() == 1:
        return x
    rows: Tensor = _GatherRows.apply(x)
    return rows


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of the processes' tensors; differentiable."""
    if world_size() == 1:
        return x
    total: Tensor = _SumOver.apply(x)
    return total


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replaces each process's gradients by their mean over all processes."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if world_size() == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(
        gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(mean.view_as(gradient))


def mean_of(value: float) -> float:
    """The mean of a number over the processes."""
    if world_size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    if dist.get_backend() == "nccl":
        total = total.float().cuda()
    dist.all_reduce(total)
    return float(total) / world_size()


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    r"""Batch normalization over the samples of all processes, on devices for which PyTorch's
    ``SyncBatchNorm`` does not run.

    Arguments are those of :class:`torch.nn.BatchNorm2d`.

    Shapes:
        - **input, output:** :math:`(N / K, C, *)`
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(input)
        x = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        dims = [d for d in range(x.dim()) if d != 1]
        count = world_size() * x.numel() / x.size(1)
        mean = sum_over_processes(x.sum(dims)) / count
        shape = [1, -1] + [1] * (x.dim() - 2)
        centered = x - mean.view(shape)
        variance = sum_over_processes(centered.square().sum(dims)) / count
        if self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                assert self.num_batches_tracked is not None
                self.num_batches_tracked += 1
                share = self.momentum
                if share is None:
                    share = 1.0 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance * count / (count - 1), share)
        out = centered * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)


class GlobalBatchNormAct(GlobalBatchNorm):
    """The same for timm's ``BatchNormAct2d``, which has an activation behind it."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(input)))
        return out


def synchronize_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with batch normalization over the samples of all processes.

    With one process the model is returned as it is.
    """
    if world_size() == 1:
        return model
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    with_act = [module for module in norms if hasattr(module, "drop") and hasattr(module, "act")]
    if device.type == "cuda":
        if with_act:  # torch's function would drop the activation
            from timm.layers.norm_act import convert_sync_batchnorm

            return convert_sync_batchnorm(model)
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in norms:
        module.__class__ = GlobalBatchNorm
    for module in with_act:
        module.__class__ = GlobalBatchNormAct
    return model
