"""The peer's split is taken over as it is; the peer itself need not be there."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # they are scripts, no package

import against_recbole_cdr as against

from training.contract import FitContext
from training.evaluate import Full, evaluate
from training.registry import create


def test_a_world_is_written_and_read_back(tmp_path):
    against.write_world(tmp_path, seed=1)
    for domain, n_rows in (("source", 15), ("target", 10)):
        pairs = against.read_pairs(tmp_path / domain / f"{domain}.inter")
        assert len(set(pairs)) == len(pairs) == n_rows * against.N_USERS
        assert all(user[0] == "u" and item.startswith(domain) for user, item in pairs)


def test_columns_may_stand_in_any_order(tmp_path):
    path = tmp_path / "a.inter"
    path.write_text("rating:float\titem_id:token\tuser_id:token\n5\ti\tu\n")
    assert against.read_pairs(path) == [("u", "i")]


def test_the_peers_rows_are_ours_and_nothing_held_out_is_shown():
    source = [("u1", "b1"), ("u2", "b1"), ("u2", "b2"), ("stranger", "b1")]
    split = {
        "train": [["u1", "x"], ["u2", "y"], ["u2", "z"]],
        "valid": [["u1", "y"]],
        "test": [["u1", "z"], ["u2", "x"]],
    }
    data, test = against.split_data(source, split, ("books", "films"))
    assert [len(data.user_ids), len(data.target_items)] == [3, 3]
    items, users = data.target_items.titles, ["stranger", "u1", "u2"]

    def named(rows, matrix):
        user, item = matrix.nonzero()
        return {(users[rows[a]], items[b]) for a, b in zip(user, item, strict=True)}

    assert named(np.arange(3), data.interactions["films"]) == {tuple(one) for one in split["train"]}
    assert named(test.user_rows, test.positives) == {tuple(one) for one in split["test"]}
    assert named(test.user_rows, test.excluded) == {("u1", "y")}
    assert named(data.valid.user_rows, data.valid.positives) == {("u1", "y")}
    model = create("popularity")
    model.fit(data, FitContext())
    found = evaluate(model, data, test, [Full(k=1)]).summary()
    assert (
        found["full/hr@1"] == 1
    )  # one item is left to each: training and validation rows are no candidates


def test_each_peer_that_ours_stands_beside_has_settings_to_search():
    assert set(against.PEER_SPACES) >= {"CMF", "CoNet", "EMCDR", "SSCDR", "DCDCSR"}
    for space in against.PEER_SPACES.values():
        tried = against.settings_from(space, 6, np.random.default_rng(0))
        assert len(tried) == 6
        assert tried[0] == {}
        assert all(set(one) == set(space) for one in tried[1:])
