"""Graphs held to the shipped SHACL shapes (`shapes.ttl`) by pySHACL, an optional library.

pySHACL takes some 0.15 ms a statement, half a second for a rich profile: one person or a sample is checked, never a
whole store.
"""

from dataclasses import dataclass
from importlib.resources import files

from rdflib import Graph, Namespace
from rdflib.collection import Collection
from rdflib.namespace import RDF
from rdflib.term import Node

from mekb.errors import MissingError, SourceError
from mekb.rdf.read import profiles_of

SH = Namespace("http://www.w3.org/ns/shacl#")


@dataclass(frozen=True)
class Violation:
    """One thing in a graph that is not as the shapes ask."""

    user: str
    """The profile's IRI."""
    focus: str
    """The node that is wrong."""
    path: str
    """Its property; empty where the node itself is wrong."""
    message: str
    value: str
    """What stands there; empty where nothing does."""


def shapes() -> Graph:
    """Return the shapes that ship with this package."""
    text = files("mekb.rdf").joinpath("shapes.ttl").read_text(encoding="utf-8")
    return Graph(bind_namespaces="none").parse(data=text, format="turtle")


class Validator:
    """Checks one graph after the other against the shapes.

    Raises:
        MissingError: if pySHACL is not installed.
    """

    def __init__(self) -> None:
        try:
            import pyshacl  # noqa: PLC0415  (an optional extra)
        except ImportError as error:
            raise MissingError(
                "validating needs pySHACL, which is not installed: pip install 'mekb[validate]'"
            ) from error
        self._validate = pyshacl.validate
        self._shapes = shapes()

    def violations(self, rdf: Graph) -> list[Violation]:
        """Return what does not conform, by node and property; a graph of one or more profiles.

        Raises:
            SourceError: if the graph holds no profile, and so nothing to check.
        """
        profiles = profiles_of(rdf)
        if not profiles:
            raise SourceError("no profile here, as 'mekb profiles export' writes one")
        user = ", ".join(str(profile) for profile in profiles[:2])
        _, report, _ = self._validate(rdf, shacl_graph=self._shapes, inplace=True)
        assert isinstance(report, Graph)
        found = [
            Violation(
                user=user,
                focus=_value(report, result, "focusNode"),
                path=_path(report, result),
                message=_value(report, result, "resultMessage"),
                value=_value(report, result, "value"),
            )
            for result in report.subjects(RDF.type, SH.ValidationResult)
        ]
        return sorted(found, key=lambda one: (one.focus, one.path, one.message, one.value))


def _path(report: Graph, result: Node) -> str:
    """Return the property a result is about; of alternatives, all, with bars between."""
    path = report.value(result, SH.resultPath)
    choice = None if path is None else report.value(path, SH.alternativePath)
    if choice is not None:
        return "|".join(str(each) for each in Collection(report, choice))
    return "" if path is None else str(path)


def _value(report: Graph, result: Node, name: str) -> str:
    """Return a property of a result; of several messages, the first in order."""
    return min((str(value) for value in report.objects(result, SH[name])), default="")
