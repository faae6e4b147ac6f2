"""The leakage audit on three models that are not AGFN, trained on digits with 20% wrong labels.

.venv/bin/python benchmarks/leakage.py
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn import audit_batch_leakage
from pyg_agfn.datasets import Digits
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.nn import SmallCNN


class BatchAttention(nn.Module):
    """Self-attention over the batch axis: each image sees all others."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        seen, _ = self.attention(x, x, x, need_weights=False)  # (N, F): the batch is the sequence
        return x + seen


def train(model: nn.Module, epochs: int = 12) -> nn.Module:
    """Trains a classifier on the noisy digits."""
    data = Digits().with_noise(0.2, seed=0)
    batches = Batches(data, 64, torch.device("cpu"), shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    for _ in range(epochs):
        for batch in batches:
            loss = F.cross_entropy(model(batch.images), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def main() -> None:
    """Prints a verdict for each model."""
    torch.manual_seed(0)
    cnn = train(nn.Sequential(SmallCNN(), nn.Linear(128, 10)))
    attention = train(nn.Sequential(SmallCNN(), BatchAttention(), nn.Linear(128, 10)))
    models = {
        "CNN, evaluation mode": cnn.eval,
        "the same CNN, batch normalization in training mode": cnn.train,
        "attention over the batch axis, evaluation mode": attention.eval,
    }
    for name, prepared in models.items():
        print(f"{name}\n  {audit_batch_leakage(prepared(), Digits(train=False)).verdict}")


if __name__ == "__main__":
    main()
