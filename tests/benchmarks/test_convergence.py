"""The picture of DDTCDR's losses shows what the log of a run says."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # they are scripts, no package

import convergence

from training.bricks.feedback import Feedback, held_out_loss
from training.dataset import HeldOut


def record(epoch: int, **validation: float) -> dict:
    return {"epoch": epoch, "loss": 1.0, "validation": validation}


RECORDS = [
    record(1),  # an autoencoder's
    *(
        record(
            epoch, **{"ndcg@10": 0.1, "loss/a": 0.5 / epoch, "loss/b": 0.4, "held_out_loss/b": 1}
        )
        for epoch in (1, 2, 3)
    ),
]


def test_a_line_a_domain_and_a_dashed_one_for_validation_users():
    lines = convergence.losses(RECORDS)
    assert list(lines) == ["loss/a", "loss/b", "held_out_loss/b"]
    np.testing.assert_allclose(lines["loss/a"], [0.5, 0.25, 0.5 / 3])
    (axes,) = convergence.picture(lines).axes
    drawn = {one.get_label(): one for one in axes.get_lines()}
    assert list(drawn) == ["a, training", "b, training", "b, validation users"]
    np.testing.assert_array_equal(drawn["a, training"].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(drawn["a, training"].get_ydata(), lines["loss/a"])
    assert drawn["b, training"].get_color() == drawn["b, validation users"].get_color()
    assert drawn["b, validation users"].get_linestyle() == "--"


def test_a_log_is_drawn_and_another_models_is_refused(tmp_path, monkeypatch, capsys):
    log, out = tmp_path / "metrics.jsonl", tmp_path / "picture.svg"
    log.write_text("".join(json.dumps(one) + "\n" for one in RECORDS))
    monkeypatch.setattr(sys, "argv", ["convergence.py", str(log), "--out", str(out)])
    convergence.main()
    assert "<svg" in out.read_text("utf-8")
    assert "0.5000 -> 0.1667" in capsys.readouterr().out
    log.write_text(json.dumps(record(1)) + "\n")
    with pytest.raises(SystemExit):
        convergence.main()


class Half:
    """Gives every pair the same chance."""

    name = "half"

    def predict(self, users, user_rows, item_rows):
        """Return 0.3."""
        del users, item_rows
        return np.full(len(user_rows), 0.3, dtype=np.float32)


def test_the_loss_of_validation_users_is_that_of_training():
    data, _ = convergence.interest_world(3)
    found = held_out_loss(Half(), data, Feedback.CLICKS, n_negatives=2)
    assert found["held_out_loss/target"] == pytest.approx((0.7**2 + 2 * 0.3**2) / 3, rel=1e-5)
    assert isinstance(data.valid, HeldOut)
    assert held_out_loss(Half(), data, Feedback.RATINGS, n_negatives=2) == {}
