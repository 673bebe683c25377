"""CAT-ART in a world made for it: five domains over the same users, the fifth of which is nearly empty.

A user has one taste; in each domain it is seen through another linear map, and shows in what the user likes there: in
four domains in 20 items, in the fifth in 3. So the fifth domain cannot learn its users' vectors from its own rows,
and the others know them. A fifth of each user's rows (in the fifth domain one) is held out in every domain.

    python benchmarks/worlds_cat_art.py [--seeds 5] [--first-seed 100]

prints precision, recall and NDCG at 10 and 20 of single-domain MF and of CAT-ART in every domain with negative transfer
marked, then NDCG@10 of the five steps of the paper's ablation.
"""

import argparse

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array
from worlds_graph import better_by

from training.baselines.cat_art import CatArt, CatArtConfig, Variant
from training.contract import FitContext
from training.dataset import Catalogue, Dataset, HeldOut
from training.every_domain import evaluate_every_domain, fit_every_domain, transfer_rows
from training.protocols import Measure

N_USERS, N_ITEMS, TASTE = 300, 80, 6
N_LIKED = {"one": 20, "two": 20, "three": 20, "four": 20, "fifth": 3}
SHARPNESS = 4.0
"""How much more a user likes what fits: the scale of the logits of the choice."""
NOISE = 0.5
"""Share of a domain's own, which no other domain knows, in the taste seen there."""
DECIDING = Measure("full", "ndcg", 10)


def world(seed: int) -> tuple[Dataset, dict[str, HeldOut]]:
    """Return training rows of five domains, and what is held out in each."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(N_USERS, TASTE))
    train, held_out = {}, {}
    for domain, n_liked in N_LIKED.items():
        own = taste @ rng.normal(size=(TASTE, TASTE)) / np.sqrt(TASTE)
        own = (1 - NOISE) * own + NOISE * rng.normal(size=own.shape)
        liked = choices(own, n_liked, rng)
        order = np.argsort(rng.random(liked.shape), axis=1)
        n_test = max(1, n_liked // 5)
        test, rest = (
            np.take_along_axis(liked, part, axis=1)
            for part in (order[:, :n_test], order[:, n_test:])
        )
        train[domain] = matrix(rest)
        held_out[domain] = HeldOut(np.arange(N_USERS), matrix(test))
    items = np.arange(N_ITEMS, dtype=np.uint32)
    catalogues = {domain: Catalogue(domain, items, [""] * N_ITEMS) for domain in N_LIKED}
    return Dataset(np.arange(N_USERS, dtype=np.uint32), catalogues, train, "fifth"), held_out


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


def settings(variant: Variant) -> CatArtConfig:
    """Return settings for a world of this size."""
    quick = {
        "embedding_size": 16,
        "epochs": 40,
        "batch_size": 512,
        "learning_rate": 1e-2,
        "l2": 1e-2,
        "autoencoder_epochs": 100,
        "autoencoder_batch_size": 100,
        "transfer_epochs": 40,
        "transfer_batch_size": 512,
        "transfer_learning_rate": 3e-3,
        "newcomer_share": 0.0,
    }
    return CatArtConfig.model_validate({**quick, "variant": variant})


def in_the_fifth(seed: int, variant: Variant) -> float:
    """Return NDCG@10 of one variant in the fifth domain of one world."""
    data, held_out = world(seed)
    model = CatArt(settings(variant))
    model.fit(data, FitContext(seed=seed))
    found = evaluate_every_domain({"fifth": model}, data, {"fifth": held_out["fifth"]})
    return float(found["fifth"].values(DECIDING).mean())


def print_every_domain(seed: int) -> None:
    """Print all measures of CAT-ART in every domain of one world, beside single-domain MF."""
    data, held_out = world(seed)
    across, alone = (
        evaluate_every_domain(
            fit_every_domain(CatArt(settings(variant)), data, FitContext(seed=seed)), data, held_out
        )
        for variant in (Variant.FULL, Variant.SMF)
    )
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
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100, help="settings saw 0 to 4")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print_every_domain(options.first_seed)
    print(f"\n{'fifth domain':14} {'NDCG@10':>8}")
    whole = np.array([in_the_fifth(seed, Variant.FULL) for seed in seeds])
    for variant in Variant:
        is_whole = variant is Variant.FULL
        values = whole if is_whole else np.array([in_the_fifth(seed, variant) for seed in seeds])
        against = "" if is_whole else better_by(whole - values)
        print(f"{variant:14} {values.mean():8.4f}   {against}", flush=True)


if __name__ == "__main__":
    main()
