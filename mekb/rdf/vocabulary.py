"""The vocabularies of the graph: one name for each prefix, nothing of rdflib."""

from collections.abc import Mapping

PREFIXES: Mapping[str, str] = {
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "itsrdf": "http://www.w3.org/2005/11/its/rdf#",
    "mekb": "urn:mekb:ns#",
    "nif": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "wd": "http://www.wikidata.org/entity/",
    "wi": "http://purl.org/ontology/wi/core#",
    "wo": "http://purl.org/ontology/wo/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
"""Prefix -> namespace. `mekb` is this project's own: a URN claims nobody's web address."""
