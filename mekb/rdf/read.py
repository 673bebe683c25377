"""A user's MeKB out of an rdflib graph, whichever file it was parsed from; what is missing or wrong is named."""

import math
from dataclasses import replace
from decimal import Decimal

from rdflib import Graph, Namespace, URIRef
from rdflib.namespace import DCTERMS, PROV, RDF, SKOS
from rdflib.term import Node

from alias_tables.own_graph import GRAPH_ID_BASE
from alias_tables.resolve import TITLE_ID_BASE
from mekb.errors import SourceError
from mekb.graph import Evidence, Interest, Origin, UserGraph
from mekb.rdf.vocabulary import PREFIXES

ITSRDF = Namespace(PREFIXES["itsrdf"])
MEKB = Namespace(PREFIXES["mekb"])
NIF = Namespace(PREFIXES["nif"])
SCHEMA = Namespace(PREFIXES["schema"])
WD = Namespace(PREFIXES["wd"])
WI = Namespace(PREFIXES["wi"])
WO = Namespace(PREFIXES["wo"])

_SHOWN = 40


def profiles_of(rdf: Graph) -> list[Node]:
    """Return the profiles of a graph, in order of their IRIs."""
    return sorted(rdf.subjects(RDF.type, MEKB.Profile), key=str)


def read_user_graph(rdf: Graph, profile: Node | None = None) -> UserGraph:
    """Return the MeKB that `user_graph_rdf` wrote: interests by rank, evidence by item and place.

    Args:
        rdf: a graph, parsed from any format.
        profile: which of its profiles; may be left out where there is one.

    Raises:
        SourceError: if there is not exactly one profile, or a part of it is missing or malformed.
    """
    if profile is None:
        profiles = profiles_of(rdf)
        if len(profiles) != 1:
            raise SourceError(
                f"{len(profiles)} nodes of type <{MEKB.Profile}>; one user is read at a time"
            )
        (profile,) = profiles
    runs = list(rdf.objects(profile, PROV.wasGeneratedBy))
    interests = (_interest(rdf, node) for node in rdf.objects(profile, WI.preference))
    return UserGraph(
        user=_text(rdf, profile, DCTERMS.identifier),
        interests=tuple(sorted(interests, key=lambda found: (found.rank, found.entity_id))),
        run_id=_text(rdf, _one(rdf, profile, PROV.wasGeneratedBy), DCTERMS.identifier)
        if runs
        else None,
    )


def _interest(rdf: Graph, node: Node) -> Interest:
    """Return one interest."""
    topic = _one(rdf, node, WI.topic)
    origins = list(rdf.objects(node, PROV.wasDerivedFrom))
    sources = [origin for origin in origins if (origin, WI.topic, None) in rdf]
    evidence = (_evidence(rdf, mention) for mention in origins if mention not in sources)
    interest = Interest(
        entity_id=_count(rdf, topic, MEKB.entityId),
        title=_text(rdf, topic, MEKB.title),
        label=_text(rdf, topic, SKOS.prefLabel),
        kind=_text(rdf, topic, MEKB.kind),
        n_items=_count(rdf, node, MEKB.frequency),
        n_users=_count(rdf, node, MEKB.usersWithInterest),
        tf=_number(rdf, node, MEKB.termFrequency),
        idf=_number(rdf, node, MEKB.idf),
        weight=_number(rdf, _one(rdf, node, WO.weight), WO.weight_value),
        rank=_count(rdf, node, MEKB.rank),
        evidence=tuple(
            sorted(evidence, key=lambda at: (at.domain, at.item, at.field, at.start, at.stop))
        ),
        origin=_origin(rdf, node),
        sources=tuple(
            _count(rdf, _one(rdf, source, WI.topic), MEKB.entityId)
            for source in sorted(sources, key=lambda source: _count(rdf, source, MEKB.rank))
        ),
    )
    if GRAPH_ID_BASE <= interest.entity_id < TITLE_ID_BASE and not str(topic).startswith(
        "urn:mekb:"
    ):
        interest = replace(interest, iri=str(topic))
    if str(topic).startswith(WD) and str(topic) != f"{WD}{interest.qid}":
        raise SourceError(f"<{topic}> has the entity id {interest.entity_id} of another entity")
    return interest


def _origin(rdf: Graph, node: Node) -> Origin:
    """Return where an interest is from; a graph that does not say has derived ones only."""
    if _flag(rdf, node, MEKB.edited):
        edit = _text(rdf, node, MEKB.edit)
        if edit not in {"added", "pinned"}:
            raise SourceError(f"<{node}>: <{MEKB.edit}> is {edit!r}, neither 'added' nor 'pinned'")
        return "added" if edit == "added" else "pinned"
    return "inferred" if _flag(rdf, node, MEKB.inferred) else "derived"


def _evidence(rdf: Graph, mention: Node) -> Evidence:
    """Return one piece of evidence."""
    item = _one(rdf, _one(rdf, mention, NIF.referenceContext), DCTERMS.isPartOf)
    return Evidence(
        item=_text(rdf, item, DCTERMS.identifier),
        domain=_text(rdf, item, MEKB.domain),
        title=_text(rdf, item, SCHEMA.name),
        field=_text(rdf, mention, MEKB.field),
        start=_count(rdf, mention, NIF.beginIndex),
        stop=_count(rdf, mention, NIF.endIndex),
        surface=_text(rdf, mention, NIF.anchorOf),
        score=_number(rdf, mention, ITSRDF.taConfidence),
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


def _number(rdf: Graph, subject: Node, predicate: URIRef) -> float:
    """Return a property as a finite number."""
    written = _text(rdf, subject, predicate)
    try:
        number = float(Decimal(written))
    except ArithmeticError:
        number = math.nan
    if not math.isfinite(number):
        raise SourceError(f"<{subject}>: <{predicate}> is {written[:_SHOWN]!r}, no number")
    return number


def _count(rdf: Graph, subject: Node, predicate: URIRef) -> int:
    """Return a property as a count or an offset."""
    written = _text(rdf, subject, predicate)
    if not (written.isascii() and written.isdigit()):
        raise SourceError(f"<{subject}>: <{predicate}> is {written[:_SHOWN]!r}, no count")
    return int(written)


def _flag(rdf: Graph, subject: Node, predicate: URIRef) -> bool:
    """Return a property that is true or false, or false where it is not there."""
    values = {str(value) for value in rdf.objects(subject, predicate)}
    if values - {"true", "false"} or len(values) > 1:
        raise SourceError(f"<{subject}>: <{predicate}> is {', '.join(sorted(values))}, no boolean")
    return "true" in values
