"""Recommendations: what a person is asked by, and the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.exports import read_profile
from mekb.api.models import open_bundle
from mekb.api.profiles import profile_edits, user_graph
from mekb.api.stores import StoreLike, opened
from mekb.errors import UnknownError
from mekb.graph import UserGraph

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from mekb.bundle import Bundle
    from mekb.query import Answer, Wanted


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
    from mekb.bundle import Bundle
    from mekb.given import (
        history_of,
        items_of_graph,
        weights_of_graph,
        weights_of_interests,
        weights_of_text,
    )
    from mekb.query import ANYTHING_NEW, answer

    if k < 1:
        raise UnknownError(f"k is {k}; ask for 1 item at least")
    ways = [
        user is not None and profile is None,
        bool(history),
        bool(interests),
        text is not None,
        profile is not None,
    ]
    if sum(ways) != 1 or (profile is not None and store is not None):
        raise UnknownError(
            "give one of: a user (with the store), a history, interests, a text, or a profile"
        )
    opened_bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    known: Mapping[str, csr_array] = {}
    if interests:
        weights, notes = weights_of_interests(opened_bundle, interests)
    elif text is not None:
        weights, notes = weights_of_text(opened_bundle, text)
    elif profile is not None:
        graph = profile if isinstance(profile, UserGraph) else read_profile(profile, user=user)
        weights, notes = weights_of_graph(opened_bundle, graph)
        known = items_of_graph(opened_bundle, graph)
    elif user is not None:
        weights, notes, known = _known_to_a_store(opened_bundle, user, store)
    else:
        known = history_of(
            opened_bundle, [_domain_and_item(opened_bundle, item) for item in history]
        )
        weights, notes = opened_bundle.profiles.weights(known), []
    found = answer(
        opened_bundle,
        weights,
        history=known,
        k=k,
        explain=explain,
        wanted=wanted or ANYTHING_NEW,
    )
    return replace(found, notes=tuple(notes))


def _known_to_a_store(
    bundle: "Bundle", user: str, store: StoreLike | None
) -> "tuple[csr_array, list[str], Mapping[str, csr_array]]":
    """Return a user's weights, notes on them, and their history."""
    from mekb.given import history_of, weights_of_graph
    from mekb.interests import liked_items

    if store is None:
        raise UnknownError(
            f"user '{user}' is asked for without a store; give the store that knows them"
        )
    with opened(store) as source:
        pairs = [pair for pair in liked_items(source, user) if pair[0] in bundle.items]
        known = history_of(bundle, pairs)
        if not profile_edits(source, user):
            return bundle.profiles.weights(known), [], known
        weights, notes = weights_of_graph(bundle, user_graph(source, user))
    return weights, ["the profile was edited by its owner", *notes], known


def _domain_and_item(bundle: "Bundle", text: str) -> tuple[str | None, str]:
    domain, colon, item = text.partition(":")
    return (domain, item) if colon and domain in bundle.items else (None, text)
