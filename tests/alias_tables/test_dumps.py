"""Dumps: every kind of file that is one, and every kind that is not."""

import bz2
import re
import tracemalloc
from itertools import pairwise

import pytest

from alias_tables.dumps import DumpReader
from alias_tables.errors import DumpError
from alias_tables.site import Site
from alias_tables.sources import Source


def read(path, **options):
    with DumpReader(path, max_page_chars=options.pop("max_page_chars", 10**6), **options) as reader:
        pages = list(reader.pages())
        return pages, reader.site, reader.stamp(), reader.damaged, reader.replaced


@pytest.fixture
def content(make_xml, wiki_page):
    pages = [wiki_page(i, f"Page {i}", f"text of [[Page {i + 1}]] " * 200) for i in range(1, 40)]
    return make_xml(pages)


def test_case_65_forms_of_one_dump_have_the_same_pages(tmp_path, content, save_part):
    plain = save_part(tmp_path / "a.xml", content)
    expected = read(plain)[0]
    assert [page.title for page in expected] == [f"Page {i}" for i in range(1, 40)]
    packed = save_part(tmp_path / "a.xml.bz2", content)
    gz = save_part(tmp_path / "a.xml.gz", content)
    multistream = tmp_path / "b.xml.bz2"
    cut = [0, 100, len(content) // 2, len(content)]
    multistream.write_bytes(b"".join(bz2.compress(content[a:b]) for a, b in pairwise(cut)))
    misnamed = tmp_path / "c.bz2"
    misnamed.write_bytes(content)
    for path in (packed, gz, multistream, misnamed):
        pages, site, stamp, *_ = read(path)
        assert pages == expected
        assert (site.dbname, site.language, site.first_letter) == ("enwiki", "en", True)
        assert stamp.size == path.stat().st_size


@pytest.mark.parametrize("suffix", ["xml", "xml.bz2", "xml.gz"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_case_66_truncated_dumps_are_refused(tmp_path, content, save_part, suffix, share):
    whole = save_part(tmp_path / f"whole.{suffix}", content).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        DumpError, match=rf"cut\.{suffix}.* {path.stat().st_size} bytes.*incomplete"
    ):
        read(path)


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("empty.xml", b"", "empty"),
        ("error.xml.bz2", b"<!DOCTYPE html><html><body>404", "this is HTML"),
        ("error.xml", b"\n <HTML>", "this is HTML"),
        ("packed.7z", b"7z\xbc\xaf\x27\x1c\x00\x04", "7-zip"),
        ("packed.zip", b"PK\x03\x04", "zip"),
        ("text.xml", b"hello", "neither XML nor bz2"),
        ("feed.xml", b"<rss></rss>", "root is <rss>"),
        ("cut.bz2", b"BZh91AY&SY" + bytes(100), "damaged near byte|ends too soon"),
    ],
)
def test_case_66_other_files_are_refused(tmp_path, name, start, message):
    path = tmp_path / name
    path.write_bytes(start)
    with pytest.raises(DumpError, match=message) as caught:
        read(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DumpError, match="cannot be read"):
        read(tmp_path / "none.xml")


def test_case_70_entity_bombs_are_refused_in_little_memory(tmp_path):
    entities = '<!ENTITY a0 "x">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)
    )
    path = tmp_path / "bomb.xml"
    path.write_text(f"<!DOCTYPE m [{entities}]><mediawiki>&a11;</mediawiki>")
    tracemalloc.start()
    with pytest.raises(DumpError, match="document type"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_malformed_xml_names_the_line(tmp_path, make_xml, wiki_page):
    pages = [
        wiki_page(1, "A", "a"),
        wiki_page(2, "B", raw="<page><title>B</tit"),
        wiki_page(3, "C", "c"),
    ]
    path = tmp_path / "bad.xml"
    path.write_bytes(make_xml(pages))
    with pytest.raises(DumpError, match=r"bad\.xml: malformed XML in line \d+"):
        read(path)


@pytest.mark.parametrize(
    "lost", ["<page><title>B</tit", "<page><title>B</title><id>2</id><revision><text>b"]
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_damaged_pages_are_skipped_on_demand(tmp_path, make_xml, wiki_page, lost, size):
    pages = [
        wiki_page(1, "A", "a" * size),
        wiki_page(2, "B", raw=lost),
        wiki_page(3, "C", "c" * size),
        wiki_page(4, "D", raw=lost),
        wiki_page(5, "E", "e" * size),
    ]
    path = tmp_path / "bad.xml"
    path.write_bytes(make_xml(pages))
    found, _, _, damaged, _ = read(path, skip_damaged_pages=True)
    assert [(page.title, len(page.text)) for page in found] == [
        ("A", size),
        ("C", size),
        ("E", size),
    ]
    assert damaged == 2


def test_invalid_utf8_is_replaced_and_counted(tmp_path, make_xml, wiki_page):
    path = tmp_path / "latin.xml"
    path.write_bytes(make_xml([wiki_page(1, "A", "caf@ \ufffd")]).replace(b"@", b"\xe9"))
    pages, *_, replaced = read(path)
    assert pages[0].text == "caf\ufffd \ufffd"
    assert replaced == 1


def test_case_69_long_pages_are_dropped_in_flat_memory(tmp_path, make_xml, wiki_page):
    path = tmp_path / "long.xml"
    path.write_bytes(make_xml([wiki_page(1, "A", "x" * 20_000_000), wiki_page(2, "B", "y")]))
    tracemalloc.start()
    pages, *_ = read(path, max_page_chars=1000)
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()
    assert [(page.too_long, page.text) for page in pages] == [(True, ""), (False, "y")]


def test_the_newest_revision_of_a_page_counts(tmp_path, make_xml, wiki_page):
    raw = (
        "<page><title>A</title><ns>0</ns><id>1</id><revision><id>5</id><text deleted='deleted'/></revision>"
        "<revision><id>6</id><text>new</text></revision></page>"
    )
    path = tmp_path / "history.xml"
    path.write_bytes(make_xml([wiki_page(1, "A", raw=raw)]))
    page = read(path)[0][0]
    assert (page.text, page.revision_id, page.deleted) == ("new", 6, False)


def slices_of(content: bytes, marks: list[int]) -> list[bytes]:
    """Return the content cut before the pages with these numbers, header and closing tag included."""
    starts = [match.start() for match in re.finditer(b"<page>", content)]
    return [content[a:b] for a, b in pairwise([0, *(starts[mark] for mark in marks), len(content)])]


@pytest.mark.parametrize("before", [b"", b"\n  ", b"cut </text></revision></page>\n  "])
def test_slices_of_a_body_hold_the_pages_of_the_whole(tmp_path, content, save_part, before):
    whole = save_part(tmp_path / "a.xml", content)
    with DumpReader(whole, max_page_chars=10**6) as reader:
        expected = list(reader.pages())
        site = reader.site
    found = []
    for number, piece in enumerate(slices_of(content, [7, 8, 30])):
        part = tmp_path / f"{number}.xml.bz2"
        part.write_bytes(bz2.compress(b"<x>" + before + piece))
        with DumpReader(Source(part), max_page_chars=10**6, site=site) as reader:
            found += reader.pages()
            assert reader.site is site
    assert found == expected


def test_a_slice_that_ends_within_a_page_is_refused(tmp_path, content, save_part):
    whole = save_part(tmp_path / "a.xml", content)
    site = read(whole)[1]
    for cut in (
        content.index(b"</page>") + 3,
        content.index(b"[[Page 2]]"),
        content.index(b"<id>"),
    ):
        part = save_part(tmp_path / "cut.xml", content[:cut])
        with pytest.raises(DumpError, match=r"cut\.xml.*ends too soon.*incomplete"):
            read(part, site=site)


def test_a_slice_without_a_page_has_none(tmp_path):
    part = tmp_path / "gap.xml"
    part.write_bytes(b"<x>\n  </mediawiki>\n")
    assert read(part, site=Site())[0] == []
