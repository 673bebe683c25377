"""IRIs and literals as N-Triples writes them: what cannot be written well is refused here, before any format.

An IRI of ours is made of percent-encoded segments, so no space, quote, bracket, control character or dot
segment can stand in it (rdflib writes such an IRI into JSON-LD without a word). A number is an xsd:decimal
with the fewest digits that give the same float back, never with an exponent.
"""

import math
import re
from decimal import Decimal
from urllib.parse import quote

from mekb.errors import OutputError
from mekb.rdf.vocabulary import PREFIXES

_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_~.-]*")
"""A segment that is its own encoding."""
_NOT_AS_IT_IS = re.compile(
    '[\x00-\x1f"\\\\\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udfff]'
)
"""What a literal spells with an escape: what the grammar asks for, and what editors and line readers trip over."""
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\\ud800-\udfff]+")
_LETTERS = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_DECIMAL = f"^^<{PREFIXES['xsd']}decimal>"


def encoded(part: str) -> str:
    """Return text percent-encoded for one segment of an IRI; "." and ".." too, which would be resolved.

    >>> encoded("anna 7/b"), encoded("..")
    ('anna%207%2Fb', '%2E%2E')
    """
    if (part.isascii() and part.isalnum()) or _PLAIN.fullmatch(part):
        return part
    _refuse_surrogates(part)
    segment = quote(part, safe="")
    return segment if segment.strip(".") else segment.replace(".", "%2E")


def iri(*parts: str) -> str:
    """Return an IRI of ours from its segments, without brackets."""
    return "urn:mekb:" + "/".join(map(encoded, parts))


def foreign_iri(given: str) -> str:
    """Return an IRI that somebody else made, as it is.

    >>> foreign_iri("https://example.org/thing#7")
    'https://example.org/thing#7'

    Raises:
        OutputError: if it is none.
    """
    if not _IRI.fullmatch(given):
        raise OutputError(f"{given!r} is no IRI")
    return given


def profile_iri(user: str, store: str = "local") -> str:
    """Return the IRI of a user's profile, which names their graph in N-Quads too.

    >>> profile_iri("anna 7/b")
    'urn:mekb:local/user/anna%207%2Fb'
    """
    return iri(store, "user", user)


def quoted(text: str) -> str:
    r"""Return text as a literal.

    >>> print(quoted('say "a\\b"'))
    "say \"a\\b\""
    """
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'  # nearly all, and quicker than a search
    _refuse_surrogates(text)
    return f'"{_NOT_AS_IT_IS.sub(_escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    return _LETTERS.get(letter) or f"\\u{ord(letter):04X}"


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OutputError(
            f"{text!r} holds half a character (a lone surrogate), which no file can"
        ) from error


def decimal(number: float) -> str:
    """Return a number as a literal of xsd:decimal that reads back as the same float.

    >>> decimal(1e-07).split("^")[0], decimal(1).split("^")[0]
    ('"0.0000001"', '"1.0"')

    Raises:
        OutputError: if the number is not finite.
    """
    number = float(number) + 0.0  # of two zeros, the one without a sign
    if not math.isfinite(number):
        raise OutputError(f"{number} cannot be written as xsd:decimal")
    written = repr(number)
    if "e" in written:
        written = f"{Decimal(written):f}"
        written = written if "." in written else f"{written}.0"
    return f'"{written}"{_DECIMAL}'
