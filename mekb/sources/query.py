"""The result of a query as one dictionary a row."""

from collections.abc import Mapping
from typing import Any

import duckdb


def query_rows(
    connection: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, object] | None = None
) -> list[dict[str, Any]]:
    """Return a result as one dictionary a row, read to its end."""
    result = connection.execute(query, dict(params or {}))
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
