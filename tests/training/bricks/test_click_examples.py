"""Examples of clicks: what they show, and what they must not."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.bricks.click_examples import ClickExamples, ExampleSettings
from training.bricks.sequences import TwoDomains, item_sequences
from training.events import Events

TARGET = csr_array(np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]], dtype=np.float32))
SOURCE = csr_array(np.array([[1, 1, 0], [0, 0, 1]], dtype=np.float32))
IDS = np.array([70, 71], dtype=np.uint32)


def events(rows):
    user, item, at = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Events.ordered(user, item, np.full(len(user), 5, dtype=np.float32), at)


TIMED = TwoDomains(
    item_sequences(SOURCE, events([(0, 1, 10), (0, 0, 30), (1, 2, 99)])),
    item_sequences(TARGET, events([(0, 2, 20), (0, 0, 30), (0, 1, 40), (1, 4, 5), (1, 3, 5)])),
)
UNTIMED = TwoDomains(item_sequences(SOURCE), item_sequences(TARGET))


def shown(domains, empty_target_share=0.0, n_negatives=3):
    """Return clicked item -> (user id, source items, target items, negatives) of an epoch."""
    settings = ExampleSettings(2, 9, n_negatives, empty_target_share)
    examples = ClickExamples(domains, 6, IDS, settings)
    epoch, found = examples.epoch(np.random.default_rng(0)), {}
    assert len(epoch) == 3
    for batch in epoch:
        source, source_mask, target, target_mask, items = (one.numpy() for one in batch.inputs)
        for row, user in enumerate(batch.user_ids):
            found[int(items[row, 0])] = (
                int(user),
                source[row][source_mask[row]].tolist(),
                target[row][target_mask[row]].tolist(),
                items[row, 1:].tolist(),
            )
    assert sorted(found) == [0, 1, 2, 3, 4]
    return found


def test_an_example_shows_what_is_strictly_older_than_its_click():
    found = {item: row[:3] for item, row in shown(TIMED).items()}
    assert found == {
        2: (70, [1], []),
        0: (70, [1], [2]),  # the source's event of the same time is not older
        1: (70, [1, 0], [2, 0]),
        4: (71, [], []),
        3: (71, [], []),
    }


def test_without_times_it_shows_everything_but_the_click():
    found = {item: row[:3] for item, row in shown(UNTIMED).items()}
    assert found == {
        0: (70, [0, 1], [1, 2]),
        1: (70, [0, 1], [0, 2]),
        2: (70, [0, 1], [0, 1]),
        3: (71, [2], [4]),
        4: (71, [2], [3]),
    }


def test_newcomers_show_no_target_sequence():
    assert all(target == [] for _, _, target, _ in shown(UNTIMED, 1.0).values())
    assert any(source for _, source, _, _ in shown(UNTIMED, 1.0).values())


def test_negatives_are_never_liked():
    for user, _, _, negatives in shown(UNTIMED, n_negatives=40).values():
        assert set(negatives) == ({3, 4, 5} if user == 70 else {0, 1, 2, 5})


@pytest.mark.parametrize("seed", [0, 1])
def test_an_epoch_is_a_function_of_its_generator(seed):
    examples = ClickExamples(UNTIMED, 6, IDS, ExampleSettings(2, 9, 2, 0.5))
    first, second = (
        [[one.tolist() for one in batch.inputs] for batch in examples.epoch(rng)]
        for rng in (np.random.default_rng(seed), np.random.default_rng(seed))
    )
    assert first == second
