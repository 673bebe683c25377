"""Links of wikitext: the cases of link syntax, invariants over generated text, and linear work."""

import json
import re
from collections import Counter
from pathlib import Path
from sys import settrace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables import wikitext
from alias_tables.brackets import MAX_SIMPLE_CHARS
from alias_tables.config import AliasConfig
from alias_tables.plain_text import first_sentence, plain_text
from alias_tables.reasons import Reason
from alias_tables.site import Site
from alias_tables.surface import exact_key
from alias_tables.titles import clean_title, is_valid
from alias_tables.wikitext import LinkReader, clean_label, list_links, mask

READER = LinkReader(Site(), AliasConfig())

SYNTAX = json.loads(Path(__file__).with_name("link_syntax.json").read_text(encoding="utf-8"))
"""The cases of link syntax: wikitext, its links as "surface -> target", reasons of what is left out."""


def shown(text: str, reader: LinkReader = READER) -> tuple[list[str], list[str]]:
    """Return the links of a text as the table above writes them, and the reasons in order of name."""
    scan = reader.scan(text)
    links = [
        f"{link.surface} -> {link.target}{'#' + link.section if link.section else ''}"
        for link in scan.links
    ]
    return links, sorted(str(item.reason) for item in scan.rejected)


@pytest.mark.parametrize(
    ("text", "links", "reasons"),
    [
        pytest.param(row["wikitext"], row["links"], row["left_out"], id=f"case_{row['case']}")
        for row in SYNTAX
    ],
)
def test_link_syntax(text, links, reasons):
    assert shown(text) == (links, sorted(reasons))


def test_case_05_trails_belong_to_languages():
    def surface(language: str, text: str) -> str:
        return LinkReader(Site(language=language), AliasConfig()).scan(text).links[0].surface

    assert surface("cs", "[[Berlin]]ové") == "Berlinové"
    assert surface("de", "[[Haus]]bäume") == "Hausbäume"
    assert surface("zh", "[[柏林]]abc") == "柏林"
    assert surface("xx", "[[Bus]]es") == "Buses"
    assert (
        LinkReader(Site(), AliasConfig(language="zh")).scan("[[Bus]]es").links[0].surface == "Bus"
    )


def test_case_14_links_in_templates_are_told_apart():
    scan = READER.scan("{{x|[[A]]}} [[B]] {{ [[C]] {{y}} [[D]]")
    assert [(link.target, link.in_template) for link in scan.links] == [
        ("A", True),
        ("B", False),
        ("C", False),  # an unclosed brace is text, as in MediaWiki
        ("D", False),
    ]


def test_case_16_namespaces_come_from_the_dump():
    site = Site(language="de", local_namespaces={"Datei": 6, "Kategorie": 14})
    reader = LinkReader(site, AliasConfig())
    assert shown("[[DATEI:x.jpg|[[Y]]]] [[kategorie:Z]] [[Bild:q.jpg]]", reader) == (
        ["Y -> Y"],
        ["other_namespace"] * 3,
    )
    assert shown("[[Datei:x]]")[0] == ["Datei:x -> Datei:x"]  # a title on English Wikipedia


def test_case_47_case_sensitive_wiki_keeps_first_letters():
    reader = LinkReader(Site(first_letter=False), AliasConfig())
    assert shown("[[dog]]", reader)[0] == ["dog -> dog"]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("''a''", "a"),
        ("'''''a'''''", "a"),
        ("rock 'n' roll", "rock 'n' roll"),
        ("'''''' x", "' x"),
        ("x<ref name=a/>y<ref>[z]</ref>", "xy"),
        ("x<ref>never closed", "x"),
        ("a < b", "a < b"),
        ("<span class='q'>Ren</span> &amp; Stimpy", "Ren & Stimpy"),
        ("&lt;i&gt;", "<i>"),
    ],
)
def test_labels_show_what_a_reader_sees(raw, clean):
    assert clean_label(raw) == clean


def test_unclosed_elements_are_text():
    assert shown("<nowiki>[[A]] <math>[[B]]")[0] == ["A -> A", "B -> B"]
    assert shown("<nowiki/>[[A]]")[0] == ["A -> A"]


def test_entries_of_a_disambiguation_page_are_the_first_links_of_its_lines():
    text = "[[Not this]]\n* [[A]], of [[B]]\n** [[C]]\ntext [[D]]\n* x [[E]]"
    assert [link.target for link in list_links(text, READER.scan(text).links)] == ["A", "C", "E"]


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "[[",
            "]]",
            "{{",
            "}}",
            "|",
            "#",
            ":",
            "]",
            "[",
            "{",
            "}",
            "'",
            "''",
            "'''",
            "<ref>",
            "</ref>",
            "<nowiki>",
            "</nowiki>",
            "<!--",
            "-->",
            "&",
            "&amp;",
            "%",
            "%26",
            "\n",
            "File:",
            "de:",
            "A",
            "b",
            "é",
            "İ",
            "́",
            "\u200e",
            "\xa0",
            "ß",
            "東",
            "😀",
            "==",
            "*",
            "{|",
            "|}",
            "~~~",
            "..",
            "/",
            "\x00",
            "\x01",
        ]
    )
    | st.text(max_size=4),
    max_size=40,
).map("".join)


@given(FRAGMENTS)
@settings(max_examples=400, deadline=None)
def test_any_text_gives_links_whose_offsets_hold_them(text):
    scan = READER.scan(text)
    for link in scan.links:
        piece = text[link.start : link.stop]
        assert piece.startswith("[[")
        assert "]]" in piece
        assert link.target
        assert link.surface == " ".join(link.surface.split())
        assert not set("[]{}|<>\n") & set(link.target)
    for item in scan.rejected:
        assert text[item.start : item.start + 2] == "[["
    assert len(mask(text)) == len(text)
    plain_text(text, READER.targets.is_elsewhere)


def same_links(reader: LinkReader, text: str) -> bool:
    """Say whether the quick way finds what the exact one finds."""
    scan, names = reader.scan(text), reader.names(text)
    aside = {True: not reader._config.links_in_templates, False: False}
    pairs = {True: [], False: []}
    for link in scan.links:
        pairs[aside[link.in_template]].append((link.surface, link.target))
    return (
        sorted(names.pairs) == sorted(pairs[False])
        and sorted(names.set_aside) == sorted(pairs[True])
        and names.n_links == len(scan.links)
        and names.rejected == scan.rejected
        and names.n_in_templates == sum(link.in_template for link in scan.links)
    )


READERS = [
    READER,
    LinkReader(Site(first_letter=False), AliasConfig(links_in_templates=False)),
    LinkReader(Site(language="tr"), AliasConfig(max_label_chars=3, max_link_depth=2)),
    LinkReader(Site(language="zh", local_namespaces={"分类": 14}), AliasConfig(max_link_depth=1)),
]
LINKISH = st.recursive(
    st.text("aIiİßé東 _.:#%&/|'<>[]{}-\u2013", max_size=6)
    | st.sampled_from(
        [
            "<!-- x -->",
            "<!--[[a]]-->",
            "<nowiki>[[",
            "</nowiki>",
            "Category:A",
            "wikt:a",
            "\n",
            "''",
            "&amp;",
            "%41",
            "&nbsp;",
            "<ref>",
            "a" * 90,
            "é" * 90,
            "  ",
            "..",
            "~~~",
            "\u0301",
            "\u200e",
        ]
    ),
    lambda inner: st.one_of(
        st.builds("[[{}]]{}".format, inner, st.sampled_from(["", "s", "é", "]"])),
        st.builds("[[{}|{}]]".format, inner, inner),
        st.builds("{{{{{}|{}}}}}".format, inner, inner),
        st.lists(inner, min_size=2, max_size=4).map("".join),
    ),
    max_leaves=12,
)


@given(FRAGMENTS | LINKISH, st.sampled_from(READERS))
@settings(max_examples=500, deadline=None)
def test_names_are_those_of_the_exact_scan(text, reader):
    assert same_links(reader, text)


@pytest.mark.parametrize(
    "text",
    [pytest.param(row["wikitext"], id=f"case_{row['case']}") for row in SYNTAX]
    + ["[[A|[b]]]]]]", "[[I|:::]] [[I|::::]]"],
)
def test_names_of_the_cases_are_those_of_the_exact_scan(text):
    for reader in READERS:
        assert same_links(reader, text)
        assert same_links(reader, f"{{{{x|{text}}}}} [[{text}]] {text}")


def test_characters_taken_as_they_are_stay_as_they_are():
    """What the pattern of simple links takes is its own key, beside any of its neighbours."""
    simple = [
        chr(code)
        for code in range(0x10000)
        if READER._pattern.fullmatch(f"[[A{chr(code)}|{chr(code)}a]]")
    ]
    simple = [sign for sign in simple if READER._pattern.fullmatch(f"[[A{sign}]]")[1]]
    assert len(simple) > 30_000
    for sign in simple:
        for text in (f"e{sign}", f"{sign}e", f"ᄀ{sign}", f"か{sign}", f"{sign}{sign}"):
            assert exact_key(text) == text or sign == " "
        title = f"{'x' * 5}{sign}x"
        assert clean_title(title) == title or sign == " "
        assert is_valid(title)
    assert len(max(simple).encode()) * MAX_SIMPLE_CHARS <= 255


@given(FRAGMENTS)
@settings(max_examples=200, deadline=None)
def test_a_page_in_a_comment_has_no_links(text):
    assert not READER.scan("<!--" + text.replace("-->", "")).links


def traced_lines(text: str) -> int:
    """Return how many lines of the package run while a text is scanned: work, whatever the clock says."""
    lines = 0

    def local(_frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return local

    def start(frame, _event, _argument):
        return local if "alias_tables" in frame.f_code.co_filename else None

    settrace(start)
    try:
        LinkReader(Site(), AliasConfig()).scan(text)
        LinkReader(Site(), AliasConfig()).names(text)
        plain_text(text, READER.targets.is_elsewhere)
    finally:
        settrace(None)
    return lines


TRAPS = {
    "nested": lambda n: "[[A|" * n + "x" + "]]" * n,
    "unclosed_braces": lambda n: "{{" * n + "[[A]]",
    "unclosed_links": lambda n: "[[A|b " * n,
    "unclosed_refs": lambda n: "[[A|x<ref>]] " * n,
    "unclosed_nowiki": lambda n: "<nowiki>[[A]]" * n,
    "unclosed_comments": lambda n: "<!- [[A]]" * n,
    "one_line_list": lambda n: "* " + "[[A]] " * n,
    "nested_braces": lambda n: "{{[[A]]" * n + "}}" * n,
    "single_braces": lambda n: "{{a} [[A]] " * n,
    "open_braces_around_closed": lambda n: "{{ {{x}} [[A]] " * n,
    "files": lambda n: "[[File:x|[[A]] " * n + "]]" * n,
    "brackets_in_labels": lambda n: "[[A|[b]]] " * n,
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_case_69_work_grows_with_the_text_and_not_with_its_square(trap):
    small, large = traced_lines(trap(300)), traced_lines(trap(1200))
    assert large < 4.6 * small


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_case_69_labels_are_not_cut_again_at_each_level(trap, monkeypatch):
    """Counts the characters handed to the cleaning of labels, where the square would hide in C."""
    handed = Counter()

    def counting(label: str):
        handed["characters"] += len(label)
        return clean_label(label)

    monkeypatch.setattr(wikitext, "clean_label", counting)
    text = trap(2000)
    LinkReader(Site(), AliasConfig()).scan(text)
    assert handed["characters"] <= len(text)
    handed.clear()
    LinkReader(Site(), AliasConfig()).names(text)
    assert handed["characters"] <= len(text)


def test_case_69_deep_nesting_is_reported():
    scan = READER.scan("[[A|" * 10_000 + "x" + "]]" * 10_000)
    assert [link.surface for link in scan.links] == ["x"]
    assert Counter(item.reason for item in scan.rejected)[Reason.TOO_DEEP] == 9_900


PLAIN = [
    ("'''Heat''' is a [[film]] by [[Michael Mann|Mann]].", "Heat is a film by Mann."),
    ("A<ref>no</ref> b<!-- no --> {{no|{{no}}}}c", "A b c"),
    ("[[File:x.jpg|thumb|no [[no]] no]]yes", "yes"),
    ("[[Category:No]]yes [http://x.org a page]", "yes a page"),
    ("{| class=no\n|-\n! Head\n| style=no | cell || two\n|}\n* item", "Head\ncell two\nitem"),
    ("== Title ==\ntext &amp; more", "Title\ntext & more"),
    ("open [[ and {{ stay", "open [[ and {{ stay"),
]


@pytest.mark.parametrize(("text", "plain"), PLAIN)
def test_plain_text_is_what_a_reader_sees(text, plain):
    got = plain_text(text, READER.targets.is_elsewhere)
    assert re.sub(r"[^\S\n]+", " ", got).replace(" \n", "\n").replace("\n ", "\n") == plain


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{Infobox}}\n'''Heat''' is a 1995 film (; {{IPA|x}}). It runs.", "Heat is a 1995 film."),
        ("{|\n| no\n|}\n'''J. R. Smith''' was here. Then not.", "J. R. Smith was here."),
        ("== Only a heading ==\ntext", None),
        ("{{stub}}", None),
        ("東京は首都。次の文。", "東京は首都。"),
    ],
)
def test_first_sentence_of_a_lead(text, sentence):
    assert first_sentence(text, READER.targets.is_elsewhere, 300) == sentence


def test_a_long_first_sentence_is_cut_at_a_word():
    got = first_sentence("word " * 100, READER.targets.is_elsewhere, 22)
    assert got == "word word word word…"
