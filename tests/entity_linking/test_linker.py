"""The linker as a whole: cases 56 to 64, the invariants of mentions, and the Arrow door."""

import logging
from pathlib import Path
from typing import get_args

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.lookup import NO_ENTITY
from entity_linking.config import LinkConfig
from entity_linking.disambiguate import Choice, MostLikely, Reason
from entity_linking.errors import LinkingError, PipelineError
from entity_linking.linker import Linker, LinkReport
from entity_linking.schema import MENTIONS, REASONS, TEXTS
from entity_linking.spans import dictionary_proposals, title_proposals
from entity_linking.text import clean_text
from entity_linking.titles import parse_title

SHARED = Path(__file__).parents[2].parent / "shared"
ENTITY_WORDS = [
    "New York Times",
    "New York",
    "Big Apple",
    "The Matrix",
    "Matrix, The",
    "Tom &amp; Jerry",
    "It",
    "北京",
]
MESSY = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=()), max_size=5),
        st.sampled_from(
            [*ENTITY_WORDS, " ", " (1999)", " [VHS]", "<b>", "</b>", "\u0130", "e\u0301", "\r\n"]
        ),
    ),
    max_size=10,
).map("".join)


@pytest.fixture(scope="module")
def linker(index):
    return Linker(index, LinkConfig())


@pytest.fixture(scope="module")
def permissive(index):
    """Accepts everything the table knows, so that properties see many mentions."""
    return Linker(
        index, LinkConfig(min_link_prob=0, min_words_uncounted=0, stop_phrases=(), min_prior=0)
    )


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(
        [
            {"label": "WORK_OF_ART", "pattern": "New York Times bestseller"},
            {"label": "PERSON", "pattern": "Spielberg"},
            {"label": "GPE", "pattern": "York"},
        ]
    )
    folder = tmp_path_factory.mktemp("pipelines") / "three_names"
    nlp.to_disk(folder)
    return str(folder)


def found(mentions):
    return [(mention.surface, mention.entity_id, mention.detector) for mention in mentions]


@pytest.mark.parametrize(
    ("title", "entity_id"),
    [
        pytest.param("Star Wars", 1, id="case_56-exact"),
        pytest.param("star wars", 2, id="case_56-exact-in-small-letters"),
        pytest.param("Star  Wars", 1, id="case_56-white-space"),
        pytest.param("BIG APPLE", 3, id="case_56-folded"),
        pytest.param("Gone with the Wind", None, id="case_57"),
        pytest.param("New York Times", 4, id="case_58"),
        pytest.param("It", 5, id="case_60-whole-title"),
        pytest.param("Up", 16, id="case_60-whole-title-up"),
        pytest.param("&quot;The Who&quot;", 7, id="case_62"),
        pytest.param('<span id="t">Tom &amp; Jerry</span> [VHS]', 14, id="case_62-tags"),
        pytest.param("Matrix, The (1999)", 8, id="case_63-at1"),
    ],
)
def test_whole_titles(linker, title, entity_id):
    (mentions,) = linker.link_texts([title], ["title"])
    assert [mention.entity_id for mention in mentions] == ([] if entity_id is None else [entity_id])


def test_case_63_mention_is_the_original_slice(linker):
    (mentions,) = linker.link_texts(["Matrix, The (1999)"], ["title"])
    assert [(m.start, m.stop, m.surface, m.title) for m in mentions] == [
        (0, 11, "Matrix, The", "The Matrix (franchise)")
    ]
    assert mentions[0].prior == mentions[0].score == pytest.approx(0.5)
    assert mentions[0].n_candidates == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "the New York Times in York", [("New York Times", 4), ("York", 18)], id="case_58"
        ),
        pytest.param("\u0130 \U0001f3ac e\u0301\r\nBig Apple!", [("Big Apple", 3)], id="case_59"),
        pytest.param(
            "\u05e9\u05dc\u05d5\u05dd \u202bBig Apple\u202c", [("Big Apple", 3)], id="fault_38-rtl"
        ),
        pytest.param(
            "Big\x00Apple \ud800 York", [("Big\x00Apple", 3), ("York", 18)], id="fault_38"
        ),
        pytest.param("It is Up to Her and Us", [], id="case_60-not-in-running-text"),
        pytest.param("with The Who", [("The Who", 7)], id="case_60-but-the-band"),
        pytest.param("York and York", [("York", 18), ("York", 18)], id="case_61"),
        pytest.param("a <b>Tom &amp; Jerry</b> film", [("Tom &amp; Jerry", 14)], id="case_62"),
        pytest.param("Matrix, The (1999)", [], id="case_63-only-in-titles"),
        pytest.param("我爱北京", [("北京", 17)], id="no-spaces"),
        pytest.param("", [], id="case_64-empty"),
        pytest.param("nothing known here", [], id="case_64-no-span"),
        pytest.param(None, [], id="case_64-none"),
        pytest.param(float("nan"), [], id="case_64-nan"),
    ],
)
def test_running_text(linker, text, expected):
    (mentions,) = linker.link_texts([text])
    assert [(mention.surface, mention.entity_id) for mention in mentions] == expected
    assert all(text[mention.start : mention.stop] == mention.surface for mention in mentions)


def test_case_64_long_texts_are_cut_and_counted(index, caplog):
    linker = Linker(index, LinkConfig(max_text_length=100))
    with caplog.at_level(logging.WARNING):
        near, far = linker.link_texts(["York " + "x " * 500_000, "x " * 500_000 + "York"])
    assert ([mention.surface for mention in near], far) == (["York"], [])
    assert linker.report == LinkReport(n_texts=2, n_mentions=1, n_cut=2, n_empty=0)
    assert caplog.messages == ["2 of 2 texts were cut to 100 characters"]


def test_report_counts_over_calls(index):
    linker = Linker(index, LinkConfig())
    linker.link_texts(["York", None, " ", "York and York"])
    linker.link_texts(["Up"], ["title"])
    assert linker.report == LinkReport(n_texts=5, n_mentions=4, n_cut=0, n_empty=2)


def test_nothing_is_linked_below_the_threshold(index):
    linker = Linker(index, LinkConfig(min_prior=0.95))
    assert linker.link_texts(["New York Times, York"], ["title"])[0][0].entity_id == 4
    assert linker.link_texts(["York"], ["title"]) == [[]]


def test_both_is_title_then_ner_then_dictionary(index, pipeline_folder):
    linker = Linker(index, LinkConfig(pipeline=pipeline_folder))
    title, text = linker.link_texts(
        ["Star Wars [VHS]", "A New York Times bestseller by Spielberg's aunt in York"],
        ["title", "text"],
    )
    assert found(title) == [("Star Wars", 1, "title")]
    # the NER's "New York Times bestseller" is unknown, so the dictionary may look inside it
    assert found(text) == [
        ("New York Times", 4, "dictionary"),
        ("Spielberg", 15, "ner"),
        ("York", 18, "ner"),
    ]


def test_ner_alone_is_the_papers_way(index, pipeline_folder):
    linker = Linker(index, LinkConfig(detector="ner", pipeline=pipeline_folder))
    title, text = linker.link_texts(["Star Wars", "Spielberg in the Big Apple"], ["title", "text"])
    assert title == []
    assert found(text) == [("Spielberg", 15, "ner")]


def test_dictionary_alone_loads_no_pipeline(index):
    linker = Linker(index, LinkConfig(detector="dictionary", pipeline="xx_no_such_sm"))
    assert found(linker.link_texts(["in York"])[0]) == [("York", 18, "dictionary")]


def test_both_without_a_pipeline_says_so(index, caplog):
    with caplog.at_level(logging.INFO):
        Linker(index, LinkConfig())
    assert "dictionary alone" in caplog.text


@pytest.mark.parametrize("pipeline", [None, "xx_no_such_sm"])
def test_fault_36_ner_without_a_pipeline_is_refused(index, pipeline):
    with pytest.raises(PipelineError, match=r"python -m spacy download \w+$"):
        Linker(index, LinkConfig(detector="ner", pipeline=pipeline))


def test_another_chooser_may_take_the_place(index):
    class LastCandidate:
        def choose_many(self, queries, candidates):
            return [
                Choice(None, "nil") if query.key == "York" else Choice(len(found) - 1, "context")
                for query, found in zip(queries, candidates, strict=True)
            ]

    (mentions,) = Linker(index, LinkConfig(), LastCandidate()).link_texts(["Titanic in York"], None)
    assert found(mentions) == [("Titanic", 13, "dictionary")]


def test_fields_must_match_texts(linker):
    with pytest.raises(LinkingError, match="2 texts came with 1 fields"):
        linker.link_texts(["a", "b"], ["title"])


@given(st.lists(st.tuples(MESSY, st.sampled_from(["title", "text"])), max_size=4))
def test_mentions_are_slices_in_order_without_overlap(permissive, rows):
    texts, fields = [text for text, _ in rows], [field for _, field in rows]
    for text, mentions in zip(texts, permissive.link_texts(texts, fields), strict=True):
        assert all(0 <= m.start < m.stop and text[m.start : m.stop] == m.surface for m in mentions)
        assert all(0 < m.score <= 1 and m.n_candidates >= 1 for m in mentions)
        stops = [0, *(m.stop for m in mentions)]
        assert all(stop <= m.start for stop, m in zip(stops, mentions, strict=False))


@given(st.lists(st.tuples(MESSY, st.sampled_from(["title", "text"])), max_size=4), st.randoms())
def test_a_text_is_linked_alike_alone_in_company_and_in_any_order(permissive, rows, random):
    alone = {row: permissive.link_texts([row[0]], [row[1]])[0] for row in rows}
    random.shuffle(rows)
    together = permissive.link_texts([text for text, _ in rows], [field for _, field in rows])
    assert together == [alone[row] for row in rows]


def batch(*rows):
    return pa.RecordBatch.from_pylist(
        [dict(zip(TEXTS.names, row, strict=False)) for row in rows], TEXTS
    )


def test_batches_keep_the_order_of_rows(linker):
    first = batch((7, "title", "Star Wars"), (7, "text", "York, York"), (3, "title", "nothing"))
    second = batch((3, "text", "in the Big Apple"))
    mentions = list(linker.link_batches([first, batch(), second]))
    assert [table.schema.equals(MENTIONS, check_metadata=True) for table in mentions] == [True] * 3
    columns = [
        "item_id",
        "field",
        "start",
        "stop",
        "surface",
        "entity_id",
        "n_candidates",
        "detector",
    ]
    assert [
        [tuple(row[name] for name in columns) for row in table.to_pylist()] for table in mentions
    ] == [
        [
            (7, "title", 0, 9, "Star Wars", 1, 2, "title"),
            (7, "text", 0, 4, "York", 18, 1, "dictionary"),
            (7, "text", 6, 10, "York", 18, 1, "dictionary"),
        ],
        [],
        [(3, "text", 7, 16, "Big Apple", 3, 1, "dictionary")],
    ]
    assert mentions[0].column("score").to_pylist() == pytest.approx([0.7, 0.8, 0.8])


def test_batches_are_read_one_at_a_time(linker):
    seen = []

    def stream():
        for number in range(3):
            seen.append(number)
            yield batch((number, "text", "York"))

    mentions = linker.link_batches(stream())
    next(mentions)
    assert seen == [0]


@given(
    st.lists(st.tuples(MESSY, st.sampled_from(["title", "text"])), max_size=4), st.integers(1, 3)
)
def test_batches_say_what_texts_say(permissive, rows, size):
    rows = [(text.encode(errors="ignore").decode(), field) for text, field in rows]
    direct = [
        (number, field, mention.start, mention.surface)
        for number, (text, field) in enumerate(rows)
        for mention in permissive.link_texts([text], [field])[0]
    ]
    whole = batch(*((number, field, text) for number, (text, field) in enumerate(rows)))
    pieces = [whole.slice(start, size) for start in range(0, len(rows), size)]
    batched = [
        (row["item_id"], row["field"], row["start"], row["surface"])
        for table in permissive.link_batches(pieces)
        for row in table.to_pylist()
    ]
    assert batched == direct


def test_batches_stream_from_duckdb(linker):
    with duckdb.connect() as connection:
        reader = connection.sql(
            "select cast(range as uinteger) as item_id, 'text' as field,"
            " case when range % 2 = 0 then 'in York' else 'elsewhere' end as text"
            " from range(5000) order by item_id"
        ).to_arrow_reader(1000)
        item_ids = [
            item_id
            for mentions in linker.link_batches(reader)
            for item_id in mentions.column("item_id").to_pylist()
        ]
    assert item_ids == list(range(0, 5000, 2))


def test_batches_from_other_engines_are_cast(linker):
    table = pa.table(
        {
            "text": pa.array(["in York", None], pa.large_string()),
            "extra": [1, 2],
            "field": pa.array(["text", "title"]).dictionary_encode(),
            "item_id": pa.array([4, 5], pa.int64()),
        }
    )
    (mentions,) = linker.link_batches(table.to_batches())
    assert mentions.column("item_id").to_pylist() == [4]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"item_id": [1], "text": ["x"]},
            "has the columns item_id, text; expected item_id, field, text",
        ),
        (
            {"item_id": [-1], "field": ["text"], "text": ["x"]},
            "'item_id' is int64, expected uint32",
        ),
        (
            {"item_id": ["a"], "field": ["text"], "text": ["x"]},
            "'item_id' is string, expected uint32",
        ),
    ],
)
def test_batches_of_another_shape_are_refused(linker, columns, message):
    with pytest.raises(LinkingError, match=message):
        list(linker.link_batches(pa.table(columns).to_batches()))


def test_every_named_check_of_the_table_holds_in_duckdb(permissive):
    """Offsets are code points for DuckDB, too: combining marks and emoji stand before the mentions."""
    import json

    titles = [
        "Matrix, The (1999)",
        "\U0001f469\u200d\U0001f469 e\u0301 Star Wars <b>VHS</b>",
        "北京",
    ]
    texts = ["\u0130 Tom &amp; Jerry, New York Times", "", "e\u0301e\u0301 York, York"]
    rows = [(number, "title", title) for number, title in enumerate(titles)]
    rows += [(number, "text", text) for number, text in enumerate(texts)]
    mentions = pa.Table.from_batches(permissive.link_batches([batch(*rows)]))
    items = pa.table({"item_id": [0, 1, 2], "title": titles, "text": texts})
    assert mentions.num_rows >= 7
    with duckdb.connect() as connection:
        connection.register("mentions", mentions)
        connection.register("items", items)
        for name, check in json.loads(MENTIONS.metadata[b"checks"]).items():
            assert connection.sql(check).fetchall() == [], name


@pytest.mark.real
@pytest.mark.slow
def test_real_pipeline_finds_people_and_places(make_index):
    folder = SHARED / "models" / "en_ner_distilled_sm"
    if not folder.exists():
        pytest.skip(f"no NER pipeline at {folder}")
    index = make_index(
        {"Steven Spielberg": (None, {1: 1.0}), "Paris": (None, {2: 0.9})},
        {1: "Steven Spielberg", 2: "Paris"},
    )
    linker = Linker(index, LinkConfig(detector="ner", pipeline=str(folder)))
    text = "<p>The film was directed by Steven Spielberg in Paris in 1993.</p>"
    (mentions,) = linker.link_texts([text])
    assert found(mentions) == [("Steven Spielberg", 1, "ner"), ("Paris", 2, "ner")]
    assert all(text[mention.start : mention.stop] == mention.surface for mention in mentions)


class Picky:
    """AT@1 for every other key: what it rejects leaves its place to others."""

    def choose_many(self, queries, candidates):
        """Return the first candidate, or none where the key has an odd number of letters."""
        assert all(candidates)
        return [
            Choice(None, "nil") if len(query.key) % 2 else Choice(0, "highest_prior")
            for query in queries
        ]


def one_after_the_other(index, config, text, field):
    """Start, stop and entity of each mention, by asking for one span after the other."""
    parts = parse_title(text)
    clean = parts.body if field == "title" else clean_text(text)
    proposals = title_proposals(parts) if field == "title" else []
    proposals += dictionary_proposals(index, clean, config)
    taken: list[tuple[int, int, int]] = []
    for one in proposals:
        found = index.candidates(one.key)
        free = all(stop <= one.start or one.stop <= start for start, stop, _ in taken)
        if free and found and len(one.key) % 2 == 0:
            taken.append((one.start, one.stop, found[0].entity_id))
    return sorted(taken)


@given(st.lists(st.tuples(MESSY, st.sampled_from(["title", "text"])), max_size=4))
def test_deciding_together_is_deciding_one_after_the_other(permissive, index, rows):
    config = permissive.config
    together = Linker(index, config, Picky()).link_texts(
        [text for text, _ in rows], [field for _, field in rows]
    )
    assert [
        [(one.start, one.stop, one.entity_id) for one in mentions] for mentions in together
    ] == [one_after_the_other(index, config, text, field) for text, field in rows]


def test_a_mention_can_be_taken_apart(index):
    linker = Linker(index, LinkConfig(keep_candidates=2))
    (mentions,) = linker.link_texts(["The Matrix"], ["title"])
    (one,) = mentions
    assert (one.prior, one.score) == pytest.approx((0.5, 0.5))
    assert (one.reason, one.n_candidates) == ("highest_prior", 3)
    assert [entity.entity_id for entity in one.candidates] == [8, 10]
    assert [entity.prior for entity in one.candidates] == pytest.approx([0.5, 0.3])
    typed = Linker(index, LinkConfig(chooser="typed"))
    ((one,),) = typed.link_texts(["The Matrix (1999)"], ["title"])
    assert (one.entity_id, one.reason) == (10, "year")
    assert [entity.entity_id for entity in one.candidates] == [10, 8, 9]
    assert one.score == one.candidates[0].score > 0.9
    assert one.prior == pytest.approx(0.3)


def test_nil_is_given_on_request_and_counted_by_its_cause(index, pipeline_folder):
    linker = Linker(index, LinkConfig(pipeline=pipeline_folder, min_prior=0.85))
    rows = ["York was no New York Times bestseller", "Gone with the Wind (1939) [VHS]"]
    fields = ["text", "title"]
    silent = linker.link_texts(rows, fields)
    assert [[one.surface for one in mentions] for mentions in silent] == [["New York Times"], []]
    assert linker.report == LinkReport(n_texts=2, n_mentions=1, n_nil_unknown=1, n_nil_rejected=1)
    text, title = linker.link_texts(rows, fields, keep_nil=True)
    assert [(one.surface, one.entity_id, one.reason) for one in text] == [
        ("York", NO_ENTITY, "nil"),
        ("New York Times", 4, "only_candidate"),
    ]
    assert [entity.entity_id for entity in text[0].candidates] == [18]
    assert [(one.surface, one.reason, one.n_candidates) for one in title] == [
        ("Gone with the Wind", "nil", 0)
    ]
    assert (title[0].title, title[0].prior, title[0].score) == ("", 0.0, 0.0)


@given(st.lists(st.tuples(MESSY, st.sampled_from(["title", "text"])), max_size=4))
def test_nil_mentions_stand_where_nothing_else_does(permissive, index, rows):
    linker = Linker(index, permissive.config, Picky())
    texts, fields = [text for text, _ in rows], [field for _, field in rows]
    with_nil = linker.link_texts(texts, fields, keep_nil=True)
    assert [
        [one for one in mentions if one.entity_id != NO_ENTITY] for mentions in with_nil
    ] == linker.link_texts(texts, fields)
    for text, mentions in zip(texts, with_nil, strict=True):
        stops = [0, *(one.stop for one in mentions)]
        assert all(stop <= one.start for stop, one in zip(stops, mentions, strict=False))
        assert all(text[one.start : one.stop] == one.surface for one in mentions)


def test_batches_bring_domain_and_context_to_the_chooser(index):
    seen = []

    class Listening(MostLikely):
        """AT@1 that remembers what it was told."""

        def choose_many(self, queries, candidates):
            """Return AT@1's choices."""
            seen.extend((query.key, query.domain, query.context) for query in queries)
            return super().choose_many(queries, candidates)

    linker = Linker(index, LinkConfig(), Listening())
    full = pa.RecordBatch.from_pylist(
        [
            {"item_id": 1, "field": "title", "text": "It", "domain": "films", "context": "in York"},
            {"item_id": 2, "field": "title", "text": "Up", "domain": None, "context": None},
        ],
        TEXTS,
    )
    bare = full.select(["item_id", "field", "text"])
    list(linker.link_batches([full, bare]))
    assert seen == [
        ("It", "films", "in York"),
        ("Up", None, None),
        ("It", None, None),
        ("Up", None, None),
    ]


def test_batches_hold_what_mentions_hold(index):
    linker = Linker(index, LinkConfig(chooser="typed"))
    texts = ["The Matrix (1999)", "nothing", "York, New York"]
    fields = ["title", "text", "text"]
    rows = [(number, *row) for number, row in enumerate(zip(fields, texts, strict=True))]
    (table,) = linker.link_batches([batch(*rows)])
    flat = [one for mentions in linker.link_texts(texts, fields) for one in mentions]
    assert table.num_rows == len(flat) == 3
    for row, one in zip(table.to_pylist(), flat, strict=True):
        assert (row["reason"], row["n_candidates"]) == (one.reason, one.n_candidates)
        assert (row["prior"], row["score"]) == pytest.approx((one.prior, one.score), rel=1e-6)
        assert [entity["entity_id"] for entity in row["candidates"]] == [
            entity.entity_id for entity in one.candidates
        ]
        assert [entity["score"] for entity in row["candidates"]] == pytest.approx(
            [entity.score for entity in one.candidates], rel=1e-6
        )


def test_reasons_of_the_table_are_those_of_the_choosers():
    assert set(REASONS) == set(get_args(Reason))
