"""One relation away: what a bundle with relations says of an entity, beside the statements it was given."""

import shutil

import pyarrow as pa
import pytest
from served_bundles import client_of, resign

from mekb.bundle.sorted_rows import write_sorted
from mekb.grounds import RELATED

JAZZ, MILES, DUNE, UNKNOWN = 8341, 93341, 190192, 188451
STATEMENTS = [
    (JAZZ, "P31", UNKNOWN, False),
    (JAZZ, "P136", MILES, True),
    (JAZZ, "P9", DUNE, False),
    (MILES, "P136", JAZZ, False),
]


@pytest.fixture(scope="module")
def related(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("related") / "bundle"
    shutil.copytree(project.bundle, folder)
    rows = sorted(STATEMENTS)
    columns = [
        pa.array([row[place] for row in rows]).cast(field.type)
        if not pa.types.is_dictionary(field.type)
        else pa.array([row[place] for row in rows]).dictionary_encode()
        for place, field in enumerate(RELATED)
    ]
    write_sorted(pa.table(columns, schema=RELATED), folder / "relations.arrow")
    resign(folder)
    with client_of(folder) as opened:
        yield opened


def test_what_items_hold_comes_first_and_each_says_which_way(related):
    answer = related.get(f"/entities/{JAZZ}/neighbours").json()
    assert (answer["entity_id"], answer["title"], answer["more"]) == (JAZZ, "Jazz", False)
    found = [
        (one["entity_id"], one["predicate"], one["is_object"], one["in_items"])
        for one in answer["neighbours"]
    ]
    assert found == [
        (MILES, "P136", True, True),
        (DUNE, "P9", False, True),
        (UNKNOWN, "P31", False, False),
    ]
    titles = {one["entity_id"]: one["title"] for one in answer["neighbours"]}
    assert titles[MILES] == "Miles Davis"
    assert {one["qid"] for one in answer["neighbours"]} == {
        f"Q{MILES}", f"Q{DUNE}", f"Q{UNKNOWN}"
    }  # fmt: skip


def test_so_many_as_were_asked_for(related):
    answer = related.get(f"/entities/{JAZZ}/neighbours?limit=1").json()
    assert [one["entity_id"] for one in answer["neighbours"]] == [MILES]
    assert answer["more"] is True


def test_an_entity_without_relations_has_no_neighbours(related):
    assert related.get(f"/entities/{DUNE}/neighbours").json()["neighbours"] == []


def test_an_entity_no_item_holds_is_not_there(related):
    assert related.get(f"/entities/{UNKNOWN}/neighbours").status_code == 404
    assert related.get("/entities/0/neighbours").status_code == 422
    assert related.get("/entities/jazz/neighbours").status_code == 422
    assert related.get("/bundle").json()["has_relations"] is True
