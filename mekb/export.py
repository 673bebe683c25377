"""A user's MeKB as a file: JSON, CSV, Turtle, JSON-LD, N-Triples, or a picture; many users as N-Quads.

Only the user asked for and their own evidence are written. JSON holds everything; CSV has one row an
interest; RDF has the shape of `mekb.rdf`. The same MeKB gives the same bytes. All but CSV and pictures are
read back by `mekb.rdf.files`.
"""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from mekb.errors import OutputError
from mekb.graph import Interest, UserGraph
from mekb.output import written_whole
from mekb.rdf.provenance import Provenance
from mekb.rdf.statements import Statements

TEXT_FORMATS = ("json", "csv")
RDF_FORMATS: Mapping[str, str] = {"ttl": "turtle", "jsonld": "json-ld", "nt": "nt"}
"""Our name of a format -> rdflib's."""
MANY_USERS_ENDINGS = (".nq", ".nq.gz")
"""Of files that hold many users' graphs."""
PICTURE_FORMATS = ("png", "svg")
FORMATS = (*TEXT_FORMATS, *RDF_FORMATS, *PICTURE_FORMATS)
"""Every format of one user's graph; each is also the ending of its files."""

CSV_COLUMNS = (
    "user",
    "rank",
    "entity_id",
    "qid",
    "title",
    "label",
    "kind",
    "weight",
    "tf",
    "idf",
    "n_items",
    "n_users",
    "n_evidence",
    "items",
)
"""`items` are the titles of the items behind an interest (their ids where untitled), joined by " | "."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First letters that make a spreadsheet run a cell (OWASP, CSV injection)."""


def write_user_graph(
    graph: UserGraph,
    path: Path,
    *,
    format: str | None = None,  # noqa: A002  (the name users know from the command line)
    force: bool = False,
    spreadsheet_safe: bool = False,
    provenance: Provenance | None = None,
) -> None:
    """Write a user's MeKB to a file, whole or not at all.

    Args:
        graph: the MeKB.
        path: where to.
        format: one of `FORMATS`; by the path's ending where None.
        force: whether an existing file may be replaced.
        spreadsheet_safe: CSV only: put "'" before cells that a spreadsheet would run as a formula, and a
            byte order mark before the first. Raw CSV, the default, keeps every value as it is; the mark
            does not survive a save in a spreadsheet, so open files of strangers as text.
        provenance: RDF only: the store and run named in the file.

    Raises:
        OutputError: if the format is not known, the file exists, or it cannot be written.
    """
    chosen = _format_of(path, format)
    with written_whole(path, force=force) as aside:
        if chosen in PICTURE_FORMATS:
            from mekb.picture import draw  # noqa: PLC0415  (matplotlib only where a picture is wanted)

            aside.write_bytes(draw(graph, chosen))
        elif chosen == "csv":
            mark = b"\xef\xbb\xbf" if spreadsheet_safe else b""
            aside.write_bytes(mark + _encoded(_csv(graph, spreadsheet_safe=spreadsheet_safe)))
        else:
            data = _json(graph) if chosen == "json" else _rdf(graph, chosen, provenance)
            aside.write_bytes(data)


def write_user_graphs(
    graphs: Iterable[UserGraph],
    path: Path,
    *,
    force: bool = False,
    provenance: Provenance | None = None,
    on_user: Callable[[int], None] | None = None,
) -> int:
    """Write many users' MeKBs as N-Quads, one named graph a user, one user in memory at a time.

    A user's graph is called by the IRI of their profile, and its lines stand together.

    Args:
        graphs: the MeKBs, which may be made while they are read.
        path: where to: an `.nq` file, packed where it ends in `.gz`.
        force: whether an existing file may be replaced.
        provenance: the store and run named in the file.
        on_user: told after each user how many are written.

    Returns:
        How many users were written.

    Raises:
        OutputError: if the path has another ending, the file exists, or it cannot be written.
    """
    if not path.name.lower().endswith(MANY_USERS_ENDINGS):
        raise OutputError(f"{path}: many users go into N-Quads: {' or '.join(MANY_USERS_ENDINGS)}")
    statements = Statements(provenance or Provenance())
    n_users = 0
    with written_whole(path, force=force) as aside, _packed(aside) as file:
        for graph in graphs:
            file.write(statements.quads(graph))
            n_users += 1
            if on_user is not None:
                on_user(n_users)
    return n_users


@contextlib.contextmanager
def _packed(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Open a file to write to; what goes into a `.gz` depends on nothing but its content."""
    with path.open("wb") as file:
        if path.suffix.lower() != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            yield packed


def _encoded(text: str) -> bytes:
    """Return text as UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise OutputError(
            "a text holds half a character (a lone surrogate), which no file can"
        ) from error


def _format_of(path: Path, name: str | None) -> str:
    """Return the format asked for, or the one of the path's ending."""
    chosen = path.suffix.removeprefix(".").lower() if name is None else name
    if chosen not in FORMATS:
        what = f"ending {path.suffix!r}" if name is None else f"format {name!r}"
        raise OutputError(f"{path}: {what} is not one of {', '.join(FORMATS)}")
    return chosen


def content_of(graph: UserGraph) -> dict[str, Any]:
    """Return everything a MeKB holds, as JSON has it."""
    return {
        "user": graph.user,
        "run_id": graph.run_id,
        "interests": [{"qid": interest.qid, **asdict(interest)} for interest in graph.interests],
    }


def _json(graph: UserGraph) -> bytes:
    """Return everything a MeKB holds as JSON."""
    text = json.dumps(content_of(graph), ensure_ascii=False, allow_nan=False, indent=2)
    return _encoded(f"{text}\n")


def _csv(graph: UserGraph, *, spreadsheet_safe: bool) -> str:
    """Return one row an interest as CSV."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    for interest in graph.interests:
        row = _csv_row(graph.user, interest)
        writer.writerow(map(_inert, row) if spreadsheet_safe else row)
    return file.getvalue()


def _csv_row(user: str, interest: Interest) -> list[str | int | float]:
    """Return the cells of `CSV_COLUMNS`."""
    titles = dict.fromkeys(evidence.title or evidence.item for evidence in interest.evidence)
    return [
        user,
        interest.rank,
        interest.entity_id,
        interest.qid or "",
        interest.title,
        interest.label,
        interest.kind,
        interest.weight,
        interest.tf,
        interest.idf,
        interest.n_items,
        interest.n_users,
        len(interest.evidence),
        " | ".join(titles),
    ]


def _inert(cell: str | float) -> str | float:
    """Return a cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def _rdf(graph: UserGraph, name: str, provenance: Provenance | None) -> bytes:
    """Return a MeKB in one of the RDF formats."""
    if name == "nt":
        return Statements(provenance or Provenance()).triples(graph)
    from mekb.rdf import write  # noqa: PLC0415  (rdflib is slow to load)

    rdf = write.user_graph_rdf(graph, provenance)
    return _encoded(write.json_ld(rdf) if name == "jsonld" else write.turtle(rdf))
