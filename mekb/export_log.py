"""Which files hold whose profile: written down when they are exported, so that a person can be forgotten there too.

A file is known by its content: one that was changed or replaced since is nobody's to delete.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mekb.fingerprint import file_fingerprint
from mekb.runs import utc_now
from mekb.schema import EXPORTS
from mekb.store import Store

EXPORTS_OF_SQL = """
select path, sha256, external_id is null as of_all from exports
where external_id = $user or external_id is null order by path
"""


@dataclass(frozen=True)
class Export:
    """A file that was exported from a store."""

    path: Path
    of_all: bool
    """Whether it holds everybody's profile."""
    unchanged: bool
    """Whether it is still there as it was written."""


def note_export(store: Store, path: Path, user: str | None) -> None:
    """Write down that a file holds a user's profile, or everybody's where None is given."""
    if not store.has("exports"):
        store.replace({"exports": EXPORTS.empty_table()})
    row = {
        "path": str(path.resolve()),
        "external_id": user,
        "sha256": file_fingerprint(path),
        "at": utc_now(),
    }
    store.merge("exports", pa.Table.from_pylist([row], EXPORTS))


def exports_of(store: Store, user: str) -> list[Export]:
    """Return the files that are still there and were exported with a user's profile in them."""
    if not store.has("exports"):
        return []
    found = store.connection.execute(EXPORTS_OF_SQL, {"user": user}).fetchall()
    return [
        Export(Path(path), of_all, file_fingerprint(Path(path)) == sha256)
        for path, sha256, of_all in found
        if Path(path).is_file()
    ]
