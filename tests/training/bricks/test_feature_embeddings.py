"""What describes a user: which way ratings went, not only that there are any."""

import numpy as np
from scipy.sparse import csr_array

from training.bricks.feature_embeddings import tastes
from training.bricks.feedback import Feedback
from training.events import Events


def test_what_was_met_and_not_liked_counts_against():
    liked = {"films": csr_array(np.array([[1.0, 0, 0], [0, 0, 0]]))}
    users, items = np.array([0, 0, 1]), np.array([0, 2, 1])
    ratings = np.array([5, 1, 2], dtype=np.float32)
    events = {"films": Events.ordered(users, items, ratings, np.zeros(3, np.int64))}
    found = tastes(liked, events, ["films"], Feedback.RATINGS)
    np.testing.assert_array_equal(found.toarray(), [[1, 0, -1], [0, -1, 0]])
    found = tastes(liked, events, ["films"], Feedback.CLICKS)
    np.testing.assert_array_equal(found.toarray(), [[1, 0, 0], [0, 0, 0]])
