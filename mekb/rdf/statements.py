"""The shape of the graph: one user's MeKB as N-Triples or N-Quads, from templates a reader can compare.

This is the only place that says which statements are made. It is text because text is quick (`mekb.export`
streams millions of statements through it); rdflib reads it back for the other formats, and a test builds the
same graph from rdflib's own terms.

An item is described once a user however many of its mentions are evidence. A brand or category that an item
names in a column is a `mekb:Attribute`: it has a place in that column, and is no NIF string.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from operator import itemgetter
from typing import TypeAlias

from mekb.errors import OutputError
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.provenance import Provenance
from mekb.rdf.terms import decimal, encoded, iri, profile_iri, quoted
from mekb.rdf.vocabulary import PREFIXES, expanded

_Terms: TypeAlias = dict[str, str]
"""What fills the gaps: of the user, then of the interest and the piece of evidence in hand."""
_Described: TypeAlias = set[tuple[str, ...]]
"""What one user's graph describes already."""


class Template:
    """Statements with gaps: `{name}` stands for a term, `a` for rdf:type, " ." for the end of a statement.

    The text between the gaps is cut once: filling one in costs a third of Python's own formatting.
    """

    def __init__(self, text: str) -> None:
        lines = expanded(text.strip()).replace(" a ", f" <{PREFIXES['rdf']}type> ")
        lines = re.sub(r" \.(\n|$)", "{end}", lines)
        self._pieces = re.split(r"\{(\w+)\}", lines)
        self._values = itemgetter("end", *self._pieces[1::2])

    def fill(self, terms: Mapping[str, str]) -> list[str]:
        """Return the text in pieces; `terms` holds every gap and `end`."""
        pieces = self._pieces.copy()
        pieces[1::2] = self._values(terms)[1:]
        return pieces


PROFILE = Template("""
{user} a mekb:Profile .
{user} a foaf:Agent .
{user} dcterms:identifier {name} .
""")

GENERATED = Template("{thing} prov:wasGeneratedBy {run} .")

RUN = Template("""
{run} a prov:Activity .
{run} a mekb:BuildRun .
{run} dcterms:identifier {name} .
""")
ENDED = Template("{run} prov:endedAtTime {time}^^xsd:dateTime .")
SOFTWARE = Template("""
{run} prov:wasAssociatedWith {software} .
{software} a prov:SoftwareAgent .
""")
CONFIG = Template("{run} mekb:configHash {hash} .")
USED = Template("""
{run} prov:used {source} .
{source} a prov:Entity .
{source} dcterms:identifier {name} .
""")
ISSUED = Template("{source} dcterms:issued {day}^^xsd:date .")

INTEREST = Template("""
{user} wi:preference {node} .
{user} foaf:topic_interest {topic} .
{node} a wi:WeightedInterest .
{node} a mekb:Interest .
{node} wi:topic {topic} .
{node} wo:weight {weight} .
{weight} a wo:Weight .
{weight} wo:weight_value {value} .
{weight} wo:scale mekb:UnitScale .
{node} mekb:rank "{rank}"^^xsd:integer .
{node} mekb:frequency "{n_items}"^^xsd:integer .
{node} mekb:usersWithInterest "{n_users}"^^xsd:integer .
{node} mekb:termFrequency {tf} .
{node} mekb:idf {idf} .
{node} mekb:rawScore {raw} .
{node} mekb:inferred "{inferred}"^^xsd:boolean .
{node} mekb:edited "{edited}"^^xsd:boolean .
{topic} a skos:Concept .
{topic} skos:prefLabel {label} .
{topic} mekb:title {title} .
{topic} mekb:kind {kind} .
{topic} mekb:entityId "{entity_id}"^^xsd:integer .
""")
PAGE = Template("{topic} schema:sameAs {page} .")

SCALE = Template("""
mekb:UnitScale a wo:Scale .
mekb:UnitScale wo:min_weight "0.0"^^xsd:decimal .
mekb:UnitScale wo:max_weight "1.0"^^xsd:decimal .
""")

EVIDENCE = Template("""
{node} prov:wasDerivedFrom {mention} .
{mention} nif:anchorOf {surface} .
{mention} nif:beginIndex "{start}"^^xsd:nonNegativeInteger .
{mention} nif:endIndex "{stop}"^^xsd:nonNegativeInteger .
{mention} nif:referenceContext {context} .
{mention} mekb:field {field} .
{mention} itsrdf:taIdentRef {topic} .
{mention} itsrdf:taConfidence {score} .
""")
MENTION = Template("""
{mention} a mekb:Mention .
{mention} a nif:OffsetBasedString .
""")
ATTRIBUTE = Template("{mention} a mekb:Attribute .")

CONTEXT = Template("""
{context} a nif:Context .
{context} dcterms:isPartOf {item} .
""")
CONTEXT_TEXT = Template("{context} nif:isString {title} .")
ITEM = Template("""
{item} a schema:Product .
{item} dcterms:identifier {name} .
{item} schema:name {title} .
{item} mekb:domain {domain} .
""")
ABOUT = Template("{item} schema:about {topic} .")

_WIKI = re.compile(r"[a-z]{2,}(-[a-z]+)*")
_LITERALS_KEPT = 50_000
"""Titles and surfaces whose literal is remembered: items are shared by many users, memory stays flat."""


class Statements:
    """Writes one user's MeKB after the other; what they share is worked out once.

    Args:
        provenance: the store and the run they are from.
        quads: whether each statement names the user's graph, which is called by the profile's IRI.

    Raises:
        OutputError: if the wiki is no language code.
    """

    def __init__(self, provenance: Provenance, *, quads: bool = False) -> None:
        wiki = provenance.wiki
        if wiki is not None and not _WIKI.fullmatch(wiki):
            raise OutputError(f"wiki {wiki!r} is no language code such as 'en' or 'zh'")
        self._provenance = provenance
        self._quads = quads
        self._space = iri(provenance.store)
        self._site = None if wiki is None else f"https://{wiki}.wikipedia.org/wiki/"
        self._language = "" if wiki is None else f"@{wiki}"
        self._literals: dict[str, str] = {}

    def of(self, graph: UserGraph) -> str:
        """Return a user's statements, each a line: only this user, their evidence, and the run.

        Raises:
            OutputError: if a number is not finite, or a text holds a lone surrogate.
        """
        profile = profile_iri(graph.user, self._provenance.store)
        terms = {
            "end": f" <{profile}> .\n" if self._quads else " .\n",
            "user": f"<{profile}>",
            "name": quoted(graph.user),
        }
        pieces = PROFILE.fill(terms)
        run_id = self._provenance.run_id or graph.run_id
        if run_id is not None:
            terms["run"] = f"<{self._space}/run/{encoded(run_id)}>"
            pieces += GENERATED.fill({**terms, "thing": terms["user"]})
            pieces += self._run(run_id, terms)
        if graph.interests:
            pieces += SCALE.fill(terms)
        described: _Described = set()
        for interest in graph.interests:
            pieces += self._interest(interest, terms)
            for evidence in interest.evidence:
                pieces += self._evidence(evidence, interest, terms)
                pieces += self._item(evidence, terms, described)
        return "".join(pieces)

    def _run(self, run_id: str, terms: _Terms) -> list[str]:
        """Return what is known about the run."""
        about = self._provenance
        pieces = RUN.fill({**terms, "name": quoted(run_id)})
        if about.ended_at is not None:
            ended = about.ended_at.astimezone(UTC).replace(tzinfo=None).isoformat()
            pieces += ENDED.fill({**terms, "time": f'"{ended}Z"'})
        if about.software is not None:
            pieces += SOFTWARE.fill({**terms, "software": f"<{iri('software', about.software)}>"})
        if about.config_hash is not None:
            pieces += CONFIG.fill({**terms, "hash": quoted(about.config_hash)})
        for source in about.sources:
            terms = {
                **terms,
                "source": f"<{iri('dump', source.name)}>",
                "name": quoted(source.name),
            }
            pieces += USED.fill(terms)
            if source.issued is not None:
                pieces += ISSUED.fill({**terms, "day": f'"{source.issued:%Y-%m-%d}"'})
        return pieces

    def _interest(self, interest: Interest, terms: _Terms) -> list[str]:
        """Return one interest with its weight and topic; its key, node and topic stay in `terms`."""
        key = interest.qid
        page = self._page(interest)
        if key is not None:
            topic = f"<{PREFIXES['wd']}{key}>"
        else:
            key = f"{interest.entity_id:d}"
            topic = page or f"<{self._space}/entity/{key}>"
        node = f"{terms['user'][:-1]}/interest/{key}"
        label, kind = self._literal(interest.label), interest.kind
        terms |= {
            "key": key,
            "topic": topic,
            "node": f"{node}>",
            "weight": f"{node}#weight>",
            "value": decimal(interest.weight),
            "rank": f"{interest.rank:d}",
            "n_items": f"{interest.n_items:d}",
            "n_users": f"{interest.n_users:d}",
            "tf": decimal(interest.tf),
            "idf": decimal(interest.idf),
            "raw": decimal(interest.tf * interest.idf),
            "inferred": "true" if interest.origin == "inferred" else "false",
            "edited": "true" if interest.origin == "edited" else "false",
            "label": f"{label}{self._language}" if kind == "wikidata" else label,
            "title": self._literal(interest.title),
            "kind": self._literal(kind),
            "entity_id": f"{interest.entity_id:d}",
        }
        pieces = INTEREST.fill(terms)
        if page is not None and page != topic:
            pieces += PAGE.fill({**terms, "page": page})
        return pieces

    def _page(self, interest: Interest) -> str | None:
        """Return the IRI of an entity's Wikipedia page, where it has one and the language is known."""
        if self._site is None or interest.kind != "wikidata":
            return None
        return f"<{self._site}{encoded(interest.title.replace(' ', '_'))}>"

    def _evidence(self, at: Evidence, interest: Interest, terms: _Terms) -> list[str]:
        """Return one piece of evidence; its item and context stay in `terms`."""
        place, field = f"{encoded(at.domain)}/{encoded(at.item)}", encoded(at.field)
        item = f"<{self._space}/item/{place}"
        span = f"{at.start:d}-{at.stop:d}"
        terms |= {
            "mention": f"<{self._space}/mention/{place}/{field}/{span}/{terms['key']}>",
            "surface": self._literal(at.surface),
            "start": f"{at.start:d}",
            "stop": f"{at.stop:d}",
            "context": f"{item}#{field}>",
            "field": self._literal(at.field),
            "score": decimal(at.score),
            "item": f"{item}>",
        }
        pieces = (MENTION if interest.kind == "wikidata" else ATTRIBUTE).fill(terms)
        pieces += EVIDENCE.fill(terms)
        if "run" in terms:
            pieces += GENERATED.fill({**terms, "thing": terms["mention"]})
        return pieces

    def _item(self, at: Evidence, terms: _Terms, described: _Described) -> list[str]:
        """Return what is not said yet about the item of a piece of evidence and the text it stands in."""
        item, context, about = (at.domain, at.item, at.title), terms["context"], terms["topic"]
        pieces: list[str] = []
        if item not in described:
            described.add(item)
            more = {"name": quoted(at.item), "title": quoted(at.title), "domain": quoted(at.domain)}
            pieces += ITEM.fill({**terms, **more})
        if (*item, context) not in described:
            described.add((*item, context))
            pieces += CONTEXT.fill(terms)
            if at.field == "title":
                pieces += CONTEXT_TEXT.fill({**terms, "title": self._literal(at.title)})
        if (*item, about) not in described:
            described.add((*item, about))
            pieces += ABOUT.fill(terms)
        return pieces

    def _literal(self, text: str) -> str:
        """Return a text as a literal, remembering it."""
        known = self._literals.get(text)
        if known is None:
            if len(self._literals) >= _LITERALS_KEPT:
                self._literals.clear()
            known = self._literals[text] = quoted(text)
        return known
