"""Relations of the knowledge graph as factors: how much of an interest in one entity passes to another.

    relations (subject, predicate, object) ──LINKS──> (subject, object, w_r * gamma / deg_r(object))

deg_r(o) is how many subjects have o by r; what more than `max_degree` have ("human", "United States") says nothing
and is left out. `mekb.neighbours` spreads the profiles of a store along them, `mekb.one_hop` any profiles.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_array

from mekb.one_hop import OneHop
from mekb.scoring import NeighbourConfig
from mekb.store import Store

HINT = "import them with 'mekb data relations {store} triples.tsv'"

LINKS = """
degrees as (
    select predicate, object, count(*) as degree from relations group by predicate, object
),
links as (
    select subject, object, weights.weight * $gamma / degree as factor
    from relations join weights using (predicate) join degrees using (predicate, object)
    where degree <= $max_degree and subject <> object
)"""
"""Steps of a query, the last `links`: a row a relation that counts, from `relations` and `weights`."""

FACTORS_SQL = f"""
with {LINKS},
named as (
    select entity_id from entities union all select entity_id from custom_entities
)
select subject, object, cast(sum(cast(factor as decimal(38, 26))) as double) as factor
from links
semi join item_entities on links.subject = item_entities.entity_id
semi join named on links.object = named.entity_id
group by subject, object having sum(factor) > 0
order by subject, object
"""  # noqa: S608  a constant of ours
"""What passes from the entities that items hold to those the store can name; sums are exact."""


@contextlib.contextmanager
def relation_weights(store: Store, config: NeighbourConfig) -> Iterator[dict[str, object]]:
    """Give the view `weights` (w_r by predicate) for a block, and the parameters of LINKS."""
    weights = {"predicate": list(config.relations), "weight": list(config.relations.values())}
    schema = pa.schema([("predicate", pa.string()), ("weight", pa.float64())])
    store.connection.register("weights", pa.table(weights, schema))
    try:
        yield {"gamma": config.gamma, "max_degree": config.max_degree}
    finally:
        store.connection.unregister("weights")


def read_factors(store: Store, config: NeighbourConfig) -> pa.Table:
    """Return what passes from each entity that items hold to each neighbour: subject, object, factor.

    Raises:
        UnknownError: the store has no relations, or its items are not linked.
    """
    store.require("relations", hint=HINT.format(store=store.path))
    store.require("item_entities", hint=f"link the items with 'mekb link {store.path}'")
    with relation_weights(store, config) as parameters:
        return store.query(FACTORS_SQL, parameters)


def one_hop(
    factors: pa.Table, entity_ids: npt.NDArray[np.uint32], config: NeighbourConfig
) -> OneHop:
    """Return factors as a matrix over entities in the order of their ids.

    Args:
        factors: What `read_factors` gave.
        entity_ids: Sorted; both ends of every factor are among them.
        config: How many are inferred a user.
    """
    rows, columns = (
        np.searchsorted(entity_ids, factors[end].to_numpy()) for end in ("subject", "object")
    )
    shape = (len(entity_ids), len(entity_ids))
    return OneHop(
        csr_array((factors["factor"].to_numpy(), (rows, columns)), shape=shape), config.top
    )
