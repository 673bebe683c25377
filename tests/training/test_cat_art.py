"""CAT-ART whole: stages, what is frozen, what crosses domains, the ablation's switches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from training.baselines.cat_art import CatArt, CatArtConfig, Variant
from training.contract import FitContext
from training.dataset import Catalogue, Dataset
from training.errors import DatasetError
from training.evaluate import user_batch
from training.every_domain import Retargetable, fit_every_domain, with_target

DOMAINS = {"a": 12, "b": 9, "c/d": 15}  # a domain may be named as no folder can
N_USERS = 24
QUICK = {
    "embedding_size": 8,
    "epochs": 6,
    "batch_size": 32,
    "learning_rate": 2e-2,
    "autoencoder_epochs": 6,
    "autoencoder_batch_size": 8,
    "transfer_epochs": 4,
    "transfer_batch_size": 32,
}


@pytest.fixture
def data():
    """Three domains of two blocks; user 0 is in "b" alone, user 1 nowhere, user 2 not in the target."""
    rng = np.random.default_rng(0)
    interactions = {}
    for domain, n_items in DOMAINS.items():
        block = np.arange(N_USERS)[:, None] % 2 == np.arange(n_items)[None] % 2
        rows = block & (rng.random((N_USERS, n_items)) < 0.6)
        rows[1] = False
        rows[0] &= domain == "b"
        rows[2] &= domain != "c/d"
        interactions[domain] = csr_array(rows.astype(np.float32))
    catalogues = {
        domain: Catalogue(domain, np.arange(n, dtype=np.uint32), [""] * n)
        for domain, n in DOMAINS.items()
    }
    return Dataset(np.arange(50, 50 + N_USERS, dtype=np.uint32), catalogues, interactions, "c/d")


def fitted(data, seed=0, **changed):
    model = CatArt(CatArtConfig.model_validate({**QUICK, **changed}))
    report = model.fit(data, FitContext(seed=seed))
    return model, report


def everyone(data):
    return user_batch(data, np.arange(N_USERS))


def arrays(model, *beginnings):
    state = model.state()
    names = [n for n in state if n.removeprefix("module.").startswith(beginnings)]
    assert names
    return {name: state[name] for name in names}


def test_stages_run_in_order_and_their_losses_fall(data):
    model, report = fitted(data, epochs=8, autoencoder_epochs=12, transfer_epochs=8)
    assert list(model.phase_reports) == ["factors_0", "factors_1", "factors_2", "cat", "art"]
    for name, one in model.phase_reports.items():
        assert one.losses[-1] < one.losses[0], name
    assert len(report.losses) == 3 * 8 + 12 + 8


def test_stage_3_trains_the_transfer_and_nothing_else(data, monkeypatch):
    shared = {}
    original = CatArt._transfer_phase

    def remembered(model, users, data):
        phase = original(model, users, data)
        shared.update({name: one.clone() for name, one in model.module.state_dict().items()})
        return phase

    monkeypatch.setattr(CatArt, "_transfer_phase", remembered)
    for tune_items in (False, True):
        model, _ = fitted(data, tune_items=tune_items)
        changed = {
            name.split(".")[0]
            for name, one in model.module.state_dict().items()
            if not torch.equal(one, shared[name])
        }
        assert changed == ({"transfer", "items"} if tune_items else {"transfer"})
        unchanged = [
            name
            for name, one in model.module.transfer.named_parameters()
            if torch.equal(one, shared[f"transfer.{name}"]) and "keys.bias" not in name
        ]
        assert unchanged == []


def test_a_domains_vectors_depend_on_its_own_rows_alone(data):
    first, _ = fitted(data)
    other = {**data.interactions, "a": data.interactions["a"][::-1]}
    second, _ = fitted(replace(data, interactions=other))
    for number, same in ((0, False), (1, True), (2, True)):
        one, two = (arrays(model, f"domains.each.{number}.") for model in (first, second))
        assert all(np.array_equal(one[name], two[name]) for name in one) == same


def test_only_vectors_cross_domains(data, monkeypatch):
    """With the vectors of stage 1 as they were, other rows in the source domains change nothing behind them."""
    first, _ = fitted(data)
    kept = {name: torch.from_numpy(one) for name, one in arrays(first, "domains.").items()}
    kept = {name.removeprefix("module.domains."): one for name, one in kept.items()}

    def given(domains, *_):
        domains.load_state_dict(kept)
        return iter(())

    monkeypatch.setattr("training.bricks.user_vectors.DomainFactors.phases", given)
    scrambled = {
        domain: rows if domain == "c/d" else rows[::-1]
        for domain, rows in data.interactions.items()
    }
    models = [fitted(one)[0] for one in (data, replace(data, interactions=scrambled))]
    scores = [model.score(everyone(data)) for model in models]
    np.testing.assert_array_equal(*scores)


def test_another_target_takes_the_shared_stages_over(data):
    model, _ = fitted(data)
    assert isinstance(model, Retargetable)
    other = model.for_target(with_target(data, "a"), FitContext(seed=0))
    scratch, _ = fitted(with_target(data, "a"))
    for name, one in arrays(scratch, "domains.", "autoencoder.").items():
        np.testing.assert_array_equal(other.state()[name], one)
    assert list(other.phase_reports) == ["art"]
    assert other.score(everyone(data)).shape == (N_USERS, DOMAINS["a"])
    assert other.item_ids is not None
    other.fit(with_target(data, "a"), FitContext(seed=0))
    assert "cat" in other.phase_reports, "a later fit starts anew"


def test_every_domain_has_its_model(data):
    models = fit_every_domain(CatArt(CatArtConfig.model_validate(QUICK)), data, FitContext())
    assert {name: one.score(everyone(data)).shape[1] for name, one in models.items()} == DOMAINS


def test_who_can_be_judged(data):
    scores = fitted(data)[0].score(everyone(data))
    known = ~np.isnan(scores).any(axis=1)
    assert known.tolist() == [True, False] + [True] * (N_USERS - 2)
    alone = fitted(data, variant="smf")[0].score(everyone(data))
    assert np.flatnonzero(np.isnan(alone).any(axis=1)).tolist() == [0, 1, 2]


def test_a_newcomers_vector_in_the_target_is_the_rebuilt_one(data):
    model, _ = fitted(data)
    vectors = model.module.domains.user_vectors()
    with torch.no_grad():
        whole = model.module.autoencoder.encode(*vectors)
        rebuilt = model.module.autoencoder.decode(whole)[2, 2]
        vectors.vectors[2, 2] = 99.0  # what stage 1 left there means nothing
    from training.bricks.representation_transfer import represent

    shown = represent(model.module.autoencoder, vectors, 2)
    torch.testing.assert_close(shown.target[2], rebuilt)
    torch.testing.assert_close(shown.target[3], vectors.vectors[3, 2])


@pytest.mark.parametrize("variant", Variant)
def test_each_step_of_the_ablation_is_made_of_its_parts(data, variant):
    model, _ = fitted(data, variant=variant)
    module, phases = model.module, list(model.phase_reports)
    assert ("cat" in phases) == ("art" in phases) == (variant is not Variant.SMF)
    assert (module.transfer.attention is not None) == (variant is Variant.FULL)
    assert (module.transfer.joint is not None) == (variant is Variant.NO_ATTENTION)
    weights = (0.0, 1.0, 0.0) if variant is Variant.AUTOENCODER else (0.2, 0.4, 0.4)
    assert tuple(module.autoencoder.weights) == weights
    if variant is Variant.SMF:
        factors = module.domains.of(2)
        expected = (factors.users @ factors.items.T).detach().numpy()
        np.testing.assert_allclose(model.score(everyone(data))[3:], expected[3:], rtol=1e-5)


def test_it_says_what_it_lacks(data):
    alone = Dataset(
        data.user_ids,
        {"a": data.catalogues["a"]},
        {"a": data.interactions["a"]},
        "a",
    )
    with pytest.raises(DatasetError, match="cat_art needs a source domain beside target 'a'"):
        fitted(alone)
    disjoint = {
        domain: csr_array(rows.toarray() * (np.arange(N_USERS) % 3 == number)[:, None])
        for number, (domain, rows) in enumerate(data.interactions.items())
    }
    with pytest.raises(DatasetError, match="users who are in more than one domain"):
        fitted(replace(data, interactions=disjoint))
