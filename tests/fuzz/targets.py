"""What is fuzzed: for each reader, whole inputs to start from and a function that reads bytes as one.

A target reads an input or refuses it with one of our own errors; anything else that is raised is a bug, and
so is an input that takes long or much memory. `inputs(target)` gives bytes made by changing whole inputs (cutting,
doubling, flipping, splicing in words of the format), and, now and then, bytes from nothing.
"""

import bz2
import gzip
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from alias_tables.build import build
from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader
from alias_tables.inputs import BuildInputs
from alias_tables.lookup import AliasIndex
from alias_tables.plain_text import first_sentence, plain_text
from alias_tables.site import Site
from alias_tables.wikitext import LinkReader
from mekb.api import open_bundle
from mekb.bundle.manifest import digest_of, hashes
from mekb.config import load_settings
from mekb.errors import EXPECTED_ERRORS
from mekb.rdf.files import read_profiles
from mekb.sources import ImportConfig, read_tables
from training import checkpoint

LONGEST = 1 << 15
"""Of an input, in bytes: what is quadratic shows at that length, and the rest stays quick."""
SITE = Site("enwiki", "en", True, {"File": 6, "Category": 14, "Talk": 1, "": 0})  # noqa: FBT003

Run = Callable[[bytes, Path], object]
Sign = Callable[[Path, dict[str, Any]], dict[str, Any]]
"""Makes a manifest true again."""


@dataclass(frozen=True)
class Target:
    """One reader."""

    name: str
    run: Run
    """Reads the bytes; the folder is empty, and for its files."""
    whole: tuple[bytes, ...]
    """Inputs that are as they should be."""
    words: tuple[bytes, ...]
    """What the format is made of."""


class BugError(AssertionError):
    """A reader let something else out than its answer or one of our errors in one line."""


def read_or_refused(target: Target, data: bytes) -> str:
    """Give bytes to a reader; return "read" or the name of the error it was refused with.

    Raises:
        BugError: it let something else out.
    """
    with scratch() as folder:
        try:
            target.run(data, folder)
        except EXPECTED_ERRORS as error:
            text = str(error)
            if not text.strip() or "Traceback" in text:
                raise BugError(f"{target.name}: says nothing: {text[:500]!r}") from error
            return type(error).__name__
        except Exception as error:
            raise BugError(f"{target.name}: {type(error).__name__}: {error}") from error
    return "read"


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="mekb-fuzz-") as folder:
        yield Path(folder)


@st.composite
def inputs(draw: st.DrawFn, target: Target) -> bytes:
    """Draw bytes for a reader: a whole input changed in a few places, or words of the format in a row."""
    words = st.sampled_from(target.words) | st.binary(max_size=8)
    if draw(st.integers(0, 9)) == 0:
        return b"".join(draw(st.lists(words, max_size=60)))[:LONGEST]
    data = bytearray(draw(st.sampled_from(target.whole)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 40)))
        match draw(st.integers(0, 6)):
            case 0:
                del data[start:stop]
            case 1:
                data[start:start] = draw(words)
            case 2:
                data[start:stop] = draw(words)
            case 3:
                data[start:stop] = data[start:stop] * draw(st.integers(2, 200))
            case 4:
                del data[start:]
            case 5 if start < len(data):
                data[start] ^= 1 << draw(st.integers(0, 7))
            case _:
                other = draw(st.sampled_from(target.whole))
                place = draw(st.integers(0, len(other)))
                data[start:stop] = other[place : place + 200]
        del data[LONGEST:]
    return bytes(data)


def _read_wikitext(data: bytes, _: Path) -> None:
    text = data.decode("utf-8", "replace")
    reader = LinkReader(SITE, AliasConfig())
    scan = reader.scan(text)
    assert all(0 <= link.start < link.stop <= len(text) for link in scan.links)
    assert reader.names(text).n_links == len(scan.links)
    is_elsewhere = reader.targets.is_elsewhere
    plain = plain_text(text, is_elsewhere)
    assert len(plain) <= 20 * len(text) + 100
    first_sentence(text, is_elsewhere, 300)


WIKITEXT = (
    (
        b"'''Dune''' is a [[novel]] by [[Frank Herbert|Herbert]]s.<ref>{{cite|a=[[b|c]]}}</ref>\n== Plot ==\n"
        b"* [[File:a.jpg|thumb|A [[worm]]]]\n{| class=x\n|-\n| [[Arrakis]] || b\n|}\n[[Category:Novels]]"
    ),
    b"#REDIRECT [[Dune (novel)#Plot]]",
    b"<nowiki>[[a]]</nowiki><!-- [[b]] --><math>[[c]]</math>{{x|{{y|[[d|e{{f}}]]}}}} [http://x.y z] ''it''",
)
WIKI_WORDS = (
    *(
        b"[[",
        b"]]",
        b"{{",
        b"}}",
        b"|",
        b"#",
        b":",
        b"{|",
        b"|}",
        b"|-",
        b"<ref>",
        b"</ref>",
        b"<ref/>",
    ),
    *(
        b"<nowiki>",
        b"</nowiki>",
        b"<!--",
        b"-->",
        b"<math>",
        b"''",
        b"'''",
        b"==",
        b"\n",
        b"File:",
        b"&amp;",
    ),
    *(
        b"&#x110000;",
        b"&#0;",
        b"%00",
        b"%zz",
        b"\xef\xbf\xbf",
        b"\xe2\x80\xae",
        b"http://",
        b"__TOC__",
    ),
)


def _read_dump(skip: bool, suffix: str) -> Run:
    def run(data: bytes, folder: Path) -> None:
        path = folder / f"wiki.xml{suffix}"
        packed = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[suffix](data)
        path.write_bytes(packed)
        with DumpReader(path, max_page_chars=10_000, skip_damaged_pages=skip) as reader:
            for page in reader.pages():
                assert len(page.text) <= 10_000

    return run


def _read_packed(data: bytes, folder: Path) -> None:
    path = folder / "wiki.xml.bz2"
    path.write_bytes(data)
    with DumpReader(path, max_page_chars=10_000) as reader:
        for _ in reader.pages():
            pass


DUMP = (
    b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">\n<siteinfo><dbname>enwiki'
    b'</dbname><case>first-letter</case><namespaces><namespace key="6" case="first-letter">File</namespace>'
    b"</namespaces></siteinfo>\n"
    + b"".join(
        b"<page>\n<title>Page %d</title><ns>0</ns><id>%d</id>\n<revision><id>%d</id><model>wikitext</model>"
        b'<text xml:space="preserve">Of [[Page %d]] &amp; more</text></revision>\n</page>\n'
        % (n, n, n, n + 1)
        for n in range(1, 5)
    )
    + b'<page><title>R</title><ns>0</ns><id>9</id><redirect title="Page 1" /><revision><id>9</id><text/>'
    b"</revision></page>\n</mediawiki>\n"
)
DUMP_WORDS = (
    *(
        b"<page>",
        b"</page>",
        b"<title>",
        b"</title>",
        b"<text>",
        b"</text>",
        b"<id>",
        b"</id>",
        b"<ns>",
    ),
    *(
        b"<!DOCTYPE m [<!ENTITY a 'b'>]>",
        b"&a;",
        b"&amp;",
        b"&#0;",
        b"&#x110000;",
        b"<![CDATA[",
        b"]]>",
    ),
    *(
        b"<mediawiki>",
        b"</mediawiki>",
        b"<?xml version='1.0' encoding='utf-16'?>",
        b"<!--",
        b"-->",
        b"\xff",
    ),
    *(
        b"<a " + b"b='c' " * 50 + b">",
        b"<a>" * 50,
        b"9" * 50,
        b"-1",
        b"<revision>",
        b"<redirect title='x'/>",
    ),
)


def _read_table(name: str) -> Run:
    """Return what reads bytes as interactions, beside whole items."""

    def run(data: bytes, folder: Path) -> None:
        items, events = folder / "items.jsonl", folder / name
        items.write_bytes(ITEMS)
        events.write_bytes(data)
        with duckdb.connect() as connection:
            tables = read_tables(connection, [items], [events], ImportConfig())
        assert tables.report.n_interactions == tables.interactions.num_rows > 0

    return run


def _read_items(data: bytes, folder: Path) -> None:
    items, events = folder / "items.jsonl", folder / "events.csv"
    items.write_bytes(data)
    events.write_bytes(CSV)
    with duckdb.connect() as connection:
        read_tables(connection, [items], [events], ImportConfig(default_domain="books"))


ITEMS = b"".join(
    b'{"item_id": "b%d", "domain": "books", "title": "T %d", "categories": ["A", "B &amp; C"]}\n'
    % (n, n)
    for n in range(1, 6)
)
CSV = b"user_id,item_id,domain,rating,timestamp\n" + b"".join(
    b'u%d,b%d,books,%d,16000000%02d\n"u ""%d""",b1,books,4.5,1600000000\n' % (n, n, n % 5 + 1, n, n)
    for n in range(1, 6)
)
TSV = CSV.replace(b",", b"\t").replace(b'"', b"")
RECBOLE = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + b"".join(
    b"u%d\tb%d\t5\t1600000000\n" % (n, n) for n in range(1, 6)
)
JSONL = b"".join(
    b'{"user_id": "u%d", "item_id": "b%d", "rating": %d.0, "timestamp": 1600000000000}\n'
    % (n, n, n % 5 + 1)
    for n in range(1, 6)
)
LITERALS = b"{'user_id': 'u1', 'item_id': 'b1', 'rating': 5}\n"
TABLE_WORDS = (
    *(
        b",",
        b"\t",
        b"::",
        b";",
        b"|",
        b'"',
        b'""',
        b"'",
        b"\n",
        b"\r\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(
        b"user_id",
        b"item_id",
        b"rating",
        b"timestamp",
        b"domain",
        b":token",
        b":float",
        b"NaN",
        b"inf",
        b"-1",
    ),
    *(
        b"1e999",
        b"9" * 400,
        b"2020-01-01T00:00:00+99:99",
        b"20200101",
        b"null",
        b"{",
        b"}",
        b"[",
        b"]" * 50,
    ),
    *(
        b"[" * 50,
        b'{"a":' * 50,
        b"\\ud800",
        b"\\u0000",
        b"(" * 90,
        b"lambda: 0",
        b"__import__('os')",
        b"\x1f\x8b",
    ),
    *(
        b"PAR1",
        b"PK\x03\x04",
        b"BZh9",
        b"<html>",
        b"true",
        b"-",
        b"0x10",
        b"1_000",
        b"\xf0\x9f\x8e\xac",
        b"a" * 300,
    ),
)


def _parquet() -> bytes:
    rows = [
        {"user_id": f"u{n}", "item_id": f"b{n}", "rating": 5.0, "timestamp": 1_600_000_000}
        for n in range(5)
    ]
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), written, compression="none")
    return written.getvalue()


def _read_config(data: bytes, folder: Path) -> None:
    path = folder / "mekb.toml"
    path.write_bytes(data)
    load_settings(path)


def _read_assignments(data: bytes, _: Path) -> None:
    load_settings(assignments=data.decode("utf-8", "replace").split("\n"))


TOML = (
    b'[scoring]\nk_star = 5.0\n[link]\ndetector = "dictionary"\nmin_prior = 0.1\n[train.model]\nepochs = 3\n'
    b'[source]\npositive_from = 4\nduplicates = "last"\nrating_scale = [1, 5]\n[source.file_domains]\n"a.csv" = "b"\n'
)
ASSIGNMENTS = b"scoring.k_star=3\nlink.detector=ner\nsource.rating_scale=[1,5]\ntrain.model.epochs=2\nstore.threads=2"
TOML_WORDS = (
    *(
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"=",
        b".",
        b"\n",
        b'"',
        b'"""',
        b"'",
        b"{",
        b"}",
        b"#",
        b",",
        b"inf",
        b"nan",
    ),
    *(
        b"true",
        b"-1",
        b"0",
        b"1e999",
        b"9" * 5_000,
        b"1979-05-27T07:32:00Z",
        b"k_star",
        b"scoring",
        b"source",
    ),
    *(
        b"file_domains",
        b"train",
        b"model",
        b"link",
        b"\\u0000",
        b"\xff",
        b"[" * 200,
        b"a." * 200,
        b"x" * 200,
    ),
    *(
        b"aliases.weights",
        b"weights",
        b"store",
        b"memory_limit",
        b"spill_folder",
        b"encoding",
        b"split",
        b"bundle",
    ),
)


def _read_names(name: str, kind: str) -> Run:
    def run(data: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(data)
        given = BuildInputs(**{kind: path if kind in {"qids", "merged"} else (path,)})
        if kind in {"qids", "merged"}:
            other = folder / "names.tsv"
            other.write_bytes(NAMES)
            given = BuildInputs(extra=(other,), **{kind: path})
        with duckdb.connect() as connection:
            build(connection, given, config=AliasConfig(link_probability=False))

    return run


NAMES = b"surface\ttitle\tqid\tcount\tchannel\nDune\tDune (novel)\tQ190192\t9\tanchor\nherbert\tFrank Herbert\tQ7934\t\t\n"
QIDS = b"title\tqid\nDune (novel)\tQ190192\nFrank Herbert\tQ7934\n"
GRAPH = b"id,title,aliases,description,type,weight,count\nx:1,Dune,Dune|The Worm,A book,book,0.5,3\nx:2,Herbert,,,,,\n"
TURTLE = (
    b"@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
    b'<http://x/1> rdfs:label "Dune"@en ; skos:altLabel "The Worm" .\n'
)
WIKIDATA = (
    b'[\n{"type":"item","id":"Q190192","labels":{"en":{"language":"en","value":"Dune"}},"aliases":{"en":[{"language":"en",'
    b'"value":"The Worm"}]},"descriptions":{"en":{"language":"en","value":"1965 novel"}},"claims":{"P31":[{"mainsnak":'
    b'{"snaktype":"value","property":"P31","datavalue":{"value":{"entity-type":"item","numeric-id":7725634,"id":'
    b'"Q7725634"},"type":"wikibase-entityid"}},"type":"statement","rank":"normal"}],"P577":[{"mainsnak":{"snaktype":"value",'
    b'"datavalue":{"value":{"time":"+1965-08-00T00:00:00Z"},"type":"time"}},"rank":"normal"}]},"sitelinks":{"enwiki":'
    b'{"site":"enwiki","title":"Dune (novel)"}}},\n{"type":"item","id":"Q2","labels":{}}\n]\n'
)
NAME_WORDS = (
    *TABLE_WORDS,
    *(
        b"surface",
        b"title",
        b"qid",
        b"count",
        b"channel",
        b"Q1",
        b"Q0",
        b"Q99999999999",
        b"anchor",
        b"@prefix",
        b" .\n",
    ),
    *(
        b"<http://x/1>",
        b'"x"@en',
        b"^^<a>",
        b'"claims":',
        b'"mainsnak":',
        b'"value":',
        b'"id":"Q1"',
        b'"time":"-9"',
    ),
)


def _read_profile(ending: str) -> Run:
    def run(data: bytes, folder: Path) -> None:
        path = folder / f"u.{ending}"
        path.write_bytes(data)
        for graph in read_profiles(path):
            assert graph.interests is not None

    return run


def _profile(ending: str) -> bytes:
    """Return a small MeKB as we write it."""
    from mekb.export import write_user_graph, write_user_graphs
    from mekb.graph import Evidence, Interest, UserGraph

    evidence = Evidence("b1", "books", "Dune", "title", 0, 4, "Dune", 0.9)
    numbers = {"n_items": 1, "n_users": 2, "tf": 1.0, "idf": 1.5, "weight": 1.0, "rank": 1}
    interest = Interest(190192, "Dune (novel)", "Dune", "wikidata", **numbers, evidence=(evidence,))
    graph = UserGraph("u 1", (interest,), "run-1")
    with scratch() as folder:
        path = folder / f"u.{ending}"
        if ending == "nq":
            write_user_graphs([graph], path)
        else:
            write_user_graph(graph, path)
        return path.read_bytes()


PROFILE_WORDS = (
    *(
        b"<",
        b">",
        b'"',
        b"^^",
        b"@en",
        b" .\n",
        b";",
        b",",
        b"[",
        b"]",
        b"{",
        b"}",
        b"(",
        b")",
        b"_:a",
        b"a",
        b":",
        b"#",
    ),
    *(
        b"@prefix",
        b"@base <file:///etc/> .",
        b'"@context": "http://x/"',
        b'"@id"',
        b'"@type"',
        b"NaN",
        b"1e999",
        b"INF",
    ),
    *(
        b"<http://www.w3.org/2001/XMLSchema#decimal>",
        b"\\u0000",
        b"\\uD800",
        b"\\U00110000",
        b"\xff",
        b"[" * 200,
        b"null",
    ),
    *(
        b'"weight": -1',
        b'"interests": [',
        b'"rank": 1.5',
        b'"entity_id": 1e400',
        b"true",
        b"9" * 5_000,
        b"\\",
        b"\x00",
    ),
)


TARGETS = (
    Target("wikitext", _read_wikitext, WIKITEXT, WIKI_WORDS),
    Target("dump", _read_dump(skip=False, suffix=""), (DUMP,), DUMP_WORDS),
    Target("dump, damage skipped", _read_dump(skip=True, suffix=".gz"), (DUMP,), DUMP_WORDS),
    Target(
        "dump, packed bytes",
        _read_packed,
        (bz2.compress(DUMP), gzip.compress(DUMP)),
        (b"BZh9", b"\x1f\x8b", DUMP[:99]),
    ),
    Target(
        "interactions, CSV",
        _read_table("events.csv"),
        (CSV, TSV, CSV.replace(b",", b"::")),
        TABLE_WORDS,
    ),
    Target("interactions, RecBole", _read_table("x.inter"), (RECBOLE,), TABLE_WORDS),
    Target("interactions, JSON lines", _read_table("events.jsonl"), (JSONL, LITERALS), TABLE_WORDS),
    Target(
        "interactions, Parquet",
        _read_table("events.parquet"),
        (_parquet(),),
        (b"PAR1", b"\x00\x00", b"\x15\x04"),
    ),
    Target("items, JSON lines", _read_items, (ITEMS,), TABLE_WORDS),
    Target("settings, TOML", _read_config, (TOML,), TOML_WORDS),
    Target("settings, --set", _read_assignments, (ASSIGNMENTS,), TOML_WORDS),
    Target("names, TSV", _read_names("names.tsv", "extra"), (NAMES,), NAME_WORDS),
    Target("QIDs, TSV", _read_names("qids.tsv", "qids"), (QIDS,), NAME_WORDS),
    Target("own graph, CSV", _read_names("graph.csv", "graph"), (GRAPH,), NAME_WORDS),
    Target("own graph, Turtle", _read_names("graph.ttl", "graph"), (TURTLE,), NAME_WORDS),
    Target("Wikidata, JSON", _read_names("all.json", "wikidata"), (WIKIDATA,), NAME_WORDS),
    *(
        Target(f"profile, {ending}", _read_profile(ending), (_profile(ending),), PROFILE_WORDS)
        for ending in ("json", "jsonld", "ttl", "nt", "nq")
    ),
)
"""Readers of files. Folders (bundle, model, dictionary) are in `folder_targets`."""


def _in_copy(folder: Path, name: str, open_: Callable[[Path], object], sign: Sign | None) -> Run:
    """Return what reads a copy of a folder in which one file is another."""

    def run(data: bytes, place: Path) -> None:
        copy = place / "copy"
        shutil.copytree(folder, copy, copy_function=os.link)
        (copy / name).unlink()
        (copy / name).write_bytes(data)
        if sign is not None:
            path = copy / "manifest.json"
            manifest = sign(copy, json.loads(path.read_text(encoding="utf-8")))
            path.unlink()
            path.write_text(json.dumps(manifest), encoding="utf-8")
        open_(copy)

    return run


def _sign_bundle(copy: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["files"] = hashes(copy)
    manifest["digest"] = digest_of(manifest)
    return manifest


def _sign_model(copy: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest.pop("digest")
    manifest["files"] = {name: checkpoint._sha256(copy / name) for name in manifest["files"]}
    return {**manifest, "digest": checkpoint._digest(manifest)}


def folder_targets(bundle: Path, model: Path, dictionary: Path) -> tuple[Target, ...]:
    """Return targets that read a copy of a folder in which one file is another.

    Those called "forged" carry the right hashes, as whoever forges can compute them.
    """

    def read_aliases(folder: Path) -> None:
        AliasIndex.open(folder, verify=True).candidates("Dune")

    def read_bundle(folder: Path) -> None:
        open_bundle(folder).aliases.candidates("Dune")

    places = {
        "bundle, manifest": (bundle, "manifest.json", read_bundle, None),
        "bundle, items": (bundle, "items.parquet", read_bundle, None),
        "bundle, index": (bundle, "index.faiss", read_bundle, None),
        "bundle, forged items": (bundle, "items.parquet", read_bundle, _sign_bundle),
        "bundle, forged entities": (bundle, "entities.parquet", read_bundle, _sign_bundle),
        "bundle, forged settings": (bundle, "model/config.json", read_bundle, _sign_bundle),
        "model, manifest": (model, "manifest.json", checkpoint.load, None),
        "model, forged settings": (model, "config.json", checkpoint.load, _sign_model),
        "model, forged weights": (model, "model.safetensors", checkpoint.load, _sign_model),
        "dictionary, manifest": (dictionary, "manifest.json", read_aliases, None),
        "dictionary, an array": (dictionary, "exact_rows.npy", read_aliases, None),
        "dictionary, mapped": (dictionary, "exact_rows.npy", AliasIndex.open, None),
    }
    words = (*TABLE_WORDS, *(b"null", b"-1", b"[]", b"{}", b'"files"', b'"digest"', b'"stamp"'))
    return tuple(
        Target(name, _in_copy(folder, file, open_, sign), ((folder / file).read_bytes(),), words)
        for name, (folder, file, open_, sign) in places.items()
    )


def hostile() -> dict[str, tuple[str, bytes]]:
    """Return inputs made to cost time or memory: name -> (target, bytes)."""
    n = 20_000
    return {
        "brackets": ("wikitext", b"[[" * n),
        "braces": ("wikitext", b"{{" * n + b"[[a]]" + b"}}" * n),
        "links in links": ("wikitext", b"[[a|" * n + b"]]" * n),
        "comments": ("wikitext", b"<!--" * n),
        "references": ("wikitext", b"<ref>" * n),
        "tables": ("wikitext", b"{|\n|" * n),
        "quotes": ("wikitext", b"'''" * n),
        "entities": ("wikitext", b"&amp;" * n),
        "elements": ("dump", b"<mediawiki>" + b"<a>" * n),
        "attributes": ("dump", b"<mediawiki " + b" ".join(b'a%d="b"' % i for i in range(n)) + b">"),
        "entity bomb": (
            "dump",
            b"<!DOCTYPE m [<!ENTITY a 'x'>"
            + b"".join(
                b"<!ENTITY a%d '%b'>" % (i, b"&a%d;" % (i - 1) * 10 if i else b"&a;")
                for i in range(12)
            )
            + b"]><mediawiki>&a11;</mediawiki>",
        ),
        "pages without an end": ("dump, damage skipped", DUMP[:400] + b"<page>" * n),
        "columns": (
            "interactions, CSV",
            b",".join(b"c%d" % i for i in range(n)) + b"\n" + b"," * n,
        ),
        "quoted without an end": ("interactions, CSV", CSV + b'"' + b"a,\n" * n),
        "nested JSON": (
            "interactions, JSON lines",
            JSONL + b'{"user_id":' + b"[" * n + b"]" * n + b"}\n",
        ),
        "nested literal": ("interactions, JSON lines", JSONL + b"{'user_id': " + b"(" * n + b"}\n"),
        "one row": ("interactions, RecBole", RECBOLE + b"a" * n * 10),
        "digits": ("settings, TOML", b"[scoring]\nk_star = " + b"9" * n),
        "arrays": ("settings, TOML", b"a = " + b"[" * n),
        "keys": ("settings, TOML", b"a." * n + b"b = 1"),
        "tables of tables": ("settings, TOML", b"".join(b"[a%d]\n" % i for i in range(n // 10))),
        "assignment": ("settings, --set", b"a." * n + b"b=1"),
        "Turtle lists": (
            "own graph, Turtle",
            TURTLE + b"<http://x/1> <http://x/2> " + b"(" * 3_000,
        ),
        "nested profile": ("profile, jsonld", b'{"@id": ' * n),
        "nested JSON profile": ("profile, json", b'{"user": ' * n),
        "nested Turtle": (
            "profile, ttl",
            b"<http://x/1> <http://x/2> " + b"[ <http://x/2> " * 3_000,
        ),
        "names": (
            "names, TSV",
            b"surface\ttitle\n" + b"".join(b"a\tT%d\n" % i for i in range(n // 4)),
        ),
        "Wikidata": ("Wikidata, JSON", b"[\n" + b'{"a":' * n + b"\n]"),
    }
