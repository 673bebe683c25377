"""What is known of a candidate: in which order its sources are believed."""

import pytest

from alias_tables.lookup import Candidate
from entity_linking.facts import facts_of


@pytest.mark.parametrize(
    ("title", "types", "year", "description", "expected"),
    [
        ("Heat (1995 film)", (), None, None, ({"film"}, {1995})),
        ("Heat (1995 film)", ("album",), None, None, ({"album"}, {1995})),
        ("Heat (1995 film)", ("film",), 1996, None, ({"film"}, {1995, 1996})),
        ("Heat", (), None, "1995 American film by Michael Mann", ({"film"}, {1995})),
        ("Heat", (), None, "Heat is a 1995 American film by Michael Mann.", ({"film"}, {1995})),
        ("Heat", ("film",), None, "1995 American film", ({"film"}, {1995})),
        ("Heat", ("book",), None, "1995 American film", ({"book"}, set())),
        ("Heat", ("film",), 1995, "2001 novel", ({"film"}, {1995})),
        ("Heat", (), None, "form of energy", (set(), set())),
        ("Heat", (), None, None, (set(), set())),
        ("Heat (Mann)", (), None, None, (set(), set())),
    ],
)
def test_sources_are_believed_in_order(title, types, year, description, expected):
    facts = facts_of(Candidate(1, title, 0.5, True, types, year), description)  # noqa: FBT003
    assert (set(facts.types), set(facts.years)) == expected
