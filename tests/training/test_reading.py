"""Weights in the pooling and several vectors a user: against plain means, NumPy and the contract."""
# ruff: noqa: D101, D102  (a test's name is its docstring)

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from training.checkpoint import load, save
from training.contract import FitContext, UserBatch
from training.dataset import History, ProfileSource, TitleWeights, WeightedProfileSource
from training.embedme import late_interaction
from training.embedme.batch import ProfileTokenizer, pack
from training.embedme.bert import load_language_model
from training.embedme.config import EmbedMeConfig
from training.embedme.encoder import Pooler, ProfileEncoder
from training.embedme.late_interaction import best_scores, late_softmax
from training.embedme.model import EmbedMe
from training.embedme.reading import reading_of
from training.errors import ConfigError, DatasetError, TrainingError
from training.evaluate import user_batch
from training.recommend import top_k

TEXTS = [
    "red book1 [SEP] green book2 [SEP] blue [SEP] film1 film2 film3",
    "blue",
    "film4 [SEP] red film5",
    "green [SEP] green [SEP] book3 book4 [SEP] red [SEP] film0 [SEP] book5",
]
"""The last is cut to 12 tokens."""
N_TOKENS = 12


@dataclass
class Weighted:
    """Titles of a source, weighing ever less from left to right."""

    inner: ProfileSource

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the texts, the n-th title of each weighing 1 / n."""
        texts = self.inner.texts(histories)
        numbers = [np.arange(1, text.count(" [SEP] ") + 2) if text else [] for text in texts]
        return texts, [(1 / np.asarray(one, np.float32)).astype(np.float32) for one in numbers]

    def texts(self, histories: History) -> list[str]:
        """Return the texts."""
        return self.inner.texts(histories)

    def interests(self, histories: History):
        """Return the numbers as they are."""
        return self.inner.interests(histories)


def expected_vectors(bert, tokenizer, text: str, weights, n_vectors: int) -> np.ndarray:
    """Return the pooled states of one text alone, title by title."""
    titles = text.split(" [SEP] ")
    lengths = [len(tokenizer.encode(title, add_special_tokens=False).ids) + 1 for title in titles]
    ids = tokenizer.encode(text).ids
    ids = ids if len(ids) <= N_TOKENS else [*ids[: N_TOKENS - 1], ids[-1]]
    with torch.no_grad():
        states = bert(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
    starts = 1 + np.cumsum([0, *lengths[:-1]])
    spans = [
        range(start, min(start + length, len(ids)))
        for start, length in zip(starts, lengths, strict=True)
        if start < len(ids)
    ]
    n_read = len(spans)
    vectors = []
    for number in range(n_vectors):
        own = [i for i in range(n_read) if i * min(n_vectors, n_read) // n_read == number]
        if not own:
            vectors.append(vectors[0])
        elif weights is None:
            tokens = [token for i in own for token in spans[i]]
            vectors.append(states[[0, *tokens] if number == 0 else tokens].mean(axis=0))
        else:
            means = [states[list(spans[i])].mean(axis=0) for i in own]
            vectors.append(np.average(means, axis=0, weights=[weights[i] for i in own]))
    return np.stack(vectors)


@pytest.mark.parametrize("n_vectors", [1, 2, 3, 6])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_packed_texts_are_read_as_each_alone(tiny_bert, n_vectors, is_weighted):
    loaded = load_language_model(str(tiny_bert), 0.0)
    loaded.bert.eval()
    rng = np.random.default_rng(2)
    weights = [
        np.sort(rng.random(text.count("[SEP]") + 1))[::-1].astype(np.float32) for text in TEXTS
    ]
    config = EmbedMeConfig(
        weights="pooling" if is_weighted else "order", interest_vectors=n_vectors
    )
    tokenizer = ProfileTokenizer(loaded.tokenizer, N_TOKENS)
    rows = pack(tokenizer.ids(TEXTS), 2 * N_TOKENS)
    reading = reading_of(tokenizer, rows, TEXTS, weights, config)
    assert (reading is None) == (n_vectors == 1 and not is_weighted)
    encoder = ProfileEncoder(loaded.bert, loaded.hidden_size, 4, 0.0, Pooler(n_vectors=n_vectors))
    with torch.no_grad():
        found = encoder.pooled(rows, len(TEXTS), reading).reshape(len(TEXTS), n_vectors, -1)
    for number, text in enumerate(TEXTS):
        own = weights[number] if is_weighted else None
        expected = expected_vectors(loaded.bert, loaded.tokenizer, text, own, n_vectors)
        np.testing.assert_allclose(found[number], expected, rtol=1e-4, atol=1e-5)


def test_weights_nobody_knows_or_that_do_not_fit_leave_the_plain_mean(tiny_bert):
    loaded = load_language_model(str(tiny_bert), 0.0)
    tokenizer = ProfileTokenizer(loaded.tokenizer, N_TOKENS)
    encoder = ProfileEncoder(loaded.bert.eval(), loaded.hidden_size, 4, 0.0)
    config = EmbedMeConfig(weights="pooling")
    rows = pack(tokenizer.ids(TEXTS), N_TOKENS)
    with torch.no_grad():
        plain = encoder.pooled(rows, len(TEXTS))
        for weights in (None, [np.ones(0, np.float32)] * 4, [np.zeros(9, np.float32)] * 4):
            reading = reading_of(tokenizer, rows, TEXTS, weights, config)
            torch.testing.assert_close(encoder.pooled(rows, len(TEXTS), reading), plain)


def problem(n_users: int, n_vectors: int, n_items: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Return vectors, items, bias, and positives in no order, in float64."""
    rng = np.random.default_rng(seed)
    numbers = [rng.normal(size=shape) for shape in ((n_users, n_vectors, 4), (n_items, 4), n_items)]
    pairs = [rng.integers(size, size=3 * n_users) for size in (n_users, n_items)]
    leaves = [torch.tensor(one, requires_grad=True) for one in numbers]
    return (*leaves, *(torch.tensor(one) for one in pairs))


class TestLateInteraction:
    @given(
        sizes=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 7)),
        seed=st.integers(0, 99),
        at_once=st.sampled_from([1, 20, 1000]),
        reduction=st.sampled_from(["sum", "mean"]),
    )
    def test_the_loss_is_the_formula_in_numpy(self, sizes, seed, at_once, reduction):
        vectors, items, bias, users, found = problem(*sizes, seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(late_interaction, "LOGITS_AT_ONCE", at_once)
            losses = late_softmax(
                vectors,
                items,
                bias,
                positive_users=users,
                positive_items=found,
                reduction=reduction,
            )
        u, v, b = (one.detach().numpy() for one in (vectors, items, bias))
        for number, own in enumerate(u):
            logits = np.array([max(one @ item for one in own) for item in v]) + b
            each = [
                np.log(np.exp(logits).sum()) - logits[item]
                for item in found.numpy()[users.numpy() == number]
            ]
            expected = np.sum(each) / (max(len(each), 1) if reduction == "mean" else 1)
            assert losses[number].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)

    def test_gradients_are_those_of_finite_differences_and_reach_every_nearest_vector(self):
        vectors, items, bias, users, found = problem(3, 3, 6, seed=4)

        def loss(*leaves):
            return late_softmax(*leaves, positive_users=users, positive_items=found)

        assert torch.autograd.gradcheck(loss, (vectors, items, bias))
        loss(vectors, items, bias).sum().backward()
        nearest = (vectors @ items.T).argmax(dim=1)
        for user in range(3):
            moved = vectors.grad[user].abs().sum(dim=1) > 0
            assert set(torch.nonzero(moved).flatten().tolist()) == set(nearest[user].tolist())

    def test_one_search_a_vector_finds_the_best_items(self):
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(20, 3, 5)).astype(np.float32)
        items = rng.normal(size=(200, 5)).astype(np.float32)
        scores = best_scores(vectors, items)
        np.testing.assert_allclose(
            scores, np.einsum("ukd,id->uki", vectors, items).max(axis=1), rtol=1e-5, atol=1e-5
        )
        best, _ = top_k(scores, 10)
        for user in range(20):
            searched = np.unique(top_k(vectors[user] @ items.T, 10)[0])
            again = searched[np.argsort(-scores[user, searched])][:10]
            assert again.tolist() == best[user].tolist()
        n_nearest = [
            len(set((own @ items[row].T).argmax(axis=0)))
            for own, row in zip(vectors, best, strict=True)
        ]
        assert np.mean(n_nearest) > 1.5, "one vector alone would not have found them"


VARIANTS = {
    "by weight": {"weights": "pooling"},
    "three vectors": {"interest_vectors": 3},
    "both, warm, with tastes": {
        "weights": "pooling",
        "interest_vectors": 3,
        "epochs": 3,
        "head_epochs": 40,
        "head_batch_size": 8,
        "head_learning_rate": 1e-2,
        "n_target_tastes": 4,
        "n_interest_tastes": 4,
        "margin": -1e9,
    },
}


@pytest.fixture(scope="module")
def fitted_variants() -> dict[str, EmbedMe]:
    return {}


@pytest.fixture
def weighted(world):
    return replace(world, data=replace(world.data, profiles=Weighted(world.profiles)))


@pytest.fixture(params=list(VARIANTS))
def fitted(request, weighted, settings, fitted_variants) -> EmbedMe:
    name = request.param
    if name not in fitted_variants:
        model = EmbedMe(EmbedMeConfig(**{**settings("embedme"), **VARIANTS[name]}))
        report = model.fit(weighted.data, FitContext(seed=1))
        assert report.losses[-1] < report.losses[0]
        fitted_variants[name] = model
    return fitted_variants[name]


def permuted(users: UserBatch, order: np.ndarray) -> UserBatch:
    """Return some users of a batch, with all that is known of them."""
    return UserBatch(
        users.ids[order],
        {domain: rows[order] for domain, rows in users.history.items()},
        [users.profiles[i] for i in order],
        users.interests[order],
        title_weights=[users.title_weights[i] for i in order],
    )


def test_a_variant_keeps_the_contract(weighted, fitted, newcomer, tmp_path):
    users = user_batch(weighted.data, weighted.test.user_rows)
    scores = fitted.score(users)
    best = np.argsort(-scores, axis=1)[:, :6]
    own = weighted.block_of_film[best] == weighted.block_of_user[weighted.test.user_rows][:, None]
    assert own.mean() > 0.85  # chance is 1/3
    order = np.random.default_rng(0).permutation(len(users))
    np.testing.assert_allclose(
        fitted.score(permuted(users, order)), scores[order], rtol=1e-4, atol=1e-4
    )
    alone = [fitted.score(permuted(users, np.array([row])))[0] for row in range(len(users))]
    np.testing.assert_allclose(alone, scores, rtol=1e-4, atol=1e-4)
    assert np.isnan(fitted.score(newcomer)).all()
    assert fitted.score(permuted(users, np.empty(0, dtype=np.int64))).shape == (0, 18)
    save(fitted, tmp_path / "model")
    again, _ = load(tmp_path / "model")
    np.testing.assert_array_equal(again.score(users), scores)


def test_weights_change_the_vector_and_the_rest_does_not(weighted, fitted):
    users = user_batch(weighted.data, weighted.test.user_rows)
    others = replace(users, title_weights=[one[::-1].copy() for one in users.title_weights])
    reads_weights = fitted.settings.weights == "pooling"
    assert np.allclose(fitted.score(users), fitted.score(others)) != reads_weights


def test_several_vectors_say_what_they_are(weighted, fitted, tmp_path):
    users = user_batch(weighted.data, weighted.test.user_rows)
    vectors, items = fitted.interest_vectors(users), fitted.item_vectors()
    n_vectors = fitted.settings.interest_vectors
    assert vectors.shape[:2] == (len(users), n_vectors) == (12, fitted.vectors_per_user)
    products = np.einsum("ukd,id->uki", vectors, items)
    np.testing.assert_allclose(fitted.score(users), products.max(axis=1), rtol=1e-4, atol=1e-4)
    save(fitted, tmp_path / "model")
    if n_vectors == 1:
        np.testing.assert_array_equal(fitted.user_vectors(users), vectors[:, 0])
        reader = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
        theirs = reader.encode(users.profiles, show_progress_bar=False)
        ours = fitted.user_vectors(replace(users, title_weights=None))[:, : theirs.shape[1]]
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
        return
    assert (vectors[:, 1:, :-1] != vectors[:, :1, :-1]).any(), "they are not all the same"
    assert not (tmp_path / "model" / "modules.json").exists(), "they could give no such vectors"
    with pytest.raises(TrainingError, match=r"3 vectors a user \(interest_vectors\), not one"):
        fitted.user_vectors(users)


def test_what_does_not_go_together_is_refused(world, settings):
    assert not isinstance(world.profiles, WeightedProfileSource)
    with pytest.raises(DatasetError, match=r"weights=pooling needs .* TitleProfiles does not tell"):
        EmbedMe(EmbedMeConfig(**settings("embedme"), weights="pooling")).fit(
            world.data, FitContext()
        )
    for wrong, said in (
        ({"interest_vectors": 2, "sampled_softmax_above": 9}, "needs all items in the loss"),
        ({"interest_vectors": 2, "pooling": "first"}, "set pooling=mean"),
        ({"weights": "pooling", "pooling": "first"}, "set pooling=mean"),
    ):
        with pytest.raises(ConfigError, match=said):
            EmbedMeConfig.preset("default", **wrong)
