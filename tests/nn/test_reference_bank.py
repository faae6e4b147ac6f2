import pytest
import torch

from pyg_agfn.nn import AGFN, AGFNClassifier, ReferenceBank, choose_references
from pyg_agfn.nn.choose_references import _equal_quotas, _proportional_quotas
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges, cosine_similarity


def layer(edges=None) -> AGFN:
    torch.manual_seed(0)
    edges = edges or PoissonEdges(2.0, 0.3)
    return AGFN(10, 6, hidden_channels=8, edges=edges).double().eval()


def by_loops(agfn, z, references, batch_size):
    """The docstring's formula, one pair after another."""
    weight = agfn.normalizer.conv.lin.weight.t()
    probability = lambda a, b: agfn.edges.expected_weight(  # noqa: E731
        cosine_similarity(a[None], b[None])
    ).item()
    size = len(references)
    s = 1.0 if batch_size is None else (batch_size - 1) / size
    t = 1.0 if batch_size is None else (batch_size - 1) / max(size - 1, 1)
    degrees = []
    for m in range(size):
        others = sum(probability(references[m], references[k]) for k in range(size) if k != m)
        degrees.append(1 + probability(references[m], references[m]) + t * others)
    answers = []
    for q in z:
        joined = [probability(q, r) for r in references]
        degree = 1 + probability(q, q) + s * sum(joined)
        total = (1 + probability(q, q)) / degree**0.5 * q
        for p, r, d in zip(joined, references, degrees, strict=True):
            total = total + s * p / d**0.5 * r
        answers.append(total / degree**0.5 @ weight)
    return torch.stack(answers)


@pytest.mark.parametrize("batch_size", [None, 2, 256])
@pytest.mark.parametrize("size", [1, 2, 9])
@pytest.mark.parametrize("edges", [PoissonEdges(2.0, 0.3), ThresholdEdges(0.1)])
@torch.no_grad()
def test_is_the_formula_of_the_docstring(edges, size, batch_size):
    agfn = layer(edges)
    x, references = torch.randn(5, 10).double(), torch.randn(size, 8).double()
    bank = ReferenceBank(agfn, references, batch_size)
    expected = by_loops(agfn, agfn.projector(x), references, batch_size)
    torch.testing.assert_close(bank(x), expected, atol=1e-10, rtol=0)


@torch.no_grad()
def test_a_bank_of_the_batchs_other_images_is_eq_6_but_for_the_querys_own_weight():
    """N = M + 1: the query's row of Eq. 6, with degrees of the others that do not know it."""
    agfn = layer()
    z = torch.randn(7, 8).double()
    adj = agfn.edges.expected_weight(cosine_similarity(z))
    degree = 1 + adj.sum(1)
    degree[1:] = 1 + adj[1:, 1:].sum(1) + adj[1:, 1:].sum(1).sub(adj.diagonal()[1:]) / 5
    root = degree.rsqrt()
    row = root[0] * (adj[0] + torch.eye(7)[0].double()) * root
    agfn.projector = torch.nn.Identity()
    bank = ReferenceBank(agfn, z[1:], batch_size=7)
    expected = row @ z @ agfn.normalizer.conv.lin.weight.t()
    torch.testing.assert_close(bank(z[:1])[0], expected, atol=1e-10, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_a_thousand_batches_of_mixed_size_give_each_image_the_same_scores():
    torch.manual_seed(0)
    model = AGFNClassifier(
        "small-cnn", 4, in_channels=1, hidden_channels=32, edges=PoissonEdges(8.0, -2.0)
    )
    for _ in range(30):  # statistics for batch normalization, else all features are alike
        model(torch.randn(64, 1, 8, 8))
    model.eval()
    model.classifier.weight.mul_(20)
    images = torch.randn(120, 1, 8, 8)
    bank = ReferenceBank.from_features(model.agfn, model.features(torch.randn(200, 1, 8, 8)))

    def scores(batch: torch.Tensor) -> torch.Tensor:
        return model.classifier(bank(model.features(batch))).softmax(1)

    alone = torch.cat([scores(image[None]) for image in images])
    generator = torch.Generator().manual_seed(1)
    largest = 0.0
    for _ in range(1000):
        size = int(torch.randint(1, 65, (1,), generator=generator))
        chosen = torch.randperm(120, generator=generator)[:size]
        largest = max(largest, float((scores(images[chosen]) - alone[chosen]).abs().max()))
    assert largest <= 1e-6
    in_batch = model.head(model.features(images)).softmax(1)
    assert (in_batch - alone).abs().max() > 1e-3  # without the bank it is not so


@torch.no_grad()
def test_weights_put_together_the_answer():
    agfn = layer()
    x, references = torch.randn(5, 10).double(), torch.randn(9, 8).double()
    bank = ReferenceBank(agfn, references, 50)
    own, shares = bank.weights(x)
    blend = own.unsqueeze(1) * agfn.projector(x) + shares @ references
    expected = blend @ agfn.normalizer.conv.lin.weight.t()
    torch.testing.assert_close(bank(x), expected, atol=1e-10, rtol=0)
    assert (own > 0).all()
    assert (shares >= 0).all()


@torch.no_grad()
def test_graph_joins_references_to_queries_and_each_node_to_itself():
    agfn = layer(ThresholdEdges(0.2))
    x, references = torch.randn(5, 10).double(), torch.randn(9, 8).double()
    data = ReferenceBank(agfn, references, 10).graph(x)
    assert data.num_nodes == 14
    assert data.validate()
    loop = data.edge_index[0] == data.edge_index[1]
    source, target = data.edge_index[:, ~loop]
    assert data.is_reference[source].all()
    assert not data.is_reference[target].any()
    joined = cosine_similarity(agfn.projector(x), references) > 0.2
    assert len(source) == int(joined.sum()) > 0
    assert data.edge_weight[~loop].unique().tolist() == [1.0]  # (10 - 1) / 9
    assert torch.equal(data.edge_index[0, loop], torch.arange(14))
    torch.testing.assert_close(data.edge_weight[loop][:5], torch.ones(5).double())
    assert torch.equal(data.x, torch.cat([agfn.projector(x), references]))


@pytest.mark.parametrize("batch_size", [None, 1, 50])
@pytest.mark.parametrize("edges", [PoissonEdges(2.0, 0.3), ThresholdEdges(0.3)], ids=repr)
@torch.no_grad()
def test_convolution_over_the_graph_gives_the_banks_answer(edges, batch_size):
    agfn = layer(edges)
    x, references = torch.randn(5, 10).double(), torch.randn(9, 8).double()
    x[0] = 0
    references[2] = 0  # cosine 0 to everything, itself included
    bank = ReferenceBank(agfn, references, batch_size)
    data = bank.graph(x)
    found = agfn.normalizer(data.x, data.edge_index, data.edge_weight)
    torch.testing.assert_close(found[~data.is_reference], bank(x), atol=1e-12, rtol=0)


@torch.no_grad()
def test_is_made_of_the_backbones_features():
    agfn, features = layer(), torch.randn(9, 10).double()
    for size in (256, 50, None):
        given = {} if size == 256 else {"batch_size": size}  # 256 is the default
        bank = ReferenceBank.from_features(agfn, features, **given)
        expected = ReferenceBank(agfn, agfn.projector(features), size)
        for name, buffer in expected.named_buffers():
            assert torch.equal(dict(bank.named_buffers())[name], buffer)
        assert repr(bank) == f"ReferenceBank(9, batch_size={size})"


@torch.no_grad()
def test_a_zero_vector_among_others_is_not_joined_to_itself():
    agfn = layer()
    agfn.projector = torch.nn.Identity()
    z = torch.cat([torch.zeros(1, 8), torch.randn(4, 8)]).double()
    bank = ReferenceBank(agfn, torch.randn(6, 8).double(), 50)
    assert (bank(z)[1:] - bank(z[1:])).abs().max() < 1e-12
    expected = by_loops(agfn, z, bank.projected, 50)
    torch.testing.assert_close(bank(z), expected, atol=1e-10, rtol=0)


def test_many_references_are_joined_in_parts(monkeypatch):
    agfn, references = layer(), torch.randn(30, 8).double()
    whole = ReferenceBank(agfn, references).inverse_root_degree
    monkeypatch.setattr("pyg_agfn.nn.reference_bank.ROWS", 7)
    torch.testing.assert_close(ReferenceBank(agfn, references).inverse_root_degree, whole)


def test_the_bias_of_a_normalizer_is_added():
    agfn = layer()
    agfn.normalizer.conv.bias = torch.nn.Parameter(torch.ones(6).double())
    x, references = torch.randn(2, 10).double(), torch.randn(4, 8).double()
    expected = by_loops(agfn, agfn.projector(x), references, 256) + 1
    torch.testing.assert_close(ReferenceBank(agfn, references)(x), expected)


def test_what_cannot_answer_is_refused():
    agfn = layer()
    for shape, said in (
        ((0, 8), "^a bank needs at least one reference"),
        ((4, 7), r"^projected must be a dense .* \[N, 8\], got torch.float64 of shape \[4, 7\]$"),
        ((8,), r"^projected must be a dense .* \[N, 8\], got torch.float64 of shape \[8\]$"),
    ):
        with pytest.raises(ValueError, match=said):
            ReferenceBank(agfn, torch.zeros(shape).double())
    for batch_size in (0, 2.5, True):  # of 0 the weights would be negative
        with pytest.raises(
            ValueError, match=f"^batch_size must be .* at least 1, got {batch_size}"
        ):
            ReferenceBank(agfn, torch.randn(3, 8).double(), batch_size)
    bank = ReferenceBank(agfn, torch.randn(3, 8).double())
    agfn.train()
    with pytest.raises(ValueError, match=r"^a bank answers in evaluation mode"):
        bank(torch.randn(2, 10).double())


# ---- members


@pytest.fixture
def candidates():
    torch.manual_seed(0)
    model = AGFNClassifier(torch.nn.Identity(), 3, num_features=8, hidden_channels=8).eval()
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    return model, torch.randn(100, 8) + 3 * torch.eye(3, 8)[labels], labels


@pytest.mark.parametrize("choice", ["random", "class-balanced", "low-loss", "agreement"])
def test_members_are_as_many_as_asked_and_each_once(candidates, choice):
    chosen = choose_references(*candidates, size=40, choice=choice)
    assert len(chosen.unique()) == 40
    assert torch.equal(chosen, chosen.sort().values)
    assert torch.equal(chosen, choose_references(*candidates, size=40, choice=choice))
    assert len(choose_references(*candidates, size=1000, choice=choice)) == 100


def test_random_members_differ_by_seed(candidates):
    one, other = (choose_references(*candidates, size=40, seed=seed) for seed in (0, 1))
    assert not torch.equal(one, other)
    assert torch.equal(one, choose_references(*candidates, size=40))


def test_random_members_pay_no_regard_to_the_label(candidates):
    """The same are drawn whatever the labels are."""
    model, features, labels = candidates
    drawn = choose_references(model, features, labels, size=40)
    others = torch.arange(100) % 3
    assert torch.equal(drawn, choose_references(model, features, others, size=40))


def test_class_balanced_members_are_as_equal_as_the_classes_allow(candidates):
    labels = candidates[2]
    counts = labels[choose_references(*candidates, size=40, choice="class-balanced")].bincount()
    assert counts.tolist() == [15, 15, 10]


@torch.no_grad()
def test_low_loss_members_are_the_surest_of_each_class(candidates):
    model, features, labels = candidates
    chosen = choose_references(model, features, labels, size=20, choice="low-loss")
    assert labels[chosen].bincount().tolist() == [12, 6, 2]
    sure = model.head(features, use_graph=False).log_softmax(1).gather(1, labels[:, None])[:, 0]
    for label, count in enumerate([12, 6, 2]):
        of_class = torch.where(labels == label)[0]
        best = sure[of_class].sort(descending=True).values[:count]
        found = sure[chosen[labels[chosen] == label]].sort(descending=True).values
        assert torch.equal(found, best)  # values: where a ReLU is off, several are equal


@torch.no_grad()
def test_agreement_leaves_wrong_labels_out(candidates):
    model, features, labels = candidates
    model.agfn.projector = torch.nn.Identity()
    noisy = labels.clone()
    noisy[:6] = 1  # six of class 0
    chosen = choose_references(model, features, noisy, size=70, choice="agreement")
    assert (chosen < 6).sum() <= 1


@torch.no_grad()
def test_agreement_is_the_part_of_the_edges_and_not_their_number(candidates):
    """One image has many friends and as many foes, the other few friends and no foe."""
    model = candidates[0]
    model.agfn.projector = torch.nn.Identity()
    model.agfn.edges = ThresholdEdges(0.5)
    crowd, quiet = torch.eye(2, 8)
    features = torch.cat([crowd.repeat(8, 1), quiet.repeat(2, 1)])
    labels = torch.tensor([0] * 4 + [1] * 4 + [0] * 2)
    chosen = choose_references(model, features, labels, size=3, choice="agreement")
    assert {8, 9} <= set(chosen.tolist())


def test_quotas_use_every_place():
    counts = torch.tensor([5, 1, 10])
    assert _equal_quotas(counts, 9).tolist() == [4, 1, 4]
    assert _equal_quotas(counts, 16).tolist() == [5, 1, 10]
    assert _equal_quotas(torch.tensor([0, 3]), 3).tolist() == [0, 3]
    assert _proportional_quotas(counts, 8).tolist() == [3, 0, 5]
    assert _proportional_quotas(counts, 16).tolist() == [5, 1, 10]


def test_unknown_choices_are_refused(candidates):
    with pytest.raises(ValueError, match=r"^choice must be one of \('random', .*, got 'best'$"):
        choose_references(*candidates, size=3, choice="best")
    with pytest.raises(ValueError, match=r"^size must be an integer of at least 1, got 0$"):
        choose_references(*candidates, size=0)
    assert len(choose_references(*candidates, size=1)) == 1
