"""SITN in a world made for it: interests that both domains share, in items that neither shares with the other.

There are a few interests; each has items of its own in both domains. A user has two of them and clicks their items, and now
and then something else. A quarter of the users are in both domains, with half of their clicks in the target held out; the
others are in the target alone, as in life, so that contrast has few pairs to learn from. An item of the target is best
known by the interest it stands for, and which interests a user of both has is best known from the source.

    python benchmarks/worlds_sitn.py [--seeds 5] [--first-seed 100] [--picture clusters.png]

prints AUC and logloss (four sampled items a click) and NDCG@10 over all items for the rows of both of the paper's ablation
tables; the picture is t-SNE of the learned interest clusters of both domains.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from worlds_graph import better_by

from training.baselines.sitn import Sitn, SitnConfig
from training.contract import FitContext
from training.dataset import Catalogue, Dataset, HeldOut
from training.evaluate import evaluate
from training.events import Events
from training.protocols import Full
from training.rating_evaluation import clicked_pairs, evaluate_ratings

N_USERS, N_INTERESTS, N_ITEMS = 400, 8, 64
"""Items of each domain: eight an interest."""
N_BOTH = 100
"""Users of both domains; the others have no source."""
N_SOURCE, N_TARGET, N_TEST = 12, 6, 3
"""Clicks of a user, and how many of those in the target are held out of a user of both domains."""
NOISE = 0.1
"""Share of clicks on any item."""

SETTINGS = {
    "embedding_size": 32,
    "n_heads": 2,
    "hidden_size": 32,
    "n_clusters": (8, 16),
    "batch_size": 128,
    "learning_rate": 5e-3,
    "epochs": 20,
    "contrast_epochs": 60,
    "empty_target_share": 0.3,
}
ABLATIONS: Mapping[str, Mapping[str, object]] = {
    "SITN": {},
    "w/o L_i2c & L_i2i": {"cluster_contrast": False, "instance_contrast": False},
    "w/o L_i2c": {"cluster_contrast": False},
    "w/o L_i2i": {"instance_contrast": False},
    "w/o MG & MV": {"n_clusters": (8,), "n_views": 1},
    "w/o MG": {"n_clusters": (8,)},
    "w/o MV": {"n_views": 1},
    "own clusters aside": {"own_clusters_repel": False},
}
"""Tables 3 and 4 of the paper, row by row, and a user's own clusters kept out of the negatives."""


def world(seed: int) -> tuple[Dataset, HeldOut]:
    """Return training rows with their times, and the last clicks in the target of the users of both."""
    rng = np.random.default_rng(seed)
    interests = np.stack([rng.choice(N_INTERESTS, 2, replace=False) for _ in range(N_USERS)])
    clicks = {
        domain: np.stack([clicked(own, n, rng) for own in interests])
        for domain, n in (("shop", N_SOURCE), ("videos", N_TARGET))
    }
    kept = {domain: np.ones(items.shape, dtype=bool) for domain, items in clicks.items()}
    kept["shop"][N_BOTH:] = False
    kept["videos"][:N_BOTH, -N_TEST:] = False
    rows, events = {}, {}
    for domain, items in clicks.items():
        user, place = np.nonzero(kept[domain])
        item = items[user, place]
        rows[domain] = matrix(user, item, N_USERS)
        rating = np.full(len(user), np.nan, dtype=np.float32)
        events[domain] = Events.ordered(user, item, rating, place + 1)
    last = matrix(
        np.repeat(np.arange(N_BOTH), N_TEST), clicks["videos"][:N_BOTH, -N_TEST:].ravel(), N_BOTH
    )
    ids = np.arange(N_ITEMS, dtype=np.uint32)
    catalogues = {domain: Catalogue(domain, ids, [""] * N_ITEMS) for domain in clicks}
    users = np.arange(N_USERS, dtype=np.uint32)
    data = Dataset(users, catalogues, rows, "videos", events=events)
    return data, HeldOut(np.arange(N_BOTH), last)


def clicked(interests: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return `n` distinct items of some interests, in random order, some replaced by any other."""
    pool = np.flatnonzero(np.isin(np.arange(N_ITEMS) % N_INTERESTS, interests))
    own = rng.choice(pool, n, replace=False)
    others = rng.choice(np.setdiff1d(np.arange(N_ITEMS), pool), n, replace=False)
    return np.where(rng.random(n) < NOISE, others, own)


def matrix(user: np.ndarray, item: np.ndarray, n_users: int) -> csr_array:
    """Return users x items of ones."""
    ones = np.ones(len(user), dtype=np.float32)
    return csr_array((ones, (user, item)), shape=(n_users, N_ITEMS))


def fitted(seed: int, changed: Mapping[str, object]) -> tuple[Sitn, Dataset, HeldOut]:
    """Return a model of one world."""
    data, held_out = world(seed)
    model = Sitn(SitnConfig.model_validate({**SETTINGS, **changed}))
    model.fit(data, FitContext(seed=seed))
    return model, data, held_out


def measured(seed: int, changed: Mapping[str, object]) -> np.ndarray:
    """Return AUC, logloss and NDCG@10 in one world."""
    model, data, held_out = fitted(seed, changed)
    clicks = evaluate_ratings(model, data, held_out, clicked_pairs(data, held_out, n_negatives=4))
    ranking = evaluate(model, data, held_out, [Full(k=10)])
    found = clicks.summary()
    return np.array([found["auc"], found["logloss"], ranking.summary()["full/ndcg@10"]])


def draw(model: Sitn, path: Path) -> None:
    """Draw the interest clusters of both domains, one panel a granularity (the paper's figure 3)."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to load, and only a picture needs it)
    from sklearn.manifold import TSNE  # noqa: PLC0415

    spaces = model.module.contrast.spaces
    figure = Figure(figsize=(4 * len(spaces), 4))
    for number, space in enumerate(spaces):
        sides = [one.unit(one.clusters).detach().numpy() for one in (space.source, space.target)]
        joined = np.concatenate(sides)
        perplexity = min(30, len(joined) / 4)
        flat = TSNE(random_state=0, perplexity=perplexity, init="pca").fit_transform(joined)
        axes = figure.add_subplot(1, len(spaces), number + 1)
        for part, marker, name in zip(np.split(flat, 2), "o^", ("source", "target"), strict=True):
            axes.scatter(*part.T, marker=marker, label=name, alpha=0.7)
        axes.set_title(f"{len(flat) // 2} clusters a domain")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print the tables, and draw."""
    parser = argparse.ArgumentParser(description="SITN in a world of shared interests.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100, help="settings saw 0 to 4")
    parser.add_argument("--rows", nargs="*", default=list(ABLATIONS), choices=list(ABLATIONS))
    parser.add_argument("--picture", type=Path, help="where t-SNE of the clusters is drawn")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print(f"{'':20} {'AUC':>7} {'logloss':>8} {'NDCG@10':>8}   in AUC")
    whole = np.empty(0)
    for name in dict.fromkeys(["SITN", *options.rows]):
        values = np.stack([measured(seed, ABLATIONS[name]) for seed in seeds])
        whole = values if name == "SITN" else whole
        against = "" if name == "SITN" else better_by(whole[:, 0] - values[:, 0])
        print(
            f"{name:20} {values[:, 0].mean():7.4f} {values[:, 1].mean():8.4f} {values[:, 2].mean():8.4f}"
            f"   {against}",
            flush=True,
        )
    if options.picture:
        draw(fitted(0, {})[0], options.picture)


if __name__ == "__main__":
    main()
