"""What a model is worth on held-out users: HR@K and NDCG@K per user, under a stated protocol.

In: a fitted model, the training data, users whose target rows were held out. Out: one row a user and
metric, their means with intervals over users, and a paired test between two models.

No test row is dropped. A user the model cannot judge (no profile text, a row of NaN) counts with the value
of a scorer that cannot tell items apart, and `n_covered` says how many were judged; whoever wants a
popularity fallback there puts it into the model. An item a judged user has no score for ranks last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64, Int64, UInt32
from scipy.sparse import csr_array

from training.contract import Need, Recommender, UserBatch
from training.dataset import (
    Dataset,
    HeldOut,
    History,
    WeightedProfileSource,
    binary,
    counts,
    rows_of,
)
from training.errors import CannotJudgeError, DatasetError
from training.metrics import Places
from training.protocols import Full, Listed, Measure, Protocol, Sampled, Users
from training.schema import METRICS, RANKS
from training.significance import Difference, Interval, bootstrap_interval, paired_difference

__all__ = [
    "Evaluation",
    "Full",
    "Listed",
    "Measure",
    "Protocol",
    "Sampled",
    "compare",
    "evaluate",
    "evaluate_scores",
    "user_batch",
    "with_profiles",
]

SCORES_AT_ONCE = 1 << 24
"""Scores held at a time: 64 MiB of float32."""


@dataclass(frozen=True)
class Evaluation:
    """The values of one model, per user."""

    model: str
    rows: pa.Table
    """Of `schema.METRICS`."""
    n_users: int
    n_covered: int
    """Users the model could judge; the others count as chance."""
    ranks: pa.Table = field(default_factory=RANKS.empty_table)
    """Of `schema.RANKS`: the place of every held-out positive."""

    @property
    def measures(self) -> list[Measure]:
        """What was measured, in order."""
        found = self.rows.group_by(["protocol", "metric", "k"]).aggregate([]).to_pylist()
        return sorted(Measure(**row) for row in found)

    def values(self, measure: Measure) -> Float64[np.ndarray, " users"]:
        """Return one value a user, by user id.

        Raises:
            DatasetError: nothing of the kind was measured.
        """
        found: np.ndarray = self._of(measure)["value"].to_numpy()
        return found

    def user_ids(self, measure: Measure) -> UInt32[np.ndarray, " users"]:
        """Return whose values `values` are."""
        found: np.ndarray = self._of(measure)["user_id"].to_numpy()
        return found

    def _of(self, measure: Measure) -> pa.Table:
        wanted = np.logical_and.reduce(
            [
                self.rows[name].to_numpy() == value
                for name, value in zip(Measure._fields, measure, strict=True)
            ]
        )
        if not wanted.any():
            raise DatasetError(f"{measure} was not measured; there are {self.measures}")
        return self.rows.filter(pa.array(wanted))

    def interval(self, measure: Measure, seed: int = 0) -> Interval:
        """Return the mean over users with its 95 % bootstrap interval."""
        return bootstrap_interval(self.values(measure), seed=seed)

    def summary(self) -> dict[str, float]:
        """Return all means: "full/ndcg@20" -> value."""
        return {
            f"{one.protocol}/{one.metric}@{one.k}": float(self.values(one).mean())
            for one in self.measures
        }


def compare(first: Evaluation, second: Evaluation, measure: Measure, seed: int = 0) -> Difference:
    """Return first minus second over the same users, its interval and its p value.

    Raises:
        DatasetError: the two were measured on different users.
    """
    if not np.array_equal(first.user_ids(measure), second.user_ids(measure)):
        raise DatasetError(f"{first.model} and {second.model} were evaluated on different users")
    return paired_difference(first.values(measure), second.values(measure), seed=seed)


def user_batch(data: Dataset, user_rows: Int64[np.ndarray, " batch"]) -> UserBatch:
    """Return users as a model sees them: their training rows of all domains, and the profiles of those."""
    history = {domain: matrix[user_rows] for domain, matrix in data.interactions.items()}
    users = with_profiles(data, data.user_ids[user_rows], history)
    return replace(users, events=data.events_of(user_rows))


def with_profiles(data: Dataset, ids: UInt32[np.ndarray, " batch"], history: History) -> UserBatch:
    """Return users of given histories, with the profiles of just those histories."""
    if data.profiles is None:
        return UserBatch(ids, history)
    source, weights = data.profiles, None
    if isinstance(source, WeightedProfileSource):
        texts, weights = source.weighted_texts(history)
    else:
        texts = source.texts(history)
    return UserBatch(ids, history, texts, source.interests(history), title_weights=weights)


def evaluate(
    model: Recommender, data: Dataset, held_out: HeldOut, protocols: Sequence[Protocol]
) -> Evaluation:
    """Measure `model` on the held-out users.

    Raises:
        CannotJudgeError: the model needs what none of the users has; the message names model and reason.
        DatasetError: a held-out positive is a training row, a user has no positive, or the model was
            trained on another catalogue.
    """
    _check_items(model, data)
    _refuse_unmet_needs(model, data, held_out)

    def score(part: slice) -> Float32[np.ndarray, "part items"]:
        users = user_batch(data, held_out.user_rows[part])
        scores = np.array(model.score(users))
        if Need.PROFILE in model.needs and users.profiles is not None:
            scores[[not text for text in users.profiles]] = np.nan
        return scores

    found = evaluate_scores(model.name, score, data, held_out, protocols)
    if found.n_covered == 0 and Need.PROFILE in model.needs:
        raise CannotJudgeError(
            f"{model.name} needs a profile: none of the {len(held_out.user_rows)} users has profile text"
        )
    return found


def evaluate_scores(
    name: str,
    score: Callable[[slice], Float32[np.ndarray, "part items"]],
    data: Dataset,
    held_out: HeldOut,
    protocols: Sequence[Protocol],
) -> Evaluation:
    """Measure scores, wherever they come from, on the held-out users.

    Args:
        name: What to call them.
        score: The scores of a part of the held-out users; a row of NaN where a user cannot be judged.
        data: The training rows.
        held_out: The users.
        protocols: How to rank.

    Raises:
        DatasetError: a held-out positive is a training row, or a user has no positive.
    """
    _check_held_out(data, held_out)
    known = _known(data, held_out)
    positives = binary(held_out.positives)
    tables: list[pa.Table] = []
    ranks: list[pa.Table] = []
    n_covered = 0
    for part in _batches(len(held_out.user_rows), len(data.target_items)):
        scores, covered = _judged(score(part))
        n_covered += int(covered.sum())
        ids = data.user_ids[held_out.user_rows[part]]
        users = Users(ids, positives[part], known[part], int(positives.indptr[part.start]))
        for protocol in protocols:
            ranked = protocol.places(scores, users)
            tables.append(_table(name, protocol, ranked, users))
            ranks.append(_ranks(name, protocol, ranked, users, data.target_items.item_ids))
    return Evaluation(
        name,
        _sorted(pa.concat_tables(tables), "value"),
        len(held_out.user_rows),
        n_covered,
        _sorted(pa.concat_tables(ranks), "n_greater", "n_tied"),
    )


def _sorted(table: pa.Table, *values: str) -> pa.Table:
    """Return the rows in order of all columns but the values."""
    return table.sort_by([(name, "ascending") for name in table.column_names if name not in values])


def _known(data: Dataset, held_out: HeldOut) -> csr_array:
    """Return the target items that are no candidates of each held-out user."""
    trained = binary(data.interactions[data.target][held_out.user_rows])
    if held_out.excluded is None:
        return trained
    return binary(csr_array(trained + binary(held_out.excluded)))


def _batches(n_users: int, n_items: int) -> Iterator[slice]:
    step = max(1, SCORES_AT_ONCE // max(1, n_items))
    return (slice(start, min(start + step, n_users)) for start in range(0, n_users, step))


def _judged(
    scores: Float32[np.ndarray, "users items"],
) -> tuple[Float32[np.ndarray, "users items"], Bool[np.ndarray, " users"]]:
    """Return scores without NaN, and which users were judged; the others have all items tied."""
    covered = ~np.isnan(scores).all(axis=1)
    known = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    known[~covered] = 0.0
    return known, covered


def _table(model: str, protocol: Protocol, ranked: Places, users: Users) -> pa.Table:
    parts = [
        pa.table(
            {
                "model": pa.array([model] * len(users.ids)),
                "protocol": pa.array([protocol.name] * len(users.ids)),
                "user_id": pa.array(users.ids, pa.uint32()),
                "metric": pa.array([metric] * len(users.ids)),
                "k": pa.array([k] * len(users.ids), pa.uint32()),
                "value": pa.array(values, pa.float64()),
            },
            schema=METRICS,
        )
        for (metric, k), values in protocol.values(ranked, users).items()
    ]
    return pa.concat_tables(parts)


def _ranks(
    model: str,
    protocol: Protocol,
    ranked: Places,
    users: Users,
    item_ids: UInt32[np.ndarray, " items"],
) -> pa.Table:
    n_positives = users.positives.nnz
    return pa.table(
        {
            "model": pa.array([model] * n_positives),
            "protocol": pa.array([protocol.name] * n_positives),
            "user_id": pa.array(users.ids[rows_of(users.positives)], pa.uint32()),
            "item_id": pa.array(item_ids[users.positives.indices], pa.uint32()),
            "n_greater": pa.array(ranked.n_greater, pa.uint32()),
            "n_tied": pa.array(ranked.n_tied, pa.uint32()),
        },
        schema=RANKS,
    )


def _check_items(model: Recommender, data: Dataset) -> None:
    ours, theirs = data.target_items.item_ids, model.item_ids
    if theirs is None or np.array_equal(ours, theirs):
        return
    n_shared = len(np.intersect1d(ours, theirs))
    raise DatasetError(
        f"{model.name} was trained on another catalogue: {len(theirs)} items, the data have {len(ours)},"
        f" {n_shared} in both" + (" (in another order)" if n_shared == len(ours) else "")
    )


def _check_held_out(data: Dataset, held_out: HeldOut) -> None:
    positives = binary(held_out.positives)
    if not len(held_out.user_rows):
        raise DatasetError("there are no held-out users to evaluate on")
    n_empty = int(np.count_nonzero(counts(positives) == 0))
    if n_empty:
        raise DatasetError(f"{n_empty} held-out users have no positive in {data.target!r}")
    leaked = positives.multiply(
        binary(data.interactions[data.target][held_out.user_rows])
    ).count_nonzero()
    if leaked:
        raise DatasetError(f"{leaked} held-out positives are also training rows: the split leaks")
    if held_out.excluded is not None and positives.multiply(binary(held_out.excluded)).nnz:
        raise DatasetError("held-out positives are excluded from the candidates")


def _refuse_unmet_needs(model: Recommender, data: Dataset, held_out: HeldOut) -> None:
    """Refuse what no user at all fulfils; single users without are counted as not covered."""
    for need in sorted(model.needs):
        reason = _unmet(need, data, held_out)
        if reason:
            raise CannotJudgeError(f"{model.name} needs {need.value}: {reason}")


def _unmet(need: Need, data: Dataset, held_out: HeldOut) -> str:
    n_users = len(held_out.user_rows)
    match need:
        case Need.HISTORY | Need.KNOWN_USER:
            has_rows = sum(
                counts(binary(rows))[held_out.user_rows] for rows in data.interactions.values()
            )
            return "" if np.any(has_rows) else f"none of the {n_users} users has a training row"
        case Need.PROFILE:
            return "" if data.profiles is not None else "the data set has no source of profiles"
        case Need.ITEM_TEXT:
            return (
                "" if any(data.target_items.titles) else f"no item of {data.target!r} has a title"
            )
        case Need.RATINGS:
            graded = any(len(np.unique(rows.data)) > 1 for rows in data.interactions.values())
            return "" if graded else "all feedback is positive, none is graded"
