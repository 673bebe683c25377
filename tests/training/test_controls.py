"""Controls: each takes away what it says, and no more."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.controls import (
    SEPARATOR,
    ConstantText,
    RandomNames,
    RandomProfiles,
    ShuffledItems,
    SourceOnly,
    TitlesOnly,
)
from training.dataset import ProfileSource


@pytest.fixture
def histories(world):
    return {domain: rows[:9] for domain, rows in world.data.interactions.items()}


def sources(world, histories):
    inner = world.profiles
    return {
        "shuffled": ShuffledItems.of(inner, {"books": 24, "films": 18}, seed=3),
        "titles": TitlesOnly(inner.titles),
        "names": RandomNames(inner, seed=3),
        "random": RandomProfiles.of(inner, histories, seed=3),
        "constant": ConstantText(inner),
        "source": SourceOnly(inner, "films"),
    }


def test_all_are_profile_sources_and_functions_of_the_history_alone(world, histories):
    order = np.array([4, 0, 8, 1])
    some = {domain: rows[order] for domain, rows in histories.items()}
    for name, source in sources(world, histories).items():
        assert isinstance(source, ProfileSource)
        texts = source.texts(histories)
        assert source.texts(some) == [texts[row] for row in order], name
        whole, part = source.interests(histories), source.interests(some)
        assert np.array_equal(part.toarray(), whole.toarray()[order]), name


def test_nothing_gives_nothing(world, histories):
    nothing = {domain: csr_array(rows.shape) for domain, rows in histories.items()}
    for name, source in sources(world, histories).items():
        assert source.texts(nothing) == [""] * 9, name
        assert source.interests(nothing).nnz == 0, name


def test_shuffled_items_lend_the_titles_of_others(world, histories):
    source = ShuffledItems.of(world.profiles, {"books": 24, "films": 18}, seed=3)
    titles = world.profiles.titles
    for row, text in enumerate(source.texts(histories)):
        expected = {
            titles[domain][source.stands_for[domain][item]]
            for domain, rows in histories.items()
            for item in rows.toarray()[row].nonzero()[0]
        }
        assert set(text.split(SEPARATOR)) == expected
    assert source.texts(histories) != world.profiles.texts(histories)


def test_random_names_tell_entities_apart_and_nothing_else(world, histories):
    true, random = world.profiles.texts(histories), RandomNames(world.profiles).texts(histories)
    named: dict[str, str] = {}
    for ours, theirs in zip(true, random, strict=True):
        for title, name in zip(ours.split(SEPARATOR), theirs.split(SEPARATOR), strict=True):
            assert named.setdefault(title, name) == name
            assert [len(word) for word in title.split()] == [len(word) for word in name.split()]
    assert len(set(named.values())) == len(named)
    assert not set(named) & set(named.values())


def test_random_profiles_are_as_long_and_as_heavy(world, histories):
    source = RandomProfiles.of(world.profiles, histories, seed=1)
    true, random = world.profiles.interests(histories), source.interests(histories)
    assert np.array_equal(np.diff(true.indptr), np.diff(random.indptr))
    assert true.sum() == random.sum()
    assert (true != random).nnz > 0
    for ours, theirs in zip(world.profiles.texts(histories), source.texts(histories), strict=True):
        assert ours.count(SEPARATOR) == theirs.count(SEPARATOR)


def test_titles_constant_and_source_only(world, histories):
    assert TitlesOnly(world.profiles.titles).texts(histories) == world.profiles.texts(histories)
    assert set(ConstantText(world.profiles).texts(histories)) == {"interests"}
    texts = SourceOnly(world.profiles, "films").texts(histories)
    assert not any("film" in text for text in texts)
    assert all("book" in text for text in texts)


def test_the_leak_on_purpose_leaves_labels_in_the_profile(world):
    from training.embedme.config import EmbedMeConfig
    from training.embedme.examples import Drawing, draw_examples, histories

    for leaky in (False, True):
        drawing = Drawing.of(EmbedMeConfig(labels_in_profile=leaky))
        examples = draw_examples(world.data, drawing, np.random.default_rng(0))
        held = histories(world.data, examples, slice(None))["films"]
        both = held.multiply(examples.labels > 0)
        assert both.nnz == (examples.labels.nnz if leaky else 0)
