"""Slices: wherever a dump is cut, its pages are those of one reading from start to end."""

import bz2
import gzip
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables import slices
from alias_tables.dumps import DumpReader
from alias_tables.errors import DumpError, FalseBoundaryError
from alias_tables.slices import cut_part, plan_reading, read_site
from alias_tables.sources import Source


def read_whole(path, **options):
    with DumpReader(path, max_page_chars=10**6, **options) as reader:
        return list(reader.pages()), reader.damaged, reader.replaced


def read_slices(pieces, site, **options):
    pages, damaged, replaced = [], 0, 0
    for piece in pieces:
        source = Source(piece.part, piece.start, piece.stop)
        with DumpReader(source, max_page_chars=10**6, site=site, **options) as reader:
            pages += list(reader.pages())
            damaged += reader.damaged
            replaced += reader.replaced
    return pages, damaged, replaced


def multistream(path, content, cuts):
    """Write each piece of the content as a stream of its own; return where streams begin."""
    streams = [bz2.compress(content[a:b]) for a, b in pairwise([0, *cuts, len(content)])]
    path.write_bytes(b"".join(streams))
    return [sum(map(len, streams[:i])) for i in range(1, len(streams))]


@pytest.fixture
def content(make_xml, wiki_page):
    return make_xml([wiki_page(i, f"Page {i}", f"Ünï [[Page {i + 1}]] " * i) for i in range(1, 30)])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_cut_gives_the_same_pages(tmp_path_factory, make_xml, wiki_page, data):
    damage = st.sampled_from(
        ["<page><title>lost", "<page><title>a</title><id>9</id>", "<page></x>"]
    )
    pages = [
        wiki_page(i, "P", raw=data.draw(damage))
        if data.draw(st.integers(0, 6)) == 0
        else wiki_page(i, f"Page {i}", data.draw(st.text("ab é€𝄞\n", max_size=40)))
        for i in range(1, data.draw(st.integers(2, 8)))
    ]
    content = make_xml(pages)
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(content)))
        content = content[:at] + b"\xe9" + content[at:] if b"<page>" in content[:at] else content
    cut = data.draw(st.lists(st.integers(1, len(content) - 1), unique=True, max_size=6).map(sorted))
    folder = tmp_path_factory.mktemp("cut")
    plain, packed = folder / "d.xml", folder / "d.xml.bz2"
    plain.write_bytes(content)
    bounds = multistream(packed, content, cut)
    site = read_site(plain)
    expected = outcome(read_whole, plain, skip_damaged_pages=True)
    for path, places in ((plain, cut), (packed, bounds)):
        pieces = [slices.Slice(path, 0, a, b, 0) for a, b in pairwise([0, *places, None])]
        assert outcome(read_slices, pieces, site, skip_damaged_pages=True) == expected


def outcome(read, *arguments, **options):
    """Return what reading gives, or that it is refused."""
    try:
        return read(*arguments, **options)
    except FalseBoundaryError:
        raise
    except DumpError:
        return DumpError


def test_parts_are_cut_where_streams_begin(tmp_path, content):
    path = tmp_path / "d.xml.bz2"
    bounds = multistream(path, content, range(500, len(content), 500))
    pieces = cut_part(path, 0, 600)
    assert len(pieces) > 5
    assert {piece.start for piece in pieces[1:]} <= set(bounds)
    assert [piece.stop for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
    assert sum(piece.n_bytes for piece in pieces) == path.stat().st_size
    assert read_slices(pieces, read_site(path)) == read_whole(path)


def test_every_stream_may_be_a_slice(tmp_path, content):
    path = tmp_path / "d.xml.bz2"
    bounds = multistream(path, content, range(300, len(content), 300))
    assert [piece.start for piece in cut_part(path, 0, 1)] == [0, *bounds]


@pytest.mark.parametrize("chunk", [11, 64, 1 << 18])
def test_streams_are_found_across_blocks(tmp_path, content, monkeypatch, chunk):
    path = tmp_path / "d.xml.bz2"
    bounds = multistream(path, content, range(700, len(content), 700))
    monkeypatch.setattr(slices, "CHUNK_BYTES", chunk)
    assert [piece.start for piece in cut_part(path, 0, 1)] == [0, *bounds]


def test_single_streams_and_gzip_are_one_slice(tmp_path, content):
    for name, data in (("a.bz2", bz2.compress(content)), ("a.gz", gzip.compress(content))):
        path = tmp_path / name
        path.write_bytes(data)
        assert [(piece.start, piece.stop) for piece in cut_part(path, 0, 10)] == [(0, None)]


def test_a_magic_that_begins_no_stream_is_no_cut(tmp_path, content):
    path = tmp_path / "d.xml.bz2"
    data = bz2.compress(content)
    path.write_bytes(data + b"trailing BZh91AY&SY" + bytes(range(256)) * 8)
    assert len(cut_part(path, 0, 100)) == 1
    assert read_slices(cut_part(path, 0, 100), read_site(path)) == read_whole(path)


def test_a_false_boundary_is_noticed_on_both_sides(tmp_path, content):
    path = tmp_path / "d.xml.bz2"
    path.write_bytes(bz2.compress(content))
    for start, stop in ((0, 50), (50, None)):
        with (
            Source(path, start, stop) as source,
            pytest.raises(FalseBoundaryError, match=r"no stream begins at byte 50"),
        ):
            list(source.chunks())


def test_plans_name_one_wiki_and_read_no_more_than_heads(tmp_path, make_xml, wiki_page, save_part):
    pages = [wiki_page(1, "A", "[[A]]")]
    parts = [
        save_part(tmp_path / "p1.xml", make_xml(pages, language="de", dbname="dewiki")),
        save_part(tmp_path / "p2.xml.gz", make_xml([], dbname="other")),
    ]
    plan = plan_reading(parts, None, None)
    assert (plan.site.dbname, plan.site.language) == ("dewiki", "de")
    assert [piece.part for piece in plan.slices] == [parts[0]]  # the other one has no page
    assert plan_reading(parts, "fr", None).site.language == "fr"


@pytest.mark.parametrize("suffix", ["xml", "xml.bz2"])
def test_case_66_a_dump_cut_between_pages_is_refused(tmp_path, content, save_part, suffix):
    cut = content[: content.rindex(b"</page>") + len(b"</page>")]
    path = save_part(tmp_path / f"cut.{suffix}", cut)
    with pytest.raises(DumpError, match=rf"cut\.{suffix}.*too soon, after \d+ bytes"):
        read_slices(cut_part(path, 0, 1000), read_site(path))


def test_replaced_bytes_are_counted_whatever_the_blocks(tmp_path, monkeypatch, content):
    path = tmp_path / "d.xml"
    path.write_bytes(content.replace(b"[[", b"\xe9\xef\xbf\xbd["))
    counts = set()
    for chunk in (7, 64, 1 << 18):
        monkeypatch.setattr("alias_tables.packed.CHUNK_BYTES", chunk)
        with Source(path) as source:
            text = b"".join(source.chunks())
        counts.add((source.replaced, text.count("\ufffd".encode())))
    n_links = content.count(b"[[")
    assert counts == {(n_links, 2 * n_links)}
