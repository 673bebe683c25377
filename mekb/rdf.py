"""A user's MeKB as RDF, and back.

    profile ──wi:preference──> interest ──wi:topic──> entity (Wikidata, or one of the store's own)
                                  └──prov:wasDerivedFrom──> mention ──nif:referenceContext──> item's text

An interest is a node of its own (rdflib reads no RDF-star), in the Weighted Interests vocabulary; mentions
are NIF strings with offsets in code points and ITS-RDF links; the run is a PROV activity; labels are SKOS.
Names of ours are in `MEKB`, and what a store names (users, items, brands) under `urn:mekb:<store>/`.

Every part of an IRI is percent-encoded when the IRI is made: rdflib writes an IRI with a space into JSON-LD
without a word. The id itself stands beside it as a `dcterms:identifier`. Numbers that are not counts are
`xsd:decimal` with `DIGITS` digits, so reading back gives the same MeKB up to half of the last one.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

from rdflib import Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCTERMS, FOAF, PROV, RDF, SKOS, XSD
from rdflib.term import Node

from mekb.errors import OutputError, SourceError
from mekb.graph import Evidence, Interest, UserGraph

MEKB = Namespace("urn:mekb:ns#")
"""This project's vocabulary. A URN claims nobody's web address; nothing else repeats it."""
WD = Namespace("http://www.wikidata.org/entity/")
WI = Namespace("http://purl.org/ontology/wi/core#")
WO = Namespace("http://purl.org/ontology/wo/core#")
NIF = Namespace("http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#")
ITSRDF = Namespace("http://www.w3.org/2005/11/its/rdf#")
SCHEMA = Namespace("https://schema.org/")

PREFIXES = {
    "dcterms": DCTERMS,
    "foaf": FOAF,
    "itsrdf": ITSRDF,
    "mekb": MEKB,
    "nif": NIF,
    "prov": PROV,
    "schema": SCHEMA,
    "skos": SKOS,
    "wd": WD,
    "wi": WI,
    "wo": WO,
    "xsd": XSD,
}
"""The prefixes of Turtle and JSON-LD files."""

DIGITS = 12
"""Digits after the point of every decimal: 1e-12 is far below what weights differ by."""

_WIKI = re.compile(r"[a-z]{2,}(-[a-z]+)*")


@dataclass(frozen=True)
class Provenance:
    """What is known about the run that made a MeKB; all of it may be missing."""

    store: str = "local"
    """The store's name: the space its users, items and own entities are named in."""
    run_id: str | None = None
    """The run; the graph's own `run_id` where None."""
    software: str | None = None
    """Version of this package."""
    config_hash: str | None = None
    ended_at: datetime | None = None
    sources: tuple[str, ...] = ()
    """What it was made from, such as "enwiki-20260701"."""
    wiki: str | None = None
    """Language code of the Wikipedia that titles are from: adds links to its pages."""


def user_graph_rdf(graph: UserGraph, provenance: Provenance | None = None) -> Graph:
    """Return a user's MeKB as RDF.

    Args:
        graph: the MeKB.
        provenance: the store and the run it is from.

    Returns:
        A graph without blank nodes: only this user, their evidence, and the run.

    Raises:
        OutputError: if a number is not finite, or the wiki is no language code.
    """
    return _Writer(provenance or Provenance()).write(graph)


def profile_iri(user: str, store: str = "local") -> URIRef:
    """Return the IRI of a user's profile.

    >>> str(profile_iri("anna 7/b"))
    'urn:mekb:local/user/anna%207%2Fb'
    """
    return _iri(store, "user", user)


class _Writer:
    """Makes one graph; the parts share the store's name and the run."""

    def __init__(self, provenance: Provenance) -> None:
        if provenance.wiki is not None and not _WIKI.fullmatch(provenance.wiki):
            raise OutputError(f"wiki {provenance.wiki!r} is no language code such as 'en' or 'zh'")
        self._provenance = provenance
        self._store = provenance.store
        self._rdf = Graph(bind_namespaces="none")
        for prefix, namespace in PREFIXES.items():
            self._rdf.bind(prefix, namespace)

    def write(self, graph: UserGraph) -> Graph:
        """Add the profile, its interests and the run."""
        user = profile_iri(graph.user, self._store)
        self._add(user, RDF.type, MEKB.Profile, FOAF.Agent)
        self._add(user, DCTERMS.identifier, Literal(graph.user))
        run = self._run(self._provenance.run_id or graph.run_id)
        if run is not None:
            self._add(user, PROV.wasGeneratedBy, run)
        for interest in graph.interests:
            self._interest(user, interest, run)
        if graph.interests:
            self._add(MEKB.UnitScale, RDF.type, WO.Scale)
            self._add(MEKB.UnitScale, WO.min_weight, _decimal(0))
            self._add(MEKB.UnitScale, WO.max_weight, _decimal(1))
        return self._rdf

    def _add(self, subject: URIRef, predicate: URIRef, *objects: Node) -> None:
        """Add a statement for each object."""
        for value in objects:
            self._rdf.add((subject, predicate, value))

    def _run(self, run_id: str | None) -> URIRef | None:
        """Add what is known about the run."""
        about = self._provenance
        if run_id is None:
            return None
        run = _iri(self._store, "run", run_id)
        self._add(run, RDF.type, PROV.Activity, MEKB.BuildRun)
        self._add(run, DCTERMS.identifier, Literal(run_id))
        if about.ended_at is not None:
            self._add(
                run, PROV.endedAtTime, Literal(about.ended_at.isoformat(), datatype=XSD.dateTime)
            )
        if about.software is not None:
            self._add(run, PROV.wasAssociatedWith, _iri("software", about.software))
        if about.config_hash is not None:
            self._add(run, MEKB.configHash, Literal(about.config_hash))
        self._add(run, PROV.used, *(_iri("dump", source) for source in about.sources))
        return run

    def _interest(self, user: URIRef, interest: Interest, run: URIRef | None) -> None:
        """Add one interest with its weight, topic and evidence."""
        topic = self._topic(interest)
        key = interest.qid or str(interest.entity_id)
        node = URIRef(f"{user}/interest/{key}")
        weight = URIRef(f"{node}#weight")
        self._add(user, WI.preference, node)
        self._add(user, FOAF.topic_interest, topic)
        self._add(node, RDF.type, WI.WeightedInterest, MEKB.Interest)
        self._add(node, WI.topic, topic)
        self._add(node, WO.weight, weight)
        self._add(weight, RDF.type, WO.Weight)
        self._add(weight, WO.weight_value, _decimal(interest.weight))
        self._add(weight, WO.scale, MEKB.UnitScale)
        self._add(node, MEKB.frequency, Literal(interest.n_items))
        self._add(node, MEKB.usersWithInterest, Literal(interest.n_users))
        self._add(node, MEKB.termFrequency, _decimal(interest.tf))
        self._add(node, MEKB.idf, _decimal(interest.idf))
        self._add(node, MEKB.rawScore, _decimal(interest.tf * interest.idf))
        self._add(node, MEKB.rank, Literal(interest.rank))
        self._add(node, MEKB.inferred, Literal(False))  # noqa: FBT003  (the object of a statement)
        for evidence in interest.evidence:
            mention = self._mention(evidence, interest, topic)
            self._add(node, PROV.wasDerivedFrom, mention)
            if run is not None:
                self._add(mention, PROV.wasGeneratedBy, run)

    def _topic(self, interest: Interest) -> URIRef:
        """Add the entity: Wikidata's, or one of the store's own."""
        own = _iri(self._store, "entity", str(interest.entity_id))
        topic = own if interest.qid is None else WD[interest.qid]
        self._add(topic, RDF.type, SKOS.Concept)
        self._add(topic, SKOS.prefLabel, Literal(interest.label))
        self._add(topic, MEKB.title, Literal(interest.title))
        self._add(topic, MEKB.kind, Literal(interest.kind))
        self._add(topic, MEKB.entityId, Literal(interest.entity_id))
        if self._provenance.wiki is not None and interest.kind == "wikidata":
            page = _encoded(interest.title.replace(" ", "_"))
            site = f"https://{self._provenance.wiki}.wikipedia.org/wiki/"
            self._add(topic, SCHEMA.sameAs, URIRef(site + page))
        return topic

    def _mention(self, evidence: Evidence, interest: Interest, topic: URIRef) -> URIRef:
        """Add one piece of evidence, its item, and the text it stands in."""
        place = f"{evidence.start}-{evidence.stop}"
        item = _iri(self._store, "item", evidence.domain, evidence.item)
        context = URIRef(f"{item}#{_encoded(evidence.field)}")
        mention = _iri(
            self._store,
            "mention",
            evidence.domain,
            evidence.item,
            evidence.field,
            place,
            interest.qid or str(interest.entity_id),
        )
        is_mention = interest.kind == "wikidata"
        self._add(mention, RDF.type, MEKB.Mention if is_mention else MEKB.Attribute)
        if is_mention:
            self._add(mention, RDF.type, NIF.OffsetBasedString)
        self._add(mention, NIF.anchorOf, Literal(evidence.surface))
        self._add(mention, NIF.beginIndex, _offset(evidence.start))
        self._add(mention, NIF.endIndex, _offset(evidence.stop))
        self._add(mention, NIF.referenceContext, context)
        self._add(mention, MEKB.field, Literal(evidence.field))
        self._add(mention, ITSRDF.taIdentRef, topic)
        self._add(mention, ITSRDF.taConfidence, _decimal(evidence.score))
        self._add(context, RDF.type, NIF.Context)
        self._add(context, DCTERMS.isPartOf, item)
        if evidence.field == "title":
            self._add(context, NIF.isString, Literal(evidence.title))
        self._add(item, RDF.type, SCHEMA.Product)
        self._add(item, DCTERMS.identifier, Literal(evidence.item))
        self._add(item, SCHEMA.name, Literal(evidence.title))
        self._add(item, MEKB.domain, Literal(evidence.domain))
        self._add(item, SCHEMA.about, topic)
        return mention


def read_user_graph(rdf: Graph) -> UserGraph:
    """Return the MeKB that `user_graph_rdf` wrote: interests by rank, evidence by item and place.

    Args:
        rdf: a graph that holds one profile, parsed from any format.

    Raises:
        SourceError: if there is not exactly one profile, or a part of it is missing or malformed.
    """
    profiles = list(rdf.subjects(RDF.type, MEKB.Profile))
    if len(profiles) != 1:
        raise SourceError(
            f"{len(profiles)} nodes of type <{MEKB.Profile}>; one user is read at a time"
        )
    (user,) = profiles
    run = rdf.value(user, PROV.wasGeneratedBy)
    interests = (_read_interest(rdf, node) for node in rdf.objects(user, WI.preference))
    return UserGraph(
        user=_text(rdf, user, DCTERMS.identifier),
        interests=tuple(
            sorted(interests, key=lambda interest: (interest.rank, interest.entity_id))
        ),
        run_id=None if run is None else _text(rdf, run, DCTERMS.identifier),
    )


def _read_interest(rdf: Graph, node: Node) -> Interest:
    """Return one interest."""
    topic = _one(rdf, node, WI.topic)
    evidence = (_read_evidence(rdf, mention) for mention in rdf.objects(node, PROV.wasDerivedFrom))
    return Interest(
        entity_id=int(_number(rdf, topic, MEKB.entityId)),
        title=_text(rdf, topic, MEKB.title),
        label=_text(rdf, topic, SKOS.prefLabel),
        kind=_text(rdf, topic, MEKB.kind),
        n_items=int(_number(rdf, node, MEKB.frequency)),
        n_users=int(_number(rdf, node, MEKB.usersWithInterest)),
        tf=float(_number(rdf, node, MEKB.termFrequency)),
        idf=float(_number(rdf, node, MEKB.idf)),
        weight=float(_number(rdf, _one(rdf, node, WO.weight), WO.weight_value)),
        rank=int(_number(rdf, node, MEKB.rank)),
        evidence=tuple(
            sorted(evidence, key=lambda at: (at.domain, at.item, at.field, at.start, at.stop))
        ),
    )


def _read_evidence(rdf: Graph, mention: Node) -> Evidence:
    """Return one piece of evidence."""
    item = _one(rdf, _one(rdf, mention, NIF.referenceContext), DCTERMS.isPartOf)
    return Evidence(
        item=_text(rdf, item, DCTERMS.identifier),
        domain=_text(rdf, item, MEKB.domain),
        title=_text(rdf, item, SCHEMA.name),
        field=_text(rdf, mention, MEKB.field),
        start=int(_number(rdf, mention, NIF.beginIndex)),
        stop=int(_number(rdf, mention, NIF.endIndex)),
        surface=_text(rdf, mention, NIF.anchorOf),
        score=float(_number(rdf, mention, ITSRDF.taConfidence)),
    )


def _one(rdf: Graph, subject: Node, predicate: URIRef) -> Node:
    """Return the only object of a subject's property."""
    values = list(rdf.objects(subject, predicate))
    if len(values) != 1:
        raise SourceError(f"<{subject}> has {len(values)} values of <{predicate}>, not one")
    return values[0]


def _text(rdf: Graph, subject: Node, predicate: URIRef) -> str:
    """Return a property as text."""
    return str(_one(rdf, subject, predicate))


def _number(rdf: Graph, subject: Node, predicate: URIRef) -> Decimal:
    """Return a property as a number."""
    written = _text(rdf, subject, predicate)
    try:
        return Decimal(written)
    except ArithmeticError as error:
        raise SourceError(f"<{subject}>: <{predicate}> is {written!r}, no number") from error


def _encoded(part: str) -> str:
    """Return text percent-encoded for one segment of an IRI; "." and ".." too, which would be resolved."""
    encoded = quote(part, safe="", errors="surrogatepass")
    return encoded if encoded.strip(".") else encoded.replace(".", "%2E")


def _iri(*parts: str) -> URIRef:
    """Return an IRI of ours from its segments."""
    return URIRef("urn:mekb:" + "/".join(map(_encoded, parts)))


def _decimal(number: float) -> Literal:
    """Return a number as xsd:decimal with fixed digits, never with an exponent."""
    written = Decimal(repr(float(number)))
    if not written.is_finite():
        raise OutputError(f"{number} cannot be written as xsd:decimal")
    return Literal(f"{written:.{DIGITS}f}", datatype=XSD.decimal, normalize=False)


def _offset(number: int) -> Literal:
    """Return an offset in code points as xsd:nonNegativeInteger."""
    return Literal(str(number), datatype=XSD.nonNegativeInteger)
