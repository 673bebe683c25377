"""EmbedMe part by part: tokens, packing, examples, and that no label is ever in a profile's history."""
# ruff: noqa: D101, D102  (a test's name is its docstring)

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from training.contract import FitContext
from training.dataset import counts, rows_of
from training.embedme import batch
from training.embedme.batch import NO_SEQUENCE, ProfileTokenizer, pack
from training.embedme.bert import load_language_model
from training.embedme.config import EmbedMeConfig, ExampleMode
from training.embedme.encoder import ProfileEncoder
from training.embedme.examples import Drawing, draw_examples, histories
from training.embedme.model import EmbedMe
from training.encoder_files import find_encoder
from training.errors import CheckpointError, ConfigError, DatasetError, EncoderError
from training.evaluate import Full, evaluate, user_batch

TITLES = st.lists(
    st.text(alphabet="ab é(1)[SEP]-中\u0130", min_size=1, max_size=12).filter(str.strip), max_size=6
)


@pytest.fixture(scope="module")
def minilm():
    return AutoTokenizer.from_pretrained(find_encoder("minilm"))


class TestTokens:
    @given(titles=TITLES, max_tokens=st.integers(8, 30))
    @settings(max_examples=150, deadline=None)
    def test_equal_to_the_tokenizer_on_the_whole_text(self, minilm, titles, max_tokens):
        text = " [SEP] ".join(titles)
        backend = Tokenizer.from_str(minilm.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        expected = minilm(text, truncation=True, max_length=max_tokens)["input_ids"]
        assert ProfileTokenizer(backend, max_tokens).ids([text]) == [expected]

    def test_the_heaviest_titles_stay(self, tiny_bert):
        tokenizer = load_language_model(str(tiny_bert), 0.0).tokenizer
        ids = ProfileTokenizer(tokenizer, 8).ids(["red book1 [SEP] green book2 [SEP] blue film1"])[
            0
        ]
        assert tokenizer.decode(ids, skip_special_tokens=False).split() == [
            *("[CLS]", "red", "book1", "[SEP]", "green", "book2", "[SEP]"),
            "[SEP]",
        ]

    def test_titles_are_forgotten_before_they_fill_the_memory(self, tiny_bert, monkeypatch):
        monkeypatch.setattr(batch, "TITLES_KEPT", 3)
        tokenizer = ProfileTokenizer(load_language_model(str(tiny_bert), 0.0).tokenizer, 8)
        texts = ["red [SEP] green [SEP] blue", "book1 [SEP] red", "green [SEP] red", "film1"]
        one_by_one = [tokenizer.ids([text])[0] for text in texts]
        assert one_by_one == ProfileTokenizer(tokenizer._tokenizer, 8).ids(texts)
        assert len(tokenizer._titles) <= 3 + 2


class TestPacking:
    @given(
        st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=12), max_size=20),
        st.integers(1, 30),
    )
    def test_every_sequence_is_whole_once_with_its_own_positions(self, sequences, row_tokens):
        rows = pack(sequences, row_tokens)
        for number, ids in enumerate(sequences):
            own = rows.sequences == number
            assert own.any(dim=1).sum() == 1
            assert rows.tokens[own].tolist() == ids
            assert rows.positions[own].tolist() == list(range(len(ids)))
        filled = int((rows.sequences != NO_SEQUENCE).sum())
        assert filled == sum(map(len, sequences))
        assert rows.tokens.shape[1] <= max([row_tokens, *map(len, sequences)])

    def test_packed_equals_one_by_one(self, tiny_bert):
        language_model = load_language_model(str(tiny_bert), 0.0)
        torch.manual_seed(0)
        encoder = ProfileEncoder(language_model.bert, language_model.hidden_size, 8, 0.0).eval()
        rng = np.random.default_rng(0)
        sequences = [rng.integers(5, 30, size=n).tolist() for n in (3, 17, 9, 1, 28, 5, 5)]
        with torch.no_grad():
            together = encoder(pack(sequences, 32), len(sequences))
            for number, ids in enumerate(sequences):
                hidden = language_model.bert(input_ids=torch.tensor([ids])).last_hidden_state
                alone = encoder.mlp(hidden.mean(dim=1))[0]  # no packing, no mask, a plain mean
                torch.testing.assert_close(together[number], alone, rtol=1e-4, atol=1e-5)


def drawing(mode=ExampleMode.USER, source_only_share=0.5, label_share=0.5):
    return Drawing(mode, source_only_share, label_share)


class TestExamples:
    @pytest.mark.parametrize("mode", list(ExampleMode))
    @pytest.mark.parametrize("seed", range(5))
    def test_labels_and_history_part_the_positives(self, world, mode, seed):
        data = world.data
        drawn = draw_examples(data, drawing(mode), np.random.default_rng(seed))
        given = histories(data, drawn, slice(0, len(drawn)))
        target = data.interactions["films"][drawn.user_rows].toarray() > 0
        labels, history = drawn.labels.toarray() > 0, given["films"].toarray() > 0
        assert labels.any(axis=1).all()
        assert not (labels & history).any()
        assert not history[drawn.is_source_only].any()
        if mode is ExampleMode.USER:
            assert np.array_equal(labels | history, target)
            assert (
                len(np.unique(drawn.user_rows))
                == len(drawn)
                == np.count_nonzero(data.interactions["films"].sum(axis=1))
            )
        else:
            assert (labels.sum(axis=1) == 1).all()
            assert len(drawn) == data.interactions["films"].nnz
        assert np.array_equal(
            given["books"].toarray(), data.interactions["books"][drawn.user_rows].toarray()
        )

    def test_shares_are_kept(self, world):
        all_source = draw_examples(
            world.data, drawing(source_only_share=1.0), np.random.default_rng(0)
        )
        assert all_source.is_source_only.all()
        assert np.array_equal(
            counts(all_source.labels),
            counts(world.data.interactions["films"][all_source.user_rows]),
        )
        mixed = [
            draw_examples(
                world.data,
                drawing(source_only_share=0.0, label_share=0.5),
                np.random.default_rng(s),
            )
            for s in range(40)
        ]
        # Binomial(4, 1/2), at least one: mean 2 + 1/16
        assert np.mean([counts(one.labels).mean() for one in mixed]) == pytest.approx(
            2 + 1 / 16, abs=0.05
        )
        total = sum(np.bincount(one.labels.indices, minlength=18) for one in mixed)
        share = total / (40 * world.data.interactions["films"].toarray().sum(axis=0))
        assert share == pytest.approx(np.full(18, 0.516), abs=0.12)  # each positive alike

    def test_users_without_source_keep_a_positive_and_are_never_source_only(self, world):
        alone = {**world.data.interactions, "books": world.data.interactions["books"] * 0}
        data = replace(world.data, interactions=alone)
        drawn = draw_examples(
            data, drawing(source_only_share=1.0, label_share=1.0), np.random.default_rng(0)
        )
        assert not drawn.is_source_only.any()
        assert (counts(histories(data, drawn, slice(0, len(drawn)))["films"]) == 1).all()

    def test_one_seed_one_draw(self, world):
        first, again, other = (
            draw_examples(world.data, drawing(), np.random.default_rng(seed)) for seed in (1, 1, 2)
        )
        assert np.array_equal(first.labels.toarray(), again.labels.toarray())
        assert not np.array_equal(first.user_rows, other.user_rows)


def memory_world(world):
    """Each film is liked for no reason that shows elsewhere: only its own title in the profile tells it."""
    rng = np.random.default_rng(0)
    films = np.zeros((48, 18), dtype=np.float32)
    for row in films:
        row[rng.choice(18, 2, replace=False)] = 1
    books = np.zeros((48, 24), dtype=np.float32)
    books[:, 0] = 1
    return replace(
        world.data, interactions={"books": csr_array(books), "films": csr_array(films)}, valid=None
    )


@pytest.mark.parametrize("mode", list(ExampleMode))
def test_no_label_is_in_any_history_handed_to_profiles(world, settings, mode, monkeypatch):
    data = memory_world(world)
    drawn = []

    def remember(*args):
        drawn.append(draw_examples(*args))
        return drawn[-1]

    monkeypatch.setattr("training.embedme.task.draw_examples", remember)
    model = EmbedMe(
        EmbedMeConfig(**{**settings("embedme"), "epochs": 3, "examples": mode, "batch_size": 7})
    )
    report = model.fit(data, FitContext())
    given = iter(world.profiles.given)
    n_seen = 0
    for examples in drawn:
        for start in range(0, len(examples), 7):
            part = slice(start, start + 7)
            history = next(given)["films"].toarray() > 0
            labels = examples.labels[part].toarray() > 0
            assert not (history & labels).any()
            n_seen += len(labels)
    assert next(given, None) is None
    assert n_seen == 3 * len(drawn[0])
    assert np.isfinite(report.losses).all()


def test_a_label_left_in_the_history_would_show(world, settings, monkeypatch):
    """The test of the test above: where only its own title tells a film, no leak means no learning."""
    data = memory_world(world)
    zero_shot = {
        **settings("embedme"),
        "source_only_share": 1.0,
        "learning_rate": 1e-2,
        "epochs": 40,
    }
    honest = EmbedMe(EmbedMeConfig(**zero_shot)).fit(data, FitContext()).losses
    share = data.interactions["films"].toarray().sum(axis=0) / data.interactions["films"].nnz
    entropy = -(share * np.log(share)).sum()
    assert min(honest) > 0.95 * entropy

    def leaking(data, examples, part):
        return {
            domain: rows[examples.user_rows[part]] for domain, rows in data.interactions.items()
        }

    monkeypatch.setattr("training.embedme.examples.histories", leaking)
    leaked = EmbedMe(EmbedMeConfig(**zero_shot)).fit(data, FitContext()).losses
    assert min(leaked) < 0.5 * entropy


class TestModel:
    def test_users_without_profile_are_skipped_and_counted(self, world, settings):
        quick = EmbedMeConfig(**{**settings("embedme"), "epochs": 1, "source_only_share": 1.0})
        books = world.data.interactions["books"].toarray()
        books[::2] = 0
        films = world.data.interactions["films"].toarray()
        films[::2] = 0
        films[::2, 0] = 1  # one positive and no source row: nothing is left for a profile
        data = replace(
            world.data,
            interactions={"books": csr_array(books), "films": csr_array(films)},
            valid=None,
        )
        report = EmbedMe(quick).fit(data, FitContext())
        assert "24 examples of the last epoch had no profile text" in report.notes[0]

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({}, "their vectors are not learned"),
            ({"n_target_tastes": 4, "item_text_likes": 3.0}, "their texts place them"),
        ],
    )
    def test_cold_items_are_flagged_and_finite(self, world, settings, changed, said):
        films = world.data.interactions["films"].toarray()
        films[:, 3] = 0
        data = replace(
            world.data,
            interactions={**world.data.interactions, "films": csr_array(films)},
            valid=None,
        )
        model = EmbedMe(EmbedMeConfig(**{**settings("embedme"), "epochs": 1, **changed}))
        report = model.fit(data, FitContext())
        assert report.notes[-1] == f"1 of 18 items have no training row: {said}"
        assert np.isfinite(model.item_vectors()).all()

    def test_the_prior_is_one_more_dimension(self, world, settings):
        model = EmbedMe(
            EmbedMeConfig(
                **{
                    **settings("embedme"),
                    "epochs": 1,
                    "popularity": "fixed",
                    "prior_strength": None,
                }
            )
        )
        model.fit(world.data, FitContext())
        liked = world.data.interactions["films"].toarray().sum(axis=0)
        expected = np.log((liked + 1) / (liked.sum() + 18))
        assert model.item_vectors()[:, -1] == pytest.approx(expected, rel=1e-5)
        users = model.user_vectors(user_batch(world.data, world.test.user_rows))
        assert (users[:, -1] == 1).all()

    def test_without_prior_the_score_is_equation_8(self, world, settings):
        model = EmbedMe(EmbedMeConfig(**{**settings("embedme"), "epochs": 1, "popularity": "none"}))
        model.fit(world.data, FitContext())
        assert not model.item_vectors()[:, -1].any()

    def test_the_default_weights_and_the_paper_preset_learn(self, world, settings):
        sizes = {
            key: settings("embedme")[key] for key in ("encoder", "max_tokens", "embedding_size")
        }
        config = EmbedMeConfig.preset("paper", **sizes, epochs=4, batch_size=32, learning_rate=1e-2)
        report = EmbedMe(config).fit(world.data, FitContext())
        assert report.losses[-1] < report.losses[0]
        assert list(report.validation[0]) == ["ndcg@10", "hr@10"]

    def test_bfloat16_is_near_float32(self, settings, without_valid):
        quick = {**settings("embedme"), "epochs": 3}
        losses = [
            EmbedMe(EmbedMeConfig(**quick))
            .fit(without_valid.data, FitContext(precision=precision))
            .losses
            for precision in ("32-true", "bf16-mixed")
        ]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)
        assert losses[0] != losses[1]

    def test_what_cannot_be_trained_is_refused(self, world, settings):
        model = EmbedMe(EmbedMeConfig(**settings("embedme")))
        with pytest.raises(DatasetError, match="no source of profiles"):
            model.fit(replace(world.data, profiles=None), FitContext())
        nothing = {**world.data.interactions, "films": world.data.interactions["films"] * 0}
        with pytest.raises(DatasetError, match="no positive interaction in target 'films'"):
            model.fit(replace(world.data, interactions=nothing), FitContext())
        with pytest.raises(ConfigError, match="max_tokens is 65, the encoder reads 64"):
            EmbedMe(EmbedMeConfig(**{**settings("embedme"), "max_tokens": 65})).fit(
                world.data, FitContext()
            )
        with pytest.raises(EncoderError, match=r"hf download nobody/nothing"):
            EmbedMe(EmbedMeConfig(encoder="nobody/nothing")).fit(world.data, FitContext())

    def test_restore_refuses_other_arrays(self, world, settings):
        config = EmbedMeConfig(**{**settings("embedme"), "epochs": 1})
        model = EmbedMe(config)
        model.fit(world.data, FitContext())
        state = dict(model.state())
        del state["items"]
        with pytest.raises(CheckpointError, match="items"):
            EmbedMe(config).restore(state, model.assets())
        with pytest.raises(CheckpointError, match="encoder files are missing"):
            EmbedMe(config).restore(model.state(), {})


class TestPresets:
    def test_the_paper(self):
        paper = EmbedMeConfig.preset("paper")
        assert (paper.max_tokens, paper.embedding_size, paper.batch_size) == (256, 256, 1024)
        assert (paper.optimizer.value, paper.learning_rate, paper.weight_decay) == (
            "lamb",
            5e-4,
            5e-4,
        )
        assert (paper.epochs, paper.schedule.value, paper.warmup_epochs) == (15, "cosine", 1.0)
        assert (paper.examples.value, paper.popularity.value) == ("positive", "none")

    def test_overrides_and_refusals(self):
        assert EmbedMeConfig.preset("demo", epochs=2).epochs == 2
        with pytest.raises(ConfigError, match="no preset 'best'"):
            EmbedMeConfig.preset("best")
        with pytest.raises(ConfigError, match="epoch: Extra inputs"):
            EmbedMeConfig.preset("demo", epoch=2)


@pytest.mark.slow
def test_the_packaged_minilm_learns_the_world(world):
    config = EmbedMeConfig.preset("demo", epochs=4, batch_size=8, max_tokens=48, popularity="none")
    model = EmbedMe(config)
    report = model.fit(world.data, FitContext(seed=1))
    assert report.losses[-1] < report.losses[0]
    found = evaluate(model, world.data, world.test, [Full(k=6)])
    assert found.n_covered == 12
    assert found.summary()["full/ndcg@6"] > 0.5  # popularity: 0.31
    assert rows_of(world.test.positives).size == 48
