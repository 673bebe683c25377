"""What models without gradients have in common."""

import numpy as np
import pytest

from training.errors import TrainingError
from training.registry import create


@pytest.mark.parametrize("name", ["ease", "ease_target", "item_knn", "source_knn"])
def test_nothing_is_known_before_learning_and_all_that_is_known_is_arrays(name):
    model = create(name)
    with pytest.raises(TrainingError, match=f"{name} has learned nothing yet"):
        model.state()
    item_ids = np.array([4, 7], dtype=np.uint32)
    model.restore({"item_ids": item_ids, "weights": np.eye(2)}, {})
    assert model.item_ids is item_ids
    assert set(model.state()) == {"item_ids", "weights"}
