"""The sample world's items: real books, films and records, each with a line of our own.

A file of `items/` holds one JSON object a line. `entities` says what the work is about, as Wikidata ids:
the truth that simulated users choose by. Nine in ten of them are named in the title or the line (a test
counts them), so a linker can be measured against it too. It is no part of what the demo imports.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from mekb.errors import SourceError


@dataclass(frozen=True)
class SampleItem:
    """One item, with the entities it is truly about."""

    item_id: str
    domain: str
    title: str
    """As shops write it: "Matrix, The (1999)", "Dracula [Hardcover]"."""
    text: str
    brand: str | None
    categories: tuple[str, ...]
    entities: tuple[str, ...]
    """Wikidata ids; the first is the work itself."""


def read_items(text: str, source: str = "items") -> list[SampleItem]:
    """Read the items of one JSON lines file.

    Args:
        text: The file's content.
        source: Its name, for messages.

    Raises:
        SourceError: A line is not an object with exactly the fields of `SampleItem`.
    """
    items = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            fields = json.loads(line)
            items.append(
                SampleItem(
                    **{
                        **fields,
                        "categories": tuple(fields["categories"]),
                        "entities": tuple(fields["entities"]),
                    }
                )
            )
        except (ValueError, TypeError, KeyError) as error:
            raise SourceError(
                f"{source}:{number}: not a sample item ({error}); its fields are"
                f" {', '.join(SampleItem.__dataclass_fields__)}"
            ) from error
    return items


def sample_items() -> list[SampleItem]:
    """Return every item of the sample world, files by name, items in the order of their file."""
    folder = files("mekb.sample") / "items"
    return [
        item
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".jsonl")
        for item in read_items(file.read_text(encoding="utf-8"), file.name)
    ]


def write_items(items: Iterable[SampleItem], path: Path) -> None:
    """Write items as JSON lines, without their true entities."""
    rows = []
    for item in items:
        row = asdict(item)
        del row["entities"]
        rows.append(json.dumps(row, ensure_ascii=False) + "\n")
    path.write_text("".join(rows), encoding="utf-8", newline="\n")
