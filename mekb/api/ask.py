"""Recommendations and explanations: what a person is asked by, and the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.exports import read_profile
from mekb.api.models import open_bundle
from mekb.api.profiles import profile_edits, user_graph
from mekb.api.stores import StoreLike, opened
from mekb.errors import UnknownError
from mekb.graph import UserGraph

if TYPE_CHECKING:
    from mekb.bundle import Bundle
    from mekb.given import Given
    from mekb.query import Answer, Explanation, Wanted


def recommend(
    bundle: "Bundle | str | Path",
    *,
    user: str | None = None,
    store: StoreLike | None = None,
    history: Sequence[str] = (),
    interests: Sequence[str] = (),
    text: str | None = None,
    profile: UserGraph | str | Path | None = None,
    k: int = 10,
    explain: bool = True,
    wanted: "Wanted | None" = None,
) -> "Answer":
    """Recommend items of the target domain to a user who may be wholly new.

    Args:
        bundle: A bundle, open or by its folder.
        user: A user of `store`, whose positive interactions are the history, and whose edited profile is
            taken where they edited it; or of a `profile` file of many.
        store: The store that knows the user.
        history: Items as "ITEM" or "DOMAIN:ITEM".
        interests: QIDs, titles or names of entities; used alone, not together with a history.
        text: Words of their own; the entities it mentions are the interests.
        profile: A MeKB, or a file one was exported to, here or by another service; its weights are kept.
        k: How many items, at least 1.
        explain: Work out which interests carried each item.
        wanted: Items to block, categories to keep to, whether to show again what was seen.

    Raises:
        UnknownError: nothing to go by was given, or something given is not known.
        SourceError: the profile's file is malformed.
    """
    from mekb.query import ANYTHING_NEW, answer

    if k < 1:
        raise UnknownError(f"k is {k}; ask for 1 item at least")
    opened_bundle = _open(bundle)
    given = _given(
        opened_bundle,
        Who(user, store, tuple(history), tuple(interests), text, profile),
    )
    return answer(opened_bundle, given, k=k, explain=explain, wanted=wanted or ANYTHING_NEW)


def explain(
    bundle: "Bundle | str | Path",
    item: str,
    *,
    user: str | None = None,
    store: StoreLike | None = None,
    history: Sequence[str] = (),
    interests: Sequence[str] = (),
    text: str | None = None,
    profile: UserGraph | str | Path | None = None,
) -> "Explanation":
    """Say what each interest of a user gives to one item of the target domain, recommended or not.

    Args:
        bundle: A bundle, open or by its folder.
        item: The item's id, as imported.
        user: As of `recommend`, like all that follow.
        store: The store that knows the user.
        history: Items as "ITEM" or "DOMAIN:ITEM".
        interests: QIDs, titles or names of entities.
        text: Words of their own.
        profile: A MeKB, or a file one was exported to.

    Raises:
        UnknownError: the item or something given is not known, or nothing to go by was given.
        SourceError: the profile's file is malformed.
    """
    from mekb.query import explain_item

    opened_bundle = _open(bundle)
    who = Who(user, store, tuple(history), tuple(interests), text, profile)
    return explain_item(opened_bundle, _given(opened_bundle, who), item)


@dataclass(frozen=True)
class Who:
    """Whom a question is about: one of a user, a history, interests, a text, or a profile."""

    user: str | None = None
    store: StoreLike | None = None
    history: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    text: str | None = None
    profile: UserGraph | str | Path | None = None

    def check(self) -> None:
        """Raise UnknownError unless exactly one way to say who is meant was taken."""
        ways = [
            self.user is not None and self.profile is None,
            bool(self.history),
            bool(self.interests),
            self.text is not None,
            self.profile is not None,
        ]
        if sum(ways) != 1 or (self.profile is not None and self.store is not None):
            raise UnknownError(
                "give one of: a user (with the store), a history, interests, a text, or a profile"
            )


def _open(bundle: "Bundle | str | Path") -> "Bundle":
    from mekb.bundle import Bundle

    return bundle if isinstance(bundle, Bundle) else open_bundle(bundle)


def _given(bundle: "Bundle", who: Who) -> "Given":
    """Return what a person gave, as the bundle understands it."""
    from mekb.given import (
        domain_and_item,
        given_graph,
        given_history,
        given_interests,
        given_text,
    )

    who.check()
    if who.interests:
        return given_interests(bundle, who.interests)
    if who.text is not None:
        return given_text(bundle, who.text)
    if who.profile is not None:
        graph = who.profile
        if not isinstance(graph, UserGraph):
            graph = read_profile(graph, user=who.user)
        return given_graph(bundle, graph)
    if who.user is not None:
        return _known_to_a_store(bundle, who.user, who.store)
    return given_history(bundle, [domain_and_item(bundle, item) for item in who.history])


def _known_to_a_store(bundle: "Bundle", user: str, store: StoreLike | None) -> "Given":
    """Return what a store knows of a user, with their own edits."""
    from mekb.given import given_graph, given_history, grounded
    from mekb.interests import liked_items

    if store is None:
        raise UnknownError(
            f"user '{user}' is asked for without a store; give the store that knows them"
        )
    with opened(store) as source:
        liked = [pair for pair in liked_items(source, user) if pair[0] in bundle.items]
        by_items = given_history(bundle, liked)
        if not profile_edits(source, user):
            return by_items
        edited = grounded(given_graph(bundle, user_graph(source, user)), by_items)
    return replace(edited, notes=("the profile was edited by its owner", *edited.notes))
