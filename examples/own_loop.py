"""Neighbour label correction in a plain PyTorch loop: digits, 20% of the training labels wrong."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pyg_agfn import NeighborLabelCorrection

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=40)
arguments = parser.parse_args()
torch.manual_seed(arguments.seed)

pixels, digits = map(torch.as_tensor, load_digits(return_X_y=True))
images = (pixels.float() / 8 - 1).view(-1, 1, 8, 8)
train, test = train_test_split(torch.arange(len(digits)), stratify=digits, random_state=0)
labels = digits.clone()
wrong = train[torch.randperm(len(train))[: len(train) // 5]]
labels[wrong] = (labels[wrong] + torch.randint(1, 10, wrong.shape)) % 10
# Each item brings its index: the correction has to know which image it is.
dataset = TensorDataset(images[train], labels[train], torch.arange(len(train)))
loader = DataLoader(dataset, batch_size=128, shuffle=True, drop_last=True)


def block(fan_in: int, fan_out: int) -> list[nn.Module]:
    return [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.BatchNorm2d(fan_out), nn.ReLU()]


layers = [*block(1, 32), *block(32, 64), nn.MaxPool2d(2), *block(64, 128), *block(128, 128)]
embed = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
model = nn.Sequential(embed, nn.Linear(128, 10))
# Labels are trusted for two epochs, before the network memorizes the wrong ones.
corrector = NeighborLabelCorrection(
    num_classes=10, feature_dim=128, warmup_steps=2 * len(loader), teacher=embed
)
graph = {"params": corrector.edges.parameters(), "lr": 0.02, "weight_decay": 0}
groups = [{"params": model.parameters()}, graph]
optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=5e-4)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.epochs * len(loader))

for _ in range(arguments.epochs):
    for batch, given, index in loader:
        out = corrector(corrector.teacher_features(embed, batch), given, index)
        loss = F.cross_entropy(model(batch), out.targets)
        if out.loss is not None:  # of the graph's alpha and beta
            loss = loss + out.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

with torch.no_grad():
    right = (model.eval()(images[test]).argmax(1) == digits[test]).float().mean()
print(f"test accuracy {right:.2%}, estimated share of wrong labels {corrector.noise_rate:.1%}")
