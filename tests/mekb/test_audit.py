"""The audit against worlds with planted leaks: what is there is counted, what is not is not claimed."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from mekb import api
from mekb.audit import Verdict, as_markdown, audit
from mekb.config import load_settings
from mekb.dataset import load_world
from mekb.errors import UnknownError
from mekb.store import Store
from training.split_config import SplitConfig
from training.splits import make_split

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "amazon_kg_5core"
START = datetime(2021, 5, 1, 12, 30)  # noqa: DTZ001  the store's times are UTC without saying so
N_USERS = 40


def planted():
    """Return items and events of 40 users: book 0 is film 0 for users 0 to 7; book 1 comes after all films."""
    items = [
        *({"domain": "books", "item_id": f"b{n}", "title": f"Book {n}"} for n in range(6)),
        *({"domain": "films", "item_id": f"f{n}", "title": f"Film {n}"} for n in range(6)),
        {"domain": "films", "item_id": "F1", "title": "book  5!"},
    ]
    events = []
    for user in range(N_USERS):
        own = {"user_id": f"u{user}", "rating": 5.0}
        at = START + timedelta(days=user, seconds=user)
        if user < 8:
            events += [
                own | {"domain": domain, "item_id": item, "timestamp": at + shift}
                for domain, item, shift in (
                    ("books", "b0", timedelta(0)),
                    ("films", "f0", timedelta(hours=1)),
                )
            ]
        events += [
            own | {"domain": "books", "item_id": f"b{2 + user % 3}", "timestamp": at},
            own | {"domain": "films", "item_id": f"f{1 + user % 4}", "timestamp": at + timedelta(days=1)},
        ]  # fmt: skip
        if user < 5:
            late = at + timedelta(days=200)
            events.append(own | {"domain": "books", "item_id": "b1", "timestamp": late})
    events.append(
        {"user_id": "U0", "rating": 1.0, "domain": "films", "item_id": "F1", "timestamp": START}
    )
    return items, events


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "leaky.duckdb"
    items, events = planted()
    api.import_data(path, items=[pd.DataFrame(items)], interactions=[pd.DataFrame(events)])
    with Store.open(path) as store:
        yield store


@pytest.fixture(scope="module")
def found(leaky):
    return audit(leaky, "films", ("books",))


def test_the_planted_product_is_found_and_nothing_else(found):
    finding = found.named("same users")
    assert (finding.count, finding.verdict) == (1, Verdict.LEAK)
    assert finding.of == 5, "films 0 to 4 have four users or more"
    assert finding.examples == ('books b0 "Book 0" = films f0 "Film 0" (8 users)',)
    assert "drop_twins" in finding.advice
    for name in ("same id", "same title and text", "same users and times"):
        assert (found.named(name).count, found.named(name).verdict) == (0, Verdict.OK)


def test_the_test_rows_in_the_source_are_those_of_the_split(leaky, found):
    """Counted again from the split itself: test rows of film 0, whose buyers all have book 0."""
    world = load_world(leaky, ("books", "films"), linked=False)
    test = make_split(world.interactions, "films", SplitConfig()).test
    film = world.item_names["films"].index("f0")
    finding = found.named("test rows in the source")
    assert finding.of == test.positives.nnz
    assert finding.count == test.positives.toarray()[:, film].sum() > 0
    assert finding.verdict is Verdict.LEAK
    assert all("f0" in example for example in finding.examples)


def test_other_folds_and_more_evidence_give_other_numbers(leaky):
    folds = [
        audit(leaky, "films", ("books",), SplitConfig(fold=fold)).named("test rows in the source")
        for fold in range(5)
    ]
    assert sum(finding.count for finding in folds) == 8, "every buyer is tested in one fold"
    assert len({finding.of for finding in folds}) > 1
    strict = audit(leaky, "films", ("books",), SplitConfig(min_twin_buyers=9))
    assert strict.named("same users").count == 0
    assert strict.named("test rows in the source").verdict is Verdict.OK
    assert not strict.has_leak


def test_source_rows_after_the_first_target_row_are_counted(found):
    """Book 1 of five users; all other books come before their user's films."""
    finding = found.named("source after target")
    assert (finding.count, finding.verdict) == (5, Verdict.LOOK)
    assert "(5 users)" in finding.what
    assert finding.of == 8 + 40 + 5


def test_look_alike_ids_and_shared_users(found):
    items, users = found.named("look-alike item ids"), found.named("look-alike user ids")
    assert (items.count, items.examples) == (2, ("films F1 / f1",))
    assert (users.count, users.examples) == (2, ("U0 / u0",))
    shared = found.named("shared users")
    assert (shared.count, shared.of, shared.verdict) == (40, 41, Verdict.LOOK)


def test_a_title_alone_is_no_leak(found):
    assert (found.named("same title only").count, found.named("same title only").verdict) == (1, Verdict.OK)  # fmt: skip
    assert found.named("repeated rows").count == 0


def test_moments_tell_where_times_are_finer_than_a_day(tmp_path):
    items, events = planted()
    for row in events:
        if row["item_id"] in {"f0", "b0"}:
            row["timestamp"] = START + timedelta(days=int(row["user_id"][1:]), seconds=7)
    for name, coarse in (("fine", False), ("days", True)):
        frame = pd.DataFrame(events)
        frame["timestamp"] = frame["timestamp"].dt.normalize() if coarse else frame["timestamp"]
        api.import_data(tmp_path / name, items=[pd.DataFrame(items)], interactions=[frame])
        with Store.open(tmp_path / name) as store:
            seen = audit(store, "films", ("books",))
        assert seen.named("same users and times").count == (0 if coarse else 1)
        assert seen.named("same moment").count == (0 if coarse else 8)
        assert seen.named("same moment").verdict is (Verdict.OK if coarse else Verdict.LOOK)


def test_variants_within_the_target_are_found(tmp_path):
    items, events = planted()
    events += [row | {"item_id": "f5"} for row in events if row["item_id"] == "f0"]
    api.import_data(tmp_path / "s", items=[pd.DataFrame(items)], interactions=[pd.DataFrame(events)])  # fmt: skip
    with Store.open(tmp_path / "s") as store:
        seen = audit(store, "films")
    finding = seen.named("repeated products")
    assert (finding.count, finding.verdict) == (2, Verdict.LOOK)
    assert finding.examples == ('f0 "Film 0"', 'f5 "Film 5"')
    assert seen.named("same users").count == 2, "both films are book 0"


def test_entities_in_the_profile_are_those_of_brute_force(store):
    """Of the random linked world; the kinds are wikidata and brand."""
    seen = audit(store, "films", ("books",), SplitConfig(n_folds=2))
    world = load_world(store, ("books", "films"))
    split = make_split(world.interactions, "films", SplitConfig(n_folds=2))
    users = split.test.user_rows
    profile = (split.train["books"][users] @ world.item_entities["books"]).toarray() > 0
    held = world.item_entities["films"].toarray() > 0
    for kind in ("wikidata", "brand"):
        of_kind = [name == kind for name in world.entities.kinds]
        rows = list(zip(*split.test.positives.nonzero(), strict=True))
        count = sum(bool((profile[user] & held[item] & of_kind).any()) for user, item in rows)
        finding = seen.named(f"{kind} in the profile")
        assert (finding.count, finding.of) == (count, len(rows))
        assert finding.chance is not None
        assert 0 <= finding.chance <= 1
        assert finding.verdict is Verdict.OK


def test_a_world_without_shared_users_is_said_to_have_no_test(tmp_path):
    items, events = planted()
    apart = [row | {"user_id": row["domain"] + row["user_id"]} for row in events]
    api.import_data(tmp_path / "s", items=[pd.DataFrame(items)], interactions=[pd.DataFrame(apart)])
    with Store.open(tmp_path / "s") as store:
        seen = audit(store, "films")
    assert "no split can be made" in seen.named("test rows in the source").what
    assert seen.named("shared users").advice.startswith("nobody can test it")


def test_wrong_domains_are_named(leaky):
    with pytest.raises(UnknownError, match=r"no domain 'films2' in .*; it holds books, films"):
        audit(leaky, "films2")
    with pytest.raises(UnknownError, match="both source and target"):
        audit(leaky, "films", ("films",))


def test_markdown_cannot_be_broken_by_a_title(found):
    text = as_markdown([found])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {8}
    assert "## books -> films" in text
    assert "books b0" in text


def test_the_verb_takes_each_domain_in_turn(leaky):
    audits = api.audit(leaky)
    assert [(each.target, each.sources) for each in audits] == [
        ("books", ("films",)),
        ("films", ("books",)),
    ]
    settings = load_settings(None, ["split.min_twin_buyers=9"])
    assert not api.audit(leaky, target="films", settings=settings)[0].has_leak


@pytest.mark.real
def test_the_real_data_has_no_leak(tmp_path):
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}")
    api.import_data(
        tmp_path / "kg.duckdb",
        items=[REAL / "items.parquet"],
        interactions=[REAL / "interactions.parquet"],
        settings=load_settings(None, ['source.brand="creator"', "source.positive_from=1.0"]),
    )
    for each in api.audit(tmp_path / "kg.duckdb"):
        assert not each.has_leak
        assert each.named("same users").count == 0
        assert each.named("test rows in the source").of > 3000
        json.dumps(each.model_dump(mode="json"))
