"""MeKBs as files: one person's or everybody's, out, in again, and held to the shapes."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.profiles import user_graph
from mekb.api.stores import OnProgress, StoreLike, no_progress, opened
from mekb.errors import UnknownError
from mekb.graph import UserGraph
from mekb.store import Store

if TYPE_CHECKING:
    from mekb.rdf.provenance import Provenance
    from mekb.validation import Validation


def export_profile(
    store: StoreLike,
    user: str,
    path: str | Path,
    *,
    format: str | None = None,
    force: bool = False,
    inferred: bool = False,
) -> UserGraph:
    """Write one user's MeKB to a file: json, csv, ttl, jsonld, nt, or a picture as png or svg.

    The store remembers the file, so that `forget_user` can delete it.

    Raises:
        UnknownError: no such user, or no profiles yet.
        OutputError: the file exists and `force` is not set, or the format is not known.
    """
    from mekb.export import write_user_graph
    from mekb.export_log import note_export

    with opened(store) as source:
        graph = user_graph(source, user, inferred=inferred)
        provenance = _provenance(source, graph.run_id)
        write_user_graph(graph, Path(path), format=format, force=force, provenance=provenance)
        note_export(source, Path(path), user)
    return graph


def export_profiles(
    store: StoreLike,
    path: str | Path,
    *,
    force: bool = False,
    inferred: bool = False,
    on_progress: OnProgress = no_progress,
) -> int:
    """Write the MeKBs of all users as N-Quads, one named graph a user, in the memory of a few; return their number.

    Args:
        store: A store with profiles.
        path: An `.nq` file, or `.nq.gz`.
        force: Replace a file that stands there.
        inferred: Write what was inferred too: marked, in a graph of its own beside each user's.
        on_progress: Told of users written.

    Raises:
        UnknownError: no profiles yet, or nothing inferred yet.
        OutputError: the file exists and `force` is not set, has another ending, or cannot be written.
    """
    from mekb.all_profiles import read_all_graphs
    from mekb.export import write_user_graphs
    from mekb.export_log import note_export
    from mekb.interests import newest_run

    with opened(store) as source:
        source.require(
            "users",
            "user_entity",
            hint=f"build the profiles with 'mekb profiles build {source.path}'",
        )
        total = source.count("users")
        with contextlib.closing(read_all_graphs(source, inferred=inferred)) as graphs:
            n_users = write_user_graphs(
                graphs,
                Path(path),
                force=force,
                provenance=_provenance(source, newest_run(source)),
                on_user=lambda done: on_progress("users", done, total),
            )
        note_export(source, Path(path), None)
        return n_users


def _provenance(store: Store, run_id: str | None) -> "Provenance":
    from importlib.metadata import version

    from mekb.rdf.provenance import provenance_of

    return provenance_of(store, run_id, software=version("mekb"))


def read_profile(path: str | Path, *, user: str | None = None) -> UserGraph:
    """Return a MeKB that was exported as ttl, jsonld, nt, nq or json (or one of these and `.gz`).

    Args:
        path: The file; nothing else is opened or fetched, whatever it says.
        user: Whose, where the file holds several.

    Raises:
        SourceError: the file is malformed, or holds several users and none was named.
        UnknownError: the user is not in it.
    """
    from mekb.rdf.files import read_profile as read

    return read(Path(path), user=user)


def read_profiles(path: str | Path) -> Iterator[UserGraph]:
    """Yield every MeKB of an exported file; those of N-Quads one at a time.

    Raises:
        SourceError: the file is malformed.
    """
    from mekb.rdf.files import read_profiles as read

    return read(Path(path))


def validate_profiles(
    store: StoreLike | None = None,
    users: Sequence[str] = (),
    *,
    file: str | Path | None = None,
    sample: int = 20,
    seed: int = 0,
    on_progress: OnProgress = no_progress,
) -> "Validation":
    """Hold MeKBs to the SHACL shapes that ship with this package; needs the extra `mekb[validate]`.

    Args:
        store: A store with profiles; or else
        file: an exported file (ttl, jsonld, nt, nq), which is checked whole.
        users: Users of the store; a sample of them where none is named.
        sample: How many users to draw.
        seed: Of the draw: the same users for the same seed.
        on_progress: Told of profiles checked.

    Raises:
        MissingError: pySHACL is not installed.
        UnknownError: neither or both of store and file are given; no such user, or no profiles yet.
        SourceError: the file is malformed.
    """
    from mekb.validation import check_file, check_users, sampled_users

    def on_checked(done: int, total: int) -> None:
        on_progress("profiles", done, total)

    if (store is None) == (file is None):
        raise UnknownError("give one of: a store (with users, or a sample is drawn), or a file")
    if store is None:
        return check_file(Path(file or ""), on_checked)
    with opened(store) as source:
        return check_users(source, users or sampled_users(source, sample, seed), on_checked)
