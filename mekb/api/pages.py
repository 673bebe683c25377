"""The page of one person as a file: interests, what they are from, and what they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.ask import recommend
from mekb.api.profiles import user_graph
from mekb.api.stores import StoreLike, opened
from mekb.graph import UserGraph

if TYPE_CHECKING:
    from mekb.bundle import Bundle


def profile_page(
    store: StoreLike,
    user: str,
    path: str | Path,
    *,
    bundle: "Bundle | str | Path | None" = None,
    k: int = 10,
    inferred: bool = False,
    force: bool = False,
) -> UserGraph:
    """Write what one user's MeKB holds as a page to look at: one HTML file that needs nothing else.

    It shows the graph, the table, the mentions behind each interest, relations where the store has any, and
    recommendations with their reasons where a bundle is given. It asks nothing of any network. It holds personal
    data: the store remembers the file, so that `forget_user` can delete it.

    Args:
        store: A store with profiles.
        user: The user's id.
        path: Where to.
        bundle: What recommends, open or by its folder; none shows no recommendations.
        k: How many items are recommended.
        inferred: Show what was inferred from their interests too.
        force: Whether an existing file may be replaced.

    Raises:
        UnknownError: no such user, no profiles yet, or nothing inferred yet.
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    from mekb.api.models import open_bundle
    from mekb.bundle import Bundle
    from mekb.export_log import note_export
    from mekb.page.content import content_of, shown_answer
    from mekb.page.document import write_page
    from mekb.page.read import read_relations, read_texts

    with opened(store) as source:
        graph = user_graph(source, user, inferred=inferred)
        answer = None
        if bundle is not None:
            asked = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
            answer = shown_answer(recommend(asked, user=user, store=source, k=k), asked.target)
        content = content_of(
            graph,
            read_texts(source, user),
            relations=read_relations(source, [one.entity_id for one in graph.interests]),
            answer=answer,
        )
        write_page(content, Path(path), force=force)
        note_export(source, Path(path), user)
    return graph
