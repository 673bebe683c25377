"""The sample world: a small genuine wiki, real titles of three domains, and users whose tastes are known.

    pages/*.wiki  ──export──>   samplewiki-pages-articles.xml.bz2, page_qids.tsv
    items/*.jsonl ──items──>    items.jsonl
                  ──simulate──> interactions.csv, true_interests.jsonl

The demo, the notebooks and many tests run on it without a download. Entities, titles and Wikidata ids are
real; every sentence is ours; the users are drawn from a seed, so that recommendations can be compared
with the interests they came from.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mekb.sample.export import write_export, write_qids
from mekb.sample.items import SampleItem, sample_items, write_items
from mekb.sample.pages import WikiPage, sample_pages
from mekb.sample.simulate import SimulatedUser, simulate_users

__all__ = [
    "SampleItem",
    "SampleWorld",
    "SimulatedUser",
    "WikiPage",
    "sample_items",
    "sample_pages",
    "simulate_users",
    "write_sample_world",
]


@dataclass(frozen=True)
class SampleWorld:
    """The files of a sample world."""

    dump: Path
    """MediaWiki XML export, bz2."""
    qids: Path
    """TSV without header: page title, Wikidata id."""
    items: Path
    """JSON lines: item_id, domain, title, text, brand, categories."""
    interactions: Path
    """CSV: user_id, item_id, domain, rating (1 to 5), timestamp (seconds since 1970)."""
    truth: Path
    """JSON lines: user_id, interests (Wikidata id -> weight), domains, zero_shot. Not for a model."""


def _write_interactions(users: Sequence[SimulatedUser], path: Path) -> None:
    """Write one row a rating, users in order and each by time."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user_id", "item_id", "domain", "rating", "timestamp"])
        writer.writerows(
            [user.user_id, done.item_id, done.domain, done.rating, done.timestamp]
            for user in users
            for done in user.interactions
        )


def _write_truth(users: Sequence[SimulatedUser], path: Path) -> None:
    """Write one object a user."""
    rows = [
        {
            "user_id": user.user_id,
            "interests": {qid: round(weight, 6) for qid, weight in user.interests},
            "domains": user.domains,
            "zero_shot": user.zero_shot,
        }
        for user in users
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def write_sample_world(folder: Path, *, n_users: int = 3000, seed: int = 0) -> SampleWorld:
    """Write the sample world's files; the same arguments give the same bytes.

    Args:
        folder: Where to; made if it is not there. Files of an earlier run are replaced.
        n_users: How many users to simulate.
        seed: Of the users; the wiki and the items do not depend on it.

    Raises:
        SourceError: The packaged pages or items are damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = SampleWorld(
        dump=folder / "samplewiki-pages-articles.xml.bz2",
        qids=folder / "page_qids.tsv",
        items=folder / "items.jsonl",
        interactions=folder / "interactions.csv",
        truth=folder / "true_interests.jsonl",
    )
    pages, items = sample_pages(), sample_items()
    users = simulate_users(items, n_users=n_users, seed=seed)
    write_export(pages, world.dump)
    write_qids(pages, world.qids)
    write_items(items, world.items)
    _write_interactions(users, world.interactions)
    _write_truth(users, world.truth)
    return world
