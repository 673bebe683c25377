"""Gold files: texts with their mentions, or titles with the page they name, read and checked.

Two forms, both UTF-8, both perhaps .gz:

- `.jsonl`, a text a line: `{"text": ..., "mentions": [{"start": 0, "end": 4, "surface": "Heat", "qid": "Q42198"}]}`.
  Offsets are code points of `text`, `end` is exclusive, and `text[start:end]` must be `surface`. A mention names
  its entity by `qid` or `title`, or says `"nil": true`. Further keys are read where they are there: `optional`
  (need not be found), `coref` (refers back, names nothing), `type` (`QUANTITY` and `DATETIME` are values); of the
  text `domain`, and `"evaluated": [start, end]` where only a part of it was annotated.
- `.tsv`, a title a line: `title <tab> gold title, QID or NIL`, and perhaps `<tab> domain`; a header
  `title <tab> gold` (or `qid`) is recognised.

What is wrong is refused with the line, the mention, what came and what was allowed.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from entity_linking.errors import GoldError

Standing = Literal["required", "optional", "ignored", "nil"]
"""What a gold mention asks of a linker: to be linked; to be linked right if at all; nothing whatever is
linked there (values, coreference); to be left alone or marked NIL."""

VALUE_TYPES: Final = frozenset({"QUANTITY", "DATETIME"})

_PRONOUNS = frozenset(
    """he her hers herself him himself his i it its itself me mine my myself our ours ourselves she their
    theirs them themselves they us we you your yours yourself yourselves""".split()  # noqa: SIM905  a list to read
)
_DETERMINED = re.compile(
    r"(?:the|that|this|these|those|my|your|his|her|its|our|their)\s+(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_QID = re.compile(r"[Qq]([1-9][0-9]{0,9})")
_NIL = "NIL"
_HEADERS = {"gold", "qid", "gold title", "gold_title", "entity"}
_MIN_CELLS, _MAX_CELLS = 2, 3
_SHOWN = 60


class GoldMention(NamedTuple):
    """One annotated span: `text[start:stop] == surface`."""

    start: int
    stop: int
    surface: str
    title: str | None
    """The Wikipedia title of its entity."""
    qid: int | None
    """The number of its QID."""
    standing: Standing


class GoldText(NamedTuple):
    """One annotated text."""

    text: str
    mentions: tuple[GoldMention, ...]
    domain: str | None = None
    evaluated: tuple[int, int] | None = None
    """The slice that was annotated: links outside it do not count. None: all of it."""


class Gold(NamedTuple):
    """The texts of a gold file."""

    field: Literal["text", "title"]
    """How the linker reads them; the one mention of a title is the whole of it."""
    texts: tuple[GoldText, ...]


def read_gold(file: str | Path, *, coreference: bool = False) -> Gold:
    """Return the gold texts of a file.

    Args:
        file: `.jsonl` or `.tsv`, perhaps with `.gz` behind it.
        coreference: Ask for mentions that only refer back ("he", "the company") as for any other. A mention
            is one by its own `coref`; where that is not said, if it is an English pronoun, or a small letter
            follows its "the", "this" or "his".

    Raises:
        GoldError: The file cannot be read, or says something that is not allowed.
    """
    path = Path(file)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    readers: Mapping[str, Callable[[Path], Gold]] = {
        ".jsonl": lambda given: _read_texts(given, coreference=coreference),
        ".tsv": _read_titles,
    }
    if suffix not in readers:
        raise GoldError(
            f"{path}: {f'suffix {suffix}' if suffix else 'no suffix'};"
            " a gold file is .jsonl (texts) or .tsv (titles), perhaps with .gz behind it"
        )
    gold = readers[suffix](path)
    if not gold.texts:
        raise GoldError(f"{path}: holds no line; write one {gold.field} a line")
    return gold


def refers_back(surface: str) -> bool:
    """Return whether a mention looks like coreference: a pronoun, or "the" and a small letter.

    >>> [refers_back(s) for s in ("He", "his son", "the company", "The Who", "US", "Heat")]
    [True, True, True, False, False, False]
    """
    if surface.lower() in _PRONOUNS:
        return surface == "I" or not surface.isupper()
    determined = _DETERMINED.fullmatch(surface)
    return determined is not None and not determined["rest"][0].isupper()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, without their ends."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="\n")
        ) as file:
            for number, line in enumerate(file, start=1):
                yield number, line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise GoldError(f"{path}: cannot be read as a gold file: {reason}") from error


def _read_texts(path: Path, *, coreference: bool) -> Gold:
    texts = []
    for number, line in _lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise GoldError(f"{where}: is not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise GoldError(f'{where}: expected an object with "text", a string, and "mentions"')
        texts.append(_text(row, where, coreference=coreference))
    return Gold("text", tuple(texts))


def _text(row: Mapping[str, object], where: str, *, coreference: bool) -> GoldText:
    """One text with its mentions."""
    text, mentions, domain = str(row["text"]), row.get("mentions"), row.get("domain")
    if not isinstance(mentions, list):
        raise GoldError(f'{where}: "mentions" is {_shown(mentions)}, expected a list')
    if not isinstance(domain, str | None):
        raise GoldError(f'{where}: "domain" is {_shown(domain)}, expected a string')
    evaluated = _evaluated(row.get("evaluated"), len(text), where)
    first, last = evaluated or (0, len(text))
    found = []
    for number, one in enumerate(mentions, start=1):
        mention = _mention(one, text, f"{where}, mention {number}", coreference=coreference)
        if not first <= mention.start < mention.stop <= last:
            raise GoldError(
                f"{where}, mention {number}: {mention.start}:{mention.stop} lies outside"
                f" the evaluated part {first}:{last}"
            )
        found.append(mention)
    return GoldText(text, tuple(found), domain, evaluated)


def _evaluated(value: object, length: int, where: str) -> tuple[int, int] | None:
    """The annotated slice of a text, None for all of it."""
    match value:
        case None:
            return None
        case [int(start), int(stop)] if 0 <= start <= stop <= length:
            return start, stop
        case _:
            raise GoldError(
                f'{where}: "evaluated" is {_shown(value)}, expected [start, end] within 0 and {length}'
            )


def _mention(row: object, text: str, where: str, *, coreference: bool) -> GoldMention:
    """One mention, its offsets checked against its surface."""
    if not isinstance(row, dict):
        raise GoldError(f"{where}: is {_shown(row)}, expected an object")
    start, stop, surface = row.get("start"), row.get("end", row.get("stop")), row.get("surface")
    if type(start) is not int or type(stop) is not int or not 0 <= start < stop <= len(text):
        raise GoldError(
            f"{where}: start {_shown(start)} and end {_shown(stop)};"
            f" expected 0 <= start < end <= {len(text)}, in code points"
        )
    if text[start:stop] != surface:
        raise GoldError(
            f"{where}: the text at {start}:{stop} is {_shown(text[start:stop])}, the surface"
            f" {_shown(surface)}; offsets are code points of the text as it stands"
        )
    qid, title = _entity(row, where)
    return GoldMention(
        start, stop, surface, title, qid, _standing(row, surface, coreference=coreference)
    )


def _entity(row: Mapping[str, object], where: str) -> tuple[int | None, str | None]:
    """The QID and the title a mention names, both None for NIL."""
    for key in ("nil", "optional", "coref"):
        if not isinstance(row.get(key), bool | None):
            raise GoldError(f'{where}: "{key}" is {_shown(row[key])}, expected true or false')
    raw_qid, raw_title = row.get("qid"), row.get("title")
    number = _QID.fullmatch(raw_qid.strip()) if isinstance(raw_qid, str) else None
    if raw_qid is not None and number is None:
        raise GoldError(f'{where}: "qid" is {_shown(raw_qid)}, expected one such as "Q42"')
    if raw_title is not None and (not isinstance(raw_title, str) or not raw_title.strip()):
        raise GoldError(f'{where}: "title" is {_shown(raw_title)}, expected a page title')
    if bool(row.get("nil")) == (number is not None or raw_title is not None):
        raise GoldError(
            f"{where}: names {'an entity and NIL' if row.get('nil') else 'no entity'};"
            ' give "qid", "title" or both, or "nil": true'
        )
    return None if number is None else int(number[1]), raw_title


def _standing(row: Mapping[str, object], surface: str, *, coreference: bool) -> Standing:
    """What a mention asks of a linker."""
    coref = row.get("coref")
    if not coreference and (refers_back(surface) if coref is None else coref):
        return "ignored"
    kind = row.get("type")
    if isinstance(kind, str) and not VALUE_TYPES.isdisjoint(kind.split("|")):
        return "ignored"
    if row.get("nil"):
        return "nil"
    return "optional" if row.get("optional") else "required"


def _read_titles(path: Path) -> Gold:
    texts = []
    rows = csv.reader((line for _, line in _lines(path)), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, cells in enumerate(rows, start=1):
        if not cells or (
            number == 1
            and cells[0].lower() == "title"
            and cells[1:2]
            and cells[1].lower() in _HEADERS
        ):
            continue
        where = f"{path}, line {number}"
        if not _MIN_CELLS <= len(cells) <= _MAX_CELLS:
            raise GoldError(
                f"{where}: {len(cells)} cells; expected title <tab> gold title, QID or NIL"
                " [<tab> domain]"
            )
        title, gold = cells[0], cells[1].strip()
        if not title.strip() or not gold:
            missing = "gold title, QID or NIL" if title.strip() else "title"
            raise GoldError(f"{where}: the {missing} is empty")
        qid = _QID.fullmatch(gold)
        is_named = qid is None and gold != _NIL
        mention = GoldMention(
            0,
            len(title),
            title,
            gold if is_named else None,
            None if qid is None else int(qid[1]),
            "nil" if gold == _NIL else "required",
        )
        domain = cells[2].strip() or None if len(cells) == _MAX_CELLS else None
        texts.append(GoldText(title, (mention,), domain))
    return Gold("title", tuple(texts))


def _shown(value: object) -> str:
    """A value as JSON, cut to what fits a line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}"
