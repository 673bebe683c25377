"""An audit: one target domain, its sources, a split; every check once, over one connection."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from mekb.audit.held_out import HeldOutRows, entity_findings, held_out_rows, visible_finding
from mekb.audit.products import product_findings
from mekb.audit.report import Audit, Finding, Verdict
from mekb.audit.rows import row_findings
from mekb.errors import UnknownError
from mekb.store import Store
from mekb.twins import TwinConfig, twins
from training.errors import ConfigError, DatasetError
from training.split_config import SplitConfig


def audit(
    store: Store,
    target: str,
    sources: Sequence[str] = (),
    split: SplitConfig | None = None,
    evidence: TwinConfig | None = None,
) -> Audit:
    """Look for what makes a model look better than it is.

    Args:
        store: With imported data; linked items are looked at too.
        target: The domain to be recommended from.
        sources: The other domains; all others when empty.
        split: Whose test rows are looked at; `drop_twins` is left aside, so that what it removes is seen.
        evidence: What makes two items one product; by default with the `min_twin_buyers` of the split.

    Raises:
        UnknownError: nothing is imported, no such domain, or there is but one.
    """
    store.require("items", "users", "interactions", hint="import your data with 'mekb data import'")
    config = split or SplitConfig()
    chosen = evidence or TwinConfig(min_buyers=config.min_twin_buyers)
    names = _sources(store, target, sources)
    found = _twins(store.connection, names, target, chosen)
    cursor = store.connection.cursor()
    try:
        cursor.register("audit_twins", found)
        cursor.register("audit_sources", pa.table({"domain": pa.array(names, pa.string())}))
        findings = [
            *product_findings(cursor, target, chosen),
            *_held_out_findings(store, cursor, names, target, config),
            *row_findings(cursor, target),
        ]
    finally:
        cursor.close()
    return Audit(target=target, sources=tuple(names), findings=tuple(findings))


def _sources(store: Store, target: str, sources: Sequence[str]) -> list[str]:
    """Return the source domains: those named, or all but the target."""
    table = store.query("select distinct domain from items order by domain")
    domains: list[str] = table["domain"].to_pylist()
    for domain in (target, *sources):
        if domain not in domains:
            raise UnknownError(
                f"no domain '{domain}' in {store.path}; it holds {', '.join(domains)}"
            )
    if target in sources:
        raise UnknownError(f"'{target}' is both source and target; name two domains")
    names = list(dict.fromkeys(sources)) or [domain for domain in domains if domain != target]
    if not names:
        raise UnknownError(
            f"{store.path} holds one domain, {target}; an audit compares two or more"
        )
    return names


def _twins(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[str], target: str, config: TwinConfig
) -> pa.Table:
    """Return the twins of all sources, with the source each group is of."""
    parts = []
    for source in sources:
        groups = twins(connection, source, target, config)
        names = pa.repeat(pa.scalar(source, pa.string()), groups.num_rows)
        parts.append(groups.append_column("source", names))
    return pa.concat_tables(parts)


def _held_out_findings(
    store: Store,
    cursor: duckdb.DuckDBPyConnection,
    sources: Sequence[str],
    target: str,
    split: SplitConfig,
) -> list[Finding]:
    """Look at the test rows of the split, where one can be made."""
    try:
        held_out: HeldOutRows = held_out_rows(store, sources, target, split)
    except (ConfigError, DatasetError) as error:
        return [
            Finding(
                name="test rows in the source",
                what=f"no split can be made: {error}",
                count=0,
                of=0,
                verdict=Verdict.LOOK,
                advice="nothing can be tested across these domains; see 'mekb data describe'",
            )
        ]
    cursor.register("audit_test", held_out.test)
    cursor.register("audit_profile", held_out.profile)
    found = [visible_finding(cursor, split)]
    if store.has("item_entities"):
        found += entity_findings(cursor, split)
    return found
