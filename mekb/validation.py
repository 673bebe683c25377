"""People's MeKBs held to the shapes: some users of a store, or an exported file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mekb.errors import SourceError
from mekb.interests import read_user_graph
from mekb.rdf.files import read_graphs
from mekb.rdf.provenance import provenance_of
from mekb.rdf.read import profiles_of
from mekb.rdf.validate import Validator, Violation
from mekb.rdf.write import user_graph_rdf
from mekb.store import Store

SAMPLED_USERS_SQL = """
select external_id from users order by hash(user_id, $seed), user_id limit $sample
"""

OnChecked = Callable[[int, int], None]
"""Told of (profiles checked, all there are, or 0 where that is not known)."""


@dataclass(frozen=True)
class Validation:
    """What was checked, and what did not conform."""

    n_profiles: int
    violations: tuple[Violation, ...]

    @property
    def conforms(self) -> bool:
        """Whether nothing was found."""
        return not self.violations


def sampled_users(store: Store, sample: int, seed: int) -> list[str]:
    """Return so many users of a store, by a hash of their ids and the seed; fewer where there are fewer."""
    store.require("users", hint=f"import your data with 'mekb data import {store.path} ...'")
    rows = store.query(SAMPLED_USERS_SQL, {"sample": sample, "seed": seed})
    return [str(name) for name in rows["external_id"].to_pylist()]


def check_users(store: Store, users: Sequence[str], on_checked: OnChecked) -> Validation:
    """Check users of a store, each as they would be exported.

    Raises:
        MissingError: pySHACL is not installed.
        UnknownError: no such user, or no profiles yet.
    """
    validator = Validator()
    found: list[Violation] = []
    for done, user in enumerate(users, start=1):
        graph = read_user_graph(store, user)
        found += validator.violations(user_graph_rdf(graph, provenance_of(store, graph.run_id)))
        on_checked(done, len(users))
    return Validation(len(users), tuple(found))


def check_file(path: Path, on_checked: OnChecked) -> Validation:
    """Check every graph of an exported file: Turtle, JSON-LD, N-Triples or N-Quads.

    Raises:
        MissingError: pySHACL is not installed.
        SourceError: the file is malformed, or holds no profile.
    """
    validator = Validator()
    found: list[Violation] = []
    n_profiles = 0
    for place, rdf in read_graphs(path):
        try:
            found += validator.violations(rdf)
        except SourceError as error:
            raise SourceError(f"{place}: {error}") from error
        n_profiles += len(profiles_of(rdf))
        on_checked(n_profiles, 0)
    return Validation(n_profiles, tuple(found))
