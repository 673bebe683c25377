"""Every domain as the target at once: which gain by the others, and which lose (negative transfer).

In: a store, domains, names of models. A share of everybody's rows is held out in each domain (a warm split), so that
one set of training rows serves every target; of a product under two ids the later domain's is left out. Out:
`DomainsCompared`: precision, recall and NDCG at 10 and 20 over all items of each domain (Li et al., CAT-ART, WSDM
2023), beside those of a model of that domain alone over the same users: the same model without the other domains,
or, where it cannot judge anybody so, BPR-MF, the paper's. Where the mean is below it, transfer was negative. Only
vectors cross domains in CAT-ART, and its first two stages are learned once for all targets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mekb.config import Settings
from mekb.dataset import SplitWorld, dataset_of, without_twins
from mekb.errors import UnknownError
from mekb.models import OnProgress, device_of, told
from mekb.store import Store
from mekb.worlds import world_of
from training.comparison import Clock, Cost
from training.contract import FitContext, Progress, Recommender
from training.controls import without_sources
from training.errors import REFUSALS
from training.evaluate import Evaluation, evaluate
from training.every_domain import MULTI_TARGET, DomainRow, Retargetable, transfer_rows
from training.protocols import Measure
from training.registry import MODELS, create
from training.split_config import SplitKind
from training.splits import Split, make_split

ALONE = "bpr_mf"
"""The model of one domain where a model cannot stand alone (Li et al., section 4.1: BPR-MF)."""
DECIDING = Measure("full", "ndcg", 10)


@dataclass(frozen=True)
class DomainsCompared:
    """Models in every domain."""

    rows: list[dict[str, Any]]
    """One a model, domain and measure: value, alone, difference with interval and p, whether negative."""
    protocol: list[str]
    notes: list[str]
    costs: Mapping[str, Cost]
    """Model -> seconds of all its fits, those alone left out."""

    def table(self) -> list[dict[str, Any]]:
        """Return one row a model and domain: values, marked where they are below the model alone."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        gains: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.rows:
            key = (row["model"], row["domain"])
            shown = found.setdefault(key, {"model": row["model"], "domain": row["domain"]})
            shown[row["measure"]] = f"{row['value']:.4f}{' negative' if row['is_negative'] else ''}"
            if row["decides"]:
                gap = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
                gains[key] = {
                    "alone": row["alone_model"],
                    f"gain {row['measure']}": gap,
                    "p": row["p"],
                }
        return [one | gains[key] | self._seconds(key[0]) for key, one in found.items()]

    def _seconds(self, model: str) -> dict[str, float]:
        cost = self.costs[model]
        return {"fit s": round(cost.wall, 2), "fit CPU s": round(cost.cpu, 2)}


def compare_domains(
    store: Store,
    domains: Sequence[str],
    models: Sequence[str],
    settings: Settings,
    on_progress: OnProgress,
    model_settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> DomainsCompared:
    """Fit and measure models in every domain, and hold each against a model of the domain alone.

    Raises:
        UnknownError: a domain or a model is not known, or there are fewer than two domains.
        DatasetError: a domain leaves nobody to test on.
    """
    for name in models:
        if name not in MODELS:
            raise UnknownError(f"no model '{name}'; there are {', '.join(sorted(MODELS))}")
    made = _splits(store, domains, settings)
    fits = _Fits(made, settings, on_progress, model_settings or {})
    rows: list[dict[str, Any]] = []
    notes, costs = [], {}
    for name in dict.fromkeys(models):
        clock = Clock()
        try:
            across = fits.across(name)
        except REFUSALS as error:
            notes.append(f"{name} is left out: {error}")
            continue
        costs[name] = clock.cost()
        alone, alone_model = fits.alone(name)
        rows += [_row(name, alone_model, one) for one in transfer_rows(across, alone)]
    return DomainsCompared(rows, _protocol(made, settings), notes, costs)


def _splits(store: Store, domains: Sequence[str], settings: Settings) -> dict[str, SplitWorld]:
    """Return a data set for each target, all with the same training rows."""
    found = store.query("select distinct domain from items order by domain")["domain"].to_pylist()
    chosen = tuple(dict.fromkeys(domains)) or tuple(found)
    if len(chosen) < 2:  # noqa: PLR2004  (what transfers, transfers from somewhere)
        raise UnknownError(f"{store.path}: {', '.join(chosen)} is one domain; name two or more")
    config = settings.split.model_copy(update={"kind": SplitKind.WARM, "drop_twins": False})
    world = world_of(store, chosen[1:], chosen[0], config, linked=store.has("item_entities"))
    for number, domain in enumerate(chosen[:-1]):  # one of two ids of a product is enough
        later = {name: world.catalogues[name] for name in chosen[number:]}
        rest = without_twins(replace(world, catalogues=later), store, domain, settings.split)
        world = replace(rest, catalogues=world.catalogues)
    parts = {domain: make_split(world.interactions, domain, config) for domain in chosen}
    train = {domain: parts[domain].train[domain] for domain in chosen}
    nobody = np.empty(0, dtype=np.int64)
    return {
        domain: dataset_of(
            world,
            domain,
            Split(train, own.valid, own.test, own.facts, newcomers=nobody),
            settings.scoring,
        )
        for domain, own in parts.items()
    }


@dataclass(frozen=True)
class _Fits:
    """Fits models of one set of training rows."""

    made: Mapping[str, SplitWorld]
    settings: Settings
    on_progress: OnProgress
    model_settings: Mapping[str, Mapping[str, Any]]
    kept: dict[str, dict[str, Evaluation]] = field(default_factory=dict)
    """BPR-MF of each domain alone, once it was asked for."""

    def across(self, name: str) -> dict[str, Evaluation]:
        """Return how a model does in each domain that learned from all; what serves every target is learned once."""
        found: dict[str, Evaluation] = {}
        first: Recommender | None = None
        for domain, one in self.made.items():
            context = self._context(f"{name} -> {domain}")
            if first is not None and isinstance(first, Retargetable):
                model = first.for_target(one.data, context)
            else:
                model = create(name, self.model_settings.get(name, {}))
                model.fit(one.data, context)
                first = model
            found[domain] = evaluate(model, one.data, one.test, [MULTI_TARGET])
        return found

    def alone(self, name: str) -> tuple[dict[str, Evaluation], str]:
        """Return how the model does in each domain that learned from that one only, and its name."""
        try:
            found = self._alone(name)
        except REFUSALS:
            found = {}
        if found and all(one.n_covered for one in found.values()):
            return found, name
        if ALONE not in self.kept:
            self.kept[ALONE] = self._alone(ALONE)
        return self.kept[ALONE], ALONE

    def _alone(self, name: str) -> dict[str, Evaluation]:
        found = {}
        for domain, one in self.made.items():
            data, model = without_sources(one.data), create(name, self.model_settings.get(name, {}))
            model.fit(data, self._context(f"{name}, {domain} alone"))
            found[domain] = evaluate(model, data, one.test, [MULTI_TARGET])
        return found

    def _context(self, what: str) -> FitContext:
        def show(progress: Progress) -> None:
            self.on_progress(told(progress, what), progress.done, progress.total)

        train = self.settings.train
        context = FitContext(train.seed, device_of(train.device), train.precision)
        return replace(context, on_progress=show)


def _row(name: str, alone_model: str, one: DomainRow) -> dict[str, Any]:
    interval = one.difference.interval
    return {
        "model": name,
        "domain": one.domain,
        "measure": f"{one.measure.metric.upper()}@{one.measure.k}",
        "value": one.value,
        "alone": one.alone,
        "alone_model": alone_model,
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "p": round(one.difference.p_value, 4),
        "is_negative": one.is_negative,
        "decides": one.measure == DECIDING,
    }


def _protocol(made: Mapping[str, SplitWorld], settings: Settings) -> list[str]:
    whom = ", ".join(f"{domain} ({len(one.test.user_rows)} users)" for domain, one in made.items())
    config = settings.split
    whom += (
        f"; {config.test_share:.0%} of everybody's rows in each domain are the test, seed {config.seed};"
        " all items ranked; models with the settings given, nothing searched"
    )
    values = (
        "negative: below a model of the domain alone (column alone), negative transfer; gain: mean difference"
        " over users with its 95 % bootstrap interval, p of a paired sign-flip test, not corrected"
    )
    return [whom, values]
