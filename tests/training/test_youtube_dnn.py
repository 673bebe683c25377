"""YouTubeDNN for newcomers: some of its examples show no target, as a newcomer comes."""

from dataclasses import replace

import numpy as np
import pytest

from training.contract import FitContext
from training.registry import create

QUICK = {"embedding_size": 8, "hidden": (8,), "batch_size": 32, "learning_rate": 1e-2}
N_BOOKS = 24


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_a_user_watched_in_the_target_is_hidden_from_as_many_examples_as_told(world, share):
    """A film that no example shows has an input vector that never moves."""

    def inputs(epochs: int) -> np.ndarray:
        model = create("youtube_dnn", {**QUICK, "epochs": epochs, "newcomer_share": share})
        model.fit(replace(world.data, valid=None), FitContext(seed=3))
        return model.module.inputs.detach().numpy()

    moved = np.abs(inputs(4) - inputs(1)).max(axis=1) > 0
    assert moved[:N_BOOKS].all()
    assert moved[N_BOOKS:].any() == (share < 1)


def test_a_model_of_the_target_alone_has_nothing_else_to_show(world):
    found = []
    for share in (0.0, 1.0):
        model = create("youtube_dnn", {**QUICK, "domains": "target", "newcomer_share": share})
        found.append(model.fit(replace(world.data, valid=None), FitContext(seed=3)).losses)
    assert found[0] == found[1]
