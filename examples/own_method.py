"""A method of your own: mixup, in 15 lines, beside the package's own. Digits, 20% wrong labels.

python examples/own_method.py trains it by the trainer, and from this folder the command knows it:
python ../scripts/train_pyg.py --plugin own_method --method baseline mixup agfn-nlc
"""

import argparse

import torch
import torch.nn.functional as F

from pyg_agfn import Trainer, register_method
from pyg_agfn.datasets import Digits
from pyg_agfn.methods import Method, StepOutput


@register_method("mixup")
class Mixup(Method):
    """Zhang, Cisse, Dauphin, Lopez-Paz, *mixup: Beyond Empirical Risk Minimization*, ICLR 2018.

    Learns each image mixed with another one, and both labels by their shares of the mixture. Alpha
    is that of Section 3.2, for CIFAR.
    """

    def __init__(self, criterion=F.cross_entropy, alpha: float = 1.0):
        super().__init__(criterion)
        self.shares = torch.distributions.Beta(alpha, alpha)

    def training_step(self, batch):
        share, other = self.shares.sample(), torch.randperm(len(batch.labels))
        logits = self.model(share * batch.images + (1 - share) * batch.images[other])
        losses = [self.criterion(logits, y) for y in (batch.labels, batch.labels[other])]
        loss = share * losses[0] + (1 - share) * losses[1]
        return StepOutput(loss, logits, batch.labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    train = Digits(train=True).with_noise(0.2, seed=arguments.seed)
    settings = {"lr": 0.05, "augment": False, "quiet": True, **vars(arguments)}
    for method in ("baseline", Mixup(alpha=1.0)):
        result = Trainer("small-cnn", method, **settings).fit(train, Digits(train=False))
        print(f"{result}, {result.metrics['memorized']:.1%} of the wrong labels memorized")
