"""What entities are, for texts that say so: "Heat (1995 film) (American crime film)".

    entities, custom_entities (description) ──> World.entities.descriptions ──> `mekb.profile.ProfileScorer.texts`

Descriptions are those of the alias table: first sentences of articles, Wikidata's own, or a column of one's own graph.
Only texts that a model reads change, in training, evaluation and bundles alike; the table `profiles` stays as it is.
"""

from dataclasses import replace

from mekb.dataset import World
from mekb.errors import UnknownError
from mekb.store import Store

DESCRIBED_SQL = """
with described as (
    select entity_id, description from entities union all
    select entity_id, description from custom_entities
)
select entity_id, max(description) as description from described
where coalesce(description, '') <> '' group by entity_id order by entity_id
"""


def with_descriptions(world: World, store: Store) -> World:
    """Return the world with texts that say what each entity is, behind its title, where that is known.

    Raises:
        UnknownError: no entity of the store has a description.
    """
    check_descriptions(store)
    found = store.query(DESCRIBED_SQL)
    texts = dict(zip(found["entity_id"].to_pylist(), found["description"].to_pylist(), strict=True))
    descriptions = [texts.get(entity_id) for entity_id in world.entities.entity_ids.tolist()]
    return replace(world, entities=replace(world.entities, descriptions=descriptions))


def check_descriptions(store: Store) -> None:
    """Refuse a store without any description.

    Raises:
        UnknownError: it has none; the line says where they come from.
    """
    if not store.query(f"{DESCRIBED_SQL} limit 1").num_rows:
        raise UnknownError(
            f"{store.path}: no entity has a description; they come from an alias table built with"
            " aliases.describe=true, from a Wikidata dump, or from the column description of your own graph"
        )
