"""Recommendations against brute force: every number an answer holds, worked out again by hand."""
# ruff: noqa: D102  (a test's name is its docstring)

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_array

from mekb import api
from mekb.errors import UnknownError
from mekb.explain import MAX_INTERESTS, MIN_CONTRIBUTION
from mekb.given import Given, given_interests, history_of
from mekb.interests import liked_items
from mekb.profile import SEPARATOR, TASTE_WEIGHTS
from mekb.query import Wanted, answer, explain_item
from mekb.scoring import smoothed_frequency
from mekb.store import Store
from training.contract import UserBatch, empty_history


@pytest.fixture(scope="module")
def bundle(project):
    return api.open_bundle(project.bundle)


@pytest.fixture(scope="module")
def users(project):
    """Liked (domain, external id) pairs of a few users of every kind."""
    with Store.open(project.store) as store:
        names = [*store.read("users")["external_id"].to_pylist()[:25], project.newcomer]
        return {name: liked_items(store, name) for name in names}


def as_lines(pairs):
    return [f"{domain}:{item}" for domain, item in pairs]


def weights_by_hand(bundle, pairs):
    """Return entity row -> weight of a history, from equations 4 to 7 in plain Python."""
    profiles = bundle.profiles
    counts: dict[int, int] = {}
    for domain, item in pairs:
        row = bundle.items[domain].row_of[item]
        for entity in profiles.item_entities[domain][[row]].indices.tolist():
            counts[entity] = counts.get(entity, 0) + 1
    table, k_star = profiles.entities, profiles.config.k_star
    raw = {
        entity: table.multipliers[entity]
        * smoothed_frequency(np.array([float(k)]), k_star)[0]
        * np.log(table.n_all / max(table.n_users[entity], 1))
        for entity, k in counts.items()
    }
    raw = {entity: value for entity, value in raw.items() if value > 0}
    total = sum(raw.values())
    return {entity: value / total for entity, value in raw.items()}


def scores_by_hand(bundle, weights):
    """Return the score of every target item for a user of the given weights: a matrix product."""
    titles = bundle.profiles.entities.titles
    ordered = sorted(weights, key=lambda entity: (-weights[entity], entity))
    sizes = {domain: len(items.names) for domain, items in bundle.items.items()}
    text = SEPARATOR.join(titles[entity] for entity in ordered)
    table, interests = bundle.profiles.entities, np.zeros((1, len(titles)))
    for entity, weight in weights.items():
        factor = TASTE_WEIGHTS[table.kinds[entity]] / table.multipliers[entity]
        interests[0, entity] = weight * factor
    batch = UserBatch(np.zeros(1, np.uint32), empty_history(1, sizes), [text], csr_array(interests))
    return (bundle.model.user_vectors(batch) @ bundle.model.item_vectors().T)[0]


class TestAgainstBruteForce:
    """Who is recommended what."""

    @pytest.mark.parametrize("k", [1, 10, 10_000])
    def test_items_are_the_best_of_the_matrix_product_without_those_seen(self, bundle, users, k):
        target = bundle.items["films"]
        for pairs in users.values():
            scores = scores_by_hand(bundle, weights_by_hand(bundle, pairs))
            seen = {target.row_of[item] for domain, item in pairs if domain == "films"}
            order = [row for row in np.argsort(-scores, kind="stable") if row not in seen][:k]
            found = api.recommend(bundle, history=as_lines(pairs), k=k, explain=False)
            assert [one.rank for one in found.recommendations] == list(range(1, len(order) + 1))
            assert [one.score for one in found.recommendations] == pytest.approx(
                scores[order].tolist(), abs=1e-4
            )
            rows = [target.row_of[one.item] for one in found.recommendations]
            assert scores[rows].tolist() == pytest.approx(scores[order].tolist(), abs=1e-4)
            assert len(set(rows)) == len(rows)
            assert not seen & set(rows)
            titles = [one.title for one in found.recommendations]
            assert titles == [target.titles[row] for row in rows]

    def test_interests_and_weights_are_those_of_the_equations(self, bundle, users):
        titles = bundle.profiles.entities.titles
        for pairs in users.values():
            by_hand = weights_by_hand(bundle, pairs)
            found = api.recommend(bundle, history=as_lines(pairs), explain=False).interests
            expected = sorted(by_hand, key=lambda entity: (-by_hand[entity], entity))
            assert [title for title, _ in found] == [titles[entity] for entity in expected]
            assert [weight for _, weight in found] == pytest.approx(
                [by_hand[entity] for entity in expected]
            )

    def test_users_differ(self, bundle, users):
        """The check above would be empty if everybody were shown the same."""
        lists = {
            tuple(
                one.item
                for one in api.recommend(bundle, history=as_lines(p), explain=False).recommendations
            )
            for p in users.values()
        }
        assert len(lists) > len(users) / 2

    def test_a_user_of_the_store_is_answered_as_their_history_is(self, bundle, project, users):
        for user, pairs in users.items():
            by_user = api.recommend(bundle, user=user, store=project.store)
            assert by_user == api.recommend(bundle, history=as_lines(pairs))
            assert by_user.interests

    def test_the_order_of_a_history_and_repeats_change_nothing(self, bundle, users):
        lines = as_lines(next(iter(users.values())))
        expected = api.recommend(bundle, history=lines)
        assert api.recommend(bundle, history=[*reversed(lines), lines[0]]) == expected

    def test_an_item_needs_no_domain_where_its_id_is_one_of_a_kind(self, bundle):
        assert api.recommend(bundle, history=["b001"]) == api.recommend(
            bundle, history=["books:b001"]
        )

    def test_whoever_saw_everything_is_recommended_nothing(self, bundle):
        found = api.recommend(bundle, history=bundle.items["films"].names)
        assert found.recommendations == ()
        assert found.fallback is None


class TestReasons:
    """Why."""

    def test_a_contribution_is_what_the_score_loses_without_the_interest(self, bundle, users):
        entities = bundle.profiles.entities
        row_of = {int(entity): row for row, entity in enumerate(entities.entity_ids)}
        n_checked = 0
        for pairs in list(users.values())[:6]:
            weights = weights_by_hand(bundle, pairs)
            whole = scores_by_hand(bundle, weights)
            found = api.recommend(bundle, history=as_lines(pairs), k=4)
            tried = sorted(weights, key=lambda entity: (-weights[entity], entity))[:MAX_INTERESTS]
            drops = {}
            for entity in tried:
                left = {other: weight for other, weight in weights.items() if other != entity}
                drop = whole - scores_by_hand(bundle, left)
                drops[entity] = drop - drop.mean()
            for one in found.recommendations:
                item = bundle.items["films"].row_of[one.item]
                best = sorted((drop[item] for drop in drops.values()), reverse=True)[:3]
                given = [reason.contribution for reason in one.reasons]
                sure = [drop for drop in best if drop > 3e-4]
                assert given[: len(sure)] == pytest.approx(sure, abs=2e-4)
                assert all(drop > MIN_CONTRIBUTION for drop in given)
                for reason in one.reasons:
                    entity = row_of[reason.entity_id]
                    assert reason.contribution == pytest.approx(drops[entity][item], abs=2e-4)
                    assert reason.title == entities.titles[entity]
                    n_checked += 1
        assert n_checked > 30

    def test_an_interest_the_model_never_read_is_no_reason(self, bundle, users):
        """The encoder reads 32 tokens, the taste map no categories: what neither reads changes nothing."""
        pairs = max(users.values(), key=len)
        found = api.recommend(bundle, history=as_lines(pairs), k=10_000)
        reasons = {reason.title for one in found.recommendations for reason in one.reasons}
        first = [title for title, _ in found.interests]
        text = SEPARATOR.join(first)
        (ids,) = bundle.model.tokenizer.ids([text])
        table = bundle.profiles.entities
        felt = {t for t, kind in zip(table.titles, table.kinds, strict=True) if TASTE_WEIGHTS[kind]}
        cut_off = [
            title
            for place, title in enumerate(first)
            if title not in felt
            and bundle.model.tokenizer.ids([SEPARATOR.join(first[:place])]) == [ids]
        ]
        assert len(cut_off) > 1
        assert reasons
        assert not reasons & set(cut_off)

    def test_reasons_name_items_of_the_history_that_hold_the_entity(self, bundle, users):
        entities = bundle.profiles.entities
        row_of = {int(entity): row for row, entity in enumerate(entities.entity_ids)}
        for pairs in users.values():
            for one in api.recommend(bundle, history=as_lines(pairs)).recommendations:
                for reason in one.reasons:
                    holders = [
                        bundle.items[domain].titles[bundle.items[domain].row_of[item]]
                        for domain, item in pairs
                        if bundle.profiles.item_entities[domain][
                            [bundle.items[domain].row_of[item]], [row_of[reason.entity_id]]
                        ].sum()
                    ]
                    assert reason.items
                    assert len(reason.items) == min(3, len(holders))
                    assert set(reason.items) <= set(holders)

    def test_an_only_interest_carries_the_whole_score(self, bundle):
        found = api.recommend(bundle, interests=["Q8341"], k=5)
        weights = given_interests(bundle, ["Q8341"]).weights
        scores = scores_by_hand(bundle, dict.fromkeys(weights.indices.tolist(), 1.0))
        for one in found.recommendations:
            (reason,) = one.reasons
            assert (reason.title, reason.items) == ("Jazz", ())
            assert reason.contribution == pytest.approx(one.score - scores.mean(), abs=1e-4)

    def test_unexplained_answers_are_the_same_but_for_reasons(self, bundle, users):
        for pairs in list(users.values())[:5]:
            bare = api.recommend(bundle, history=as_lines(pairs), explain=False)
            told = api.recommend(bundle, history=as_lines(pairs))
            without = tuple(dataclasses.replace(one, reasons=()) for one in told.recommendations)
            assert dataclasses.replace(told, recommendations=without) == bare


class TestFallback:
    """Users with nothing to go by."""

    def test_nothing_known_falls_back_to_popularity_and_says_so(self, bundle):
        target = bundle.items["films"]
        found = answer(bundle, Given(csr_array((1, len(bundle.profiles.entities.titles)))), k=7)
        assert found.fallback == "popularity"
        assert found.interests == ()
        expected = sorted(target.names, key=lambda name: -target.n_users[target.row_of[name]])[:7]
        assert [one.item for one in found.recommendations] == expected
        assert [one.score for one in found.recommendations] == [
            target.n_users[target.row_of[name]] for name in expected
        ]

    def test_popularity_counts_training_rows_only(self, bundle, project):
        """Fewer than the store's own counts: the films of test and validation users are not in it."""
        with Store.open(project.store) as store:
            liked = store.connection.execute(
                "select count(*) from interactions join items using (item_id)"
                " where positive and domain = 'films'"
            ).fetchone()
        assert liked is not None
        assert 0 < bundle.items["films"].n_users.sum() < 0.9 * liked[0]

    def test_a_history_without_entities_falls_back_but_leaves_out_what_was_seen(self, bundle):
        known = history_of(bundle, [("films", bundle.items["films"].names[5])])
        empty = csr_array((1, len(bundle.profiles.entities.titles)))
        found = answer(bundle, Given(empty, known), k=10_000)
        assert found.fallback == "popularity"
        assert len(found.recommendations) == len(bundle.items["films"].names) - 1
        assert bundle.items["films"].names[5] not in {one.item for one in found.recommendations}

    def test_a_user_who_liked_nothing_falls_back(self, bundle, own_project):
        with Store.open(own_project.store) as store:
            interactions = store.read("interactions")
            first = interactions["user_id"][0].as_py()
            own = [user == first for user in interactions["user_id"].to_pylist()]
            positive = [
                not mine and liked
                for mine, liked in zip(own, interactions["positive"].to_pylist(), strict=True)
            ]
            index = interactions.schema.get_field_index("positive")
            changed = interactions.set_column(index, interactions.schema.field(index), [positive])
            store.replace({"interactions": changed})
            name = store.read("users")["external_id"][first].as_py()
        found = api.recommend(bundle, user=name, store=own_project.store)
        assert found.fallback == "popularity"
        assert len(found.recommendations) == 10

    def test_an_interest_everybody_has_says_nothing_and_is_said(self, bundle):
        entities = bundle.profiles.entities
        row = entities.titles.index("Jazz")
        n_users = entities.n_users.copy()
        n_users[row] = entities.n_all
        changed = dataclasses.replace(entities, n_users=n_users)
        scorer = type(bundle.profiles)(
            changed, bundle.profiles.item_entities, bundle.profiles.config
        )
        former, bundle.profiles = bundle.profiles, scorer
        try:
            found = api.recommend(bundle, interests=["jazz"])
        finally:
            bundle.profiles = former
        assert found.fallback == "popularity"
        assert found.notes == ("'Jazz' weighs nothing here: every user has it",)


class TestInterestsByName:
    """QIDs, titles, names."""

    @pytest.mark.parametrize("name", ["Q8341", "q8341", "Jazz", "jazz", "JAZZ"])
    def test_one_entity_has_many_names(self, bundle, name):
        found = api.recommend(bundle, interests=[name], explain=False)
        assert found == api.recommend(bundle, interests=["Jazz"], explain=False)
        assert found.interests == (("Jazz", 1.0),)
        assert found.notes == ()

    def test_the_same_interest_twice_counts_once(self, bundle):
        names = ["Jazz", "Q8341", "Hayao Miyazaki"]
        twice = api.recommend(bundle, interests=names, explain=False)
        assert twice == api.recommend(bundle, interests=["Hayao Miyazaki", "jazz"], explain=False)

    def test_weights_are_the_share_of_idf(self, bundle):
        names = ["Jazz", "Hayao Miyazaki"]
        entities = bundle.profiles.entities
        rows = [entities.titles.index(name) for name in names]
        idf = np.log(entities.n_all / entities.n_users[rows]) * entities.multipliers[rows]
        found = dict(api.recommend(bundle, interests=names).interests)
        assert [found[name] for name in names] == pytest.approx((idf / idf.sum()).tolist())

    def test_an_ambiguous_name_means_its_likeliest_entity_that_an_item_holds(self, bundle, project):
        held = set(bundle.profiles.entities.entity_ids.tolist())
        candidates = api.lookup(project.store, "Dune")
        assert len(candidates) > 1
        expected = next(one.title for one in candidates if one.entity_id in held)
        assert api.recommend(bundle, interests=["dune "]).interests[0][0] in {
            expected,
            bundle.aliases.title(bundle.aliases.entity("Dune") or 0),
        }

    def test_an_unknown_name_is_noted_and_the_others_count(self, bundle):
        found = api.recommend(bundle, interests=["xyzzy", "Jazz"])
        assert found.notes == ("'xyzzy' is not in the alias table",)
        assert found.recommendations == api.recommend(bundle, interests=["Jazz"]).recommendations

    def test_a_known_entity_no_item_holds_is_noted_as_such(self, bundle, project):
        with Store.open(project.store) as store:
            unheld = store.connection.execute(
                "select title from entities anti join item_entities using (entity_id)"
                " order by entity_id limit 1"
            ).fetchone()
        assert unheld is not None
        found = api.recommend(bundle, interests=[unheld[0], "Jazz"])
        assert found.notes == (f"'{unheld[0]}' is known, but no item holds it",)

    def test_only_unknown_names_are_an_error_that_says_each(self, bundle):
        with pytest.raises(UnknownError, match=r"'xyzzy' is not.*; 'plugh' is not"):
            api.recommend(bundle, interests=["xyzzy", "plugh"])


class TestHistory:
    """Items as a person names them."""

    def test_an_empty_history_is_a_row_of_nothing_in_every_domain(self, bundle):
        found = history_of(bundle, [])
        assert {domain: matrix.shape for domain, matrix in found.items()} == {
            domain: (1, len(items.names)) for domain, items in bundle.items.items()
        }
        assert sum(matrix.nnz for matrix in found.values()) == 0

    def test_an_item_is_a_one_at_its_row(self, bundle):
        found = history_of(bundle, [("books", "b003"), (None, "f002")])
        assert found["books"].indices.tolist() == [bundle.items["books"].row_of["b003"]]
        assert found["films"].indices.tolist() == [bundle.items["films"].row_of["f002"]]
        assert found["music"].nnz == 0

    @pytest.mark.parametrize("k", [0, -1])
    def test_fewer_than_one_item_is_refused(self, bundle, k):
        with pytest.raises(UnknownError, match=f"k is {k}; ask for 1"):
            api.recommend(bundle, interests=["Jazz"], k=k)

    @pytest.mark.parametrize(
        "given",
        [{}, {"history": ["b001"], "interests": ["Jazz"]}, {"user": "u00001", "history": ["b001"]}],
    )
    def test_one_way_to_say_who_is_asked_for(self, bundle, given):
        with pytest.raises(UnknownError, match="give one of"):
            api.recommend(bundle, **given)

    def test_a_user_without_a_store_is_refused(self, bundle):
        with pytest.raises(UnknownError, match="without a store"):
            api.recommend(bundle, user="u00001")


class TestWanted:
    """What may be recommended."""

    def test_the_best_that_are_left_come_in_their_order(self, bundle, users):
        pairs = next(iter(users.values()))
        full = api.recommend(bundle, history=as_lines(pairs), k=10_000, explain=False)
        order = [one.item for one in full.recommendations]
        for n_blocked in (1, 3, len(order) - 2):
            wanted = Wanted(blocked=frozenset(order[:n_blocked]))
            found = api.recommend(
                bundle, history=as_lines(pairs), k=5, explain=False, wanted=wanted
            )
            left = full.recommendations[n_blocked:][:5]
            assert [one.item for one in found.recommendations] == [one.item for one in left]
            assert [one.score for one in found.recommendations] == pytest.approx(
                [one.score for one in left], abs=1e-4
            )
            assert [one.rank for one in found.recommendations] == list(range(1, len(left) + 1))

    def test_seen_items_come_back_where_asked_for(self, bundle):
        seen = bundle.items["films"].names[:3]
        lines = [f"films:{name}" for name in seen]
        shown = api.recommend(bundle, history=lines, k=10_000, explain=False).recommendations
        assert not {one.item for one in shown} & set(seen)
        again = api.recommend(
            bundle, history=lines, k=10_000, explain=False, wanted=Wanted(seen=True)
        ).recommendations
        assert {one.item for one in again} == set(bundle.items["films"].names)
        without = [one.item for one in again if one.item not in seen]
        assert without == [one.item for one in shown]

    def test_a_film_that_is_itself_an_interest_is_known(self, bundle):
        """Who brings a film as an interest is not shown that film, but may ask for it."""
        row, title = 7, bundle.items["films"].titles[7]
        held = bundle.profiles.item_entities["films"]
        own = [one for one, item in bundle.item_of_product.items() if item == row]
        assert [bundle.profiles.entities.titles[entity] for entity in own] == [title]
        assert (held[:, own].sum(), held[row, own[0]]) == (1, 1)
        name = bundle.items["films"].names[row]
        named = given_interests(bundle, [int(bundle.profiles.entities.entity_ids[own[0]])])
        shown = answer(bundle, named, k=10_000, explain=False).recommendations
        assert {one.item for one in shown} == {*bundle.items["films"].names} - {name}
        again = answer(bundle, named, k=10_000, explain=False, wanted=Wanted(seen=True))
        assert name in {one.item for one in again.recommendations}
        assert explain_item(bundle, named, name).seen
        assert not explain_item(bundle, named, shown[0].item).seen

    def test_categories_and_brands_are_those_of_the_store(self, bundle, project):
        with Store.open(project.store) as store:
            rows = store.connection.execute(
                "select external_id, brand, categories from items where domain = 'films'"
            ).fetchall()
        shelf_of = {
            item: {name.casefold() for name in [brand, *categories] if name}
            for item, brand, categories in rows
        }
        shelves = sorted(set().union(*shelf_of.values()))
        assert len(shelves) > 3
        for name in [shelves[0], shelves[-1].upper()]:
            found = api.recommend(
                bundle,
                interests=["Jazz"],
                k=10_000,
                explain=False,
                wanted=Wanted(categories=frozenset({name})),
            )
            held = {item for item, names in shelf_of.items() if name.casefold() in names}
            assert {one.item for one in found.recommendations} == held

    def test_popularity_keeps_to_what_is_wanted(self, bundle):
        target = bundle.items["films"]
        popular = answer(bundle, Given(csr_array((1, len(bundle.profiles.entities.titles)))), k=3)
        first = popular.recommendations[0].item
        found = answer(
            bundle,
            Given(csr_array((1, len(bundle.profiles.entities.titles)))),
            k=10_000,
            wanted=Wanted(blocked=frozenset({first})),
        )
        assert len(found.recommendations) == len(target.names) - 1
        assert found.recommendations[0].item == popular.recommendations[1].item

    def test_what_is_not_there_is_named(self, bundle):
        with pytest.raises(UnknownError, match="no item 'f9999' in 'films' to block"):
            api.recommend(bundle, interests=["Jazz"], wanted=Wanted(blocked=frozenset({"f9999"})))
        known = next(iter(bundle.shelves))
        with pytest.raises(UnknownError, match=f"no category or brand .* did you mean .*{known}"):
            api.recommend(
                bundle, interests=["Jazz"], wanted=Wanted(categories=frozenset({f"{known}x"}))
            )


class TestText:
    """Words of their own."""

    def test_a_text_is_answered_as_the_interests_it_names(self, bundle):
        text = "I love jazz music by Miles Davis, and Hayao Miyazaki."
        found = api.recommend(bundle, text=text, explain=False)
        titles = [title for title, _ in found.interests]
        assert "Miles Davis" in titles
        assert "Hayao Miyazaki" in titles
        by_name = api.recommend(bundle, interests=titles, explain=False)
        assert found.recommendations == by_name.recommendations

    def test_a_text_without_a_name_says_so(self, bundle):
        with pytest.raises(UnknownError, match="names nothing the alias table knows"):
            api.recommend(bundle, text="I like it when it rains.")

    def test_a_text_and_a_history_are_one_too_many(self, bundle):
        with pytest.raises(UnknownError, match="give one of"):
            api.recommend(bundle, text="Miles Davis", history=["b001"])
