"""A person's own hand on their profile: interests removed, added or pinned, and each of it taken back.

An edit is one row of `profile_edits`; what it does to the weights is said in `mekb.effective`. A person has one
edit an entity: a new one takes the place of the former, and undoing it gives back what the data say.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
from typing_extensions import override

from alias_tables.schema import KINDS
from mekb.effective import write_text_of
from mekb.errors import UnknownError
from mekb.graph import UserGraph
from mekb.interests import read_user_graph, user_id_of
from mekb.linking import alias_index
from mekb.runs import amend_outputs, utc_now
from mekb.schema import PROFILE_EDITS
from mekb.store import Store

DEFAULT_WEIGHT = 0.1
"""Of an interest that is added without a weight: about that of the strongest of ten equal ones."""
_MOST_SHOWN = 8

EDITS_SQL = """
with named as (
    select entity_id, title, kind from entities
    union all
    select entity_id, title, kind from custom_entities
)
select profile_edits.entity_id, coalesce(title, 'entity ' || profile_edits.entity_id) as title, kind,
       profile_edits.action, profile_edits.weight, profile_edits.at
from profile_edits left join named using (entity_id)
where external_id = $user order by profile_edits.at, profile_edits.entity_id
"""
NAMED_SQL = """
select entity_id, title, kind from entities
where entity_id = $entity_id or (title = $title and coalesce($kind, kind) = kind)
union all
select entity_id, title, kind from custom_entities
where title = $title and coalesce($kind, kind) = kind
"""
INFERRED_SQL = "delete from inferred_interests where user_id = $user_id"
"""What was inferred from a profile goes when the profile is edited, until it is inferred anew."""
CLEAR_SQL = "delete from profile_edits where external_id = $user"

_QID = re.compile(r"[Qq]([1-9]\d{0,9})", re.ASCII)
_KINDED = re.compile(rf"({'|'.join(KINDS)}):\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Edit:
    """One edit of a profile."""

    entity_id: int
    title: str
    kind: str | None
    """None where the store no longer knows the entity."""
    action: str
    """ "remove", "add" or "pin"."""
    weight: float | None
    """What was stated; None for a removal."""
    at: datetime
    """When, in UTC."""


@dataclass(frozen=True)
class Changes:
    """What to change in a profile: names of entities, those added or pinned with a weight or None."""

    remove: Sequence[str] = ()
    add: Mapping[str, float | None] = field(default_factory=dict)
    pin: Mapping[str, float | None] = field(default_factory=dict)
    undo: Sequence[str] = ()
    undo_all: bool = False

    def __bool__(self) -> bool:
        return bool(self.remove or self.add or self.pin or self.undo or self.undo_all)


@dataclass(frozen=True)
class _Named:
    entity_id: int
    title: str
    kind: str

    @override
    def __str__(self) -> str:
        if self.kind == "wikidata":
            return f"Q{self.entity_id} ({self.title})"
        return f"'{self.kind}:{self.title}'"


def name_and_weight(text: str) -> tuple[str, float | None]:
    """Return the parts of NAME or NAME=WEIGHT; what follows the last "=" counts only if it is a number.

    >>> name_and_weight("Star Wars=0.2"), name_and_weight("E=mc2"), name_and_weight("Q42")
    (('Star Wars', 0.2), ('E=mc2', None), ('Q42', None))
    """
    name, equals, number = text.rpartition("=")
    try:
        return (name, float(number)) if equals and name else (text, None)
    except ValueError:
        return text, None


def read_edits(store: Store, user: str) -> tuple[Edit, ...]:
    """Return a user's edits, the oldest first.

    Raises:
        UnknownError: no such user.
    """
    user_id_of(store, user)
    if not store.has("profile_edits"):
        return ()
    return tuple(Edit(**row) for row in store.query(EDITS_SQL, {"user": user}).to_pylist())


def edit_profile(store: Store, user: str, changes: Changes) -> UserGraph:
    """Change a user's edits, all of it or nothing, and return the profile as it is then.

    Args:
        store: With profiles.
        user: The user's external id.
        changes: Undone is first, then removed, added and pinned.

    Raises:
        UnknownError: no such user; a name that is unknown or may mean several entities; a weight that is not
            between 0 and 1, pins that leave nothing to the rest, or nothing to change.
    """
    graph = read_user_graph(store, user)
    known = read_edits(store, user)
    undone = {edit.entity_id for edit in known} if changes.undo_all else set()
    undone |= {_edited(known, name, user).entity_id for name in changes.undo}
    resolver = _Resolver(store, graph, known)
    rows = {edit.entity_id: edit for edit in known if edit.entity_id not in undone}
    for name in changes.remove:
        rows |= _edit(resolver.entity(name), "remove", None)
    for name, weight in changes.add.items():
        rows |= _edit(resolver.entity(name), "add", DEFAULT_WEIGHT if weight is None else weight)
    for name, weight in changes.pin.items():
        entity = resolver.entity(name)
        rows |= _edit(entity, "pin", _present(graph, entity) if weight is None else weight)
    _check_weights(user, rows.values())
    _write(store, user, rows.values())
    return read_user_graph(store, user)


def _edit(entity: _Named, action: str, weight: float | None) -> dict[int, Edit]:
    return {
        entity.entity_id: Edit(
            entity.entity_id, entity.title, entity.kind, action, weight, utc_now()
        )
    }


def _present(graph: UserGraph, entity: _Named) -> float:
    """Return the weight an interest has now."""
    for interest in graph.interests:
        if interest.entity_id == entity.entity_id:
            return interest.weight
    raise UnknownError(
        f"'{entity.title}' is no interest of '{graph.user}' to be pinned as it is; give a weight:"
        f' --pin "{entity.title}={DEFAULT_WEIGHT:g}"'
    )


def _check_weights(user: str, edits: Iterable[Edit]) -> None:
    pinned = 0.0
    for edit in edits:
        if edit.weight is not None and not 0 < edit.weight < 1:
            raise UnknownError(
                f"'{edit.title}': a weight of {edit.weight:g}; it must be above 0 and below 1"
                f"{', the whole profile' if edit.weight == 1 else ''}"
            )
        pinned += edit.weight or 0.0 if edit.action == "pin" else 0.0
    if pinned >= 1:
        raise UnknownError(
            f"pins of '{user}' would sum to {pinned:g} and leave nothing to other interests; pin less than 1"
        )


def _write(store: Store, user: str, edits: Iterable[Edit]) -> None:
    """Put edits in place of all those the user had, and the text they give into `profiles`."""
    rows = pa.Table.from_pylist(
        [
            {
                "external_id": user,
                "entity_id": edit.entity_id,
                "action": edit.action,
                "weight": edit.weight,
                "at": edit.at,
            }
            for edit in edits
        ],
        PROFILE_EDITS,
    )
    with store.transaction():
        if not store.has("profile_edits"):
            store.replace({"profile_edits": PROFILE_EDITS.empty_table()})
        store.connection.execute(CLEAR_SQL, {"user": user})
        store.merge("profile_edits", rows)
        user_id = user_id_of(store, user)
        text = write_text_of(store, user_id)
        if store.has("inferred_interests"):
            store.connection.execute(INFERRED_SQL, {"user_id": user_id})
        amend_outputs(store, {"profiles": text}, "profiles", "update")


def _edited(known: Sequence[Edit], name: str, user: str) -> Edit:
    """Return the edit that a name is of."""
    found = [edit for edit in known if _is_called(name, edit.entity_id, edit.kind, edit.title)]
    if len(found) != 1:
        there = ", ".join(f"{edit.action} '{edit.title}'" for edit in known) or "none"
        raise UnknownError(f"'{name}' is no edit of '{user}' to be undone; there are: {there}")
    return found[0]


def _is_called(name: str, entity_id: int, kind: str | None, *titles: str) -> bool:
    if name.casefold() in {f"q{entity_id}", *(f"{kind}:{title}".casefold() for title in titles)}:
        return True
    return name.casefold() in {title.casefold() for title in titles}


class _Resolver:
    """Turns names into entities: those of the person's own profile first, then titles, then other names."""

    def __init__(self, store: Store, graph: UserGraph, known: Sequence[Edit]) -> None:
        self._store = store
        self._graph = graph
        self._known = known

    def entity(self, name: str) -> _Named:
        """Return the one entity of a name.

        Raises:
            UnknownError: none has it, or several, which are listed.
        """
        name = name.strip()
        for found in (self._own(name), self._titled(name), self._aliased(name)):
            if len(found) == 1:
                return next(iter(found))
            if found:
                shown = ", ".join(str(one) for one in found[:_MOST_SHOWN])
                more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
                raise UnknownError(f"'{name}' may mean {shown}{more}; say which")
        raise UnknownError(
            f"'{name}' is no entity of {self._store.path}; 'mekb aliases lookup' tells what a name may mean"
        )

    def _own(self, name: str) -> list[_Named]:
        """Return what the person's interests and edits call so."""
        own = {
            one.entity_id: _Named(one.entity_id, one.title, one.kind)
            for one in self._graph.interests
            if _is_called(name, one.entity_id, one.kind, one.title, one.label)
        }
        own |= {
            edit.entity_id: _Named(edit.entity_id, edit.title, edit.kind or "wikidata")
            for edit in self._known
            if _is_called(name, edit.entity_id, edit.kind, edit.title)
        }
        return list(own.values())

    def _titled(self, name: str) -> list[_Named]:
        """Return the entities of an id ("Q42"), a title, or a kind and title ("brand:Sony")."""
        qid, kinded = _QID.fullmatch(name), _KINDED.fullmatch(name)
        parameters = {
            "entity_id": int(qid[1]) if qid else None,
            "title": kinded[2] if kinded else name,
            "kind": kinded[1] if kinded else None,
        }
        rows = self._store.query(NAMED_SQL, parameters).to_pylist()
        return [_Named(**row) for row in rows]

    def _aliased(self, name: str) -> list[_Named]:
        """Return what the alias table says a name may mean, the likeliest first."""
        if not (self._store.has("entities") and self._store.has("aliases")):
            return []
        return [
            _Named(candidate.entity_id, candidate.title, "wikidata")
            for candidate in alias_index(self._store).candidates(name)
        ]
