"""RecBole's atomic files: `NAME.inter`, and `NAME.item` where there is one.

Tab-separated, with a header of `field:type`. Field names differ from data set to data set; those of the data sets
RecBole offers are known here, and any other is named by `--column title=...`. What this product makes of items it
finds in titles itself, so `.kg` and `.link` (ids of Freebase) are left alone; `mekb data export --format recbole`
writes them. Source: Zhao et al., "RecBole" (CIKM 2021), and its documentation of atomic files.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from mekb.errors import SourceError
from mekb.sources.delimited import RECBOLE_FIELD
from mekb.sources.presets.preset import Found, Preset, head_rows
from mekb.sources.source_files import SourceFile

NBSP = "\u00a0"
"""Stands for a space inside a name of a token_seq, where a plain one parts the names."""

ITEM_FIELDS: Mapping[str, Sequence[str]] = {
    "title": (
        "title",
        "movie_title",
        "book_title",
        "item_name",
        "name",
        "app_name",
        "song",
        "track_name",
    ),
    "text": ("text", "description", "summary", "overview"),
    "brand": ("brand", "author", "artist", "developer", "publisher", "store"),
    "categories": ("categories", "class", "genre", "genres", "category", "tags"),
}
"""Role -> fields that hold it, the first that is there."""
EVENT_FIELDS: Mapping[str, Sequence[str]] = {
    "rating": ("rating", "stars", "score"),
    "at": ("timestamp", "time", "date"),
}
USERS = ("user_id", "user")
ITEMS = (
    "item_id",
    "movie_id",
    "book_id",
    "business_id",
    "venue_id",
    "product_id",
    "tracks_id",
    "item",
)
ATOMIC = re.compile(r"\.(inter|item)(\.gz)?$")


def _fields(path: Path) -> dict[str, str]:
    """Return name -> type of an atomic file's header.

    Raises:
        SourceError: a field has no type.
    """
    fields = {}
    for field in head_rows(path, "\t", limit=1)[0]:
        match = RECBOLE_FIELD.fullmatch(field.removeprefix("\u00ef\u00bb\u00bf"))
        if match is None:
            raise SourceError(
                f"{path}: header field {field!r} has no type; RecBole files need name:type, such as '{field}:token'"
            )
        fields[match[1]] = match[2]
    return fields


def _id_field(path: Path, fields: Mapping[str, str], known: Sequence[str], place: int) -> str:
    """Return the field with the ids: by name, else the token field at its usual place."""
    tokens = [name for name, kind in fields.items() if kind == "token"]
    named = [name for name in known if name in tokens]
    if named or len(tokens) > place:
        return named[0] if named else tokens[place]
    raise SourceError(f"{path}: no field of type token for {known[0]}; it has {', '.join(fields)}")


def _present(fields: Mapping[str, str], roles: Mapping[str, Sequence[str]]) -> dict[str, str]:
    found = {
        role: next((name for name in names if name in fields), None)
        for role, names in roles.items()
    }
    return {role: name for role, name in found.items() if name is not None}


def _spaced(table: pa.Table) -> pa.Table:
    """Return the table with plain spaces inside the names of categories."""
    if "categories" not in table.column_names:
        return table
    names = [[name.replace(NBSP, " ") for name in row] for row in table["categories"].to_pylist()]
    place = table.column_names.index("categories")
    return table.set_column(place, "categories", pa.array(names, pa.list_(pa.string())))


def _find(paths: Sequence[Path]) -> Found:
    names = {ATOMIC.sub("", path.name).partition(".")[0] for path in paths}
    if len(names) > 1:
        raise SourceError(
            f"{paths[0].parent}: atomic files of several data sets ({', '.join(sorted(names))}); name the files of each"
            f" domain: --data DOMAIN={paths[0]}"
        )
    items, events = [], []
    for path in paths:
        fields = _fields(path)
        if ".item" in path.suffixes:
            columns = {"item": _id_field(path, fields, ITEMS, 0), **_present(fields, ITEM_FIELDS)}
            items.append(
                SourceFile(path, columns, required=("item",), separator="\t", shape=_spaced)
            )
        else:
            ids = {
                "user": _id_field(path, fields, USERS, 0),
                "item": _id_field(path, fields, ITEMS, 1),
            }
            events.append(
                SourceFile(path, {**ids, **_present(fields, EVENT_FIELDS)}, separator="\t")
            )
    return Found(items, events)


RECBOLE = Preset(
    name="recbole",
    summary="NAME.inter and NAME.item, headers of field:type",
    wanted=lambda name: bool(ATOMIC.search(name)),
    find=_find,
    policies={},
)
