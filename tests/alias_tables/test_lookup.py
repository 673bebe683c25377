"""The index: candidates, matches in text, and a saved copy that says the same."""

# ruff: noqa: RUF001 (characters that look alike are the point)

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables.errors import TableError
from alias_tables.lookup import NO_ENTITY, AliasIndex, Candidate
from alias_tables.mapped import FORMAT_VERSION, MANIFEST
from alias_tables.schema import ALIASES, ENTITIES
from alias_tables.surface import exact_key, folded_key, skip_ignored, tokens

TITLES = {
    10: "Star Wars",
    11: "Star Wars (film)",
    12: "New York City",
    13: "The New York Times",
    14: "York",
    15: "Her (film)",
    16: "Amélie",
    17: "东京",
    18: "Big Apple (dance)",
    19: "The Who",
    20: "Star Wars",
}
# surface, entity, n_anchor, prior, link_prob
ROWS = [
    ("Star Wars", 10, 66, 0.6, 0.9),
    ("Star Wars", 11, 44, 0.4, 0.9),
    ("STAR WARS", 11, 100, 1.0, 0.2),
    ("New York", 12, 50, 1.0, 0.5),
    ("New York Times", 13, 20, 1.0, 0.8),
    ("York", 14, 5, 0.5, None),
    ("York", 12, 5, 0.5, None),
    ("Her", 15, 1, 0.25, 0.001),
    ("her", 15, 1, 1.0, 0.0001),
    ("Amélie", 16, 9, 1.0, 0.7),
    ("东京", 17, 9, 1.0, 0.7),
    ("京", 17, 1, 1.0, 0.1),
    ("Big Apple", 18, 2, 1.0, 0.6),
    ("Big Apple", 12, 3, 0.4, 0.6),
    ("(500) Days", 18, 2, 1.0, 0.6),
    ("The Who", 19, 30, 1.0, 0.6),
    ("$9.99", 19, 1, 1.0, 0.6),
]


def tables(rows=ROWS, titles=TITLES) -> tuple[pa.Table, pa.Table]:
    entities = [
        {
            "entity_id": i,
            "title": t,
            "label": t,
            "kind": "wikidata",
            "flags": [],
            "types": [],
            "n_inlinks": 0,
        }
        for i, t in titles.items()
    ]
    counts = {name: 0 for name in ALIASES.names if name.startswith("n_")}
    aliases = [
        {**counts, "surface": s, "entity_id": e, "n_anchor": n, "prior": p, "link_prob": link}
        for s, e, n, p, link in rows
    ]
    return pa.Table.from_pylist(entities, ENTITIES), pa.Table.from_pylist(aliases, ALIASES)


@pytest.fixture(scope="module")
def index():
    return AliasIndex.from_tables(*tables())


def test_candidates_come_best_first(index):
    assert index.candidates("Star Wars") == [
        Candidate(10, "Star Wars", pytest.approx(0.6), exact=True),
        Candidate(11, "Star Wars (film)", pytest.approx(0.4), exact=True),
    ]
    assert len(index.candidates("Star Wars", limit=1)) == 1
    assert index.candidates("Star Wars", limit=0) == []


def test_case_52_ties_go_to_the_smaller_id(index):
    assert [candidate.entity_id for candidate in index.candidates("York")] == [12, 14]


def test_case_56_exact_key_first_then_the_folded_one(index):
    assert [c.entity_id for c in index.candidates("STAR WARS")] == [11]
    assert [c.entity_id for c in index.candidates(" Star\u00a0 Wars")] == [10, 11]
    merged = index.candidates("star wars")
    # 110 and 100 observations of the spellings: (44 + 100) / 210 and 66 / 210
    assert [(c.entity_id, round(c.prior, 6), c.exact) for c in merged] == [
        (11, 0.685714, False),
        (10, 0.314286, False),
    ]


def test_case_57_unknown_aliases_have_nothing(index):
    for surface in ("No such thing", "", " ", "\ud800"):
        assert index.candidates(surface) == []
        assert index.link_prob(surface) is None


def test_link_prob_of_spellings(index):
    assert index.link_prob("Star Wars") == pytest.approx(0.9)
    assert index.link_prob("star wars") == pytest.approx(
        0.9
    )  # that of the spelling seen most often
    assert index.link_prob("York") is None


def spans(index, text):
    return [(match.start, match.stop, match.surface) for match in index.matches(text)]


def test_case_58_the_longest_match_wins_from_each_start(index):
    text = "the New York Times of York"
    assert spans(index, text) == [(4, 18, "New York Times"), (8, 12, "York"), (22, 26, "York")]


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("İ love Big Apple", "Big Apple"),
        ("\U0001f600\U0001f600 Big Apple!", "Big Apple"),
        ("e\u0301\u0327 Big\u00a0 Apple.", "Big\u00a0 Apple"),
        ("a\r\nb\r\nBig\r\nApple\r\n", "Big\r\nApple"),
        ("ßﬁ½ BIG APPLE", "BIG APPLE"),
        ("(Ame\u0301lie)", "Ame\u0301lie"),
        ("I ♥ AMELIE…", "AMELIE"),
        ("Big Apple\u200e rules", "Big Apple\u200e"),
    ],
)
def test_case_59_offsets_index_the_original_text(index, text, mention):
    (match,) = index.matches(text)
    assert text[match.start : match.stop] == mention


def test_case_60_link_probability_tells_names_from_words(index):
    found = {m.surface: m for m in index.matches("She gave her The Who, and saw Her")}
    assert found["her"].link_prob == pytest.approx(0.0001)
    assert found["Her"].link_prob == pytest.approx(0.001)
    assert found["The Who"].link_prob == pytest.approx(0.6)
    assert found["Her"].prior == 0.25


def test_matches_end_at_token_boundaries(index):
    assert spans(index, "Yorkshire, NewYork, her2") == []
    assert spans(index, "York-York's") == [(0, 4, "York"), (5, 9, "York")]
    assert spans(index, "(500) Days for $9.99") == [(0, 10, "(500) Days"), (15, 20, "$9.99")]


def test_scripts_without_spaces_may_match_anywhere(index):
    assert spans(index, "在东京看") == [(1, 3, "东京"), (2, 3, "京")]


ALPHABET = st.sampled_from([*"aAbBİıßéÉ .-(\u0301\u200e\n東", "ss", "ﬁ", "fi"])
WORDS = st.lists(ALPHABET, min_size=1, max_size=4).map("".join)


@given(
    surfaces=st.lists(WORDS, min_size=1, max_size=8),
    text=st.lists(ALPHABET, max_size=14).map("".join),
)
@settings(max_examples=300, deadline=None)
def test_matches_equal_trying_every_span(surfaces, text):
    known = sorted({exact_key(s) for s in surfaces if exact_key(s) and folded_key(s)})
    if not known:
        return
    index = AliasIndex.from_tables(*tables([(s, 10, 1, 1.0, 0.5) for s in known]))
    folded = {folded_key(s) for s in known}
    boundaries = tokens(text)
    expected = []
    for start, _ in boundaries:
        if skip_ignored(text, start) > start:
            continue  # a mark without a letter: nothing begins there
        stops = [
            stop
            for _, stop in boundaries
            if stop > start and folded_key(text[start:stop]) in folded
        ]
        if stops:
            expected.append((start, max(stops)))
    found = index.matches(text)
    for match in found:
        assert folded_key(text[match.start : match.stop]) == folded_key(match.surface)
        assert match.exact == (exact_key(text[match.start : match.stop]) in known)
    longest = {start: folded_key(text[start:stop]) for start, stop in expected}
    assert {match.start: folded_key(match.surface) for match in found} == longest


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ab", "AB", "Ab", "cd", "e"]),
            st.sampled_from([10, 11, 12]),
            st.integers(1, 9),
        ),
        min_size=1,
        unique_by=lambda row: row[:2],
    )
)
@settings(max_examples=100, deadline=None)
def test_folded_priors_equal_those_of_pooled_counts(counts):
    """Where priors are shares of all counts, merging spellings is pooling their counts."""
    totals = {s: sum(n for t, _, n in counts if t == s) for s, _, _ in counts}
    index = AliasIndex.from_tables(*tables([(s, e, n, n / totals[s], None) for s, e, n in counts]))
    for query in ("aB", "CD", "E"):
        pooled = {}
        for surface, entity, n in counts:
            if surface.lower() == query.lower():
                pooled[entity] = pooled.get(entity, 0) + n
        expected = sorted(((n / sum(pooled.values()), -e) for e, n in pooled.items()), reverse=True)
        found = [(c.prior, -c.entity_id) for c in index.candidates(query)]
        assert found == [(pytest.approx(p, abs=1e-6), e) for p, e in expected]


def test_many_are_answered_like_one_by_one(index):
    surfaces = ["Star Wars", "star wars", "no", "", "YORK", "东京", "her"]
    ids, priors = index.top_many(surfaces)
    for surface, entity, prior in zip(surfaces, ids.tolist(), priors.tolist(), strict=True):
        best = index.candidates(surface, 1)
        if best:
            assert (entity, prior) == (best[0].entity_id, best[0].prior)
        else:
            assert entity == NO_ENTITY
            assert np.isnan(prior)
    assert index.candidates_many(surfaces) == list(map(index.candidates, surfaces))
    assert index.candidates_many(surfaces, 1) == [index.candidates(text, 1) for text in surfaces]
    assert index.candidates_many([]) == []
    empty_ids, empty_priors = index.top_many([])
    assert len(empty_ids) == len(empty_priors) == 0


def test_titles_and_qids(index):
    assert index.title(12) == "New York City"
    assert index.title(999) is None
    assert index.entity("New_York City") == 12
    assert index.entity("new York City") == 12
    assert index.entity("Q12") == 12
    assert index.entity("Q999") is None
    assert index.entity("Q\u00b2") is None
    assert index.entity("Star Wars") == 10  # two entities of one title: the smaller id
    assert index.entity("") is None
    assert index.n_entities == len(TITLES)
    assert len(index) == len({row[0] for row in ROWS})


def test_a_saved_index_says_the_same(index, tmp_path):
    index.save(tmp_path / "index")
    opened = AliasIndex.open(tmp_path / "index", verify=True)
    text = "İ star wars in New York, her 东京"
    assert opened.matches(text) == index.matches(text)
    assert opened.candidates("star wars") == index.candidates("star wars")
    assert opened.entity("York") == index.entity("York")
    again = tmp_path / "again"
    opened.save(again)
    for path in (tmp_path / "index").iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_an_index_is_not_saved_over_something(index, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(TableError, match="not empty"):
        index.save(tmp_path)


def test_altered_indexes_are_refused(index, tmp_path):
    folder = tmp_path / "index"
    index.save(folder)
    manifest = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(manifest.replace(f'"version": {FORMAT_VERSION}', '"version": 7'))
    with pytest.raises(TableError, match=f"version 7, this code reads {FORMAT_VERSION}"):
        AliasIndex.open(folder)
    (folder / MANIFEST).write_text(json.dumps({"version": FORMAT_VERSION, "files": {}}))
    with pytest.raises(TableError, match="other files"):
        AliasIndex.open(folder)
    (folder / MANIFEST).write_text(manifest)
    priors = folder / "exact_priors.npy"
    content = bytearray(priors.read_bytes())
    content[-1] ^= 1
    priors.write_bytes(content)
    AliasIndex.open(folder)
    with pytest.raises(TableError, match="altered"):
        AliasIndex.open(folder, verify=True)
    priors.write_bytes(content[:-4])
    with pytest.raises(TableError, match="bytes, the manifest says"):
        AliasIndex.open(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(TableError, match="no alias index"):
        AliasIndex.open(folder)


def with_facts(facts):
    """Return tables in which some entities have types, a year and a description."""
    entities, aliases = tables()
    rows = [{**row, **facts.get(row["entity_id"], {})} for row in entities.to_pylist()]
    return pa.Table.from_pylist(rows, ENTITIES), aliases


def test_entities_have_types_year_and_description(tmp_path):
    facts = {
        11: {"types": ["book", "film"], "year": 1977, "description": "Première \u2014 东京"},
        16: {"types": ["film"], "year": 2001},
        20: {"types": ["television"], "description": ""},
    }
    made = AliasIndex.from_tables(*with_facts(facts))
    made.save(tmp_path / "index")
    for index in (made, AliasIndex.open(tmp_path / "index")):
        for entity in (*TITLES, 999):
            expected = facts.get(entity, {})
            assert index.types(entity) == tuple(expected.get("types", ()))
            assert index.year(entity) == expected.get("year")
            assert index.description(entity) == (expected.get("description") or None)
        _, film = index.candidates("Star Wars")
        assert (film.entity_id, film.types, film.year) == (11, ("book", "film"), 1977)


def test_more_types_than_bits_are_refused():
    facts = {10: {"types": [f"tag{n:02}" for n in range(33)]}}
    with pytest.raises(TableError, match="33 different types, an index holds 32"):
        AliasIndex.from_tables(*with_facts(facts))


def test_another_stamp_is_refused(index, tmp_path):
    index.save(tmp_path / "index", "tables of Monday")
    opened = AliasIndex.open(tmp_path / "index", expect_stamp="tables of Monday")
    assert opened.stamp == AliasIndex.open(tmp_path / "index").stamp == "tables of Monday"
    with pytest.raises(
        TableError, match=r"made from 'tables of Monday', expected 'of Tuesday'; save it again"
    ):
        AliasIndex.open(tmp_path / "index", expect_stamp="of Tuesday")
    index.save(tmp_path / "bare")
    with pytest.raises(TableError, match="'tables without a stamp'"):
        AliasIndex.open(tmp_path / "bare", expect_stamp="of Tuesday")


def test_spellings_that_no_channel_counted_have_shares():
    """0 / 0: each weighs as one sighting, alone in equal shares, beside counted ones as one of them."""
    rows = [("ab", 10, 0, 1.0, None), ("AB", 11, 0, 0.5, None), ("AB", 12, 0, 0.5, None)]
    index = AliasIndex.from_tables(*tables(rows))
    assert [(c.entity_id, c.prior) for c in index.candidates("Ab")] == [
        (10, 0.5),
        (11, 0.25),
        (12, 0.25),
    ]
    index = AliasIndex.from_tables(*tables([*rows, ("aB", 10, 2, 1.0, None)]))
    assert [(c.entity_id, c.prior) for c in index.candidates("Ab")] == [
        (10, 0.75),
        (11, 0.125),
        (12, 0.125),
    ]
    assert index.matches("Ab")[0].surface == "aB"


def test_matches_come_as_arrays(index):
    texts = ["", "Star Wars in York", "no", "her YORK"]
    found = index.matches_many(texts)
    assert found.texts.tolist() == [1, 1, 3, 3]
    assert [
        texts[t][a:b] for t, a, b in zip(found.texts, found.starts, found.stops, strict=True)
    ] == [
        "Star Wars",
        "York",
        "her",
        "YORK",
    ]
    assert np.isnan(found.link_probs).tolist() == [False, True, False, True]
    rows = list(found.rows())
    assert [number for number, _ in rows] == found.texts.tolist()
    assert [match for number, match in rows if number == 3] == index.matches(texts[3])
    assert list(found.rows(np.array([2]))) == rows[2:3]
    assert len(index.matches_many([])) == 0
    keys = ["star wars", "york", "her", "York", ""]
    assert index.folded_numbers(keys).tolist() == [*found.folded[:3].tolist(), -1, -1]


def test_aliases_of_unknown_entities_are_refused():
    with pytest.raises(TableError, match="1 entities that are not in entities, such as 999"):
        AliasIndex.from_tables(*tables([("x", 999, 1, 1.0, None)]))


def test_an_empty_index_answers(tmp_path):
    empty = AliasIndex.from_tables(ENTITIES.empty_table(), ALIASES.empty_table())
    assert empty.candidates("x") == []
    assert empty.matches("x y") == []
    assert empty.entity("x") is None
    empty.save(tmp_path / "index")
    assert AliasIndex.open(tmp_path / "index").matches("x") == []
