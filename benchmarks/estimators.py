"""How far estimators of the gradient of alpha and beta are from the truth, and how noisy.

There are only 512 graphs of three nodes, so the true gradient of the expected loss can be summed
over all of them. Each estimator makes many estimates. The table has medians over random problems of
three figures: the cosine between the mean estimate and the true gradient, the length of the mean
estimate, and the noise. The noise is the root mean square distance of an estimate from the mean
estimate. Both lengths are in units of the true gradient's length:

    .venv/bin/python benchmarks/estimators.py
    .venv/bin/python benchmarks/estimators.py --alpha 1 --beta 0

Sources: straight-through (Bengio et al. 2013; Eq. 14), binary Concrete (Maddison et al. and Jang et
al., ICLR 2017), score function with the other draw as its baseline (Kool et al. 2019), DisARM (Dong
et al., NeurIPS 2020), implicit maximum likelihood (Niepert et al., NeurIPS 2021).
"""

import argparse
import itertools
import statistics
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from pyg_agfn.nn.graph_normalizer import normalize_features
from pyg_agfn.transforms import cosine_similarity, edge_probability, poisson_rate, sample_edges

NODES = 3
#: Loss of graphs, (D, 3, 3) to (D).
Loss = Callable[[Tensor], Tensor]
#: Gradients to each pair's rate, (D, 3, 3), from a loss, P (3, 3) and a number of draws D.
Estimator = Callable[[Loss, Tensor, int], Tensor]


def slope(loss: Loss, adj: Tensor) -> Tensor:
    """The derivative of the loss with respect to every entry of each graph."""
    adj = adj.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(adj).sum(), adj)
    return gradient


def logistic(p: Tensor, draws: int) -> Tensor:
    """The logit of P plus logistic noise, which is above 0 with probability P."""
    return p.logit() + torch.rand(draws, *p.shape, dtype=p.dtype).logit()


def identity(loss: Loss, p: Tensor, draws: int) -> Tensor:
    """Eq. 14: the gradient of the drawn edge is taken as that of the rate."""
    return slope(loss, sample_edges(p, draws))


def probability(loss: Loss, p: Tensor, draws: int) -> Tensor:
    """The gradient of the drawn edge is taken as that of P."""
    return identity(loss, p, draws) * (1 - p)


def concrete(loss: Loss, p: Tensor, draws: int, temperature: float, drawn: bool) -> Tensor:
    """The Concrete relaxation in the backward pass; the forward pass takes it too, or the draw."""
    noisy = logistic(p, draws)
    soft = (noisy / temperature).sigmoid()
    forward = (noisy > 0).to(p) if drawn else soft
    return slope(loss, forward) * soft * (1 - soft) / temperature / p


def score_function(loss: Loss, p: Tensor, draws: int) -> Tensor:
    """The score function of two draws; each is the baseline of the other."""
    first, second = (sample_edges(p, draws) for _ in range(2))
    ahead = (loss(first) - loss(second)).view(-1, 1, 1)
    return ahead * (first - second) / 2 / p


def disarm(loss: Loss, p: Tensor, draws: int) -> Tensor:
    """Two antithetic draws; only pairs in which they differ have a gradient."""
    u = torch.rand(draws, *p.shape, dtype=p.dtype)
    first, second = (1 - u < p).to(p), (u < p).to(p)
    ahead = (loss(first) - loss(second)).view(-1, 1, 1)
    return ahead / 2 * (first - second) * p.logit().abs().sigmoid() / p


def implicit_likelihood(loss: Loss, p: Tensor, draws: int, step: float) -> Tensor:
    """The drawn graph minus the graph that the same noise gives after a step of the logits."""
    noisy = logistic(p, draws)
    adj = (noisy > 0).to(p)
    after = (noisy - step * slope(loss, adj) > 0).to(p)
    return (adj - after) / step / p


ESTIMATORS: dict[str, tuple[int, Estimator]] = {
    "identity (Eq. 14)": (1, identity),
    "probability": (1, probability),
    "Gumbel, straight-through, temperature 1": (1, partial(concrete, temperature=1.0, drawn=True)),
    "Gumbel, straight-through, temperature 0.3": (
        1,
        partial(concrete, temperature=0.3, drawn=True),
    ),
    "Concrete, temperature 1": (1, partial(concrete, temperature=1.0, drawn=False)),
    "Concrete, temperature 0.3": (1, partial(concrete, temperature=0.3, drawn=False)),
    "implicit maximum likelihood, step 1": (1, partial(implicit_likelihood, step=1.0)),
    "implicit maximum likelihood, step 0.1": (1, partial(implicit_likelihood, step=0.1)),
    "score function, leave one out": (2, score_function),
    "DisARM": (2, disarm),
}


def problem(seed: int) -> tuple[Tensor, Loss]:
    """Cosines of random features, and Eq. 7's squared error on Eq. 6's normalized ones."""
    torch.manual_seed(seed)
    x = torch.randn(NODES, 4, dtype=torch.float64)
    h = x @ torch.randn(4, 3, dtype=torch.float64)
    y = torch.randn(NODES, 3, dtype=torch.float64)
    return cosine_similarity(x), lambda adj: (normalize_features(h, adj) - y).square().sum((-2, -1))


def true_gradient(similarity: Tensor, loss: Loss, alpha: float, beta: float) -> Tensor:
    """The gradient of the expected loss with respect to alpha and beta, over all graphs."""
    graphs = torch.tensor(list(itertools.product((0.0, 1.0), repeat=NODES**2)), dtype=torch.float64)
    graphs = graphs.view(-1, NODES, NODES)
    given = torch.tensor([alpha, beta], dtype=torch.float64, requires_grad=True)
    p = edge_probability(poisson_rate(similarity, given[0], given[1]))
    chance = (p * graphs + (1 - p) * (1 - graphs)).flatten(1).prod(1)
    (gradient,) = torch.autograd.grad((chance * loss(graphs)).sum(), given)
    return gradient


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--problems", type=int, default=20)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ESTIMATORS}
    for seed in range(arguments.problems):
        similarity, loss = problem(seed)
        truth = true_gradient(similarity, loss, arguments.alpha, arguments.beta)
        rate = poisson_rate(similarity, arguments.alpha, arguments.beta)
        p = edge_probability(rate).clamp(1e-12, 1 - 1e-12)
        for name, (_, estimator) in ESTIMATORS.items():
            to_rate = estimator(loss, p, arguments.draws)
            if estimator is not identity:  # a rate below 0 does not change the probability
                to_rate = to_rate * (rate > 0)
            answers = torch.stack([(to_rate * similarity).sum((1, 2)), to_rate.sum((1, 2))], 1)
            mean = answers.mean(0)
            off = (answers - mean).square().sum(1).mean().sqrt()
            cosine = torch.cosine_similarity(mean, truth, 0)
            lengths = torch.stack([mean.norm(), off]) / truth.norm()
            found[name].append((float(cosine), *lengths.tolist()))
    print("| estimator | losses | cosine | length | noise |\n|---|---|---|---|---|")
    for name, (losses, _) in ESTIMATORS.items():
        cells = [f"{statistics.median(column):.3f}" for column in zip(*found[name], strict=True)]
        print(f"| {name} | {losses} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
