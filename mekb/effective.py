"""The profile a person sees: the interests their items gave, with their own edits laid over them.

    user_entity (derived, never changed by an edit) ──┐
    profile_edits (remove, add, pin) ─────────────────┴──> own_interests (effective), texts in `profiles`

With d(e) the derived weights of a user (they sum to 1), a(e) the stated weights of what was added, p(e) of what
was pinned, P = sum of p:

    removed:  gone
    pinned:   w(e) = p(e), whatever the data say (scaled to sum to 1 where nothing else is left)
    others:   w(e) = (1 - P) f(e) / sum of f,   f(e) = max(d(e), a(e)), or d(e) where nothing was added

So a removal scales the others up by one factor, an addition scales them down by one factor, and an addition that
the data come to support more strongly than was stated has the data's weight. Weights of a user sum to 1 again.
A user without edits has the derived weights bit for bit. An edit is no observation: it changes nobody's idf, and
nothing is trained on it.
"""

import contextlib
from collections.abc import Iterator

from mekb.profile import MAX_ENTITIES, PROFILE_TEXT_SQL, SEPARATOR
from mekb.scoring import ALL_USERS
from mekb.store import Change, Store

LIVE_EDITS_SQL = """
with known as (
    select entity_id from entities union all select entity_id from custom_entities
)
select users.user_id, profile_edits.entity_id, profile_edits.action, profile_edits.weight as stated
from profile_edits join users using (external_id) semi join known using (entity_id)
where users.user_id between $first_user and $last_user
"""
"""Edits of users and entities that the store knows; others wait until it does."""

EDITED_INTERESTS_SQL = """
with edits as (select * from temp.live_edits),
derived as (
    select * from user_entity where user_id in (select user_id from edits)
),
laid as (
    select coalesce(derived.user_id, edits.user_id) as user_id,
           coalesce(derived.entity_id, edits.entity_id) as entity_id,
           coalesce(n_items, 0) as n_items, coalesce(tf, 0) as tf, coalesce(idf, 0) as idf,
           case when action is null then weight
                when action = 'add' then greatest(coalesce(weight, 0), stated) end as free,
           case when action = 'pin' then stated end as pinned,
           case action when 'add' then 'added' when 'pin' then 'pinned' else 'derived' end as origin,
           first_at, last_at
    from derived full join edits on derived.user_id = edits.user_id and derived.entity_id = edits.entity_id
    where action is distinct from 'remove'
),
totals as (
    select user_id, cast(sum(cast(free as decimal(38, 26))) as double) as free,
           coalesce(cast(sum(cast(pinned as decimal(38, 26))) as double), 0) as pinned
    from laid group by user_id
),
weighted as (
    select laid.* exclude (free, pinned), case
               when laid.pinned is null then laid.free * (1 - totals.pinned) / totals.free
               when totals.free is null then laid.pinned / totals.pinned
               else laid.pinned end as weight
    from laid join totals using (user_id)
)
select user_id, entity_id, n_items, tf, idf, weight,
       row_number() over (partition by user_id order by weight desc, entity_id) as rank,
       first_at, last_at, origin
from weighted
"""
"""Effective interests of users with edits; sums are exact, so that no order of rows changes a bit."""

DERIVED_VIEW_SQL = """
create or replace temp view own_interests as select *, 'derived' as origin from user_entity
"""
EDITED_VIEW_SQL = """
create or replace temp view own_interests as
select user_entity.*, 'derived' as origin from user_entity
anti join temp.live_edits using (user_id)
union all
select * from temp.edited_interests
"""
EDITED_USERS_SQL = "select distinct user_id from temp.live_edits"
ONE_USER_SQL = "select cast($user_id as uinteger) as user_id"
SHOWN_SQL = "select * from temp.own_interests semi join temp.edited_users using (user_id)"
SHOWN_TITLES_SQL = """
with named as (
    select entity_id, title from entities
    union all
    select entity_id, title from custom_entities
)
select * from named semi join temp.scored_interests using (entity_id)
"""

MADE = ("own_interests", "edited_interests", "edited_users", "live_edits")


def has_edits(store: Store) -> bool:
    """Tell whether anybody edited a profile."""
    return store.has("profile_edits") and store.count("profile_edits") > 0


@contextlib.contextmanager
def own_interests(store: Store, users: tuple[int, int] = ALL_USERS) -> Iterator[None]:
    """Give a view `own_interests` for a block: the columns of `user_entity`, and `origin`.

    Args:
        store: With profiles.
        users: The first and last user id that will be asked for.
    """
    try:
        if has_edits(store):
            ends = {"first_user": users[0], "last_user": users[1]}
            store.keep("live_edits", LIVE_EDITS_SQL, ends)
            store.keep("edited_interests", EDITED_INTERESTS_SQL)
            store.connection.execute(EDITED_VIEW_SQL)
        else:
            store.connection.execute(DERIVED_VIEW_SQL)
        yield
    finally:
        store.forget(*MADE)


def write_edited_texts(store: Store) -> Change | None:
    """Bring the texts in `profiles` of all users with edits to what their effective interests say.

    To be called in the transaction that scored them.

    Returns:
        The digests of the rows of `profiles` taken and added; None when nobody has edits.
    """
    if not has_edits(store):
        return None
    with own_interests(store):
        store.keep("edited_users", EDITED_USERS_SQL)
        return _write_texts(store)


def write_text_of(store: Store, user_id: int) -> Change:
    """Bring the text of one user to what their effective interests say; returns as `write_edited_texts`."""
    with own_interests(store, (user_id, user_id)):
        store.keep("edited_users", ONE_USER_SQL, {"user_id": user_id})
        return _write_texts(store)


def _write_texts(store: Store) -> Change:
    """Write the texts of the users in the temporary table `edited_users`."""
    store.forget("scored_interests", "titles")  # a scoring may have left a view of that name
    store.keep("scored_interests", SHOWN_SQL)
    store.keep("titles", SHOWN_TITLES_SQL)
    texts = store.query(PROFILE_TEXT_SQL, {"separator": SEPARATOR, "max_entities": MAX_ENTITIES})
    store.forget("scored_interests", "titles")
    return store.replace_users("edited_users", ("profiles",), [{"profiles": texts}])["profiles"]
