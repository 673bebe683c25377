"""What an alias table is built from: the parts of one dump, and the files beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """The files of one build; all but one of `dumps`, `extra`, `wikidata` and `graph` may be left out."""

    dumps: tuple[Path, ...] = ()
    """Parts of one wiki's pages-articles export, in any order: .xml, .xml.bz2 or .xml.gz."""
    qids: Path | None = None
    """TSV, CSV or Parquet with the columns `title` and `qid`."""
    extra: tuple[Path, ...] = ()
    """Alias rows or title lists: `title` and/or `qid`, optionally `surface`, `count`, `channel`,
    `description`. Without `surface`, a title gives itself and itself without its bracket."""
    wikidata: tuple[Path, ...] = ()
    """Wikidata's JSON dump of entities (`latest-all.json.bz2`), whole or in parts."""
    page_props: Path | None = None
    """The wiki's `page_props.sql.gz`: QIDs and disambiguation pages by page id."""
    redirects: Path | None = None
    """The wiki's `redirect.sql.gz`: where redirect pages lead."""
    pages: Path | None = None
    """The wiki's `page.sql.gz`: titles by page id."""
    merged: Path | None = None
    """QIDs that were merged into another one, with the one they became."""

    graph: tuple[Path, ...] = ()
    """A knowledge graph of one's own, beside Wikidata or in its place (`own_graph`): tables or RDF."""

    def beside_the_dump(self) -> Iterator[tuple[str, Path]]:
        """Yield (kind, path) of the files beside the dump, those of several parts by name."""
        kinds = ("qids", "extra", "wikidata", "page_props", "redirects", "pages", "merged", "graph")
        for kind in kinds:
            given = getattr(self, kind)
            paths = [] if given is None else [given] if isinstance(given, Path) else list(given)
            for path in sorted(paths, key=lambda path: (path.name, path.resolve().as_posix())):
                yield kind, path

    def __bool__(self) -> bool:
        return bool(self.dumps or self.extra or self.wikidata or self.graph)
