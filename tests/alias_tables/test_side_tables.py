"""Everything beside the pages dump, through a whole build: QIDs, redirects, kinds, names, types, merges."""

import bz2
import gzip
import json
from random import Random

import duckdb
import pytest

from alias_tables.build import AliasTables
from alias_tables.build import build as build_tables
from alias_tables.config import AliasConfig
from alias_tables.errors import DumpError
from alias_tables.inputs import BuildInputs
from alias_tables.merged_qids import end_of_chains, page_dump_beside, read_merged
from alias_tables.page_kinds import DISAMBIGUATION
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.schema import ALIASES, ENTITIES, PAGE_ID_BASE

PAGE_COLUMNS = (
    "page_id int,page_namespace int,page_title varbinary,page_is_redirect tinyint,page_latest int"
)
PROPS_COLUMNS = "pp_page int,pp_propname varbinary,pp_value blob,pp_sortkey float"
REDIRECT_COLUMNS = (
    "rd_from int,rd_namespace int,rd_title varbinary,rd_interwiki varbinary,rd_fragment varbinary"
)


def build(connection, dumps, *, config=None, **files) -> AliasTables:
    """Build from the parts of a dump and from files by the names of `BuildInputs`."""
    given = {
        name: tuple(value) if isinstance(value, list) else value for name, value in files.items()
    }
    return build_tables(connection, BuildInputs(dumps=tuple(dumps), **given), config=config)


@pytest.fixture
def save_sql(tmp_path):
    """Return a function that writes a SQL dump and returns its path."""

    def save(name, table, columns, rows):
        declared = ",\n".join(
            f"  `{column.split()[0]}` {column.split()[1]} NOT NULL" for column in columns.split(",")
        )
        values = ",".join(
            "(" + ",".join("NULL" if cell is None else repr(cell) for cell in row) + ")"
            for row in rows
        )
        path = tmp_path / name
        text = (
            f"-- MySQL dump\nCREATE TABLE `{table}` (\n{declared}\n) ENGINE=InnoDB;\n"
            f"INSERT INTO `{table}` VALUES {values};\n-- Dump completed on 2026-01-01\n"
        )
        path.write_bytes(gzip.compress(text.encode()))
        return path

    return save


@pytest.fixture
def save_items(tmp_path):
    """Return a function that writes a Wikidata dump of (qid, sitelink, label, aliases, classes, year)."""

    def save(*rows, dbname="enwiki", language="en"):
        lines = []
        for qid, title, label, aliases, classes, year in rows:
            statements = [
                {
                    "mainsnak": {
                        "datavalue": {"value": {"numeric-id": number, "id": f"Q{number}"}}
                    },
                    "rank": "normal",
                }
                for number in classes
            ]
            time = {"time": f"+{year}-01-01T00:00:00Z", "precision": 9}
            dates = [{"mainsnak": {"datavalue": {"value": time}}, "rank": "normal"}] if year else []
            entity = {
                "type": "item",
                "id": f"Q{qid}",
                "labels": {language: {"language": language, "value": label}} if label else {},
                "descriptions": {language: {"language": language, "value": f"described {label}"}},
                "aliases": {language: [{"language": language, "value": name} for name in aliases]},
                "claims": {"P31": statements, "P577": dates},
                "sitelinks": {dbname: {"site": dbname, "title": title}} if title else {},
            }
            lines.append(json.dumps(entity, separators=(",", ":")))
        path = tmp_path / "latest-all.json.bz2"
        path.write_bytes(bz2.compress(("[\n" + ",\n".join(lines) + "\n]\n").encode()))
        return path

    return save


@pytest.fixture
def dump(tmp_path, make_xml, wiki_page, save_part):
    page = wiki_page
    pages = [
        page(
            1,
            "Heat (1995 film)",
            "'''Heat''' is a 1995 American crime film. [[Category:1995 films]]",
        ),
        page(
            2, "Heat", "'''Heat''' is energy. [[Heat (1995 film)|Heat]] [[Old heat]] [[Al Pacino]]"
        ),
        page(3, "Al Pacino", "'''Pacino''' is an American actor. [[Category:1940 births]]"),
        page(4, "Warmth", "[[Heat|warm]] '''Warmth''' may mean much."),
        page(5, "Smith", "'''Smith''' is a name. [[Heat (novel)|a novel]]"),
        page(6, "Heat (novel)", "A book nobody typed."),
        page(7, "Pacino", "#REDIRECT [[Al Pacino]]", redirect="Al Pacino"),
    ]
    return save_part(tmp_path / "enwiki-20260101-pages-articles.xml.bz2", make_xml(pages))


def tables_of(built):
    entities = {row["title"]: row for row in built.entities.to_arrow_table().to_pylist()}
    titles = {row["entity_id"]: row["title"] for row in entities.values()}
    aliases = {
        (row["surface"], titles[row["entity_id"]]): row
        for row in built.aliases.to_arrow_table().to_pylist()
    }
    return entities, aliases


def hold_to_contracts(connection, built):
    connection.register("entities", built.entities.to_arrow_table())
    connection.register("aliases", built.aliases.to_arrow_table())
    for schema in (ENTITIES, ALIASES):
        for query in json.loads(schema.metadata[b"checks"]).values():
            assert connection.execute(query).fetchall() == []


def test_types_and_years_of_the_pages_alone(connection, dump):
    entities, _ = tables_of(build(connection, [dump]))
    assert (entities["Heat (1995 film)"]["types"], entities["Heat (1995 film)"]["year"]) == (
        ["film"],
        1995,
    )
    assert (entities["Al Pacino"]["types"], entities["Al Pacino"]["year"]) == (["person"], None)
    assert (entities["Heat"]["types"], entities["Heat"]["year"]) == ([], None)
    assert entities["Heat (novel)"]["types"] == ["book"]


def test_case_43_page_props_give_qids_and_disambiguation(connection, dump, save_sql):
    props = save_sql(
        "enwiki-page_props.sql.gz",
        "page_props",
        PROPS_COLUMNS,
        [
            (1, "wikibase_item", "Q42198", None),
            (4, "disambiguation", "", None),
            (4, "wikibase_item", "Q9", None),
            (3, "wikibase_item", "none", None),
            (99, "wikibase_item", "Q5", None),
        ],
    )
    built = build(connection, [dump], page_props=props)
    entities, aliases = tables_of(built)
    assert entities["Heat (1995 film)"]["entity_id"] == 42198
    assert entities["Al Pacino"]["entity_id"] == PAGE_ID_BASE + 3
    assert "Warmth" not in entities
    assert not [key for key in aliases if key[0] == "Warmth"]
    assert built.report.rejected_rows[Reason.INVALID_QID] == 1
    hold_to_contracts(connection, built)


def test_redirects_that_the_pages_dump_lacks(connection, dump, save_sql):
    pages = save_sql(
        "enwiki-page.sql.gz",
        "page",
        PAGE_COLUMNS,
        [
            (20, 0, "Old_heat", 1, 200),
            (21, 0, "Elsewhere", 1, 201),
            (22, 4, "Project_page", 1, 202),
            (23, 0, "Not_in_the_dump", 0, 203),
            (7, 0, "Pacino", 1, 204),
        ],
    )
    redirects = save_sql(
        "enwiki-redirect.sql.gz",
        "redirect",
        REDIRECT_COLUMNS,
        [
            (20, 0, "Heat", None, "Transfer"),
            (21, 0, "Heat", "de", None),
            (22, 0, "Heat", None, None),
            (7, 0, "Heat", None, None),
        ],
    )
    built = build(connection, [dump], pages=pages, redirects=redirects)
    entities, aliases = tables_of(built)
    assert aliases["Old heat", "Heat"]["n_anchor"] == 1
    assert aliases["Old heat", "Heat"]["n_redirect"] == 1
    assert aliases["Pacino", "Al Pacino"]["n_redirect"] == 1  # the pages dump has it, and decides
    assert "Not in the dump" not in entities
    assert not [key for key in aliases if key[0] in {"Elsewhere", "Project page"}]
    whole = AliasConfig(section_redirects=False)
    _, aliases = tables_of(
        build(connection, [dump], pages=pages, redirects=redirects, config=whole)
    )
    assert aliases["Old heat", "Heat"]["n_redirect"] == 0


def test_wikidata_gives_qids_names_types_years_and_kinds(connection, dump, save_items):
    items = save_items(
        (42198, "Heat (1995 film)", "Heat", ["Heat: A Los Angeles Crime Saga"], [11424], 1995),
        (41163, "Al Pacino", "Al Pacino", ["Alfredo Pacino"], [5], 1940),
        (9, "Warmth", "Warmth", ["Warm"], [4167410], None),
        (10, "Smith", "Smith", [], [101352], None),
        (11, "Heat (novel)", "Heat", [], [8261], 1990),
        (12, "Category:Films", "Category:Films", ["films"], [4167836], None),
        (13, None, "Pageless", ["No page"], [11424], 1999),
        (14, "Only there", "Only there", ["Only name"], [7889], 2001),
    )
    built = build(connection, [dump], wikidata=[items])
    entities, aliases = tables_of(built)
    heat = entities["Heat (1995 film)"]
    assert (heat["entity_id"], heat["types"], heat["year"]) == (42198, ["film"], 1995)
    assert heat["description"].startswith("Heat is a 1995 American crime film")
    assert entities["Al Pacino"]["year"] is None
    assert aliases["Alfredo Pacino", "Al Pacino"]["n_wikidata_alias"] == 1
    assert (
        aliases["Heat", "Heat (novel)"]["n_wikidata_alias"] == 1
        if ("Heat", "Heat (novel)") in aliases
        else True
    )
    assert (entities["Heat (novel)"]["types"], entities["Heat (novel)"]["year"]) == (["book"], 1990)
    assert "Warmth" not in entities
    assert not [key for key in aliases if key[0] in {"Warm", "Pageless", "films"}]
    assert entities["Smith"]["flags"] == ["name"]
    there = entities["Only there"]
    assert (there["entity_id"], there["types"], there["year"]) == (14, ["game"], 2001)
    assert there["description"] == "described Only there"
    assert ("Only name", "Only there") in aliases
    hold_to_contracts(connection, built)


def test_page_props_are_trusted_before_sitelinks_and_the_callers_table_before_both(
    connection, dump, save_sql, save_items, tmp_path
):
    items = save_items((1001, "Heat", "Heat", [], [], None), (1002, "Smith", "Smith", [], [], None))
    rows = [(2, "wikibase_item", "Q2002", None), (4, "wikibase_item", "Q2004", None)]
    props = save_sql("page_props.sql.gz", "page_props", PROPS_COLUMNS, rows)
    qids = tmp_path / "qids.tsv"
    qids.write_text("title\tqid\nWarmth\tQ3004\n")
    entities, _ = tables_of(
        build(connection, [dump], wikidata=[items], page_props=props, qids=qids)
    )
    ids = {title: row["entity_id"] for title, row in entities.items() if row["entity_id"] < 10_000}
    assert ids["Warmth"] == 3004
    assert ids["Smith"] == 1002
    assert 2002 in ids.values()


def test_case_44_a_list_by_wikidata_is_left_out_by_default(connection, dump, save_items):
    items = save_items(
        (50, "Warmth", "Warmth", [], [13406463], None), (51, "Heat", "Heat", [], [577], None)
    )
    entities, aliases = tables_of(build(connection, [dump], wikidata=[items]))
    assert (entities["Warmth"]["flags"], entities["Heat"]["flags"]) == (["list"], ["date"])
    assert not [key for key in aliases if key[1] in {"Warmth", "Heat"}]


def test_names_of_a_page_that_is_a_disambiguation_page_mean_nothing(
    connection, tmp_path, make_xml, wiki_page, save_part, save_items
):
    pages = [
        wiki_page(1, "Mercury", "{{disambiguation}} [[Mercury (planet)]]"),
        wiki_page(2, "Mercury (planet)", "[[Mercury (planet)|it]]"),
    ]
    path = save_part(tmp_path / "d.xml", make_xml(pages))
    items = save_items(
        (7, "Mercury", "Mercury", ["Merkur"], [], None),
        (308, "Mercury (planet)", "Mercury", [], [], None),
    )
    entities, aliases = tables_of(build(connection, [path], wikidata=[items]))
    assert set(entities) == {"Mercury (planet)"}
    assert not [key for key in aliases if key[0] == "Merkur"]


def test_wikidata_alone_is_enough(connection, save_items):
    items = save_items(
        (1, "比利时", "比利时", ["比利时王国"], [6256], None),
        (2, None, "甲", ["乙"], [11424], 2001),
        dbname="zhwiki",
        language="zh",
    )
    built = build(connection, [], wikidata=[items], config=AliasConfig(language="zh"))
    entities, aliases = tables_of(built)
    assert {(row["entity_id"], row["label"]) for row in entities.values()} == {
        (1, "比利时"),
        (2, "甲"),
    }
    assert {key[0]: row["prior"] for key, row in aliases.items()} == dict.fromkeys(
        ("比利时", "比利时王国", "甲", "乙"), 1.0
    )
    assert entities["Q2"]["year"] == 2001


def test_pages_and_redirects_alone_beside_names(connection, save_sql, save_items):
    pages = save_sql(
        "page.sql.gz", "page", PAGE_COLUMNS, [(1, 0, "Heat_(film)", 0, 5), (2, 0, "Hot", 1, 6)]
    )
    redirects = save_sql(
        "redirect.sql.gz", "redirect", REDIRECT_COLUMNS, [(2, 0, "Heat_(film)", "", "")]
    )
    props = save_sql(
        "page_props.sql.gz", "page_props", PROPS_COLUMNS, [(1, "wikibase_item", "Q42", None)]
    )
    items = save_items((42, "Heat (film)", "Heat", ["The Heat"], [11424], 1995))
    built = build(
        connection, [], wikidata=[items], pages=pages, redirects=redirects, page_props=props
    )
    entities, aliases = tables_of(built)
    assert set(aliases) == {
        (name, "Heat (film)") for name in ("Heat", "The Heat", "Heat (film)", "Hot")
    }
    assert entities["Heat (film)"]["entity_id"] == 42


MERGED = [("Q1", "Q2"), ("Q2", "Q42198"), ("Q7", "Q8"), ("Q8", "Q7"), ("Q3", "x")]


def test_case_50_merged_qids_never_stand_beside_what_they_became(
    connection, dump, save_sql, save_items, tmp_path
):
    merged = tmp_path / "merged.tsv"
    merged.write_text("from\tto\n" + "".join(f"{a}\t{b}\n" for a, b in MERGED))
    qids = tmp_path / "qids.tsv"
    qids.write_text("title\tqid\nHeat (1995 film)\tQ1\nHeat\tQ7\n")
    extra = tmp_path / "extra.tsv"
    extra.write_text("surface\tqid\tcount\nThe Heat\tQ2\t3\nHeat 95\tQ42198\t1\n")
    rows = [(6, "wikibase_item", "Q1", None)]
    props = save_sql("page_props.sql.gz", "page_props", PROPS_COLUMNS, rows)
    items = save_items((2, "Heat (1995 film)", "Heat", ["Heat!"], [11424], 1995))
    built = build(
        connection,
        [dump],
        qids=qids,
        extra=[extra],
        page_props=props,
        wikidata=[items],
        merged=merged,
    )
    entities, aliases = tables_of(built)
    ids = {row["entity_id"] for row in entities.values()}
    assert 42198 in ids
    assert not ids & {1, 2}
    assert aliases["The Heat", "Heat (1995 film)"]["n_anchor"] == 3
    assert aliases["Heat!", "Heat (1995 film)"]["n_wikidata_alias"] == 1
    assert entities["Heat"]["entity_id"] == 7  # a loop leads nowhere: the id stays as it is
    rejected = built.report.rejected_rows
    assert (rejected[Reason.QID_LOOP], rejected[Reason.INVALID_QID]) == (2, 1)
    assert rejected[Reason.QID_MERGED] == 6  # qids, extra, page_props, the item and its two names
    hold_to_contracts(connection, built)


def test_case_50_wikidatas_own_redirect_dump(connection, save_sql):
    redirects = save_sql(
        "wikidatawiki-20260101-redirect.sql.gz",
        "redirect",
        REDIRECT_COLUMNS,
        [(101, 0, "Q2", "", ""), (102, 0, "Q42", "", ""), (103, 120, "P9", "", "")],
    )
    with pytest.raises(DumpError, match=r"page\.sql\.gz"):
        read_merged(connection, redirects, RejectLog(5))
    assert page_dump_beside(redirects) is None
    pages = save_sql(
        "wikidatawiki-20260101-page.sql.gz",
        "page",
        PAGE_COLUMNS,
        [(101, 0, "Q1", 1, 1), (102, 0, "Q2", 1, 1), (103, 120, "P1", 1, 1), (42, 0, "Q42", 0, 1)],
    )
    assert page_dump_beside(redirects) == pages
    read_merged(connection, redirects, RejectLog(5), pages)
    assert connection.execute("from raw_merged order by source").fetchall() == [(1, 42), (2, 42)]


def test_chains_end_where_a_walk_of_each_ends():
    rng = Random(3)  # noqa: S311 (a test's dice)
    for _ in range(200):
        pairs = [(rng.randrange(12), rng.randrange(12)) for _ in range(rng.randrange(1, 14))]
        steps: dict[int, int] = {}
        for source, target in pairs:
            steps[source] = min(target, steps.get(source, target))
        expected = {}
        for source, target in steps.items():
            seen, end = {source}, target
            while end in steps and end not in seen:
                seen.add(end)
                end = steps[end]
            if end not in steps:
                expected[source] = end
        log = RejectLog(100)
        assert end_of_chains(pairs, log) == expected
        assert log.counts[Reason.QID_LOOP] == len(steps) - len(expected)


def test_title_lists_with_types_and_years(connection, tmp_path):
    films = tmp_path / "films.tsv"
    films.write_text(
        "title\ttype\tyear\nHeat\tfilm\t1995\nAlpha (1990 novel)\t\t\nBeta\tfilm|book\t1990.0\nGamma\tmovie\t1\n"
        "Delta\tperson\t1949\n"
    )
    built = build(connection, [], extra=[films])
    entities, _ = tables_of(built)
    assert (entities["Heat"]["types"], entities["Heat"]["year"]) == (["film"], 1995)
    assert (entities["Alpha (1990 novel)"]["types"], entities["Alpha (1990 novel)"]["year"]) == (
        ["book"],
        1990,
    )
    assert (entities["Beta"]["types"], entities["Beta"]["year"]) == (["book", "film"], 1990)
    assert entities["Delta"]["year"] is None
    assert built.report.rejected_rows[Reason.UNKNOWN_TYPE] == 1


def test_no_table_of_the_build_is_left_behind(connection, dump, save_items):
    build(connection, [dump], wikidata=[save_items((1, "Heat", "Heat", [], [], None))])
    left = {
        row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()
    }
    assert left == {"alias_tables_entities", "alias_tables_aliases"}


def test_a_damaged_item_is_counted_where_damage_is_to_be_skipped(connection, save_items):
    items = save_items((1, None, "Alpha", [], [], None), (2, None, "Beta", [], [], None))
    lines = bz2.decompress(items.read_bytes()).replace(b'"aliases":{', b'"aliases":{{', 1)
    items.write_bytes(bz2.compress(lines))
    with pytest.raises(DumpError, match="damaged entity"):
        build(connection, [], wikidata=[items])
    built = build(connection, [], wikidata=[items], config=AliasConfig(skip_damaged_pages=True))
    assert built.report.rejected_rows[Reason.ITEM_DAMAGED] == 1
    assert built.report.entities == 1


def test_damage_in_any_file_leaves_no_table(dump, tmp_path):
    broken = tmp_path / "page_props.sql"
    broken.write_text(
        "CREATE TABLE `page_props` (\n `pp_page` int\n);\nINSERT INTO `page_props` VALUES (1"
    )
    with duckdb.connect() as connection:
        with pytest.raises(DumpError, match=r"page_props\.sql"):
            build(connection, [dump], page_props=broken)
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == []
    assert DISAMBIGUATION == "disambiguation"
