"""A small alias table whose answers are known, and builders of others."""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from alias_tables.lookup import AliasIndex
from alias_tables.schema import ALIASES, CHANNELS, ENTITIES

Table = Mapping[str, tuple[float | None, Mapping[int, float]]]
"""surface -> (link probability, entity id -> prior)."""

TITLES = {
    1: "Star Wars",
    2: "Star Wars (film)",
    3: "New York City",
    4: "The New York Times",
    5: "It (novel)",
    6: "It (2017 film)",
    7: "The Who",
    8: "The Matrix (franchise)",
    9: "The Matrix",
    10: "The Matrix (1999 film)",
    11: "Titanic",
    12: "Titanic (1997 film)",
    13: "Titanic (1953 film)",
    14: "Tom & Jerry",
    15: "Steven Spielberg",
    16: "Up (2009 film)",
    17: "北京",
    18: "York",
    19: "Her (2013 film)",
    20: "Us (2019 film)",
    21: "World Health Organization",
    22: "Edition (book)",
}

TABLE: Table = {
    "Star Wars": (0.9, {1: 0.7, 2: 0.3}),
    "star wars": (0.9, {2: 1.0}),
    "New York": (0.6, {3: 0.9}),
    "New York Times": (0.8, {4: 1.0}),
    "York": (0.5, {18: 0.8}),
    "Big Apple": (0.7, {3: 1.0}),
    "It": (0.001, {5: 0.6, 6: 0.4}),
    "The Who": (0.3, {7: 0.9}),
    "Who": (0.01, {7: 0.3, 21: 0.1}),
    "Up": (0.002, {16: 0.9}),
    "Her": (0.002, {19: 0.9}),
    "Us": (0.002, {20: 0.9}),
    "The Matrix": (0.9, {8: 0.5, 10: 0.3, 9: 0.1}),
    "Titanic": (0.8, {11: 0.6, 12: 0.3, 13: 0.05}),
    "Tom & Jerry": (0.9, {14: 1.0}),
    "Steven Spielberg": (0.95, {15: 1.0}),
    "Spielberg": (0.9, {15: 0.98}),
    "北京": (0.4, {17: 1.0}),
    "edition": (0.9, {22: 0.9}),
}


@pytest.fixture(scope="session")
def make_index() -> Callable[[Table, Mapping[int, str]], AliasIndex]:
    """Return a builder of an index from a small table."""

    def build(table: Table, titles: Mapping[int, str]) -> AliasIndex:
        entities = [
            {
                "entity_id": entity_id,
                "title": title,
                "label": title,
                "description": None,
                "kind": "wikidata",
                "flags": [],
                "types": [],
                "year": None,
                "n_inlinks": 1,
            }
            for entity_id, title in sorted(titles.items())
        ]
        aliases = [
            {
                "surface": surface,
                "entity_id": entity_id,
                **{f"n_{channel}": 1 for channel in CHANNELS},
                "prior": prior,
                "link_prob": link_prob,
            }
            for surface, (link_prob, priors) in sorted(table.items())
            for entity_id, prior in sorted(priors.items())
        ]
        return AliasIndex.from_tables(
            pa.Table.from_pylist(entities, ENTITIES), pa.Table.from_pylist(aliases, ALIASES)
        )

    return build


@pytest.fixture(scope="session")
def index(make_index: Callable[[Table, Mapping[int, str]], AliasIndex]) -> AliasIndex:
    """Return the index of `TABLE`."""
    return make_index(TABLE, TITLES)


@pytest.fixture(scope="session")
def messy() -> st.SearchStrategy[str]:
    """Return texts and titles as shops write them, markup, odd characters and all."""
    any_character = st.characters(exclude_categories=())
    pieces = st.one_of(
        st.text(any_character, max_size=6),
        st.sampled_from(
            ["&amp;", "&quot;", "&amp;quot;", "&#39;", "&#x27;", "&nbsp;", "&bogus;", "&", ";"]
        ),
        st.sampled_from(["<", ">", "<b>", "</b>", "<br/>", "<!--", "-->", "<script>", "</script>"]),
        st.sampled_from(["(", ")", "[", "]", "(1999)", "[VHS]", "The", "DVD", ":", "Edition"]),
        st.sampled_from(["\u200e", "\xa0", "\x00", "\ud800", "\u0130", "e\u0301"]),
        st.sampled_from([" ", ", The", " - ", "\r\n"]),
    )
    return st.lists(pieces, max_size=12).map("".join)
