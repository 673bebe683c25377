"""What leaves a domain, and who is hidden where."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.bricks.matrix_factorisation import FactorConfig
from training.bricks.user_vectors import DomainFactors, UserVectors, hide_one, masked_epoch
from training.gradient_model import Shape


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=8))
def test_each_user_of_several_domains_is_shown_once_with_a_known_one_hidden(rows):
    known = np.array(rows)
    shown, hidden = hide_one(known, np.random.default_rng(0))
    assert sorted(shown.tolist()) == np.flatnonzero(known.sum(axis=1) > 1).tolist()
    assert known[shown, hidden].all()


def test_every_known_domain_is_hidden_as_often():
    known = np.tile([True, False, True, True], (9000, 1))
    _, hidden = hide_one(known, np.random.default_rng(1))
    share = np.bincount(hidden, minlength=4) / 9000
    np.testing.assert_allclose(share, [1 / 3, 0, 1 / 3, 1 / 3], atol=0.02)


def test_an_epoch_holds_vectors_and_nothing_else_of_the_users():
    vectors = torch.arange(24.0).view(4, 3, 2)
    known = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]]).bool()
    ids = np.array([5, 6, 7, 8], dtype=np.uint32)
    epoch = masked_epoch(UserVectors(vectors, known), ids, 2, np.random.default_rng(0))
    batches = list(epoch)
    assert sorted(np.concatenate([one.user_ids for one in batches]).tolist()) == [5, 7, 8]
    for batch in batches:
        rows = batch.user_ids.astype(np.int64) - 5
        torch.testing.assert_close(batch.inputs[0], vectors[rows])
        assert torch.equal(batch.inputs[1], known[rows])


def test_a_domain_can_be_taken_away():
    users = UserVectors(torch.ones(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    assert users.without(1).known.tolist() == [[True, False, True]] * 2
    assert users.known.all(), "the given one stays as it was"


def test_vectors_are_those_of_the_factorisations_without_gradient():
    torch.manual_seed(0)
    domains = DomainFactors(Shape(4, {"a": 2, "b": 3}, "b"), FactorConfig(embedding_size=5))
    domains.of(1).trained[2] = True
    users = domains.user_vectors()
    assert users.vectors.shape == (4, 2, 5)
    assert not users.vectors.requires_grad
    torch.testing.assert_close(users.vectors[:, 1], domains.of(1).users.detach())
    assert users.known.nonzero().tolist() == [[2, 1]]
    some = domains.user_vectors(np.array([2, 0]))
    torch.testing.assert_close(some.vectors, users.vectors[[2, 0]])
