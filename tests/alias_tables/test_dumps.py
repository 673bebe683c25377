"""Dumps: every kind of file that is one, and every kind that is not."""

import bz2
import re
import tracemalloc
from itertools import pairwise
from pathlib import Path
from xml.parsers.expat import ExpatError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables.canonical_pages import CanonicalPages
from alias_tables.dumps import DumpReader, Page
from alias_tables.errors import DumpError
from alias_tables.export_xml import ExportParser, PageInPageError
from alias_tables.site import Site


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


class Pieces:
    """Stands for a source: bytes in memory, in pieces of a size."""

    def __init__(self, content: bytes, size: int = 1 << 18) -> None:
        self.path, self.size, self.position, self.replaced = Path("pieces.xml"), len(content), 0, 0
        self._pieces = [content[i : i + size] for i in range(0, len(content), size)]

    def chunks(self):
        """Yield the pieces."""
        for piece in self._pieces:
            self.position += len(piece)
            yield piece

    def __exit__(self, *_: object) -> None:
        """Hold nothing."""


def read_pieces(content: bytes, size: int = 1 << 18, **options):
    """Return the pages of some bytes, and how many places were damaged."""
    with DumpReader(Pieces(content, size), max_page_chars=10**6, **options) as reader:
        return list(reader.pages()), reader.damaged


SITE = Site("enwiki")


@pytest.mark.parametrize("before", [b"", b"\n  ", b"cut </text></revision></page>\n  "])
@pytest.mark.parametrize("size", [100, 1 << 18])
def test_slices_of_a_body_hold_the_pages_of_the_whole(content, before, size):
    starts = [match.start() for match in re.finditer(b"<page>", content)]
    cuts = [0, *(starts[page] for page in (7, 8, 30)), len(content)]
    found = []
    for start, stop in pairwise(cuts):
        found += read_pieces(b"<x>" + before + content[start:stop], size, site=SITE)[0]
    assert found == read_pieces(content)[0]
    assert len(found) == 39


@pytest.mark.parametrize("last", [b"</page>", b"[[Page 2]]", b"<id>", b"age>\n<title>Page 3<"])
def test_a_slice_that_ends_within_a_page_is_refused(content, last):
    cut = content[: content.index(last) + 3]
    with pytest.raises(DumpError, match=r"pieces\.xml.*ends too soon.*incomplete"):
        read_pieces(cut, site=SITE)


def test_a_slice_without_a_page_has_none():
    assert read_pieces(b"<x>\n  </mediawiki>\n", site=SITE) == ([], 0)


HEAD = b"<mediawiki xml:lang='de'>\n  <siteinfo>\n    <dbname>dewiki</dbname>\n  </siteinfo>\n"
CANONICAL = (
    b"  <page>\n    <title>A &amp; B</title>\n    <ns>0</ns>\n    <id>12</id>\n"
    b'    <redirect title="C&#039;s" />\n    <revision>\n      <id>7</id>\n      <parentid>6</parentid>\n'
    b"      <timestamp>2026-01-01T00:00:00Z</timestamp>\n      <contributor>\n"
    b"        <username>U</username>\n        <id>3</id>\n      </contributor>\n      <minor />\n"
    b"      <comment>c &quot;d&quot;</comment>\n      <origin>7</origin>\n      <model>wikitext</model>\n"
    b'      <format>text/x-wiki</format>\n      <text bytes="9" sha1="a0" xml:space="preserve">x &lt;ref&gt;'
    b"\xc3\xa9 &amp;lt; [[y]]&lt;/ref&gt; &quot;</text>\n      <sha1>a0</sha1>\n    </revision>\n  </page>\n"
)
ODDITIES = [
    *(
        b"<page>",
        b"</page>",
        b"<page/>",
        b"<revision>",
        b"</revision>",
        b"<text>",
        b"</text>",
        b"<text/>",
    ),
    *(
        b"<id>5</id>",
        b"<ns>1</ns>",
        b"<model>json</model>",
        b"<minor/>",
        b"<title>T</title>",
        b"<upload>",
    ),
    *(
        b"<!-- <page> -->",
        b"<!--",
        b"-->",
        b"<![CDATA[<page>]]>",
        b"]]>",
        b"<?pi?>",
        b"<!DOCTYPE x>",
    ),
    *(
        b"&",
        b"&bogus;",
        b"&#65;",
        b"&#0;",
        b"&apos;",
        b"&lt",
        b"&amp;amp;",
        b"<",
        b">",
        b'"',
        b"'",
        b"=",
    ),
    *(
        b"\r",
        b"\r\n",
        b"\t",
        b"\n\n",
        b"\x01",
        b"\x00",
        b"\x7f",
        b"\xc2\x85",
        b"\xef\xbf\xbf",
        b"\xef\xbf\xbd",
    ),
    *(
        b' deleted="deleted"',
        b' bytes="1"',
        b" a='1'",
        b"</mediawiki>",
        b"</siteinfo>",
        b"x",
        "東😀".encode(),
    ),
]


@st.composite
def documents(draw):
    """Return a dump of canonical pages, some of them changed in a few places."""
    pages = []
    for _ in range(draw(st.integers(1, 4))):
        page = CANONICAL
        for _ in range(draw(st.integers(0, 2))):
            start = draw(st.integers(0, len(page)))
            stop = start + draw(st.sampled_from([0, 0, 1, 30]))
            page = page[:start] + draw(st.sampled_from(ODDITIES)) + page[stop:]
        pages.append(page)
    between = draw(st.sampled_from([b"", b"\n", b"<!-- x -->", b"text", b"<other/>"]))
    end = draw(
        st.sampled_from([b"</mediawiki>\n", b"</mediawiki>", b"", b"</media", b"</mediawiki>x"])
    )
    return (HEAD + between.join(pages) + end).decode("utf-8", "replace").encode()


def outcome(read) -> tuple[object, ...]:
    """Return the pages and the damage, or the words of the refusal."""
    try:
        return read()
    except DumpError as error:
        return (re.sub(r"\(.*\)|within \d+|after \d+", "", str(error)),)


def read_by_expat(content: bytes, skip: bool) -> tuple[list[Page], int]:
    """Read a whole document by the XML parser alone."""
    export, pages, damaged, position = ExportParser(Path("pieces.xml"), 10**6), [], 0, 0
    while position >= 0:
        try:
            export.feed(content[position:])
        except (ExpatError, PageInPageError) as error:
            position += max(export.error_offset, 0)
            if not skip:
                line = content.count(b"\n", 0, position) + 1
                message = f"pieces.xml: malformed XML in line {line} (),  bytes read; fetch the dump again, or skip damaged pages"
                raise DumpError(message) from error
            damaged += 1
            position = content.find(b"<page>", position)
            if position >= 0:
                pages += export.take()
                export.restart()
        else:
            try:
                export.finish(close_root=False)
            except ExpatError as error:
                message = "pieces.xml: the XML ends too soon,  bytes (); the download is incomplete, fetch it again"
                raise DumpError(message) from error
            break
    return pages + export.take(), damaged


@given(documents(), st.sampled_from([5, 64, 500, 1 << 18]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_canonical_pages_and_all_others_are_read_as_the_xml_parser_reads_them(content, size, skip):
    expected = outcome(lambda: read_by_expat(content, skip))
    assert outcome(lambda: read_pieces(content, size, skip_damaged_pages=skip)) == expected
    assert outcome(lambda: read_pieces(content, skip_damaged_pages=skip)) == expected


def test_pages_as_mediawiki_writes_them_need_no_xml_parser():
    page, stop = CanonicalPages(10**6).read(CANONICAL, 0, plain=True)
    assert stop == len(CANONICAL) - 1
    assert page == read_by_expat(HEAD + CANONICAL + b"</mediawiki>", skip=False)[0][0]
    text = 'x <ref>é &lt; [[y]]</ref> "'
    assert page == Page("A & B", 0, 12, 7, "C's", "wikitext", text)


@pytest.mark.parametrize("odd", ODDITIES)
@pytest.mark.parametrize(
    "before", [b"<title>", b"<username>", b"<comment>", b"<text bytes", b'preserve">', b"<sha1>"]
)
def test_what_is_not_canonical_is_left_to_the_xml_parser_or_read_like_it(odd, before):
    content = HEAD + CANONICAL.replace(before, before + odd) + CANONICAL + b"</mediawiki>"
    content = content.decode("utf-8", "replace").encode()
    for skip in (False, True):
        expected = outcome(lambda skip=skip: read_by_expat(content, skip))
        assert outcome(lambda skip=skip: read_pieces(content, skip_damaged_pages=skip)) == expected
