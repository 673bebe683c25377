"""The three detectors, each against small texts whose spans are known, and the spaCy pipeline's refusals."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.surface import folded_key
from entity_linking.config import LinkConfig, reaches
from entity_linking.errors import PipelineError
from entity_linking.spans import (
    Recogniser,
    dictionary_proposals,
    dictionary_proposals_many,
    ner_proposals,
    title_proposals,
)
from entity_linking.text import clean_text
from entity_linking.titles import parse_title

spacy = pytest.importorskip("spacy")


def keys(proposals):
    return [proposal.key for proposal in proposals]


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    """A spaCy pipeline that knows five names, with a component in it that must never run."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [
            {"label": "PERSON", "pattern": "Steven Spielberg"},
            {"label": "WORK_OF_ART", "pattern": "the Big Apple"},
            {"label": "ORG", "pattern": "New York Times"},
            {"label": "DATE", "pattern": "1975"},
        ]
    )
    nlp.add_pipe("sentencizer", first=True)
    folder = tmp_path_factory.mktemp("pipelines") / "five_names"
    nlp.to_disk(folder)
    return folder


def test_title_proposals_are_the_readings_in_order():
    parts = parse_title("Matrix, The (1999)")
    proposals = title_proposals(parts)
    assert keys(proposals) == ["Matrix, The (1999)", "The Matrix", "Matrix, The"]
    assert [(span.start, span.stop, span.detector) for span in proposals] == [
        (0, 18, "title"),
        (0, 11, "title"),
        (0, 11, "title"),
    ]


def test_case_58_longest_dictionary_match_comes_first(index):
    proposals = dictionary_proposals(
        index, clean_text("In York I read the New York Times"), LinkConfig()
    )
    assert keys(proposals)[0] == "New York Times"
    lengths = [span.stop - span.start for span in proposals]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("word", ["It", "Up", "Her", "Us", "The Who"])
@pytest.mark.parametrize(("min_link_prob", "found"), [(0.0, True), (0.5, False)])
def test_case_60_link_probability_decides(index, word, min_link_prob, found):
    config = LinkConfig(min_link_prob=min_link_prob)
    proposals = dictionary_proposals(index, clean_text(f"Then {word} came"), config)
    assert (word in keys(proposals)) is found


@pytest.mark.parametrize(("phrases", "found"), [((), True), (("the who", "who"), False)])
def test_case_60_stop_phrases_decide(index, phrases, found):
    config = LinkConfig(min_link_prob=0.0, stop_phrases=phrases)
    proposals = dictionary_proposals(index, clean_text("Then THE WHO came"), config)
    assert bool(proposals) is found


def test_default_stop_phrases_hold_what_is_written_on_wrappers(index):
    assert dictionary_proposals(index, clean_text("second edition"), LinkConfig()) == []
    assert keys(
        dictionary_proposals(index, clean_text("second edition"), LinkConfig(stop_phrases=()))
    )


@pytest.mark.parametrize(
    ("surface", "text", "n_words"),
    [
        ("The Sting", "see The Sting now", 2),
        ("Jaws", "see Jaws now", 1),
        ("O'Brien", "see O'Brien now", 1),
        ("北京", "我爱北京", 2),
        ("the sting", "see the sting now", 0),
    ],
)
def test_uncounted_link_probability_asks_for_words_and_a_capital(
    make_index, surface, text, n_words
):
    """`n_words` is the largest `min_words_uncounted` that lets the surface pass; 0: none does."""
    index = make_index({surface: (None, {1: 1.0})}, {1: surface})
    passing = [
        limit
        for limit in range(1, 4)
        if dictionary_proposals(index, clean_text(text), LinkConfig(min_words_uncounted=limit))
    ]
    assert max(passing, default=0) == n_words


@pytest.mark.parametrize(
    ("surface", "text", "found"),
    [
        ("IN", "who lives in York", False),
        ("IN", "Gary, IN 46401", True),
        ("CO", "Holt and Co books", False),
        ("`", "the world's end", False),
        ("The Sting", "THE STING", True),
        ("The Sting", "the sting", True),
        ("LGBT", "LGBT novels", True),
        ("北京", "我爱北京", True),
    ],
)
def test_a_word_is_not_the_acronym_it_folds_to(make_index, surface, text, found):
    """On real pages "IN" links to Indiana, and its link probability would carry over to each "in"."""
    index = make_index({surface: (1.0, {1: 1.0})}, {1: "Meant"})
    assert bool(dictionary_proposals(index, clean_text(text), LinkConfig())) is found


@pytest.mark.parametrize(("min_prior", "found"), [(0.9, True), (0.95, False)])
def test_dictionary_match_needs_a_likely_entity(index, min_prior, found):
    config = LinkConfig(min_prior=min_prior)
    assert bool(dictionary_proposals(index, clean_text("in New York"), config)) is found


@given(
    texts=st.lists(
        st.lists(
            st.sampled_from(
                ["It", "the who", "THE WHO", "York", "New York Times", "edition", "北京"]
            ),
            max_size=4,
        ).map(" ".join),
        max_size=5,
    ),
    min_link_prob=st.sampled_from([0.0, 0.3, 0.5]),
    min_prior=st.sampled_from([0.0, 0.8, 0.9]),
)
def test_proposals_of_many_texts_are_those_of_each(index, texts, min_link_prob, min_prior):
    """Each kept match passes every rule, taken one by one and in plain Python."""
    config = LinkConfig(min_link_prob=min_link_prob, min_prior=min_prior)
    cleans = [clean_text(text) for text in texts]
    together = dictionary_proposals_many(index, cleans, config)
    assert together == [dictionary_proposals(index, clean, config) for clean in cleans]
    for text, proposals in zip(texts, together, strict=True):
        expected = sorted(
            (match.start, match.stop)
            for match in index.matches(text)
            if reaches(match.prior, min_prior)
            and reaches(match.link_prob, min_link_prob)
            and folded_key(text[match.start : match.stop]) not in config.stop_phrases
            and (match.surface.isupper() <= text[match.start : match.stop].isupper())
        )
        assert sorted((span.start, span.stop) for span in proposals) == expected


def test_ner_proposals_come_with_and_without_article_and_possessive():
    text = "See &quot;The Shining&rsquo;s end"
    clean = clean_text(text)
    start = clean.text.index("The")
    proposals = ner_proposals(clean, [(start, start + len("The Shining's"), "WORK_OF_ART")])
    assert keys(proposals) == ["The Shining\u2019s", "The Shining", "Shining\u2019s", "Shining"]
    assert text[proposals[0].start : proposals[0].stop] == "The Shining&rsquo;s"
    assert text[proposals[-1].start : proposals[-1].stop] == "Shining"


@given(st.text(max_size=20), st.data())
def test_ner_proposals_stay_inside_what_was_found(text, data):
    clean = clean_text(text)
    start = data.draw(st.integers(0, len(clean.text)))
    stop = data.draw(st.integers(start, len(clean.text)))
    for proposal in ner_proposals(clean, [(start, stop, "ORG")]):
        assert proposal.key == proposal.key.strip() != ""
        assert proposal.key in clean.text[start:stop]


def test_recogniser_finds_names_with_the_wanted_labels(pipeline_folder):
    recogniser = Recogniser(str(pipeline_folder), ["PERSON", "WORK_OF_ART"], batch_size=2)
    texts = ["by Steven Spielberg, 1975", "", "the Big Apple", "New York Times", "Steven Spielberg"]
    assert recogniser.find(texts) == [
        [(3, 19, "PERSON")],
        [],
        [(0, 13, "WORK_OF_ART")],
        [],
        [(0, 16, "PERSON")],
    ]


def test_recogniser_switches_off_what_it_does_not_need(pipeline_folder):
    recogniser = Recogniser(str(pipeline_folder), ["PERSON"], batch_size=2)
    assert recogniser._disabled == ["sentencizer"]


def test_fault_36_missing_pipeline_names_the_install_command():
    with pytest.raises(PipelineError, match=r"python -m spacy download xx_no_such_sm$") as caught:
        Recogniser("xx_no_such_sm", ["PERSON"], 8)
    assert "\n" not in str(caught.value)


def test_missing_folder_says_what_was_expected(tmp_path):
    with pytest.raises(PipelineError, match=r"absent.*expected a folder with config.cfg"):
        Recogniser(str(tmp_path / "absent"), ["PERSON"], 8)
    with pytest.raises(PipelineError, match="expected a folder"):
        Recogniser(str(tmp_path), ["PERSON"], 8)


def test_pipeline_without_recogniser_is_refused(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "no_ner")
    with pytest.raises(PipelineError, match="no entity recogniser, only: sentencizer"):
        Recogniser(str(tmp_path / "no_ner"), ["PERSON"], 8)


def test_pipeline_with_other_labels_is_refused(pipeline_folder):
    with pytest.raises(PipelineError, match=r"DATE, ORG, PERSON.*none of ner_labels: MISC, PER$"):
        Recogniser(str(pipeline_folder), ["PER", "MISC"], 8)


def test_damaged_pipeline_is_one_line(pipeline_folder, tmp_path):
    (tmp_path / "meta.json").write_bytes((pipeline_folder / "meta.json").read_bytes())
    (tmp_path / "config.cfg").write_text('[nlp]\nlang = "en"\npipeline = ["nonsense"]\n')
    with pytest.raises(PipelineError) as caught:
        Recogniser(str(tmp_path), ["PERSON"], 8)
    assert "\n" not in str(caught.value)


def test_spacy_is_not_imported_before_a_pipeline_is_used():
    code = "import sys, entity_linking, entity_linking.linker; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
