"""Building tables: one small wiki with a page for each case, and one list of the rows it must give."""

import json
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from alias_tables import build as building
from alias_tables.config import AliasConfig, ChannelNumbers
from alias_tables.errors import AliasTableError, DumpError
from alias_tables.inputs import BuildInputs
from alias_tables.reasons import Reason
from alias_tables.resolve import TITLE_ID_BASE
from alias_tables.schema import ALIASES, CHANNELS, CUSTOM_ID_BASE, ENTITIES, PAGE_ID_BASE


def build(connection, dumps, *, qids=None, extra=(), **options):
    inputs = BuildInputs(dumps=tuple(dumps), qids=qids, extra=tuple(extra))
    return building.build(connection, inputs, **options)


def jaguar_links(n_car: int, n_animal: int, n_band: int) -> str:
    return (
        "[[Jaguar Cars|Jaguar]] " * n_car
        + "[[Jaguar (animal)|Jaguar]] " * n_animal
        + "[[Jaguar (band)|Jaguar]] " * n_band
    )


SYNTAX = json.loads(Path(__file__).with_name("link_syntax.json").read_text(encoding="utf-8"))
"""The cases of link syntax, each a page of the wiki too."""


def link_of(line: str) -> tuple[str, str]:
    """Return surface and target of a line of `link_syntax.json`."""
    surface, target = line.split(" -> ")
    return surface, target.partition("#")[0]


NO_XML = "[[a\x02b]]"
"""Of case 28: a control character that no dump can hold."""
SYNTAX_LINKS = Counter(link_of(line) for row in SYNTAX for line in row["links"])


@pytest.fixture(scope="module")
def wiki(wiki_page):
    """Pages by the case that needs them; ids are a hundred times the case and a number."""
    page = wiki_page
    syntax = [
        page(9000 + number, f"Syntax {row['case']}", row["wikitext"].replace(NO_XML, ""))
        for number, row in enumerate(SYNTAX)
    ]
    targets = sorted({target for _, target in SYNTAX_LINKS} - {"Star wars"})
    return [
        *syntax,
        *(page(9500 + number, target, "end") for number, target in enumerate(targets)),
        page(9499, "Star wars", redirect="Star Wars"),
        page(3101, "Case 31", "[[Case 31 name|x31]]"),
        page(3102, "Case 31 name", "#REDIRECT [[Case 31 end]]", redirect="Case 31 end"),
        page(3103, "Case 31 end", "'''It''' is the end. More."),
        page(3201, "Case 32", "[[Case 32 a|x32]]"),
        page(3202, "Case 32 a", redirect="Case 32 b"),
        page(3203, "Case 32 b", redirect="Case 32 c"),
        page(3204, "Case 32 c", redirect="Case 32 d"),
        page(3205, "Case 32 d", "end"),
        page(3301, "Case 33", "[[Case 33 a|x33]] [[Case 33 self|y33]] [[Case 33 into|z33]]"),
        page(3302, "Case 33 a", redirect="Case 33 b"),
        page(3303, "Case 33 b", redirect="Case 33 a"),
        page(3304, "Case 33 self", redirect="Case 33 self"),
        page(3305, "Case 33 into", redirect="Case 33 a"),
        page(3401, "Case 34", "end"),
        page(3402, "Case 34 part", "#REDIRECT [[Case 34#Section]]", redirect="Case 34"),
        page(3501, "Case 35 gone", redirect="No such page"),
        page(3502, "Case 35 category", redirect="Category:X"),
        page(3503, "Case 35 elsewhere", redirect="de:X"),
        page(3601, "Case 36", "#WEITERLEITUNG [[Case 36 wrong]]", redirect="Case 36 end"),
        page(3602, "Case 36 end", "end"),
        page(3701, "Case 37", "  #redirect: [[Case 37 end#S|label]]"),
        page(3702, "Case 37 end", "end"),
        page(3801, "Case 38", "How to write a\n#redirect [[Case 37 end|no]]"),
        page(3901, "Matrix (film)", "end"),
        page(4001, "Case 40, Texas", "end"),
        page(4101, "(500) Days of Summer", "end"),
        page(4201, "Case 42", "[[Red link|x42]] [[red link]]"),
        page(4301, "Mercury", "{{disambiguation}}\n* [[Case 31 end]]\n* [[Case 32 d]]"),
        page(4302, "Case 43", "[[Mercury|x43]]"),
        page(4303, "Case 43 name", redirect="Mercury"),
        page(4401, "List of cases", "[[Case 34|listed]]"),
        page(4402, "1984", "year [[Case 34|in a year]]"),
        page(4403, "Case 44", "[[1984|x44]] [[Case 44 novel|x44]] [[1984]]"),
        page(4404, "Case 44 novel", "end"),
        page(4501, "Talk:Case 45", "[[Case 34|no45]]", namespace=1),
        page(4502, "Case 45 css", "[[Case 34|no45]]", model="css"),
        page(4503, "Case 45 deleted", text_attributes='deleted="deleted"'),
        page(4504, "Case 45 empty", ""),
        page(
            4505,
            "Case 45 bare",
            raw="<page><title>Case 45 bare</title><ns>0</ns><id>4505</id></page>",
        ),
        page(4506, "Case 45 <bad>", "[[Case 34|no45]]"),
        page(0, "Case 45 without id", "[[Case 34|no45]]"),
        page(
            4601,
            "Case 46",
            "[[Case 34|x46]]",
            text_attributes='bytes="9" sha1="q" xml:space="preserve"',
        ),
        page(4801, "Machine learning", "end"),
        page(4802, "Machine Learning", redirect="Machine learning"),
        page(4803, "Case 48", "[[Machine Learning]] [[machine learning]]"),
        page(5101, "Case 51", jaguar_links(60, 30, 10)),
        page(5102, "Jaguar Cars", "end"),
        page(5103, "Jaguar (animal)", "end"),
        page(5104, "Jaguar (band)", "end"),
        page(5201, "Case 52", "[[Case 52 a|x52]] [[Case 52 b|x52]]" * 5),
        page(5203, "Case 52 a", "end"),
        page(5202, "Case 52 b", "end"),
        page(5401, "Case 54", "[[Case 34|x54]] [[Case 34|x54]] [[Case 31 end|x54]]"),
        page(
            3001,
            "Case 30",
            "[[Case 34|!?]] [[Case 34|300]] [[Case 34|M]] " + f"[[Case 34|{'y' * 101}]]",
        ),
        page(1401, "Case 14", "{{box|[[Case 34|boxed]]}}"),
    ]


# case: (surface, title of the entity, channel, count); None as a title: no row of that surface at all
EXPECTED = [
    ("31", "x31", "Case 31 end", "anchor", 1),
    ("31", "Case 31 name", "Case 31 end", "redirect", 1),
    ("31", "Case 31 end", "Case 31 end", "title", 1),
    ("32", "x32", "Case 32 d", "anchor", 1),
    ("32", "Case 32 a", "Case 32 d", "redirect", 1),
    ("32", "Case 32 c", "Case 32 d", "redirect", 1),
    ("33", "x33", None, "", 0),
    ("33", "y33", None, "", 0),
    ("33", "z33", None, "", 0),
    ("33", "Case 33 a", None, "", 0),
    ("33", "Case 33 self", None, "", 0),
    ("34", "Case 34 part", "Case 34", "redirect", 1),
    ("35", "Case 35 gone", None, "", 0),
    ("35", "Case 35 category", None, "", 0),
    ("35", "Case 35 elsewhere", None, "", 0),
    ("36", "Case 36", "Case 36 end", "redirect", 1),
    ("37", "Case 37", "Case 37 end", "redirect", 1),
    ("38", "Case 38", "Case 38", "title", 1),
    ("38", "no", "Case 37 end", "anchor", 1),
    ("39", "Matrix (film)", "Matrix (film)", "title", 1),
    ("39", "Matrix", "Matrix (film)", "title_stripped", 1),
    ("40", "Case 40, Texas", "Case 40, Texas", "title", 1),
    ("40", "Case 40", None, "", 0),
    ("41", "(500) Days of Summer", "(500) Days of Summer", "title", 1),
    ("42", "x42", None, "", 0),
    ("42", "red link", None, "", 0),
    ("43", "x43", None, "", 0),
    ("43", "Mercury", None, "", 0),
    ("43", "Case 31 end", "Case 31 end", "anchor", 1),
    ("43", "Case 32 d", "Case 32 d", "anchor", 1),
    ("43", "Case 43 name", None, "", 0),
    ("44", "List of cases", None, "", 0),
    ("44", "listed", "Case 34", "anchor", 1),
    ("44", "1984", None, "", 0),
    ("44", "x44", "Case 44 novel", "anchor", 1),
    ("44", "in a year", "Case 34", "anchor", 1),
    ("45", "no45", None, "", 0),
    ("46", "x46", "Case 34", "anchor", 1),
    ("48", "Machine Learning", "Machine learning", "anchor", 1),
    ("48", "Machine Learning", "Machine learning", "redirect", 1),
    ("48", "machine learning", "Machine learning", "anchor", 1),
    ("51", "Jaguar", "Jaguar Cars", "anchor", 60),
    ("51", "Jaguar", "Jaguar (animal)", "anchor", 30),
    ("51", "Jaguar", "Jaguar (animal)", "title_stripped", 1),
    ("51", "Jaguar", "Jaguar (band)", "anchor", 10),
    ("30", "!?", None, "", 0),
    ("30", "300", "Case 34", "anchor", 1),
    ("30", "M", "Case 34", "anchor", 1),
    ("30", "y" * 101, None, "", 0),
    ("14", "boxed", "Case 34", "anchor", 1),
]


@pytest.fixture(scope="module")
def dump(wiki, make_xml, save_part, tmp_path_factory):
    path = tmp_path_factory.mktemp("wiki") / "enwiki-20260101-pages-articles.xml.bz2"
    return save_part(path, make_xml(wiki))


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=f"case_{row['case']}_row") for row in SYNTAX],
)
def test_links_of_the_wiki(built, row):
    rows = alias_rows(built)
    for surface, target in map(link_of, row["links"]):
        entity = "Star Wars" if target == "Star wars" else target
        assert rows[surface, entity]["n_anchor"] == SYNTAX_LINKS[surface, target]
    if not row["links"]:
        written = {
            label for _, label in re.findall(r"\[\[([^\[\]|]*\|)?([^\[\]|]+)\]\]", row["wikitext"])
        }
        known = {surface for surface, _ in SYNTAX_LINKS} | {link[1] for link in SYNTAX_LINKS}
        assert not {surface for surface, _ in rows} & (written - known)


def test_the_wiki_has_the_anchors_of_its_cases_and_no_others(built):
    """Of the pages of link syntax: the other cases have surfaces of their own."""
    found = {key for key, row in alias_rows(built).items() if row["n_anchor"]}
    expected = {
        (surface, "Star Wars" if target == "Star wars" else target)
        for surface, target in SYNTAX_LINKS
    }
    others = {(surface, title) for _, surface, title, channel, _ in EXPECTED if channel == "anchor"}
    assert expected <= found
    assert {
        key for key in found - expected - others if not key[0].startswith(("x5", "hot"))
    } == set()


def rows_of(tables, relation: str) -> list[dict[str, object]]:
    return getattr(tables, relation).to_arrow_table().to_pylist()


def alias_rows(tables) -> dict[tuple[str, str], dict[str, object]]:
    """Return the alias rows by (surface, title of the entity)."""
    titles = {row["entity_id"]: row["title"] for row in rows_of(tables, "entities")}
    return {(row["surface"], titles[row["entity_id"]]): row for row in rows_of(tables, "aliases")}


def priors_of(tables, surface: str) -> dict[str, float]:
    return {
        title: pytest.approx(row["prior"], abs=1e-7)
        for (name, title), row in alias_rows(tables).items()
        if name == surface
    }


@pytest.fixture(scope="module")
def built(dump):
    with duckdb.connect() as connection:
        yield build(connection, [dump])


@pytest.mark.parametrize(
    "expected",
    EXPECTED,
    ids=[f"case_{row[0]}_{row[1][:12]}_{row[3]}".strip("_") for row in EXPECTED],
)
def test_rows_of_the_wiki(built, expected):
    _, surface, title, channel, count = expected
    rows = alias_rows(built)
    if title is None:
        assert not [key for key in rows if key[0] == surface]
    else:
        assert rows[surface, title][f"n_{channel}"] == count


def test_tables_keep_their_schemas_sort_and_checks(built):
    entities, aliases = built.entities.to_arrow_table(), built.aliases.to_arrow_table()
    assert entities.schema.equals(
        pa.schema([pa.field(field.name, field.type) for field in ENTITIES])
    )
    assert aliases.schema.equals(pa.schema([pa.field(field.name, field.type) for field in ALIASES]))
    for table, schema in ((entities, ENTITIES), (aliases, ALIASES)):
        table.cast(schema)
        keys = list(
            zip(
                *(
                    table.column(name).to_pylist()
                    for name in ("surface", "entity_id")
                    if name in table.column_names
                ),
                strict=True,
            )
        )
        assert keys == sorted(set(keys))
    with duckdb.connect() as connection:
        connection.register("entities", entities)
        connection.register("aliases", aliases)
        for schema in (ENTITIES, ALIASES):
            for query in json.loads(schema.metadata[b"checks"]).values():
                assert connection.execute(query).fetchall() == []


def test_reasons_are_counted_and_listed(built):
    report = built.report
    of_syntax = Counter(Reason(reason) for row in SYNTAX for reason in row["left_out"])
    of_syntax[Reason.INVALID_TITLE] -= 1  # NO_XML
    assert report.rejected_links == of_syntax | {
        Reason.REDIRECT_LOOP: 3,
        Reason.TARGET_MISSING: 2,
        Reason.TARGET_DISAMBIGUATION: 1,
    }
    assert report.rejected_rows == {
        Reason.REDIRECT_LOOP: 4,
        Reason.REDIRECT_TARGET_MISSING: 3,
        Reason.TARGET_DISAMBIGUATION: 1,
    }
    assert report.skipped_pages == {
        Reason.NOT_ARTICLE: 1,
        Reason.NOT_WIKITEXT: 1,
        Reason.EMPTY_PAGE: 3,
        Reason.INVALID_TITLE: 1,
        Reason.NO_PAGE_ID: 1,
    }
    assert report.pages_read == report.pages_kept + sum(report.skipped_pages.values())
    assert report.links_in_templates == 3  # of cases 14
    listed = Counter(reject.reason for reject in report.rejects)
    for counts in (report.rejected_links, report.rejected_rows, report.skipped_pages):
        assert all(listed[reason] > 0 for reason in counts)
    assert (4502, "Case 45 css") in {(item.page_id, item.title) for item in report.rejects}


def test_the_stamp_names_what_was_read(built, dump):
    stamp = built.report.stamp
    assert [(file.name, file.size) for file in stamp.files] == [(dump.name, dump.stat().st_size)]
    assert (stamp.dbname, stamp.language, stamp.first_letter) == ("enwiki", "en", True)
    assert AliasConfig.model_validate_json(stamp.options) == AliasConfig()


def test_case_44_excluded_pages_stay_entities_with_their_flag(built):
    flags = {row["title"]: row["flags"] for row in rows_of(built, "entities")}
    assert flags["List of cases"] == ["list"]
    assert flags["1984"] == ["date"]
    assert "Mercury" not in flags


def test_case_44_links_to_excluded_pages_count_in_freq_of_the_surface(built):
    assert priors_of(built, "x44") == {"Case 44 novel": 0.5}


def test_entities_have_labels_descriptions_and_inlinks(built):
    entities = {row["title"]: row for row in rows_of(built, "entities")}
    assert entities["Matrix (film)"]["label"] == "Matrix"
    assert entities["Case 31 end"]["description"] == "It is the end."
    assert entities["Jaguar Cars"]["n_inlinks"] == 60
    assert entities["Jaguar Cars"]["entity_id"] == PAGE_ID_BASE + 5102


def test_case_51_priors_are_shares_of_links(built):
    assert priors_of(built, "Jaguar") == {
        "Jaguar Cars": 0.6,
        "Jaguar (animal)": 0.3,
        "Jaguar (band)": 0.1,
    }


def test_case_52_ties_go_to_the_smaller_id(built, connection, dump):
    assert priors_of(built, "x52") == {"Case 52 a": 0.5, "Case 52 b": 0.5}
    cut = build(connection, [dump], config=AliasConfig(max_candidates=1, link_probability=False))
    assert priors_of(cut, "x52") == {"Case 52 b": 0.5}


def test_case_53_the_cut_keeps_priors(connection, dump):
    cut = build(connection, [dump], config=AliasConfig(max_candidates=2, link_probability=False))
    assert priors_of(cut, "Jaguar") == {"Jaguar Cars": 0.6, "Jaguar (animal)": 0.3}
    assert cut.report.dropped_pairs[Reason.BEYOND_MAX_CANDIDATES] == 1


def test_case_54_rare_pairs_go_and_priors_stay(connection, dump):
    cut = build(connection, [dump], config=AliasConfig(min_count=2, link_probability=False))
    assert priors_of(cut, "x54") == {"Case 34": pytest.approx(2 / 3, abs=1e-7)}
    assert priors_of(cut, "Case 31 name") == {"Case 31 end": 1.0}


def test_case_55_titles_without_links_have_pseudo_counts(
    connection, make_xml, wiki_page, save_part, tmp_path
):
    pages = [
        wiki_page(1, "Heat (1995 film)", "[[Cold|hot]]"),
        wiki_page(2, "Heat (band)", "x"),
        wiki_page(3, "Cold", "x"),
        wiki_page(4, "Heat", redirect="Cold"),
    ]
    path = save_part(tmp_path / "d.xml", make_xml(pages))
    tables = build(connection, [path])
    shares = {"Cold": 0.5, "Heat (1995 film)": 0.25, "Heat (band)": 0.25}
    assert priors_of(tables, "Heat") == shares
    assert priors_of(tables, "Heat (band)") == {"Heat (band)": 1.0}


OPTIONS = [
    AliasConfig(),
    AliasConfig(smooth=True),
    AliasConfig(weights=ChannelNumbers(anchor=1, title=2, redirect=0.3, title_stripped=0.1)),
    AliasConfig(weights=ChannelNumbers(redirect=1), links_in_templates=False),
]


@pytest.mark.parametrize("config", OPTIONS, ids=["eq3", "smooth", "weighted", "redirects"])
def test_priors_equal_the_formula_written_again(connection, dump, config):
    config = config.model_copy(
        update={"link_probability": False, "exclude_flags": (), "drop_punctuation": False}
    )
    rows = rows_of(build(connection, [dump], config=config), "aliases")

    def total(row, numbers):
        return sum(
            Fraction(getattr(numbers, c)).limit_denominator(1000) * row[f"n_{c}"] for c in CHANNELS
        )

    for surface in {row["surface"] for row in rows}:
        group = [row for row in rows if row["surface"] == surface]
        masses = {row["entity_id"]: total(row, config.weights) for row in group}
        if config.smooth or not any(masses.values()):
            masses = {
                row["entity_id"]: masses[row["entity_id"]] or total(row, config.pseudo_counts)
                for row in group
            }
        for row in group:
            assert row["prior"] == pytest.approx(
                float(masses[row["entity_id"]] / sum(masses.values())), abs=1e-6
            )


def test_case_34_section_redirects_are_an_option(connection, dump):
    config = AliasConfig(section_redirects=False, link_probability=False)
    rows = alias_rows(build(connection, [dump], config=config))
    assert ("Case 34 part", "Case 34") not in rows
    assert ("Case 31 name", "Case 31 end") in rows


def test_case_43_lists_of_disambiguation_pages_are_an_option(connection, dump):
    config = AliasConfig(disambiguation_lists=True, link_probability=False)
    rows = alias_rows(build(connection, [dump], config=config))
    assert rows["Mercury", "Case 31 end"]["n_disambig"] == 1
    assert rows["Mercury", "Case 32 d"]["prior"] == 0.5


def test_case_14_links_in_templates_are_an_option(connection, dump):
    config = AliasConfig(links_in_templates=False, link_probability=False)
    assert ("boxed", "Case 34") not in alias_rows(build(connection, [dump], config=config))


def test_case_30_digits_and_length_are_options(connection, dump):
    config = AliasConfig(
        drop_digits=True, min_alias_chars=2, max_alias_chars=101, link_probability=False
    )
    surfaces = {surface for surface, _ in alias_rows(build(connection, [dump], config=config))}
    assert not {"300", "M"} & surfaces
    assert "y" * 101 in surfaces


def exported(tables) -> tuple[pa.Table, pa.Table]:
    return tables.entities.to_arrow_table(), tables.aliases.to_arrow_table()


def test_case_65_and_68_parts_order_and_threads_change_nothing(
    wiki, make_xml, save_part, tmp_path, built
):
    shuffled = list(wiki)
    Random(3).shuffle(shuffled)  # noqa: S311 (a fixed shuffle)
    parts = [
        save_part(tmp_path / f"part{i}.xml{suffix}", make_xml(shuffled[i::3]))
        for i, suffix in enumerate(["", ".gz", ".bz2"])
    ]
    for threads, order in ((1, parts), (4, parts[::-1])):
        with duckdb.connect(config={"threads": threads}) as connection:
            tables = build(connection, order)
            assert exported(tables) == exported(built)


def test_parts_given_twice_count_once(connection, dump, built, tmp_path):
    copy = tmp_path / "copy.xml.bz2"
    copy.write_bytes(dump.read_bytes())
    tables = build(connection, [dump, copy, dump])
    assert exported(tables) == exported(built)
    assert tables.report.skipped_pages[Reason.DUPLICATE_PAGE] == 2 * built.report.pages_kept


def test_case_49_an_entity_moved_between_dumps_has_one_row_a_surface(
    connection, make_xml, wiki_page, save_part, tmp_path
):
    page = wiki_page
    old = [
        page(1, "Old name", "[[Other]]", revision_id=10),
        page(2, "Other", "[[Old name|x]]", revision_id=11),
    ]
    new = [
        page(1, "New name", "[[Other]]", revision_id=20),
        page(3, "Old name", redirect="New name", revision_id=21),
        page(2, "Other", "[[Old name|x]]", revision_id=11),
    ]
    parts = [
        save_part(tmp_path / "enwiki-20250101.xml", make_xml(old)),
        save_part(tmp_path / "enwiki-20260101.xml", make_xml(new)),
    ]
    tables = build(connection, parts)
    rows = alias_rows(tables)
    assert [row["title"] for row in rows_of(tables, "entities")] == ["New name", "Other"]
    assert (
        rows["Old name", "New name"]["n_title"],
        rows["Old name", "New name"]["n_redirect"],
    ) == (1, 1)
    assert rows["x", "New name"]["n_anchor"] == 1
    assert exported(build(connection, parts[::-1])) == exported(tables)


def test_case_47_titles_of_a_case_sensitive_wiki(
    connection, make_xml, wiki_page, save_part, tmp_path
):
    pages = [wiki_page(1, "dog", "[[Dog]] [[dog]]"), wiki_page(2, "Dog", "x")]
    path = save_part(tmp_path / "d.xml", make_xml(pages, case="case-sensitive"))
    rows = alias_rows(build(connection, [path]))
    assert rows["dog", "dog"]["n_anchor"] == rows["Dog", "Dog"]["n_anchor"] == 1


def test_namespaces_of_old_exports_come_from_titles(
    connection, make_xml, wiki_page, save_part, tmp_path
):
    pages = [
        wiki_page(1, "A", "[[A]]", namespace=None),
        wiki_page(2, "Talk:A", "[[A]]", namespace=None),
    ]
    tables = build(connection, [save_part(tmp_path / "d.xml", make_xml(pages))])
    assert alias_rows(tables)["A", "A"]["n_anchor"] == 1


def test_link_probability_counts_documents(connection, make_xml, wiki_page, save_part, tmp_path):
    pages = [
        wiki_page(1, "Her", "[[Her]] her. Her Her"),
        wiki_page(2, "B", "Her unlinked, and {{x|[[Her (film)|Her film]]}}"),
        wiki_page(3, "C", "Hers is no Her, Herself neither"),
        wiki_page(4, "D", "her, Hermes [[Her#a|Her]]"),
        wiki_page(5, "Her (film)", "nothing"),
        wiki_page(6, "E", "{{no|Her}} <!-- Her -->"),
    ]
    tables = build(connection, [save_part(tmp_path / "d.xml", make_xml(pages))])
    probabilities = {key: row["link_prob"] for key, row in alias_rows(tables).items()}
    assert probabilities["Her", "Her"] == 0.5  # linked in 1 and 4; also in 2 and 3
    assert probabilities["Her film", "Her (film)"] == 1.0
    assert probabilities["Her (film)", "Her (film)"] is None


def write_table(path, lines):
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_qids_become_entity_ids(connection, dump, tmp_path, built):
    qids = write_table(
        tmp_path / "qids.tsv",
        [
            ("title", "qid", "more"),
            ("matrix_(film)", "Q83495", "x"),
            ("Jaguar Cars", "Q30055", ""),
            ("Jaguar (band)", "Q30055", ""),
            ("Case 34", "Q9", ""),
            ("Case 34", "Q8", ""),
            ("bad", "83495", ""),
            ("Not in the dump", "Q1", ""),
        ],
    )
    tables = build(connection, [dump], qids=qids)
    entities = {row["entity_id"]: row["title"] for row in rows_of(tables, "entities")}
    assert entities[83495] == "Matrix (film)"
    assert entities[8] == "Case 34"  # of two QIDs the older one
    assert entities[30055] == "Jaguar Cars"  # two pages, one QID, one entity
    assert "Not in the dump" not in entities.values()
    assert priors_of(tables, "Jaguar") == {"Jaguar Cars": 0.7, "Jaguar (animal)": 0.3}
    assert tables.report.rejected_rows[Reason.INVALID_QID] == 1
    assert len(entities) == len(rows_of(built, "entities")) - 1


def test_extra_rows_add_to_the_dump(connection, dump, tmp_path):
    extra = write_table(
        tmp_path / "extra.tsv",
        [
            ("surface", "title", "qid", "count", "description"),
            ("Jaguar", "Jaguar_(band)", "", "100", ""),
            ("The Jag", "Case 31 name", "", "", ""),
            ("", "Brand New (film)", "", "", "A film nobody linked."),
            ("", "Known (film)", "Q77", "", ""),
            ("七十八", "", "Q78", "5", ""),
            ("78", "", "Q78", "2", ""),
            ("", "", "Q79", "", ""),
            ("x", "Mercury", "", "", ""),
            ("x", "a|b", "", "", ""),
            ("x", "Case 34", "", "0", ""),
        ],
    )
    tables = build(connection, [dump], extra=[extra])
    rows = alias_rows(tables)
    entities = {row["title"]: row for row in rows_of(tables, "entities")}
    assert priors_of(tables, "Jaguar") == {
        "Jaguar Cars": 0.3,
        "Jaguar (animal)": 0.15,
        "Jaguar (band)": 0.55,
    }
    assert rows["The Jag", "Case 31 end"]["n_wikidata_alias"] == 1
    assert rows["Brand New", "Brand New (film)"]["n_title_stripped"] == 1
    assert entities["Brand New (film)"]["description"] == "A film nobody linked."
    assert TITLE_ID_BASE <= entities["Brand New (film)"]["entity_id"] < CUSTOM_ID_BASE
    assert entities["Known (film)"]["entity_id"] == 77
    assert (entities["Q78"]["entity_id"], entities["Q78"]["label"]) == (78, "七十八")
    assert rows["78", "Q78"]["n_anchor"] == 2
    assert tables.report.rejected_rows[Reason.NO_ENTITY] == 1
    assert tables.report.rejected_rows[Reason.INVALID_TITLE] == 1
    assert tables.report.rejected_rows[Reason.INVALID_COUNT] == 1


def test_extra_alone_in_any_form_and_order(connection, tmp_path):
    titles = [
        "Heat (1995 film)",
        "Heat (1972 film)",
        "Heat",
        "null",
        "007",
        "It: Chapter Two",
        'The "Fish"',
    ]
    one = write_table(tmp_path / "a.tsv", [("title",), *((title,) for title in titles[:3])])
    two = tmp_path / "b.csv"
    two.write_text("title\nnull\n007\nIt: Chapter Two\n" + '"The ""Fish"""\n', encoding="utf-8")
    tables = build(connection, [], extra=[one, two])
    expected = exported(tables)
    names = {row["title"]: row["label"] for row in rows_of(tables, "entities")}
    assert sorted(names) == sorted("Null" if title == "null" else title for title in titles)
    assert (names["Null"], names["Heat (1995 film)"]) == ("null", "Heat")
    assert ("null", "Null") in alias_rows(tables)
    shares = {
        "Heat": pytest.approx(2 / 3),
        "Heat (1972 film)": pytest.approx(1 / 6),
        "Heat (1995 film)": pytest.approx(1 / 6),
    }
    assert priors_of(tables, "Heat") == shares
    assert all(row["link_prob"] is None for row in rows_of(tables, "aliases"))
    whole = tmp_path / "c.parquet"
    parquet.write_table(pa.table({"title": titles[::-1]}), whole)
    assert exported(build(connection, [], extra=[whole])) == expected
    assert exported(build(connection, [], extra=[two, one])) == expected


def test_ids_of_bare_titles_are_distinct_and_mostly_stable(connection, tmp_path):
    titles = [f"Title {i}" for i in range(3000)]
    few = build(
        connection,
        [],
        extra=[write_table(tmp_path / "few.tsv", [("title",), *((t,) for t in titles[:1500])])],
    )
    before = {row["title"]: row["entity_id"] for row in rows_of(few, "entities")}
    many = build(
        connection,
        [],
        extra=[write_table(tmp_path / "many.tsv", [("title",), *((t,) for t in titles)])],
    )
    after = {row["title"]: row["entity_id"] for row in rows_of(many, "entities")}
    assert len(set(after.values())) == 3000
    assert sum(after[title] != number for title, number in before.items()) <= 5


def test_headerless_files_of_qids(connection, tmp_path):
    extra = write_table(tmp_path / "x.tsv", [("New York", "Q60", "7", ""), ("NYC", "Q60", "3", "")])
    qids = write_table(tmp_path / "q.tsv", [("New York City", "Q60", "1")])
    tables = build(connection, [], qids=qids, extra=[extra])
    assert [(row["entity_id"], row["title"]) for row in rows_of(tables, "entities")] == [
        (60, "New York City")
    ]
    assert alias_rows(tables)["NYC", "New York City"]["n_anchor"] == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.tsv", "tittle\tyear\nA\t1\n", r"columns tittle, year; expected title.*rename tittle"),
        ("x.txt", "title\n", r"\.txt suffix"),
        ("x.tsv", "", "empty"),
        ("x.tsv", b"title\n\xff\xfe\n", "cannot be read"),
        ("x.parquet", b"PAR1nonsense", "cannot be read"),
        ("x.tsv.gz", b"\x1f\x8b\x08cut", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named(connection, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DumpError, match=message) as caught:
        build(connection, [], extra=[path])
    assert name in str(caught.value)


def test_a_build_from_nothing_is_refused(connection):
    with pytest.raises(AliasTableError, match="nothing to build from"):
        build(connection, [])


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ([(1, "A", "no links here")], "0 links in 1 articles"),
        ([], "no article in 0 pages"),
    ],
)
def test_implausible_dumps_are_refused_and_leave_no_table(
    connection, make_xml, wiki_page, save_part, tmp_path, pages, message
):
    path = save_part(tmp_path / "d.xml", make_xml([wiki_page(*page) for page in pages]))
    with pytest.raises(DumpError, match=message):
        build(connection, [path])
    assert connection.execute("select table_name from duckdb_tables()").fetchall() == []


def test_parts_of_two_wikis_are_refused(connection, make_xml, wiki_page, save_part, tmp_path):
    page = wiki_page(1, "A", "[[A]]")
    parts = [
        save_part(tmp_path / "a.xml", make_xml([page])),
        save_part(tmp_path / "b.xml", make_xml([replace(page, page_id=2)], dbname="dewiki")),
    ]
    with pytest.raises(DumpError, match="one table a wiki"):
        build(connection, parts)


def test_tables_of_the_caller_are_untouched(connection, dump):
    connection.execute("create table pages as select 1 as x; create table names as select 2 as y")
    build(connection, [dump], config=AliasConfig(link_probability=False))
    assert connection.execute("from pages").fetchall() == [(1,)]
    assert connection.execute("from names").fetchall() == [(2,)]


def test_progress_runs_from_nothing_to_the_end(connection, dump):
    calls = []
    build(connection, [dump], on_progress=lambda *call: calls.append(call))
    size = dump.stat().st_size
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == ["read", "resolve", "count", "link_probability", "finish"]
    for stage in ("read", "link_probability"):
        done = [call[1] for call in calls if call[0] == stage]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, size)
