"""The worlds of DIAGAE, CAT-ART and SITN are what their heads say, and hold nothing out that they also show."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # they are scripts, no package

import worlds_cat_art
import worlds_graph
import worlds_sitn

from training.baselines.sitn import Sitn, SitnConfig
from training.contract import FitContext


def test_who_is_like_whom_carries_over_and_what_is_liked_does_not():
    data, test = worlds_graph.interest_world(seed=1)
    assert data.valid is not None
    whole = data.interactions["target"].toarray()
    assert (whole.sum(axis=1) > 0).sum() == worlds_graph.N_IN_TARGET
    for held_out in (data.valid, test):
        assert not whole[held_out.user_rows].any()  # newcomers
        whole[held_out.user_rows] = held_out.positives.toarray()
    assert (whole.sum(axis=1) == 4).all()  # valid, test and those in training are everybody
    source = data.interactions["source"].toarray()
    alike = np.triu(np.ones((len(source), len(source)), dtype=bool), 1)
    assert np.corrcoef((source @ source.T)[alike], (whole @ whole.T)[alike])[0, 1] > 0.5
    together = np.triu(np.ones((source.shape[1], source.shape[1]), dtype=bool), 1)
    by_item = np.corrcoef((source.T @ source)[together], (whole.T @ whole)[together])[0, 1]
    assert abs(by_item) < 0.05  # the items of a group stand at other places


def test_the_fifth_domain_is_nearly_empty_and_every_domain_has_a_test():
    every, held_out = worlds_cat_art.world(seed=1)
    for domain, (n_train, n_valid, n_test) in worlds_cat_art.N_LIKED.items():
        data = every[domain]
        train, test = data.interactions[domain].toarray(), held_out[domain].positives.toarray()
        assert data.valid is not None
        chosen_on = data.valid.positives.toarray()
        assert (train + chosen_on + test).max() == 1
        has_rows = train.any(axis=1)
        share = 1 - worlds_cat_art.NEWCOMERS if domain == "fifth" else 1
        assert has_rows.mean() == pytest.approx(share, abs=0.1)
        for rows, n in ((train[has_rows], n_train), (chosen_on, n_valid), (test, n_test)):
            assert (rows.sum(axis=1) == n).all()
    assert data.interactions["one"].nnz > 7 * data.interactions["fifth"].nnz


def test_tastes_carry_over():
    """Users alike in the dense domains are alike in the fifth, by all of them more surely than by any."""
    data, test = worlds_cat_art.world(seed=1)[0]["fifth"], worlds_cat_art.world(seed=1)[1]["fifth"]
    pairs = np.triu(np.ones((len(data.user_ids),) * 2, dtype=bool), 1)
    dense = [data.interactions[domain].toarray() for domain in data.sources]
    alike = [(rows @ rows.T)[pairs] for rows in (*dense, test.positives.toarray())]
    by_one = [np.corrcoef(one, alike[-1])[0, 1] for one in alike[:-1]]
    assert np.corrcoef(sum(alike[:-1]), alike[-1])[0, 1] > max(0.05, *by_one)
    assert min(by_one) > 0


def test_clicks_are_of_two_interests_and_the_last_ones_are_held_out():
    data, held_out = worlds_sitn.world(seed=1)
    interest = np.arange(worlds_sitn.N_ITEMS) % worlds_sitn.N_INTERESTS
    shop = data.interactions["shop"]
    top = [
        np.sort(np.bincount(interest[shop.indices[a:b]], minlength=worlds_sitn.N_INTERESTS))[-2:]
        for a, b in zip(shop.indptr[:-1], shop.indptr[1:], strict=True)
        if b > a
    ]
    assert len(top) == worlds_sitn.N_BOTH
    assert np.sum(top) / shop.nnz == pytest.approx(1 - worlds_sitn.NOISE, abs=0.06)
    seen = data.interactions["videos"][held_out.user_rows].toarray()
    assert not (seen * held_out.positives.toarray()).any()
    assert (held_out.positives.sum(axis=1) == worlds_sitn.N_TEST).all()
    assert data.events is not None
    assert len(data.events["videos"]) == data.interactions["videos"].nnz


def test_the_clusters_are_drawn(tmp_path):
    data, _ = worlds_sitn.world(seed=0)
    quick = {"n_clusters": (6, 8), "embedding_size": 8, "n_heads": 2, "contrast_epochs": 1}
    model = Sitn(SitnConfig.model_validate({**quick, "epochs": 1}))
    model.fit(data, FitContext())
    worlds_sitn.draw(model, tmp_path / "clusters.png")
    assert (tmp_path / "clusters.png").read_bytes().startswith(b"\x89PNG")
