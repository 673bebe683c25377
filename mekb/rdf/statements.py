"""The shape of the graph: one user's MeKB as N-Triples or N-Quads, in lines a reader can compare with a file.

This is the only place that says which statements are made. It is text because text is quick (`mekb.export`
streams millions of statements through it); rdflib reads it back for the other formats, and a test builds the
same graph from rdflib's own terms. A line here lacks its end, " ." or the graph's name and " .", which is
put in for a whole user at once.

An item is described once a user however many of its mentions are evidence. A brand or category that an item
names in a column is a `mekb:Attribute`: it has a place in that column, and is no NIF string.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import NamedTuple

from mekb.errors import OutputError
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.provenance import Provenance
from mekb.rdf.terms import decimal, encoded, foreign_iri, iri, profile_iri, quoted
from mekb.rdf.vocabulary import PREFIXES

_DCTERMS = f"<{PREFIXES['dcterms']}"
"""The beginning of each IRI of a vocabulary; likewise the others."""
_FOAF = f"<{PREFIXES['foaf']}"
_ITSRDF = f"<{PREFIXES['itsrdf']}"
_MEKB = f"<{PREFIXES['mekb']}"
_NIF = f"<{PREFIXES['nif']}"
_PROV = f"<{PREFIXES['prov']}"
_SCHEMA = f"<{PREFIXES['schema']}"
_SKOS = f"<{PREFIXES['skos']}"
_WD = f"<{PREFIXES['wd']}"
_WI = f"<{PREFIXES['wi']}"
_WO = f"<{PREFIXES['wo']}"
_XSD = f"<{PREFIXES['xsd']}"
_A = f"<{PREFIXES['rdf']}type>"
_INTEGER = f"^^{_XSD}integer>"
_BOOLEAN = f"^^{_XSD}boolean>"
_OFFSET = f"^^{_XSD}nonNegativeInteger>"

INFERRED_GRAPH = "#inferred"
"""Ends the name of the graph that holds a user's inferred interests, apart from what is theirs."""

_SCALE = f"""\
{_MEKB}UnitScale> {_A} {_WO}Scale>
{_MEKB}UnitScale> {_WO}min_weight> {decimal(0)}
{_MEKB}UnitScale> {_WO}max_weight> {decimal(1)}
"""

_TRUTH = {True: f'"true"{_BOOLEAN}', False: f'"false"{_BOOLEAN}'}
_WIKI = re.compile(r"[a-z]{2,}(-[a-z]+)*")
_NUMBERS_KEPT = 50_000


class _Interest(NamedTuple):
    """The nodes of an interest, and what its mentions are called by."""

    node: str
    topic: str
    key: str
    is_mentioned: bool
    run: str | None


class Statements:
    """Writes one user's MeKB after the other.

    Args:
        provenance: the store and the run they are from.

    Raises:
        OutputError: if the wiki is no language code.
    """

    def __init__(self, provenance: Provenance) -> None:
        wiki = provenance.wiki
        if wiki is not None and not _WIKI.fullmatch(wiki):
            raise OutputError(f"wiki {wiki!r} is no language code such as 'en' or 'zh'")
        self._provenance = provenance
        self._space = iri(provenance.store)
        self._site = None if wiki is None else f"https://{wiki}.wikipedia.org/wiki/"
        self._language = "" if wiki is None else f"@{wiki}"
        self._decimals: dict[float, str] = {}

    def triples(self, graph: UserGraph) -> bytes:
        """Return a user's statements as N-Triples: only this user, their evidence, and the run.

        Raises:
            OutputError: if a number is not finite, or a text holds a lone surrogate.
        """
        return self._lines(graph).replace(b"\n", b" .\n")

    def quads(self, graph: UserGraph) -> bytes:
        """Return a user's statements as N-Quads of one graph, which is called by the profile's IRI.

        Raises:
            OutputError: if a number is not finite, or a text holds a lone surrogate.
        """
        name = profile_iri(graph.user, self._provenance.store)
        own = [interest for interest in graph.interests if interest.origin != "inferred"]
        inferred = graph.interests[len(own) :]
        lines = self._lines(replace(graph, interests=tuple(own)))
        quads = lines.replace(b"\n", f" <{name}> .\n".encode())
        if inferred:
            parts: list[str] = []
            self._add_interests(graph, inferred, None, parts)
            lines = "".join(parts).encode()
            quads += lines.replace(b"\n", f" <{name}{INFERRED_GRAPH}> .\n".encode())
        return quads

    def _lines(self, graph: UserGraph) -> bytes:
        """Return a user's statements, each a line without its end; a line break in a literal is escaped."""
        user = f"<{profile_iri(graph.user, self._provenance.store)}>"
        lines = f"""\
{user} {_A} {_MEKB}Profile>
{user} {_A} {_FOAF}Agent>
{user} {_DCTERMS}identifier> {quoted(graph.user)}
"""
        run_id = self._provenance.run_id or graph.run_id
        run = None if run_id is None else f"<{self._space}/run/{encoded(run_id)}>"
        if run_id is not None and run is not None:
            lines += f"{user} {_PROV}wasGeneratedBy> {run}\n{self._run(run, run_id)}"
        parts = [lines, _SCALE if graph.interests else ""]
        self._add_interests(graph, graph.interests, run, parts)
        return "".join(parts).encode()

    def _add_interests(
        self, graph: UserGraph, chosen: Sequence[Interest], run: str | None, parts: list[str]
    ) -> None:
        """Add some of a user's interests, with what they are from."""
        user = f"<{profile_iri(graph.user, self._provenance.store)}>"
        described: set[str] = set()
        for interest in chosen:
            nodes = self._add_interest(interest, user, run, parts)
            if interest.sources:
                known = {one.entity_id: one.qid or str(one.entity_id) for one in graph.interests}
                parts += (
                    f"{nodes.node} {_PROV}wasDerivedFrom> {user[:-1]}/interest/{known[source]}>\n"
                    for source in interest.sources
                )
            for at in interest.evidence:
                place = f"{encoded(at.domain)}/{encoded(at.item)}"
                self._add_evidence(at, place, nodes, parts)
                self._add_item(at, place, nodes.topic, described, parts)

    def _run(self, run: str, run_id: str) -> str:
        """Return what is known about the run."""
        about = self._provenance
        text = f"""\
{run} {_A} {_PROV}Activity>
{run} {_A} {_MEKB}BuildRun>
{run} {_DCTERMS}identifier> {quoted(run_id)}
"""
        if about.ended_at is not None:
            ended = about.ended_at.astimezone(UTC).replace(tzinfo=None).isoformat()
            text += f'{run} {_PROV}endedAtTime> "{ended}Z"^^{_XSD}dateTime>\n'
        if about.software is not None:
            software = f"<{iri('software', about.software)}>"
            text += f"""\
{run} {_PROV}wasAssociatedWith> {software}
{software} {_A} {_PROV}SoftwareAgent>
"""
        if about.config_hash is not None:
            text += f"{run} {_MEKB}configHash> {quoted(about.config_hash)}\n"
        for source in about.sources:
            node = f"<{iri('dump', source.name)}>"
            text += f"""\
{run} {_PROV}used> {node}
{node} {_A} {_PROV}Entity>
{node} {_DCTERMS}identifier> {quoted(source.name)}
"""
            if source.issued is not None:
                text += f'{node} {_DCTERMS}issued> "{source.issued:%Y-%m-%d}"^^{_XSD}date>\n'
        return text

    def _add_interest(
        self, interest: Interest, user: str, run: str | None, parts: list[str]
    ) -> _Interest:
        """Add an interest, its weight and its topic."""
        key = interest.qid or f"{interest.entity_id:d}"
        topic = self._add_topic(interest, key, parts)
        node, weight = f"{user[:-1]}/interest/{key}>", f"{user[:-1]}/interest/{key}#weight>"
        parts.append(f"""\
{user} {_WI}preference> {node}
{user} {_FOAF}topic_interest> {topic}
{node} {_A} {_WI}WeightedInterest>
{node} {_A} {_MEKB}Interest>
{node} {_WI}topic> {topic}
{node} {_WO}weight> {weight}
{weight} {_A} {_WO}Weight>
{weight} {_WO}weight_value> {decimal(interest.weight)}
{weight} {_WO}scale> {_MEKB}UnitScale>
{node} {_MEKB}rank> "{interest.rank:d}"{_INTEGER}
{node} {_MEKB}frequency> "{interest.n_items:d}"{_INTEGER}
{node} {_MEKB}usersWithInterest> "{interest.n_users:d}"{_INTEGER}
{node} {_MEKB}termFrequency> {self._decimal(interest.tf)}
{node} {_MEKB}idf> {self._decimal(interest.idf)}
{node} {_MEKB}rawScore> {decimal(interest.tf * interest.idf)}
{node} {_MEKB}inferred> {_TRUTH[interest.origin == "inferred"]}
{node} {_MEKB}edited> {_TRUTH[interest.edited]}
""")
        if interest.edited:
            parts.append(f"{node} {_MEKB}edit> {quoted(interest.origin)}\n")
        return _Interest(node, topic, key, interest.kind in {"wikidata", "keyword"}, run)

    def _add_topic(self, interest: Interest, key: str, parts: list[str]) -> str:
        """Add the entity of an interest: Wikidata's, else its Wikipedia page, else the store's or one's graph's own."""
        is_page = interest.kind == "wikidata" and interest.iri is None
        page = None
        if is_page and self._site is not None:
            page = f"<{self._site}{encoded(interest.title.replace(' ', '_'))}>"
        own = f"<{foreign_iri(interest.iri) if interest.iri else f'{self._space}/entity/{key}'}>"
        topic = (page or own) if interest.qid is None else f"{_WD}{key}>"
        title = quoted(interest.title)
        label = title if interest.label == interest.title else quoted(interest.label)
        parts.append(f"""\
{topic} {_A} {_SKOS}Concept>
{topic} {_SKOS}prefLabel> {label}{self._language if is_page else ""}
{topic} {_MEKB}title> {title}
{topic} {_MEKB}kind> {quoted(interest.kind)}
{topic} {_MEKB}entityId> "{interest.entity_id:d}"{_INTEGER}
""")
        if page is not None and page != topic:
            parts.append(f"{topic} {_SCHEMA}sameAs> {page}\n")
        return topic

    def _add_evidence(self, at: Evidence, place: str, nodes: _Interest, parts: list[str]) -> None:
        """Add one piece of evidence; `place` is its item's domain and id, as IRIs have them."""
        field = encoded(at.field)
        span = f"{at.start:d}-{at.stop:d}"
        mention = f"<{self._space}/mention/{place}/{field}/{span}/{nodes.key}>"
        if nodes.is_mentioned:
            types = f"{mention} {_A} {_MEKB}Mention>\n{mention} {_A} {_NIF}OffsetBasedString>"
        else:
            types = f"{mention} {_A} {_MEKB}Attribute>"
        parts.append(f"""\
{nodes.node} {_PROV}wasDerivedFrom> {mention}
{types}
{mention} {_NIF}anchorOf> {quoted(at.surface)}
{mention} {_NIF}beginIndex> "{at.start:d}"{_OFFSET}
{mention} {_NIF}endIndex> "{at.stop:d}"{_OFFSET}
{mention} {_NIF}referenceContext> <{self._space}/item/{place}#{field}>
{mention} {_MEKB}field> {quoted(at.field)}
{mention} {_ITSRDF}taIdentRef> {nodes.topic}
{mention} {_ITSRDF}taConfidence> {self._decimal(at.score)}
""")
        if nodes.run is not None:
            parts.append(f"{mention} {_PROV}wasGeneratedBy> {nodes.run}\n")

    def _add_item(
        self, at: Evidence, place: str, topic: str, described: set[str], parts: list[str]
    ) -> None:
        """Add what is not said yet of the item of a piece of evidence and the text it stands in."""
        item, context = f"<{self._space}/item/{place}>", f"{place}#{at.field}"
        whole, about = f"{place} {at.title}", f"{place} {topic}"
        if whole not in described:
            described.add(whole)
            parts.append(f"""\
{item} {_A} {_SCHEMA}Product>
{item} {_DCTERMS}identifier> {quoted(at.item)}
{item} {_SCHEMA}name> {quoted(at.title)}
{item} {_MEKB}domain> {quoted(at.domain)}
""")
        if context not in described:
            described.add(context)
            node = f"<{self._space}/item/{place}#{encoded(at.field)}>"
            parts.append(f"{node} {_A} {_NIF}Context>\n{node} {_DCTERMS}isPartOf> {item}\n")
            if at.field == "title":
                parts.append(f"{node} {_NIF}isString> {quoted(at.title)}\n")
        if about not in described:
            described.add(about)
            parts.append(f"{item} {_SCHEMA}about> {topic}\n")

    def _decimal(self, number: float) -> str:
        """Return a number as a literal, remembering it: an entity's idf is that of all who have it."""
        written = self._decimals.get(number)
        if written is None:
            if len(self._decimals) >= _NUMBERS_KEPT:
                self._decimals.clear()
            written = self._decimals[number] = decimal(number)
        return written
