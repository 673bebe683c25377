"""One user's MeKB as an rdflib graph, and from it Turtle and JSON-LD: the same MeKB gives the same text.

The JSON-LD is framed: the profile at the root, its interests by rank, in each its topic, its weight and the
mentions it came from. A node is written out where it is first met, and by its IRI from then on.
"""

import json
from collections.abc import Mapping
from typing import Any

from rdflib import Graph, Literal, URIRef
from rdflib.namespace import RDF, XSD
from rdflib.term import Node

from mekb.graph import UserGraph
from mekb.rdf.provenance import Provenance
from mekb.rdf.statements import Statements
from mekb.rdf.vocabulary import PREFIXES

_TERMS: Mapping[str, str | tuple[str, str]] = {
    "identifier": "dcterms:identifier",
    "run": ("prov:wasGeneratedBy", "@id"),
    "interests": ("wi:preference", "@id"),
    "topic": ("wi:topic", "@id"),
    "weight": ("wo:weight", "@id"),
    "value": ("wo:weight_value", "xsd:decimal"),
    "scale": ("wo:scale", "@id"),
    "min": ("wo:min_weight", "xsd:decimal"),
    "max": ("wo:max_weight", "xsd:decimal"),
    "rank": "mekb:rank",
    "frequency": "mekb:frequency",
    "usersWithInterest": "mekb:usersWithInterest",
    "termFrequency": ("mekb:termFrequency", "xsd:decimal"),
    "idf": ("mekb:idf", "xsd:decimal"),
    "rawScore": ("mekb:rawScore", "xsd:decimal"),
    "inferred": "mekb:inferred",
    "edited": "mekb:edited",
    "edit": "mekb:edit",
    "label": "skos:prefLabel",
    "title": "mekb:title",
    "kind": "mekb:kind",
    "entityId": "mekb:entityId",
    "sameAs": ("schema:sameAs", "@id"),
    "evidence": ("prov:wasDerivedFrom", "@id"),
    "surface": "nif:anchorOf",
    "begin": ("nif:beginIndex", "xsd:nonNegativeInteger"),
    "end": ("nif:endIndex", "xsd:nonNegativeInteger"),
    "field": "mekb:field",
    "confidence": ("itsrdf:taConfidence", "xsd:decimal"),
    "entity": ("itsrdf:taIdentRef", "@id"),
    "context": ("nif:referenceContext", "@id"),
    "text": "nif:isString",
    "item": ("dcterms:isPartOf", "@id"),
    "name": "schema:name",
    "domain": "mekb:domain",
    "about": ("schema:about", "@id"),
    "endedAt": ("prov:endedAtTime", "xsd:dateTime"),
    "software": ("prov:wasAssociatedWith", "@id"),
    "configHash": "mekb:configHash",
    "used": ("prov:used", "@id"),
    "issued": ("dcterms:issued", "xsd:date"),
    "topicInterest": ("foaf:topic_interest", "@id"),
}
"""JSON key -> property, or (property, datatype or "@id"), in the order they are written."""
_MANY = {"interests", "evidence", "about", "used", "topicInterest"}
"""Keys that are always arrays."""
_BY_NAME = {"about", "entity", "topicInterest"}
"""Keys whose nodes are written out elsewhere: under the interest they are the topic of."""


def user_graph_rdf(graph: UserGraph, provenance: Provenance | None = None) -> Graph:
    """Return a user's MeKB as RDF.

    Args:
        graph: the MeKB.
        provenance: the store and the run it is from.

    Returns:
        A graph without blank nodes: only this user, their evidence, and the run.

    Raises:
        OutputError: if a number is not finite, a text holds a lone surrogate, or the wiki is no language code.
    """
    rdf = Graph(bind_namespaces="none")
    for prefix, namespace in PREFIXES.items():
        rdf.bind(prefix, namespace)
    return rdf.parse(data=Statements(provenance or Provenance()).triples(graph), format="nt")


def turtle(rdf: Graph) -> str:
    """Return a graph as Turtle."""
    return rdf.serialize(format="turtle")


def json_ld(rdf: Graph) -> str:
    """Return the graph of one user as framed JSON-LD, with its context."""
    (profile,) = rdf.subjects(RDF.type, URIRef(f"{PREFIXES['mekb']}Profile"))
    content = {"@context": context(), **_Frame(rdf).node(profile)}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def context() -> dict[str, Any]:
    """Return the @context of our JSON-LD: prefixes, then the keys of `json_ld`."""
    terms: dict[str, Any] = dict(PREFIXES)
    for key, term in _TERMS.items():
        name, kind = term if isinstance(term, tuple) else (term, None)
        container = {"@container": "@set"} if key in _MANY else {}
        typed = {"@type": kind} if kind else {}
        terms[key] = {"@id": name, **typed, **container} if typed or container else name
    return terms


class _Frame:
    """Nests the nodes of a graph; each is written out once."""

    def __init__(self, rdf: Graph) -> None:
        self._rdf = rdf
        self._written: set[Node] = set()
        self._terms = [
            (key, URIRef(_full(term[0] if isinstance(term, tuple) else term)))
            for key, term in _TERMS.items()
        ]

    def node(self, subject: Node) -> dict[str, Any]:
        """Return a node with all that is said of it."""
        self._written.add(subject)
        types = sorted(_short(str(kind)) for kind in self._rdf.objects(subject, RDF.type))
        found: dict[str, Any] = {"@id": str(subject)}
        if types:
            found["@type"] = types if len(types) > 1 else types[0]
        for key, property_ in self._terms:
            objects = sorted(self._rdf.objects(subject, property_), key=self._place)
            values = [self._value(value, key) for value in objects]
            if values:
                found[key] = values if key in _MANY or len(values) > 1 else values[0]
        return found

    def _place(self, value: Node) -> tuple[int, str]:
        """Return what objects are sorted by: interests by rank, all else by name."""
        rank = self._rdf.value(value, URIRef(_full("mekb:rank")))
        return (int(str(rank)) if rank is not None else 0, str(value))

    def _value(self, value: Node, key: str) -> Any:  # noqa: ANN401  (whatever JSON holds)
        """Return an object of a statement as JSON."""
        if not isinstance(value, Literal):
            known = value in self._written or key in _BY_NAME
            described = not known and (value, None, None) in self._rdf
            return self.node(value) if described else str(value)
        if value.language is not None:
            return {"@value": str(value), "@language": value.language}
        if value.datatype in {XSD.boolean, XSD.integer}:
            return value.toPython()
        return str(value)


def _full(name: str) -> str:
    prefix, _, rest = name.partition(":")
    return PREFIXES[prefix] + rest


def _short(iri: str) -> str:
    """Return the prefixed name of an IRI of a known vocabulary."""
    for prefix, namespace in PREFIXES.items():
        if iri.startswith(namespace):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    return iri
