"""People's interests: scored, kept up to date, spread, looked at, edited and forgotten."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mekb.api.stores import OnProgress, StoreLike, no_progress, opened
from mekb.config import Settings
from mekb.graph import UserGraph
from mekb.runs import StageResult

if TYPE_CHECKING:
    from mekb.edits import Edit
    from mekb.forget import Forgotten
    from mekb.increments import Updated


def build_profiles(
    store: StoreLike,
    *,
    settings: Settings | None = None,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> StageResult:
    """Score the interests of every user of a store (paper 002, eqs. 4-7) and flatten them into texts.

    Users are scored in parts that fit `settings.store.memory_limit`; what else is needed is spilled to disk.

    Raises:
        UnknownError: the items are not imported or not linked yet.
        ConfigError: decay is asked for, and interactions have no time.
    """
    from mekb.interests import build_profiles as build

    chosen = settings or Settings()

    def on_part(done: int, total: int) -> None:
        on_progress("score", done, total)

    with opened(store, settings=chosen) as target:
        return build(target, chosen.scoring, force=force, on_part=on_part)


def update_profiles(
    store: StoreLike,
    *,
    settings: Settings | None = None,
    refresh: bool = False,
    on_progress: OnProgress = no_progress,
) -> "Updated":
    """Score the users whose interactions or items changed since they were scored, with the idf of the last build.

    Args:
        store: A store whose profiles were built once.
        settings: `settings.scoring` as in the build; `settings.update` says how drift is judged.
        refresh: Score everybody, with idf counted anew.
        on_progress: Told of parts of users.

    Raises:
        UnknownError: no profiles were built yet.
        RefreshError: more than some users' items changed; only a refresh can be right.
    """
    from mekb.increments import update_profiles as update

    chosen = settings or Settings()

    def on_part(done: int, total: int) -> None:
        on_progress("score", done, total)

    with opened(store, settings=chosen) as target:
        return update(target, chosen.scoring, chosen.update, refresh=refresh, on_part=on_part)


def infer_interests(
    store: StoreLike, *, settings: Settings | None = None, force: bool = False
) -> StageResult:
    """Spread interests one hop along relations into a table of its own, marked as inferred; see `mekb.neighbours`.

    Args:
        store: A store with profiles and relations.
        settings: `settings.neighbours`.
        force: Infer though nothing changed.

    Raises:
        UnknownError: the store has no profiles, or no relations.
    """
    from mekb.neighbours import infer_interests as infer

    chosen = settings or Settings()
    with opened(store, settings=chosen) as target:
        return infer(target, chosen.neighbours, force=force)


def user_graph(store: StoreLike, user: str, *, inferred: bool = False) -> UserGraph:
    """Return one user's MeKB: interests by falling weight, each with its evidence.

    Args:
        store: A store with profiles.
        user: The user's id.
        inferred: Put what was inferred from their interests behind them.

    Raises:
        UnknownError: no such user, no profiles yet, or nothing inferred yet.
    """
    from mekb.interests import read_user_graph

    with opened(store) as source:
        graph = read_user_graph(source, user)
        if not inferred:
            return graph
        from mekb.neighbours import with_inferred

        return with_inferred(source, graph)


def edit_profile(
    store: StoreLike,
    user: str,
    *,
    remove: Sequence[str] = (),
    add: "Sequence[str] | Mapping[str, float | None]" = (),
    pin: "Sequence[str] | Mapping[str, float | None]" = (),
    undo: Sequence[str] = (),
    undo_all: bool = False,
) -> UserGraph:
    """Remove, add or pin interests of a user, and return the profile as it is then.

    Edits are a layer above what the data say: they survive every build, update and import, and undoing them
    gives back the derived profile bit for bit. Names are QIDs, titles ("Heat (1995 film)"), "brand:Sony", or
    any name that means one entity only. Weights sum to 1 again after each edit; `mekb.effective` says how.
    Models are trained on derived interests alone: an edit is no observation.

    Args:
        store: A store with profiles.
        user: The user's id.
        remove: What is to be gone, whatever the data say; the others are scaled up.
        add: What shall count beside the rest, with a weight (0.1 if None), before all are made to sum to 1.
        pin: What shall have just this weight of the profile (that of now if None), whatever the data say.
        undo: Edits to take back.
        undo_all: Take back all of them, before anything else is done.

    Raises:
        UnknownError: no such user or entity, a name that may mean several, or a weight that cannot be.
    """
    from mekb.edits import Changes, name_and_weight
    from mekb.edits import edit_profile as edit

    def weighed(given: "Sequence[str] | Mapping[str, float | None]") -> dict[str, float | None]:
        return dict(given if isinstance(given, Mapping) else map(name_and_weight, given))

    changes = Changes(tuple(remove), weighed(add), weighed(pin), tuple(undo), undo_all)
    with opened(store) as target:
        return edit(target, user, changes)


def profile_edits(store: StoreLike, user: str) -> "tuple[Edit, ...]":
    """Return what a user changed in their profile, the oldest edit first.

    Raises:
        UnknownError: no such user.
    """
    from mekb.edits import read_edits

    with opened(store) as source:
        return read_edits(source, user)


def forget_user(store: StoreLike, user: str) -> "Forgotten":
    """Remove a person from every table of a store, from its file, and from exports made for them; prove it.

    The store's file is written anew without them and takes the old one's place in one step, so that an
    interruption leaves the one or the other, whole. The disk must hold the store twice.

    Args:
        store: The store.
        user: The user's id.

    Raises:
        UnknownError: no such user.
        StoreError: the file cannot be written anew; the store is as before.
    """
    from mekb.forget import forget_user as forget

    with opened(store) as target:
        return forget(target, user)
