"""A linker measured: figures worked out on paper, systems whose score is known, groups, and the real benchmarks."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables.lookup import NO_ENTITY
from entity_linking.config import LinkConfig
from entity_linking.disambiguate import NIL, Choice
from entity_linking.evaluate import EvaluationConfig, evaluate
from entity_linking.gold import Gold, GoldMention, GoldText, read_gold
from entity_linking.judgements import UNKNOWN_ENTITY
from entity_linking.tally import frequency_group, prior_group

SHARED = Path(__file__).parents[2].parent / "shared"
QUICK = EvaluationConfig(n_draws=20)
DICTIONARY = LinkConfig(detector="dictionary")


def gold_text(text, *mentions, **more):
    """A gold text from (surface, QID or title or None, standing); each stands at its next occurrence."""
    found, position = [], 0
    for surface, name, standing in mentions:
        start = text.index(surface, position)
        qid, title = (name, None) if isinstance(name, int) else (None, name)
        found.append(GoldMention(start, start + len(surface), surface, title, qid, standing))
        position = start + len(surface)
    return GoldText(text, tuple(found), **more)


def titles(*rows):
    """Gold titles from (title, QID or title or None, domain)."""
    return Gold(
        "title",
        tuple(
            gold_text(title, (title, name, "required" if name else "nil"), domain=domain)
            for title, name, domain in rows
        ),
    )


PAPER = Gold(
    "text",
    (
        gold_text(
            "Steven Spielberg in the Big Apple. Titanic! Nobody Known came.",
            ("Steven Spielberg", 15, "required"),  # right
            ("Big Apple", "New York City", "required"),  # right
            (
                "Titanic",
                12,
                "required",
            ),  # wrong: the ship (11) is likelier; second of three candidates
            ("Nobody Known", None, "nil"),  # not found
        ),
        gold_text(
            "He read the New York Times in York with Someone Else.",
            ("He", 15, "ignored"),
            ("New York Times", 4, "required"),  # right
            ("Someone Else", 99, "required"),  # not in the table
        ),
        gold_text("A place without Spielberg.", domain="plain"),  # linked, and no gold there
    ),
)
"""Links: Spielberg, Big Apple, Titanic; New York Times, York; Spielberg. Wrong: Titanic, York, the last one."""


def test_figures_are_those_on_paper(index):
    found = evaluate(index, PAPER, DICTIONARY, scoring=QUICK)
    counts = {f.name: (f.part, f.whole) for f in found.figures if f.part is not None}
    assert counts == {
        "span precision": (4, 6),
        "span recall": (4, 5),
        "candidate recall@1": (3, 5),
        "candidate recall@5": (4, 5),
        "candidate recall@10": (4, 5),
        "candidate recall@50": (4, 5),
        "accuracy given gold span": (3, 5),
        "accuracy given found span": (3, 4),
        "end-to-end precision": (3, 6),
        "end-to-end recall": (3, 5),
        "NIL precision": (0, 0),
        "NIL recall": (0, 2),
    }
    assert found.figure("end-to-end F1").value == pytest.approx(2 * 0.5 * 0.6 / 1.1)
    assert found.figure("end-to-end precision, mean of documents").value == pytest.approx(
        (2 / 3 + 1 / 2 + 0) / 3
    )
    assert found.counts == {
        "texts": 3, "gold mentions": 7, "required": 5, "required, not in the table": 1, "optional": 0,
        "ignored": 1, "nil": 1,
    }  # fmt: skip
    assert found.linked.n_mentions == 6


def test_groups_by_frequency_and_prior(index):
    inlinks = {15: 1001, 3: 1000, 11: 10, 12: 5, 4: 0, 18: 11}
    found = evaluate(index, PAPER, DICTIONARY, scoring=QUICK, n_inlinks=inlinks.__getitem__)
    frequency = {
        group.name: {f.name: (f.part, f.whole) for f in group.figures}
        for group in found.by_frequency
    }
    assert frequency["head (>1000)"]["end-to-end precision"] == (1, 2)
    assert frequency["torso (11-1000)"]["end-to-end precision"] == (1, 2)
    assert frequency["torso (11-1000)"]["end-to-end recall"] == (1, 1)
    assert frequency["tail (1-10)"]["end-to-end precision"] == (0, 1)  # the ship
    assert frequency["tail (1-10)"]["candidate recall@5"] == (1, 1)  # the film
    assert frequency["unseen (0)"]["end-to-end recall"] == (1, 1)
    assert frequency["not in the table"]["end-to-end recall"] == (0, 1)
    prior = {
        group.name: {f.name: (f.part, f.whole) for f in group.figures} for group in found.by_prior
    }
    assert prior["0.1 to 0.5"]["accuracy given gold span"] == (0, 1)  # Titanic the film: .3
    assert prior["0.9 to 1"]["end-to-end recall"] == (3, 3)
    assert prior["no candidate"]["candidate recall@50"] == (0, 1)
    everything = {f.name: (f.part, f.whole) for f in found.figures}
    for groups in (frequency, prior):
        for name, (part, whole) in everything.items():
            if part is not None:
                sums = np.sum([group[name] for group in groups.values()], axis=0).tolist()
                assert sums == [part, whole], "each verdict falls into one group of a kind"


def test_groups_by_domain(index):
    (plain,) = evaluate(index, PAPER, DICTIONARY, scoring=QUICK).by_domain
    assert plain.name == "plain"
    assert {f.name: f.whole for f in plain.figures}["end-to-end precision"] == 1


def test_the_groups_have_names_for_what_has_no_entity():
    assert frequency_group(NO_ENTITY, 5) == prior_group(NO_ENTITY, 0.5) == "NIL"
    assert frequency_group(UNKNOWN_ENTITY, 0) == "not in the table"


def test_titles_are_judged_as_a_whole(index):
    gold = titles(
        ("Matrix, The (1999) [VHS]", "The Matrix (1999 film)", "films"),  # linked to the franchise
        ("Titanic", 11, "films"),  # right
        ("Star Wars: A New Hope", 1, "films"),  # the reading before the colon
        ("Spielberg and the Titanic", None, "books"),  # gold NIL, and no link of the whole
        ("Nothing Known", 4, "books"),  # not linked
    )
    found = evaluate(index, gold, DICTIONARY, scoring=QUICK)
    counts = {f.name: (f.part, f.whole) for f in found.figures if f.part is not None}
    assert counts["whole-title accuracy"] == (2, 4)
    assert counts["candidate recall@1"] == (2, 4)
    assert counts["candidate recall@5"] == (3, 4)
    assert counts["end-to-end precision"] == (2, 3)
    assert counts["NIL precision"] == (1, 2)
    assert counts["NIL recall"] == (1, 1)
    books, films = found.by_domain
    assert {f.name: (f.part, f.whole) for f in films.figures}["whole-title accuracy"] == (2, 3)
    assert books.name == "books"


class Oracle:
    """Takes the candidate that gold names, or nobody."""

    def __init__(self, wanted):
        self.wanted = wanted

    def choose_many(self, queries, candidates):
        """Return the wanted candidate of each query."""
        return [
            next(
                (Choice(row, "context") for row, one in enumerate(found) if one.entity_id == self.wanted.get(query.key)),
                NIL,
            )
            for query, found in zip(queries, candidates, strict=True)
        ]  # fmt: skip


KNOWN = {
    "Star Wars": 2,
    "New York Times": 4,
    "Titanic": 13,
    "Steven Spielberg": 15,
    "Big Apple": 3,
    "The Matrix": 9,
}
FILLER = st.sampled_from(["and", "\N{GRINNING FACE}", "&amp;", "e\u0301", "<b>so</b>", "1999"])


@st.composite
def gold_of_known_names(draw, most=3):
    texts = []
    for _ in range(draw(st.integers(1, most))):
        names = draw(st.lists(st.sampled_from(sorted(KNOWN)), max_size=3))
        text = "; ".join([*(f"{draw(FILLER)} {name}" for name in names), draw(FILLER)])
        texts.append(gold_text(text, *((name, KNOWN[name], "required") for name in names)))
    return Gold("text", tuple(texts))


@given(gold_of_known_names())
@settings(max_examples=40, deadline=None)
def test_who_knows_the_answers_has_one_everywhere(index, gold):
    found = evaluate(index, gold, DICTIONARY, scoring=QUICK, chooser=Oracle(KNOWN))
    for figure in (*found.figures, *found.macro):
        if figure.value is not None and not figure.name.startswith(("candidate recall@1", "NIL")):
            assert (figure.value, figure.low, figure.high) == (1.0, 1.0, 1.0), figure.name


@given(gold_of_known_names(), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_permuting_documents_changes_nothing(index, gold, random):
    shuffled = gold._replace(texts=tuple(random.sample(gold.texts, len(gold.texts))))
    one, other = (evaluate(index, each, DICTIONARY, scoring=QUICK) for each in (gold, shuffled))
    assert one.counts == other.counts
    assert [f.value for f in one.figures] == [f.value for f in other.figures]


def test_who_links_nobody_marks_nil(index):
    gold = Gold(
        "text",
        (gold_text("See Titanic and York.", ("Titanic", None, "nil"), ("York", 18, "required")),),
    )
    found = evaluate(index, gold, DICTIONARY, scoring=QUICK, chooser=Oracle({}))
    assert found.figure("end-to-end recall").value == 0.0
    assert found.figure("end-to-end precision").whole == 0
    assert (found.figure("NIL precision").part, found.figure("NIL precision").whole) == (1, 2)
    assert found.figure("NIL recall").value == 1.0


def test_links_outside_the_annotated_part_do_not_count(index):
    text = "Titanic. Steven Spielberg. York"
    gold = gold_text(text, ("Steven Spielberg", 15, "required"), evaluated=(9, 26))
    found = evaluate(index, Gold("text", (gold,)), DICTIONARY, scoring=QUICK)
    assert (
        found.figure("end-to-end precision").part,
        found.figure("end-to-end precision").whole,
    ) == (1, 1)


def test_the_rule_is_said_in_words(index):
    strong = "\n".join(evaluate(index, PAPER, DICTIONARY, scoring=QUICK).rule)
    assert "both its offsets are the same" in strong
    assert "20 draws, seed 0" in strong
    weak = evaluate(index, PAPER, DICTIONARY, scoring=EvaluationConfig(rule="weak", n_draws=20))
    assert "code point in common" in weak.rule[0]
    assert weak.figure("span precision").part >= 4
    title = evaluate(index, titles(("Titanic", 11, None)), DICTIONARY, scoring=QUICK)
    assert "linked as a whole" in title.rule[0]


def test_gold_without_mentions_and_an_entity_by_title_only(index):
    gold = Gold(
        "text",
        (gold_text("Nothing here."), gold_text("York", ("York", "No such page", "required"))),
    )
    found = evaluate(index, gold, DICTIONARY, scoring=QUICK)
    assert found.counts["required, not in the table"] == 1
    assert found.figure("end-to-end recall").value == 0.0
    empty = evaluate(index, Gold("text", gold.texts[:1]), DICTIONARY, scoring=QUICK)
    assert {f.value for f in (*empty.figures, *empty.macro)} == {None}


def test_a_qid_the_table_lacks_falls_back_to_its_title(index):
    mention = GoldMention(0, 4, "York", "York", 999, "required")
    found = evaluate(
        index, Gold("text", (GoldText("York", (mention,)),)), DICTIONARY, scoring=QUICK
    )
    assert found.figure("candidate recall@1").value == 1.0


@pytest.mark.real
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/linking/benchmarks")
@pytest.mark.parametrize(
    ("name", "n_texts", "n_mentions", "n_units"),
    [
        ("wiki-fair", 80, 1961, 921),
        ("oke-2015-train", 95, 341, 297),
        ("oke-2016-train", 196, 1049, 784),
        ("news-fair-no-coref", 40, 395, 233),
        ("derczynski", 183, 292, 210),
    ],
)
def test_public_benchmarks_are_read_and_have_the_units_their_own_scorer_counts(
    index, name, n_texts, n_mentions, n_units
):
    """ELEVANT counts 913, 296, 784, 232 and 210: it knows which labels nest and which are descriptions."""
    path = SHARED / "data" / "linking" / "benchmarks" / f"{name}.jsonl"
    gold = read_gold(path)
    assert len(gold.texts) == n_texts
    assert sum(len(text.mentions) for text in gold.texts) == n_mentions
    assert n_mentions == sum(
        len(json.loads(line)["mentions"]) for line in path.read_text(encoding="utf-8").splitlines()
    )
    found = evaluate(index, gold, DICTIONARY, scoring=QUICK)
    assert found.figure("end-to-end recall").whole == n_units
