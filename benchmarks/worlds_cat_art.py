"""CAT-ART in a world made for it: five domains over the same users, the fifth of which is nearly empty.

A user has one taste; in each domain it is seen through another linear map, mixed with a taste for that domain alone, and
shows in what the user likes there: in each of four domains in 16 training rows, in the fifth in 5 of two users in five,
and in none of the others, its newcomers. So the fifth domain cannot learn its users' vectors from its own rows, and the
others know them, amid more that is of no use to it: in the four the domain's own taste is the greater part (.7 to .3).
An autoencoder that only rebuilds them fills up with that, and has not learned what to put in place of a hidden domain.
Where both parts are alike and everybody is in the fifth, a plain one serves as well as CAT (seeds 0 to 4).

The four have as little to learn from one another: there CAT-ART is behind MF alone, a little with `newcomer_share` 0, more
with the .5 that serves the fifth.

Of each user three more rows of a domain choose the epoch (as the public code does), and four, in the fifth five, are the
test, newcomers' too: with one of each, luck hides what the seeds show. Stage 3 goes on until it gains nothing more: cut
short it flatters the full system, whose attention learns faster than the steps before it.

    python benchmarks/worlds_cat_art.py [--seeds 10] [--first-seed 100]

prints precision, recall and NDCG at 10 and 20 of single-domain MF and of CAT-ART in every domain with negative transfer
marked, then NDCG@10 of the five steps of the paper's ablation, and of the whole with a plain autoencoder in it.
"""

import argparse
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array
from worlds_graph import better_by

from training.baselines.cat_art import CatArt, CatArtConfig, Variant
from training.bricks.masked_autoencoder import LossWeights
from training.contract import FitContext
from training.dataset import Catalogue, Dataset, HeldOut
from training.evaluate import Evaluation, evaluate
from training.every_domain import MULTI_TARGET, transfer_rows
from training.protocols import Measure

N_USERS, N_ITEMS, TASTE = 300, 80, 6
DENSE, SPARSE = (16, 3, 4), (5, 3, 5)
"""Items a user likes in a domain: in training, in validation, in the test."""
N_LIKED = {"one": DENSE, "two": DENSE, "three": DENSE, "four": DENSE, "fifth": SPARSE}
SHARPNESS = 4.0
"""How much more a user likes what fits: the scale of the logits of the choice."""
NOISE = {DENSE: 0.7, SPARSE: 0.3}
"""Share of a domain's own, which no other domain knows, in the taste seen there."""
NEWCOMERS = 0.6
"""Share of users without training rows in the fifth domain."""
DECIDING = Measure("full", "ndcg", 10)
ABLATIONS: Mapping[str, Mapping[str, object]] = {
    "full": {},
    **{one: {"variant": one} for one in Variant if one is not Variant.FULL},
    "plain whole": {"weights": LossWeights(0.0, 1.0, 0.0)},
}
"""The paper's steps, and the full system with a plain autoencoder in place of CAT."""


def world(seed: int) -> tuple[dict[str, Dataset], dict[str, HeldOut]]:
    """Return the training rows with each of the five domains as the target, and the test of each."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(N_USERS, TASTE))
    train, valid, test = {}, {}, {}
    for domain, sizes in N_LIKED.items():
        own = taste @ rng.normal(size=(TASTE, TASTE)) / np.sqrt(TASTE)
        own = (1 - NOISE[sizes]) * own + NOISE[sizes] * rng.normal(size=own.shape)
        liked = rng.permuted(choices(own, sum(sizes), rng), axis=1)
        parts = np.split(liked, np.cumsum(sizes)[:-1], axis=1)
        is_new = rng.random(N_USERS) < (NEWCOMERS if sizes is SPARSE else 0.0)
        train[domain] = csr_array(matrix(parts[0]).toarray() * ~is_new[:, None])
        valid[domain], test[domain] = (
            HeldOut(np.arange(N_USERS), matrix(part)) for part in parts[1:]
        )
    items = np.arange(N_ITEMS, dtype=np.uint32)
    catalogues = {domain: Catalogue(domain, items, [""] * N_ITEMS) for domain in N_LIKED}
    users = np.arange(N_USERS, dtype=np.uint32)
    every = {
        domain: Dataset(users, catalogues, train, domain, valid=valid[domain]) for domain in train
    }
    return every, test


def choices(
    own: Float64[np.ndarray, "users taste"], n_liked: int, rng: np.random.Generator
) -> np.ndarray:
    """Return `n_liked` distinct items a user, drawn by the softmax of how well they fit."""
    fit = own @ rng.normal(size=(own.shape[1], N_ITEMS))
    fit *= SHARPNESS / fit.std()
    return np.argsort(-(fit + rng.gumbel(size=fit.shape)), axis=1)[:, :n_liked]


def matrix(items: np.ndarray) -> csr_array:
    """Return users x items of ones."""
    rows = np.repeat(np.arange(len(items)), items.shape[1])
    shape = (len(items), N_ITEMS)
    return csr_array((np.ones(items.size, dtype=np.float32), (rows, items.ravel())), shape=shape)


def settings(changed: Mapping[str, object]) -> CatArtConfig:
    """Return settings for a world of this size."""
    quick = {
        "embedding_size": 16,
        "epochs": 40,
        "batch_size": 512,
        "learning_rate": 1e-2,
        "l2": 1e-2,
        "autoencoder_epochs": 100,
        "autoencoder_batch_size": 100,
        "transfer_epochs": 300,
        "transfer_batch_size": 512,
        "transfer_learning_rate": 3e-3,
        "newcomer_share": 0.5,
        "patience": 20,
    }
    return CatArtConfig.model_validate({**quick, **changed})


def in_the_fifth(seed: int, changed: Mapping[str, object]) -> float:
    """Return NDCG@10 of one variant in the fifth domain of one world."""
    every, test = world(seed)
    model = CatArt(settings(changed))
    model.fit(every["fifth"], FitContext(seed=seed))
    found = evaluate(model, every["fifth"], test["fifth"], [MULTI_TARGET])
    return float(found.values(DECIDING).mean())


def in_every_domain(seed: int, changed: Mapping[str, object]) -> dict[str, Evaluation]:
    """Return what one variant does in each domain; stages 1 and 2 are learned once."""
    every, test = world(seed)
    context, model = FitContext(seed=seed), CatArt(settings(changed))
    model.fit(every["fifth"], context)
    return {
        domain: evaluate(model.for_target(data, context), data, test[domain], [MULTI_TARGET])
        for domain, data in every.items()
    }


def print_every_domain(seed: int) -> None:
    """Print all measures of CAT-ART in every domain of one world, beside single-domain MF."""
    across, alone = (in_every_domain(seed, ABLATIONS[name]) for name in ("full", "smf"))
    print(f"{'domain':8} {'measure':13} {'SMF':>7} {'CAT-ART':>8} {'p':>7}")
    for row in transfer_rows(across, alone):
        mark = "negative transfer" if row.is_negative else ""
        measure = f"{row.measure.metric}@{row.measure.k}"
        print(
            f"{row.domain:8} {measure:13} {row.alone:7.4f} {row.value:8.4f}"
            f" {row.difference.p_value:7.4f} {mark}"
        )


def main() -> None:
    """Print the table of domains and the ablation."""
    parser = argparse.ArgumentParser(description="CAT-ART in a world with a nearly empty domain.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100, help="settings saw 0 to 4")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print_every_domain(options.first_seed)
    print(f"\n{'fifth domain':14} {'NDCG@10':>8}")
    whole = np.empty(0)
    for name, changed in ABLATIONS.items():
        values = np.array([in_the_fifth(seed, changed) for seed in seeds])
        whole = values if name == "full" else whole
        against = "" if name == "full" else better_by(whole - values)
        print(f"{name:14} {values.mean():8.4f}   {against}", flush=True)


if __name__ == "__main__":
    main()
