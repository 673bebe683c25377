"""Every domain as the target: one table over all of them, with negative transfer marked.

In: a model, data of several domains over one set of users, and what was held out in each. Out: an evaluation a
domain, and rows that compare it with the same users served by a model of that domain alone. A domain where the
mean is below that of the model alone has negative transfer (Li et al., CAT-ART, WSDM 2023, main results).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol as Interface
from typing import runtime_checkable

from training.contract import FitContext, Recommender
from training.dataset import Dataset, HeldOut
from training.errors import DatasetError
from training.evaluate import Evaluation, compare, evaluate
from training.protocols import Full, Measure, Protocol
from training.significance import Difference

MULTI_TARGET = Full(k=10, also=(20,), metrics=("precision", "recall", "ndcg"))
"""Precision, recall and NDCG at 10 and 20 over all items: CAT-ART's measures."""


@runtime_checkable
class Retargetable(Interface):
    """A model of which a part serves every target, and need not be learned again."""

    def for_target(self, data: Dataset, context: FitContext) -> Recommender:
        """Return a model for the target of `data`, which differ in nothing else from those it was fitted on."""
        ...


@dataclass(frozen=True)
class DomainRow:
    """One measure of one domain."""

    domain: str
    measure: Measure
    value: float
    alone: float
    """Of the model of this domain alone."""
    difference: Difference
    """Value minus alone over the same users, its interval and p value."""

    @property
    def is_negative(self) -> bool:
        """Whether transfer made it worse."""
        return self.value < self.alone


def with_target(data: Dataset, target: str) -> Dataset:
    """Return the same training rows with another target; validation users are those of the old one only."""
    return data if target == data.target else replace(data, target=target, valid=None)


def fit_every_domain(
    model: Recommender, data: Dataset, context: FitContext
) -> dict[str, Recommender]:
    """Fit `model` for the target of `data`, and one like it for each other domain."""
    model.fit(data, context)
    fitted: dict[str, Recommender] = {data.target: model}
    for domain in data.sources:
        other = with_target(data, domain)
        if isinstance(model, Retargetable):
            fitted[domain] = model.for_target(other, context)
        else:
            fitted[domain] = type(model)(model.config)
            fitted[domain].fit(other, context)
    return {domain: fitted[domain] for domain in data.catalogues}


def evaluate_every_domain(
    models: Mapping[str, Recommender],
    data: Dataset,
    held_out: Mapping[str, HeldOut],
    protocols: Sequence[Protocol] = (MULTI_TARGET,),
) -> dict[str, Evaluation]:
    """Measure each domain's model on what was held out there.

    Raises:
        DatasetError: there is no model for a domain of `held_out`.
    """
    missing = sorted(set(held_out) - set(models))
    if missing:
        raise DatasetError(f"no model for {', '.join(missing)}; there are {', '.join(models)}")
    return {
        domain: evaluate(models[domain], with_target(data, domain), users, protocols)
        for domain, users in held_out.items()
    }


def transfer_rows(
    across: Mapping[str, Evaluation], alone: Mapping[str, Evaluation], seed: int = 0
) -> list[DomainRow]:
    """Return every measure of every domain beside that of a model of the domain alone."""
    return [
        DomainRow(
            domain,
            measure,
            float(found.values(measure).mean()),
            float(alone[domain].values(measure).mean()),
            compare(found, alone[domain], measure, seed),
        )
        for domain, found in across.items()
        for measure in found.measures
    ]
