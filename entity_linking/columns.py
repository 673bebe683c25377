"""The Arrow rim of the linker: columns of `TEXTS` in, columns of `MENTIONS` out."""

from collections.abc import Sequence

import pyarrow as pa

from entity_linking.errors import LinkingError
from entity_linking.mentions import Mention
from entity_linking.schema import TEXTS


def text_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Return a column of `TEXTS` in its declared type; nulls for an optional one that is not there.

    Raises:
        LinkingError: The column is missing or of a type that cannot be read as declared.
    """
    expected = TEXTS.field(name)
    if name not in batch.schema.names:
        if expected.nullable:
            return pa.nulls(batch.num_rows, expected.type)
        needed = ", ".join(field.name for field in TEXTS if not field.nullable)
        raise LinkingError(
            f"a batch of texts has the columns {', '.join(batch.schema.names)}; expected {needed}"
        )
    try:
        return batch.column(name).cast(expected.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LinkingError(
            f"column {name!r} is {batch.column(name).type}, expected {expected.type}: {error}"
        ) from error


def mention_column(mentions: Sequence[Mention], column: pa.Field) -> pa.Array:
    """Return one column of `MENTIONS`, cells of `Mention` by its name."""
    if column.name != "candidates":
        return pa.array([getattr(one, column.name) for one in mentions], column.type)
    lists = [one.candidates for one in mentions]
    ends = [0]
    for ranking in lists:
        ends.append(ends[-1] + len(ranking))
    flat = [entity for ranking in lists for entity in ranking]
    struct = column.type.value_type
    values = [
        pa.array([entity[place] for entity in flat], struct.field(place).type)
        for place in range(struct.num_fields)
    ]
    entities = pa.StructArray.from_arrays(values, fields=list(struct))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), entities).cast(column.type)
