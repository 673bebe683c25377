"""What a model is worth on held-out users: HR@K and NDCG@K per user, under a stated protocol.

In: a fitted model, the training data, users whose target rows were held out. Out: one row a user and
metric, their means with intervals over users, and a paired test between two models.

No test row is dropped. A user the model cannot judge (no profile text, a row of NaN) counts with the value
of a scorer that cannot tell items apart, and `n_covered` says how many were judged; whoever wants a
popularity fallback there puts it into the model. An item a judged user has no score for ranks last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64, Int64, UInt32
from scipy.sparse import csr_array

from training.contract import Need, Recommender, UserBatch
from training.dataset import Dataset, HeldOut, History, binary, counts, rows_of
from training.errors import CannotJudgeError, DatasetError
from training.metrics import Places, hit_rate, ndcg, places
from training.schema import METRICS
from training.significance import Difference, Interval, bootstrap_interval, paired_difference

SCORES_AT_ONCE = 1 << 24
"""Scores held at a time: 64 MiB of float32."""


class Measure(NamedTuple):
    """One column of a table of results."""

    protocol: str
    metric: str
    k: int


class Users(NamedTuple):
    """Held-out users of one batch with the items they are ranked on."""

    ids: np.ndarray
    positives: csr_array
    seen: csr_array
    """Target positives of the training rows: never candidates."""


@dataclass(frozen=True)
class Full:
    """Every item is ranked, except those the user has in the training rows."""

    k: int = 20

    @property
    def name(self) -> str:
        """The protocol's name in tables."""
        return "full"

    def values(
        self, scores: Float32[np.ndarray, "users items"], users: Users
    ) -> dict[str, Float64[np.ndarray, " users"]]:
        """Return HR@K and NDCG@K of each user over all of the user's positives."""
        candidates = scores.copy()
        candidates[rows_of(users.seen), users.seen.indices] = np.nan
        ranked = places(candidates, users.positives)
        return {"hr": hit_rate(ranked, self.k), "ndcg": ndcg(ranked, self.k)}


@dataclass(frozen=True)
class Sampled:
    """Each positive is ranked among sampled negatives, the same ones for every model.

    The paper's measure (Yuan et al., MeKB-Rec, KaRS 2023, section 4.2: 1 positive, 999 negatives, K = 10).
    Sampled metrics may order models otherwise than full ranking does (Krichene and Rendle, KDD 2020):
    report it beside `Full`, not instead.
    """

    n_negatives: int = 999
    k: int = 10
    seed: int = 0

    @property
    def name(self) -> str:
        """The protocol's name in tables."""
        return f"sampled-{self.n_negatives}"

    def negatives(
        self, user_id: int, pool: Int64[np.ndarray, " pool"], n_positives: int
    ) -> Int64[np.ndarray, "positives negatives"]:
        """Return the negatives of each positive: uniform without replacement from `pool`.

        A pool smaller than `n_negatives` is taken whole.
        """
        rng = np.random.default_rng([self.seed, user_id])
        n = min(self.n_negatives, len(pool))
        draws = [rng.choice(pool, n, replace=False, shuffle=False) for _ in range(n_positives)]
        return np.stack(draws)

    def values(
        self, scores: Float32[np.ndarray, "users items"], users: Users
    ) -> dict[str, Float64[np.ndarray, " users"]]:
        """Return the mean over each user's positives of HR@K and NDCG@K among their negatives."""
        row = rows_of(users.positives)
        n_greater, n_tied = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
        for user, user_id in enumerate(users.ids):
            part = slice(users.positives.indptr[user], users.positives.indptr[user + 1])
            liked = users.positives.indices[part]
            is_negative = np.ones(scores.shape[1], dtype=bool)
            is_negative[liked] = False
            is_negative[
                users.seen.indices[users.seen.indptr[user] : users.seen.indptr[user + 1]]
            ] = False
            pool = np.flatnonzero(is_negative).astype(np.int64)
            others = scores[user][self.negatives(int(user_id), pool, len(liked))]
            own = scores[user, liked][:, None]
            n_greater[part] = np.count_nonzero(others > own, axis=1)
            n_tied[part] = 1 + np.count_nonzero(others == own, axis=1)
        alone = Places(len(row), np.arange(len(row)), n_greater, n_tied)  # one ranking a positive
        share = 1.0 / counts(users.positives)[row]
        return {
            metric: np.bincount(row, weights=share * value, minlength=len(users.ids))
            for metric, value in {
                "hr": hit_rate(alone, self.k),
                "ndcg": ndcg(alone, self.k),
            }.items()
        }


Protocol = Full | Sampled


@dataclass(frozen=True)
class Evaluation:
    """The values of one model, per user."""

    model: str
    rows: pa.Table
    """Of `schema.METRICS`."""
    n_users: int
    n_covered: int
    """Users the model could judge; the others count as chance."""

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
    return with_profiles(data, data.user_ids[user_rows], history)


def with_profiles(data: Dataset, ids: UInt32[np.ndarray, " batch"], history: History) -> UserBatch:
    """Return users of given histories, with the profiles of just those histories."""
    if data.profiles is None:
        return UserBatch(ids, history)
    return UserBatch(ids, history, data.profiles.texts(history), data.profiles.interests(history))


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
    tables: list[pa.Table] = []
    n_covered = 0
    for part in _batches(len(held_out.user_rows), len(data.target_items)):
        scores, covered = _judged(score(part))
        n_covered += int(covered.sum())
        rows = held_out.user_rows[part]
        seen = binary(data.interactions[data.target][rows])
        users = Users(data.user_ids[rows], binary(held_out.positives[part]), seen)
        tables.extend(_table(name, protocol, scores, users) for protocol in protocols)
    order = [(column, "ascending") for column in METRICS.names if column != "value"]
    table = pa.concat_tables(tables).sort_by(order)
    return Evaluation(name, table, len(held_out.user_rows), n_covered)


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


def _table(
    model: str, protocol: Protocol, scores: Float32[np.ndarray, "users items"], users: Users
) -> pa.Table:
    parts = [
        pa.table(
            {
                "model": pa.array([model] * len(users.ids)),
                "protocol": pa.array([protocol.name] * len(users.ids)),
                "user_id": pa.array(users.ids, pa.uint32()),
                "metric": pa.array([metric] * len(users.ids)),
                "k": pa.array([protocol.k] * len(users.ids), pa.uint32()),
                "value": pa.array(values, pa.float64()),
            },
            schema=METRICS,
        )
        for metric, values in protocol.values(scores, users).items()
    ]
    return pa.concat_tables(parts)


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
