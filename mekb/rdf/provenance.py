"""What is known about the run that made a MeKB, as the store's own records tell it."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

from mekb.store import Store

RUN_SQL = "select config, started_at, seconds from runs where run_id = $run_id"

ALIAS_INPUTS_SQL = """
select inputs from runs where stage = 'aliases' order by started_at desc limit 1
"""

_DUMP = re.compile(r"(?P<wiki>[a-z][a-z_]*?)wiki(?:-(?P<date>\d{8}))?(?=[-.]|$)")
"""How Wikimedia names its dumps: enwiki-20260701-pages-articles.xml.bz2."""
_NO_LANGUAGE = {"commons", "incubator", "mediawiki", "meta", "sources", "species", "wikidata"}


@dataclass(frozen=True)
class Source:
    """Something a run used."""

    name: str
    """Such as "enwiki-20260701"."""
    issued: date | None = None
    """The day of the dump."""


@dataclass(frozen=True)
class Provenance:
    """What is known about the run that made a MeKB; all of it may be missing."""

    store: str = "local"
    """The store's name: the space its users, items and own entities are named in."""
    run_id: str | None = None
    """The run; the graph's own `run_id` where None."""
    software: str | None = None
    """Version of this package."""
    config_hash: str | None = None
    """Such as "sha256:ab12...": of the run's settings, as `runs.config` holds them."""
    ended_at: datetime | None = None
    """With its time zone."""
    sources: tuple[Source, ...] = ()
    wiki: str | None = None
    """Language code of the Wikipedia that titles and labels are from."""


def provenance_of(store: Store, run_id: str | None, *, software: str | None = None) -> Provenance:
    """Return what a store knows about a run and the dumps its aliases are from.

    Args:
        store: the store.
        run_id: the run that made the profiles; None when none is on record.
        software: version of this package.
    """
    name = store.path.stem
    run = store.first_row(RUN_SQL, {"run_id": run_id}) if run_id is not None else None
    if run is None:
        return Provenance(store=name, run_id=run_id, software=software)
    config, started_at, seconds = run
    inputs = store.first_row(ALIAS_INPUTS_SQL)
    files = [PurePosixPath(key).name for key in json.loads(inputs[0])] if inputs else []
    return Provenance(
        store=name,
        run_id=run_id,
        software=software,
        config_hash=f"sha256:{hashlib.sha256(config.encode()).hexdigest()}",
        ended_at=(started_at + timedelta(seconds=seconds)).replace(tzinfo=UTC),
        sources=tuple(dict.fromkeys(source_of(file) for file in files)),
        wiki=wiki_of(files),
    )


def source_of(file: str) -> Source:
    """Return what a file of the alias table is: a dump of a day, or a file by its name.

    >>> source_of("enwiki-20260701-pages-articles.xml.bz2")
    Source(name='enwiki-20260701', issued=datetime.date(2026, 7, 1))
    >>> source_of("titles.tsv")
    Source(name='titles.tsv', issued=None)
    """
    found = _DUMP.match(file)
    if found is None or found["date"] is None:
        return Source(file)
    try:
        issued = datetime.strptime(found["date"], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return Source(file)
    return Source(found[0], issued)


def wiki_of(files: Iterable[str]) -> str | None:
    """Return the language of the one Wikipedia that dumps are from, or None.

    >>> wiki_of(["zh_min_nanwiki-20260701-pages-articles.xml.bz2", "titles.tsv"])
    'zh-min-nan'
    """
    codes = {found["wiki"] for found in map(_DUMP.match, files) if found} - _NO_LANGUAGE
    return codes.pop().replace("_", "-") if len(codes) == 1 else None
