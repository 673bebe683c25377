"""Real pages: mwparserfromhell as the oracle of links, and what a real dump must give."""

import bz2
from collections import Counter
from pathlib import Path

import duckdb
import mwparserfromhell
import pytest

from alias_tables.build import build
from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader
from alias_tables.export_xml import ExportParser
from alias_tables.inputs import BuildInputs
from alias_tables.lookup import AliasIndex
from alias_tables.reasons import Reason
from alias_tables.wikitext import COMMENT, LITERAL, LinkReader, mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
WIKIPEDIA = SHARED / "wikipedia"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not WIKIPEDIA.is_dir(), reason="needs the real dumps in ../shared"),
]


def oracle_targets(text: str, reader: LinkReader) -> Counter[str]:
    """Return the targets of the links mwparserfromhell finds, normalised by our titles alone."""
    targets: Counter[str] = Counter()
    for link in mwparserfromhell.parse(text, skip_style_tags=True).ifilter_wikilinks():
        if link.text is not None and link.text.filter_wikilinks():
            continue  # a link around a link is a file, or none at all
        read = reader.targets.read(str(link.title))
        if not isinstance(read, Reason):
            targets[read.title] += 1
    return targets


def test_links_are_those_of_the_oracle():
    """Equal but for three systematic differences.

    - Literal elements: the oracle reads some (`<score>`, `<chem>`) as wikitext; it is given masked text.
    - `<gallery>`: it does not look inside, MediaWiki links captions, and so do we; it is given a `<div>`.
    - Labels of a template, or of nothing but a literal element: it has the link, we a reason.
    """
    path = WIKIPEDIA / "enwiki-fragments-pages-articles.xml.bz2"
    n_ours = 0
    with DumpReader(path, max_page_chars=10**7) as dump:
        reader = None
        for page in dump.pages():
            reader = reader or LinkReader(dump.site, AliasConfig())
            if page.redirect is not None or page.page_id % 3:
                continue
            scan = reader.scan(page.text)
            ours = Counter(link.target for link in scan.links)
            left_out = sum(
                item.reason in {Reason.TEMPLATE_IN_LABEL, Reason.EMPTY_LABEL, Reason.LABEL_TOO_LONG}
                for item in scan.rejected
            )
            bare = mask(page.text).replace(COMMENT, "").replace(LITERAL, " ")
            theirs = oracle_targets(bare.replace("gallery", "div"), reader)
            assert not ours - theirs, page.title
            assert sum((theirs - ours).values()) <= left_out, page.title
            n_ours += len(scan.links)
    assert n_ours > 10_000


ALL_DUMPS = sorted(WIKIPEDIA.glob("*.xml.bz2"))


@pytest.mark.parametrize("path", ALL_DUMPS, ids=lambda path: path.name.split("-")[0])
def test_the_quick_ways_read_what_the_exact_ones_read(path):
    """Pages as the XML parser alone gives them, and links as the pairing of every bracket gives them."""
    export = ExportParser(path, 10**7)
    export.feed(bz2.decompress(path.read_bytes()))
    with DumpReader(path, max_page_chars=10**7) as dump:
        pages = list(dump.pages())
        assert dump.site == export.site
    assert pages == export.take()
    reader = LinkReader(dump.site, AliasConfig())
    for page in pages:
        scan, names = reader.scan(page.text), reader.names(page.text)
        pairs = [(link.surface, link.target) for link in scan.links]
        assert Counter(names.pairs) == Counter(pairs), page.title
        assert names.rejected == scan.rejected
        assert names.n_in_templates == sum(link.in_template for link in scan.links)


@pytest.mark.parametrize(
    "name",
    [
        "enwiki-fragments-pages-articles.xml.bz2",
        "ltgwiki-complete-pages.xml.bz2",
        "dbpedia-minidump-de.xml.bz2",
        "dbpedia-minidump-zh.xml.bz2",
    ],
)
def test_real_dumps_build(name):
    with duckdb.connect() as connection:
        config = AliasConfig(link_probability=name.startswith("ltg"))
        tables = build(connection, BuildInputs(dumps=(WIKIPEDIA / name,)), config=config)
        report = tables.report
        assert report.pages_read == report.pages_kept + sum(report.skipped_pages.values())
        n_anchor = connection.execute(
            "select sum(n_inlinks) from alias_tables_entities"
        ).fetchall()[0][0]
        lost = (
            Reason.REDIRECT_LOOP,
            Reason.REDIRECT_TARGET_MISSING,
            Reason.TARGET_DISAMBIGUATION,
            Reason.TARGET_MISSING,
        )
        assert (
            n_anchor + sum(report.rejected_links.get(reason, 0) for reason in lost) == report.links
        )
        index = AliasIndex.from_tables(
            tables.entities.to_arrow_table(), tables.aliases.to_arrow_table()
        )
        assert len(index) == report.surfaces


def test_surfaces_of_a_full_wikipedia_answer_like_their_file():
    path = SHARED / "linking" / "at1_surface_qid.tsv.gz"
    with duckdb.connect() as connection:
        tables = build(connection, BuildInputs(extra=(path,)))
        index = AliasIndex.from_tables(
            tables.entities.to_arrow_table(), tables.aliases.to_arrow_table()
        )
    assert index.candidates("New York City")[0].entity_id == 60
    assert sum(tables.report.rejected_rows.values()) == 0
