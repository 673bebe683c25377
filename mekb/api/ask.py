"""Recommendations: what a person is asked by, and the answer."""

from collections.abc import Sequence
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
    from mekb.query import Answer


def recommend(
    bundle: "Bundle | str | Path",
    *,
    user: str | None = None,
    store: StoreLike | None = None,
    history: Sequence[str] = (),
    interests: Sequence[str] = (),
    profile: UserGraph | str | Path | None = None,
    k: int = 10,
    explain: bool = True,
) -> "Answer":
    """Recommend items of the target domain to a user who may be wholly new.

    Args:
        bundle: A bundle, open or by its folder.
        user: A user of `store`, whose positive interactions are the history, and whose edited profile is
            taken where they edited it; or of a `profile` file of many.
        store: The store that knows the user.
        history: Items as "ITEM" or "DOMAIN:ITEM".
        interests: QIDs, titles or names of entities; used alone, not together with a history.
        profile: A MeKB, or a file one was exported to, here or by another service; its weights are kept.
        k: How many items, at least 1.
        explain: Work out which interests carried each item.

    Raises:
        UnknownError: nothing to go by was given, or something given is not known.
        SourceError: the profile's file is malformed.
    """
    from mekb.bundle import Bundle
    from mekb.query import answer, history_of, weights_of_graph, weights_of_interests

    if k < 1:
        raise UnknownError(f"k is {k}; ask for 1 item at least")
    ways = [
        user is not None and profile is None,
        bool(history),
        bool(interests),
        profile is not None,
    ]
    if sum(ways) != 1 or (profile is not None and store is not None):
        raise UnknownError(
            "give one of: a user (with the store), a history, interests, or a profile"
        )
    opened_bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    if interests:
        weights, notes = weights_of_interests(opened_bundle, interests)
        return answer(opened_bundle, weights, k=k, explain=explain, notes=notes)
    if profile is not None:
        graph = profile if isinstance(profile, UserGraph) else read_profile(profile, user=user)
        return _answer_to_profile(opened_bundle, graph, k=k, explain=explain)
    pairs = (
        _user_items(user, store)
        if user is not None
        else [_domain_and_item(opened_bundle, i) for i in history]
    )
    known = history_of(
        opened_bundle, [pair for pair in pairs if pair[0] is None or pair[0] in opened_bundle.items]
    )
    weights, notes = opened_bundle.profiles.weights(known), []
    if user is not None and store is not None and profile_edits(store, user):
        weights, notes = weights_of_graph(opened_bundle, user_graph(store, user))
        notes = ["the profile was edited by its owner", *notes]
    return answer(opened_bundle, weights, history=known, k=k, explain=explain, notes=notes)


def _answer_to_profile(bundle: "Bundle", graph: UserGraph, *, k: int, explain: bool) -> "Answer":
    from mekb.query import answer, items_of_graph, weights_of_graph

    weights, notes = weights_of_graph(bundle, graph)
    known = items_of_graph(bundle, graph)
    return answer(bundle, weights, history=known, k=k, explain=explain, notes=notes)


def _user_items(user: str, store: StoreLike | None) -> list[tuple[str | None, str]]:
    from mekb.interests import liked_items

    if store is None:
        raise UnknownError(
            f"user '{user}' is asked for without a store; give the store that knows them"
        )
    with opened(store) as source:
        return list(liked_items(source, user))


def _domain_and_item(bundle: "Bundle", text: str) -> tuple[str | None, str]:
    domain, colon, item = text.partition(":")
    return (domain, item) if colon and domain in bundle.items else (None, text)
