"""The numbers of a MeKB that a taste map reads."""

import numpy as np
from scipy.sparse import csr_array

from mekb.profile import TASTE_WEIGHTS, EntityTable, ProfileScorer
from mekb.scoring import ScoringConfig

KINDS = ("wikidata", "category", "product")
MULTIPLIERS = np.array([1.0, 0.3, 0.1])


def scorer() -> ProfileScorer:
    table = EntityTable(
        np.arange(3, dtype=np.uint32), ["a", "b", "c"], KINDS, MULTIPLIERS, np.array([1, 1, 2]), 5
    )
    items = csr_array(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    return ProfileScorer(table, {"books": items}, ScoringConfig())


def test_kinds_weigh_as_the_taste_map_was_made_for():
    rows = csr_array(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))
    found = scorer().interests({"books": rows}).toarray()
    idf = np.log(5 / np.array([1, 1, 2]))
    counts = np.array([[1, 2, 1], [0, 1, 1], [0, 0, 0]])
    expected = counts * idf * [TASTE_WEIGHTS[kind] for kind in KINDS]
    for row, wanted in zip(found, expected, strict=True):
        assert np.allclose(row * wanted.sum(), wanted * row.sum())
        assert (row > 0).tolist() == (wanted > 0).tolist()


def test_the_weights_asked_with_stay_what_they_are():
    profiles = scorer()
    weights = profiles.weights({"books": csr_array(np.ones((1, 2)))})
    before = weights.toarray()
    profiles.interests_of(weights)
    assert np.array_equal(weights.toarray(), before)
