"""Interest spread one hop along relations, over matrices: what `mekb.neighbours` does in a store's SQL.

    s'(u, o) = sum over e of  s(u, e) * factor(e, o),     factor(e, o) = sum over r of  w_r * gamma / deg_r(o)

What a user has themselves is not inferred; of the rest the `top` of each user are kept, ties by entity row. The
factors come from a store (`mekb.relations`) or from a bundle, so that both give a person the same.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

_ROWS_AT_ONCE = 8_192
"""Users spread together: with 100 interests of 10 relations each, some 100 MB."""


@dataclass(frozen=True)
class OneHop:
    """Where interest spreads to."""

    factors: csr_array
    """Shape (entities, entities): what of an interest in the row's entity passes to the column's."""
    top: int
    """Inferred interests a user."""

    def beside(self, weights: csr_array) -> csr_array:
        """Return interests with what is inferred from them beside them.

        Args:
            weights: Shape (users, entities): s(u, e), not negative.

        Returns:
            The same shape: own weights as they are, and s'(u, o) on top of them. Empty rows stay empty.
        """
        parts = [
            weights[first : first + _ROWS_AT_ONCE]
            + self.inferred(weights[first : first + _ROWS_AT_ONCE])
            for first in range(0, weights.shape[0], _ROWS_AT_ONCE)
        ]
        return csr_array(vstack(parts, format="csr")) if parts else weights

    def inferred(self, weights: csr_array) -> csr_array:
        """Return s'(u, o) alone, shape (users, entities): the `top` of each row that it does not have itself."""
        spread = csr_array(weights @ self.factors)
        own = weights > 0
        fresh = csr_array(spread - spread.multiply(own))
        fresh.eliminate_zeros()
        rows = np.repeat(np.arange(fresh.shape[0]), np.diff(fresh.indptr))
        order = np.lexsort((fresh.indices, -fresh.data, rows))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order)) - fresh.indptr[rows[order]]
        kept = place < self.top
        return csr_array((fresh.data[kept], (rows[kept], fresh.indices[kept])), shape=fresh.shape)
