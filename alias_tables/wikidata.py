"""Entities of a Wikidata JSON dump, streamed: sitelink, names, description, classes, year.

In: `latest-all.json` as it comes, plain, .bz2 or .gz: an array with one entity a line, or JSON Lines. Out:
an `Item` for each entity that matters for one wiki. A line is looked through as bytes first: of the hundred
million entities few have a page there. Of those that do, only the part before the claims, the sitelink and
the statements we read are decoded; a line in another layout is decoded whole. Damage in what is not read is
not noticed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alias_tables.errors import DumpError
from alias_tables.languages import LABEL_LANGUAGES
from alias_tables.sources import FileStamp, Source

MAX_LINE_BYTES = 1 << 28
"""A longer line is no entity; the longest on record are a few megabytes."""
ANY_LANGUAGE = "mul"
"""Wikidata's code for names that are the same in all languages."""
_YEAR_PRECISION = 9

_QID = re.compile(rb'"id"\s*:\s*"Q([1-9]\d{0,9})"')
_CLAIMS = re.compile(rb',\s*"claims"\s*:\s*(?=[\[{])')
_FIRST_STATEMENT = re.compile(r'\{\s*\}|\[\s*\]|\{\s*"P\d+"\s*:\s*\[\s*\{\s*"mainsnak"')
_TIME = re.compile(r"\+(\d{1,6})-")
_DECODER = json.JSONDecoder()
INSTANCE_OF = "P31"
PUBLICATION_DATES = ("P577", "P1191")
"""Publication date; date of first performance."""
START_DATES = ("P580", "P571")
"""Start time (of a series); inception. They count where no publication date is given."""
_PROPERTIES = (INSTANCE_OF, *PUBLICATION_DATES, *START_DATES)
_STATEMENTS = {
    name: re.compile(rf'"{name}"\s*:\s*(?=\[\s*\{{\s*"mainsnak")') for name in _PROPERTIES
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """What one wiki asks of a Wikidata entity."""

    qid: int
    title: str | None
    """Its page on the wiki, as the sitelink writes it; None if it has none there."""
    label: str | None
    names: tuple[str, ...]
    """Label and aliases in the wiki's language and its variants, each once, the label first."""
    description: str | None
    classes: tuple[int, ...]
    """Numbers of the QIDs it is an instance of (P31)."""
    published: int | None
    """Year of first publication or performance."""
    begun: int | None
    """Year of its start or inception."""


@dataclass(frozen=True, slots=True)
class ItemChoice:
    """Which entities matter, and in which language."""

    dbname: str = ""
    """Such as "enwiki"; with it, entities without a page there are passed over. Empty: all with a name."""
    language: str = "en"
    wanted: frozenset[int] = frozenset()
    """Entities that matter though they have no page."""

    def languages(self) -> tuple[str, ...]:
        """Return Wikidata's codes of the language: itself, names for all languages, its variants."""
        return (self.language, ANY_LANGUAGE, *LABEL_LANGUAGES.get(self.language, ()))


class ItemReader:
    """Turns lines of the dump into items."""

    def __init__(self, choice: ItemChoice) -> None:
        self._choice = choice
        self._languages = choice.languages()
        self._site = f'"{choice.dbname}"'.encode()
        self._sitelink = re.compile(rf'"{re.escape(choice.dbname)}"\s*:\s*(?=\{{)')

    def matters(self, line: bytes) -> bool:
        """Say whether a line is worth decoding; True for some that are not, never False for one that is."""
        choice = self._choice
        if not choice.dbname or self._site in line:
            return True
        if not choice.wanted:
            return False
        found = _QID.search(line)
        return found is not None and int(found[1]) in choice.wanted

    def read(self, line: bytes) -> Item | None:
        """Return the item of one line; None if it is no item or does not matter.

        Raises:
            ValueError: the line is no JSON object.
        """
        parts = self._parts(line) or json.loads(line)
        if not isinstance(parts, dict):
            raise ValueError("no JSON object")  # noqa: TRY004 (json's own error for damage is a ValueError)
        return self._item(parts)

    def _parts(self, line: bytes) -> Json | None:
        """Return the parts of an entity that are read; None if its layout is not that of the dumps."""
        found = _CLAIMS.search(line)
        if found is None:
            return None
        try:
            parts: Json = json.loads(line[: found.start()] + b"}")
        except ValueError:
            return None
        rest = line[found.end() :].decode()
        if "labels" not in parts or not _FIRST_STATEMENT.match(rest) or not rest.endswith("}"):
            return None
        claims: Json = {}
        for name in _PROPERTIES:
            statement = _STATEMENTS[name].search(rest)
            if statement:
                claims[name], _ = _DECODER.raw_decode(rest, statement.end())
        parts["claims"] = claims
        link = self._sitelink.search(rest) if self._choice.dbname else None
        sitelinks = {self._choice.dbname: _DECODER.raw_decode(rest, link.end())[0]} if link else {}
        parts["sitelinks"] = sitelinks
        return parts

    def _item(self, entity: Json) -> Item | None:
        qid = str(entity.get("id", ""))
        if entity.get("type", "item") != "item" or not re.fullmatch(r"Q[1-9]\d{0,9}", qid):
            return None
        choice, number = self._choice, int(qid[1:])
        link = _mapping(entity, "sitelinks").get(choice.dbname)
        title = link.get("title") if isinstance(link, dict) else None
        if choice.dbname and title is None and number not in choice.wanted:
            return None
        labels = _mapping(entity, "labels")
        label = next((labels[code]["value"] for code in self._languages if code in labels), None)
        names = dict.fromkeys(self._names(entity))
        if title is None and not names:
            return None
        claims = _mapping(entity, "claims")
        descriptions = _mapping(entity, "descriptions")
        return Item(
            qid=number,
            title=title,
            label=label,
            names=tuple(names),
            description=next(
                (descriptions[code]["value"] for code in self._languages if code in descriptions),
                None,
            ),
            classes=_classes(claims.get(INSTANCE_OF, [])),
            published=_first_year(claims, PUBLICATION_DATES),
            begun=_first_year(claims, START_DATES),
        )

    def _names(self, entity: Json) -> Iterator[str]:
        labels, aliases = _mapping(entity, "labels"), _mapping(entity, "aliases")
        for code in self._languages:
            if code in labels:
                yield labels[code]["value"]
        for code in self._languages:
            for alias in aliases.get(code, ()):
                yield alias["value"]


def _mapping(entity: Json, name: str) -> Json:
    """Return a part of an entity; an empty one is written `[]` in older dumps."""
    part = entity.get(name)
    return part if isinstance(part, dict) else {}


def _values(statements: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield rank and value of statements that have one and are not deprecated."""
    for statement in statements:
        rank = statement.get("rank", "normal")
        value = statement["mainsnak"].get("datavalue", {}).get("value")
        if rank != "deprecated" and isinstance(value, dict):
            yield rank, value


def _classes(statements: list[Json]) -> tuple[int, ...]:
    numbers = (value.get("numeric-id") for _, value in _values(statements))
    return tuple(dict.fromkeys(int(number) for number in numbers if number is not None))


def _first_year(claims: Mapping[str, list[Json]], names: tuple[str, ...]) -> int | None:
    """Return the earliest year of the first property that has one; preferred statements decide alone."""
    for name in names:
        years = [
            (rank, year) for rank, value in _values(claims.get(name, [])) if (year := _year(value))
        ]
        best = [year for rank, year in years if rank == "preferred"] or [year for _, year in years]
        if best:
            return min(best)
    return None


def _year(value: Json) -> int | None:
    """Return the year of a Wikidata time that is at least as precise; none before year 1."""
    match = _TIME.match(str(value.get("time", "")))
    precise = int(value.get("precision", 0)) >= _YEAR_PRECISION
    return (int(match[1]) or None) if match and precise else None


class WikidataDump:
    """Reads one part of the dump; use as a context manager, and `items()` once."""

    def __init__(self, path: Path, choice: ItemChoice, *, skip_damaged_lines: bool = False) -> None:
        self._source = Source(path)
        self._path = path
        self._reader = ItemReader(choice)
        self._skip = skip_damaged_lines
        self.n_lines = 0
        """Entities in the file."""
        self.damaged = 0
        """Lines that were no JSON and were passed over."""

    def __enter__(self) -> "WikidataDump":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(self, *_: object) -> None:
        self._source.__exit__()

    @property
    def position(self) -> int:
        """Bytes of the file read so far, compressed if it is."""
        return self._source.position

    def stamp(self) -> FileStamp:
        """Return name, size and hash of the file, reading it to its end."""
        return self._source.stamp()

    def items(self) -> Iterator[Item]:
        """Yield the items that matter, in file order.

        Raises:
            DumpError: the file is no such dump, ends too soon, or a line is damaged and not to be skipped.
        """
        begun, ended = False, False
        for position, raw in self._lines():
            line = raw.strip().removesuffix(b",")
            if line == b"[" and not begun:
                begun = True
                continue
            if line == b"]":
                ended = True
                continue
            if not line:
                continue
            if not self.n_lines and not line.startswith(b"{"):
                raise DumpError(
                    f"{self._path}: no entity at byte {position} ({line[:12]!r}); Wikidata's JSON dump"
                    " has one a line"
                )
            self.n_lines += 1
            item = self._item(position, line)
            if item is not None:
                yield item
        if begun and not ended:
            raise DumpError(
                f"{self._path}: the list of entities ends too soon, after {self._source.position} bytes;"
                " the download is incomplete, fetch it again"
            )
        if not self.n_lines and not ended:
            raise DumpError(
                f"{self._path}: no entity in the file; Wikidata's JSON dump is expected"
            )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line and the byte of the decompressed file it begins at."""
        position, pieces, held = 0, list[bytes](), 0
        for block in self._source.blocks():
            *lines, rest = block.split(b"\n")
            for line in lines:
                whole = b"".join([*pieces, line]) if pieces else line
                pieces, held = [], 0
                yield position, whole
                position += len(whole) + 1
            pieces.append(rest)
            held += len(rest)
            if held > MAX_LINE_BYTES:
                raise DumpError(
                    f"{self._path}: no end of line within {MAX_LINE_BYTES} bytes from byte {position};"
                    " Wikidata's JSON dump has one entity a line"
                )
        if pieces:
            yield position, b"".join(pieces)

    def _item(self, position: int, line: bytes) -> Item | None:
        """Return the item of a line, if it matters; refuse or count a damaged one."""
        try:
            if not (line.startswith(b"{") and line.endswith(b"}")):
                raise ValueError("cut short")  # noqa: TRY301 (one place says what happens to damage)
            return self._reader.read(line) if self._reader.matters(line) else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if self._skip:
                self.damaged += 1
                return None
            raise DumpError(
                f"{self._path}: damaged entity at byte {position} ({error}); fetch the dump again, or"
                " skip damaged pages"
            ) from error
