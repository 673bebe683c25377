"""Exported MeKBs as they come back: Turtle, JSON-LD, N-Triples, N-Quads of many users, or JSON.

What is read is written by strangers: nothing outside the file is ever fetched (a JSON-LD context given by its
address is refused), and what is malformed becomes one line with the file, the place and the reason. N-Quads
are read graph by graph, so that a dump of all users needs the memory of one; a graph's lines stand together.
"""

import contextlib
import gzip
import itertools
import json
import logging
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from rdflib import Graph
from rdflib.exceptions import ParserError

from mekb.errors import SourceError, UnknownError
from mekb.graph import UserGraph
from mekb.rdf.read import profiles_of, read_user_graph
from mekb.rdf.statements import INFERRED_GRAPH
from mekb.rdf.terms import quoted

FORMATS = ("json", "jsonld", "nq", "nt", "ttl")
"""What can be read; each is also the ending of its files, to which `.gz` may be added."""

_IRI = r"<[^\x00-\x20<>\"{}|^`\\]*>"
_LITERAL = rf'"(?:[^"\\\n\r]|\\.)*"(?:\^\^{_IRI}|@[A-Za-z]+(?:-[A-Za-z0-9]+)*)?'
_QUAD = re.compile(
    rf"\s*(?P<triple>(?:{_IRI}|_:\S+)\s*{_IRI}\s*(?:{_IRI}|_:\S+|{_LITERAL}))"
    rf"\s*(?P<graph>{_IRI}|_:\S+)?\s*\.\s*(?:#.*)?",
    re.DOTALL,
)
_SHOWN = 60
_LONGEST_REASON = 200


class Part(NamedTuple):
    """One graph of a file and where it stands."""

    place: str
    rdf: Graph


def read_profiles(path: Path, *, format: str | None = None) -> Iterator[UserGraph]:  # noqa: A002  (as in mekb.export)
    """Yield every MeKB of a file; of N-Quads, one user is in memory at a time.

    Args:
        path: the file.
        format: one of `FORMATS`; by the path's ending where None.

    Raises:
        SourceError: if the file cannot be read, is malformed, or holds no profile.
    """
    yield from _profiles(path, _format_of(path, format), "")


def _profiles(path: Path, format: str, mark: str) -> Iterator[UserGraph]:  # noqa: A002  (as above)
    """Yield the MeKBs of a file, or of N-Quads those whose lines hold a text."""
    if format == "json":
        yield _from_json(path)
        return
    parts = _from_lines(path, mark) if format == "nq" else read_graphs(path, format=format)
    for place, rdf in parts:
        try:
            profiles = profiles_of(rdf)
            if not profiles:
                raise SourceError("no profile here, as 'mekb profiles export' writes one")  # noqa: TRY301  (told where, as all others)
            for profile in profiles:
                yield read_user_graph(rdf, profile)
        except SourceError as error:
            raise SourceError(f"{place}: {error}") from error


def read_profile(path: Path, *, user: str | None = None, format: str | None = None) -> UserGraph:  # noqa: A002  (as above)
    """Return the MeKB of a file, or that of one user where it holds many.

    Raises:
        SourceError: if the file cannot be read, is malformed, or holds several users and none was named.
        UnknownError: if it does not hold the user.
    """
    mark = quoted(user) if user is not None and user.isascii() else ""
    found = _profiles(path, _format_of(path, format), mark)
    if user is not None:
        graph = next((graph for graph in found if graph.user == user), None)
        if graph is None:
            raise UnknownError(f"{path}: no user '{user}' in it")
        return graph
    graph, *others = itertools.islice(found, 2)
    if others:
        raise SourceError(f"{path}: holds several users, '{graph.user}' first; name the one")
    return graph


def read_graphs(path: Path, *, format: str | None = None) -> Iterator[Part]:  # noqa: A002  (as above)
    """Yield the RDF graphs of a file: each named graph of N-Quads, else the file as one.

    Raises:
        SourceError: if the file cannot be read, is malformed, or is no RDF.
    """
    chosen = _format_of(path, format)
    match chosen:
        case "nt" | "nq":
            yield from _from_lines(path)
        case "jsonld":
            _check_contexts(path, _json_of(path, _text_of(path)))
            yield Part(str(path), _parsed(_text_of(path), "json-ld", str(path)))
        case "ttl":
            yield Part(str(path), _parsed(_text_of(path), "turtle", str(path)))
        case _:
            raise SourceError(f"{path}: is JSON, no RDF; export it as .ttl, .jsonld or .nt")


def _format_of(path: Path, name: str | None) -> str:
    """Return the format asked for, or the one of the path's ending."""
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    chosen = inner.suffix.removeprefix(".").lower() if name is None else name
    if chosen not in FORMATS:
        what = f"ending {inner.suffix!r}" if name is None else f"format {name!r}"
        raise SourceError(f"{path}: {what} is not one of {', '.join(FORMATS)}")
    return chosen


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    """Give the lines of a file, unpacked; what goes wrong while they are read is told in one line."""
    if path.is_dir() or not path.exists():
        raise SourceError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path}: damaged or cut short: {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def _text_of(path: Path) -> str:
    """Return a whole file as text."""
    with _opened(path) as lines:
        data = b"".join(lines)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}, line {line}: is not UTF-8") from error


def _from_lines(path: Path, mark: str = "") -> Iterator[Part]:
    """Yield the graphs of N-Quads or N-Triples whose lines hold a text; lines without a graph are one too."""
    with _opened(path) as lines:
        statements = _statements(path, lines)
        for name, group in itertools.groupby(statements, key=_graph_of):
            numbers, _, triples = zip(*group, strict=True)
            number, text = numbers[0], "".join(triples)
            place = f"{path}, line {number}" if name else str(path)
            if mark in text:  # what a user is called stands in their lines, and parsing is slow
                yield Part(place, _parsed(text, "nt", place))


def _graph_of(statement: tuple[int, str, str]) -> str:
    """Return the graph of a statement; what was inferred belongs to the profile it is inferred from."""
    return statement[1].removesuffix(">").removesuffix(INFERRED_GRAPH)


def _statements(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, graph or "", the triple as a line) of every statement."""
    empty = True
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise SourceError(f"{path}, line {number}: is not UTF-8") from error
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        found = _QUAD.fullmatch(text)
        if found is None:
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            raise SourceError(f"{path}, line {number}: no statement of N-Quads: {shown}")
        empty = False
        yield number, found["graph"] or "", f"{found['triple']} .\n"
    if empty:
        raise SourceError(f"{path}: holds no statement")


def _parsed(text: str, format: str, place: str) -> Graph:  # noqa: A002  (rdflib's name for it)
    """Return text as an rdflib graph."""
    with _quiet_about_literals():
        try:
            return Graph(bind_namespaces="none").parse(data=text, format=format)
        except (ParserError, SyntaxError, ValueError) as error:  # what its parsers mean to raise
            reason = re.sub(r" at \^ in:.*", "", " ".join(str(error).split()))
            raise SourceError(f"{place}: {reason[:_LONGEST_REASON]}") from error
        except Exception as error:
            # rdflib's JSON-LD reader trusts that its input has the form of JSON-LD, its Turtle reader raises
            # plain exceptions.
            raise SourceError(f"{place}: is not of the form of {format}") from error


@contextlib.contextmanager
def _quiet_about_literals() -> Iterator[None]:
    """Keep rdflib from logging a traceback a malformed literal: we read its text and judge it ourselves."""
    logger = logging.getLogger("rdflib.term")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _json_of(path: Path, text: str) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """Return text parsed as JSON, in which NaN is no number."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise SourceError(f"{path}, line {error.lineno}: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise SourceError(f"{path}: is no JSON: {error}") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number here")


def _finite(written: str) -> float:
    number = float(written)
    return number if math.isfinite(number) else _no_number(written)


def _check_contexts(path: Path, content: Any) -> None:  # noqa: ANN401  (whatever JSON holds)
    """Refuse JSON-LD that would make its reader fetch something."""
    waiting = [content]
    while waiting:
        match waiting.pop():
            case dict() as found:
                contexts = found.get("@context", [])
                each = contexts if isinstance(contexts, list) else [contexts]
                addresses = [
                    value for value in (*each, found.get("@import")) if isinstance(value, str)
                ]
                if addresses:
                    raise SourceError(
                        f"{path}: its @context is at {addresses[0]}; nothing is fetched, write it into the file"
                    )
                waiting.extend(found.values())
            case list() as found:
                waiting.extend(found)
            case _:
                pass


def _from_json(path: Path) -> UserGraph:
    """Return the MeKB of a JSON file as `mekb.export` writes it."""
    content = _json_of(path, _text_of(path))
    interests = content.get("interests") if isinstance(content, dict) else None
    for interest in interests if isinstance(interests, list) else []:
        if isinstance(interest, dict):
            interest.pop("qid", None)  # told by entity_id and kind
    try:
        return TypeAdapter(UserGraph).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise SourceError(f"{path}: {where}: {first['msg']}") from error
