"""The verb that looks for leaks in a store's data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mekb.api.stores import StoreLike, opened
from mekb.config import Settings

if TYPE_CHECKING:
    from mekb.audit import Audit


def audit(
    store: StoreLike,
    *,
    target: str | None = None,
    sources: Sequence[str] = (),
    settings: Settings | None = None,
) -> "tuple[Audit, ...]":
    """Look for what makes a model look better than it is: one product under two ids, test rows in the input, and more.

    Args:
        store: A store with imported data; linked or not.
        target: The domain to be recommended from; each in turn when None.
        sources: The other domains; all others when empty.
        settings: `settings.split` says whose test rows are looked at, and its `min_twin_buyers` how much
            evidence makes two items one product.

    Raises:
        UnknownError: nothing is imported, no such domain, or there is but one.
    """
    from mekb.audit import audit as audit_store

    split = (settings or Settings()).split
    with opened(store) as source:
        source.require("items", hint="import your data with 'mekb data import'")
        found = source.query("select distinct domain from items order by domain")
        targets = [target] if target is not None else [
            domain for domain in found["domain"].to_pylist() if domain not in sources
        ]  # fmt: skip
        return tuple(audit_store(source, each, sources, split) for each in targets)
