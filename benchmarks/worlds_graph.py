"""Worlds in which the ideas of DIAGAE and DDTCDR must win, and each system against its own ablations there.

    python benchmarks/worlds_graph.py

DIAGAE: users fall into groups that hold in both domains, while no item or pattern of items does. The source is dense;
in the target three users of each group have rows, and four each: too few to learn from them how a source vector is to
be read in the target, enough to know what a newcomer likes who stands beside them. NDCG@10 of newcomers over all items.
With 60 such users ratings alone teach most of it. The losses are means, weighted ten times the paper's .8 and .6 (whose
losses are sums): chosen on seeds 0 to 4 among 1, 10 and 100 times. `AS_PRINTED` and `SUMS` are rows of the table too.

DDTCDR: both domains rate by the same law of a user's and an item's latent vectors, but domain B sees every user rotated.
A has many ratings and B few. The world is made of embeddings, as stage 2 is given them; RMSE of unseen ratings of B.

One row a system, over the same seeds: mean and standard deviation, by how much the full system is better with the 95 %
interval of that mean (Student's t over seeds), and how often. Settings were chosen on seeds 0 to 4: look at others.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.stats import ortho_group, t

from training.bricks.dual_transfer import DualNetworks, DualStage, Ratings, transfer_weights
from training.contract import FitContext
from training.dataset import Catalogue, Dataset, HeldOut
from training.evaluate import Full, evaluate
from training.registry import create

N_GROUPS, N_USERS, N_ITEMS = 8, 400, 160
"""Of each domain of DIAGAE's world."""
N_IN_TARGET, N_VALID = 24, 100
"""Users with target rows in training, and newcomers who choose the epoch; the others are the test."""
DIM = 8
"""Of DDTCDR's world: the paper's embedding size."""
N_OF_A, N_OF_B = 4000, 150
"""Ratings of each domain of DDTCDR's world."""

AS_PRINTED = {"inter_weight": 0.8, "intra_weight": 0.6}
SUMS = {**AS_PRINTED, "reduction": "sum"}
DIAGAE: Mapping[str, Mapping[str, object]] = {
    "full": {},
    "without inter": {"inter_weight": 0.0},
    "without intra": {"intra_weight": 0.0},
    "without both": {"inter_weight": 0.0, "intra_weight": 0.0},
    "weights as printed": AS_PRINTED,
    "sums as printed": SUMS,
}
DDTCDR: Mapping[str, tuple[float, bool]] = {
    "full": (0.2, False),
    "repo (no gradient)": (0.2, True),
    "alpha 0": (0.0, False),
}
"""Transfer rate, and whether the cross term is detached."""


def grouped(
    rng: np.random.Generator, groups: np.ndarray, share_own: float, n_rows: int
) -> csr_array:
    """Return users x items: most rows of a user are of the group's items, which are scattered at random."""
    owner = rng.permutation(np.arange(N_ITEMS) % N_GROUPS)
    matrix = np.zeros((len(groups), N_ITEMS), dtype=np.float32)
    for user, group in enumerate(groups):
        chance = np.where(owner == group, share_own * N_GROUPS, 1 - share_own) / N_ITEMS
        matrix[user, rng.choice(N_ITEMS, n_rows, replace=False, p=chance / chance.sum())] = 1
    return csr_array(matrix)


def interest_world(seed: int) -> tuple[Dataset, HeldOut]:
    """Return DIAGAE's world: few users with target rows in training, and the others as newcomers."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(N_USERS) % N_GROUPS)
    source, target = grouped(rng, groups, 0.8, 15), grouped(rng, groups, 0.9, 4)
    order = rng.permutation(N_USERS)
    valid = np.sort(order[:N_VALID])
    test = np.sort(order[N_VALID : N_USERS - N_IN_TARGET])
    train = target.toarray()
    train[np.concatenate([valid, test])] = 0
    catalogues = {
        name: Catalogue(name, np.arange(N_ITEMS, dtype=np.uint32), ["item"] * N_ITEMS)
        for name in ("source", "target")
    }
    data = Dataset(
        np.arange(N_USERS, dtype=np.uint32),
        catalogues,
        {"source": source, "target": csr_array(train)},
        "target",
        valid=HeldOut(valid, target[valid]),
    )
    return data, HeldOut(test, target[test])


def ranked(settings: Mapping[str, object], seed: int) -> float:
    """Return NDCG@10 of DIAGAE with some settings in its world."""
    data, test = interest_world(seed)
    quick = {
        "embedding_size": 32,
        "batch_size": 256,
        "pretraining_epochs": 10,
        "epochs": 40,
        "inter_weight": 8.0,
        "intra_weight": 6.0,
        "link_similarity": 0.2,  # in so dense a source everybody shares an item with everybody
    }
    model = create("diagae", {**quick, **settings})
    model.fit(data, FitContext(seed=seed))
    return evaluate(model, data, test, [Full(k=10)]).summary()["full/ndcg@10"]


def rated_world(seed: int) -> tuple[list[Ratings], Ratings]:
    """Return DDTCDR's world: training ratings of A and of B, and unseen ones of B."""
    rng = np.random.default_rng(seed)
    turn = ortho_group.rvs(DIM, random_state=seed)
    users, items = rng.normal(size=(200, DIM)), rng.normal(size=(200, DIM))

    def ratings(n: int, k: int) -> Ratings:
        chosen, rated = users[rng.integers(200, size=n)], items[rng.integers(200, size=n)]
        labels = 1 / (1 + np.exp(-(chosen * rated).sum(axis=1)))
        seen = chosen if k == 0 else chosen @ turn.T
        columns = (torch.from_numpy(one.astype(np.float32)) for one in (seen, rated, labels))
        return Ratings(*columns, torch.empty(n, 2))

    return [ratings(N_OF_A, 0), ratings(N_OF_B, 1)], ratings(2000, 1)


def error(transfer_rate: float, seed: int, *, detach: bool) -> float:
    """Return the RMSE of B's unseen ratings after 600 steps over all of A's and B's."""
    train, unseen = rated_world(seed)
    known = np.ones((1, 2), dtype=bool)

    def weighted(ratings: Ratings, k: int) -> Ratings:
        weights = torch.from_numpy(transfer_weights(known, k, transfer_rate))
        return ratings._replace(weights=weights.expand(len(ratings.labels), 2))

    torch.manual_seed(seed)
    networks = DualNetworks(2, DIM)
    stage = DualStage(networks, detach=detach)
    optimizer = torch.optim.Adam(stage.parameters(), lr=0.01)
    inputs = [one for k, ratings in enumerate(train) for one in weighted(ratings, k)]
    for _ in range(600):
        optimizer.zero_grad()
        stage(*inputs).backward()
        optimizer.step()
    stage.eval()
    with torch.no_grad():
        gap = networks.rated(weighted(unseen, 1), 1, detach=False) - unseen.labels
    return float(gap.square().mean().sqrt())


def table(
    name: str, sign: int, runs: Mapping[str, Callable[[int], float]], seeds: Sequence[int]
) -> None:
    """Print one world, a row as soon as it is known; `sign` is 1 where greater is better."""
    whole = np.empty(0)
    for system, run in runs.items():
        found = np.array([run(seed) for seed in seeds])
        whole = found if system == "full" else whole
        against = "" if system == "full" else f", {better_by(sign * (whole - found))}"
        sd = found.std(ddof=1) if len(found) > 1 else np.nan
        print(f"{name:20} {system:20} {found.mean():.4f} (sd {sd:.4f}){against}", flush=True)


def better_by(gains: np.ndarray) -> str:
    """Return how much better the full system is: the mean gain, its 95 % interval, and in how many seeds.

    >>> better_by(np.array([0.1, 0.2, 0.3]))
    'full is better by +0.2000 [-0.0484, +0.4484], in 3 of 3'
    """
    half = np.nan
    if len(gains) > 1:
        half = t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
    low, high = gains.mean() - half, gains.mean() + half
    wins = int(np.count_nonzero(gains > 0))
    return f"full is better by {gains.mean():+.4f} [{low:+.4f}, {high:+.4f}], in {wins} of {len(gains)}"


def main() -> None:
    """Run both worlds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--world", choices=["diagae", "ddtcdr"], help="one of them; both")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    torch.set_num_threads(1)
    if options.world != "ddtcdr":
        runs = {name: partial(ranked, settings) for name, settings in DIAGAE.items()}
        table("DIAGAE, NDCG@10", 1, runs, seeds)
    if options.world != "diagae":
        errors = {
            name: partial(error, rate, detach=detach) for name, (rate, detach) in DDTCDR.items()
        }
        table("DDTCDR, RMSE of B", -1, errors, seeds)


if __name__ == "__main__":
    main()
