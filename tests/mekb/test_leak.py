"""Profiles are built from training rows only: a world in which any leak would give a perfect score.

Two domains. Every film carries one entity of its own, named by one made-up word that is also the film's
title; books carry entities that have nothing to do with films, and users like books and films at random.
A scorer that looks for words of the profile in the titles then finds the held-out film exactly when the
profile was made from it, and knows nothing otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from jaxtyping import Float32
from scipy.sparse import csr_array
from typing_extensions import override

from alias_tables.schema import CHANNELS
from mekb.config import SplitConfig
from mekb.dataset import SplitWorld, World, load_world, split_world
from mekb.profile import SEPARATOR, ProfileScorer
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig
from mekb.store import Store
from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, Recommender, UserBatch
from training.dataset import Dataset, History
from training.evaluate import Full, evaluate

N_USERS, N_FILMS, N_BOOKS, N_TOPICS = 60, 40, 30, 10
SPLIT = SplitConfig(n_folds=4, valid_share=0.2, seed=3)


def rows(table: str, **columns: Sequence):
    import pyarrow as pa

    schema = CATALOGUE[table]
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


def word(number: int) -> str:
    """Return the made-up name of a film and of its entity."""
    return f"Vor{'abcdefghij'[number // 10]}{'klmnopqrst'[number % 10]}ix"


def fill(store: Store) -> None:
    """Write the world: film i holds entity i + 1, book j holds one of the topics after them."""
    rng = np.random.default_rng(11)
    n_items, n_entities = N_FILMS + N_BOOKS, N_FILMS + N_TOPICS
    names = [word(i) for i in range(N_FILMS)] + [f"Topic {i}" for i in range(N_TOPICS)]
    films = [rng.choice(N_FILMS, size=rng.integers(1, 4), replace=False) for _ in range(N_USERS)]
    books = [rng.choice(N_BOOKS, size=rng.integers(2, 6), replace=False) for _ in range(N_USERS)]
    liked = sorted(
        (user, int(item) + first)
        for side, first in ((films, 0), (books, N_FILMS))
        for user, items in enumerate(side)
        for item in items
    )
    entity_ids = list(range(1, n_entities + 1))
    store.replace(
        {
            "items": rows(
                "items",
                item_id=list(range(n_items)),
                external_id=[f"i{i}" for i in range(n_items)],
                domain=["films"] * N_FILMS + ["books"] * N_BOOKS,
                title=[word(i) for i in range(N_FILMS)] + [f"Book {i}" for i in range(N_BOOKS)],
                text=[""] * n_items,
                brand=[None] * n_items,
                categories=[[]] * n_items,
            ),
            "users": rows(
                "users", user_id=list(range(N_USERS)), external_id=[f"u{i}" for i in range(N_USERS)]
            ),
            "interactions": rows(
                "interactions",
                user_id=[user for user, _ in liked],
                item_id=[item for _, item in liked],
                at=[None] * len(liked),
                rating=[5.0] * len(liked),
                positive=[True] * len(liked),
            ),
            "entities": rows(
                "entities",
                entity_id=entity_ids,
                title=names,
                label=names,
                description=[None] * n_entities,
                kind=["wikidata"] * n_entities,
                flags=[[]] * n_entities,
                types=[[]] * n_entities,
                year=[None] * n_entities,
                n_inlinks=[0] * n_entities,
            ),
            "aliases": rows(
                "aliases",
                surface=names,
                entity_id=entity_ids,
                **{f"n_{channel}": [1] * n_entities for channel in CHANNELS},
                prior=[1.0] * n_entities,
                link_prob=[None] * n_entities,
                kept_mass=[None] * n_entities,
                cut=[None] * n_entities,
            ),
            "custom_entities": rows(
                "custom_entities",
                **{name: [] for name in CATALOGUE["custom_entities"].names},
            ),
            "item_entities": rows(
                "item_entities",
                item_id=list(range(n_items)),
                entity_id=[
                    *range(1, N_FILMS + 1),
                    *(N_FILMS + 1 + book % N_TOPICS for book in range(N_BOOKS)),
                ],
                n_mentions=[1] * n_items,
                score=[1.0] * n_items,
                weight=[1.0] * n_items,
            ),
        }
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    with Store.open(tmp_path_factory.mktemp("leak") / "w.duckdb", create=True) as store:
        fill(store)
        return load_world(store, ("books", "films"))


@pytest.fixture(scope="module")
def split(world) -> SplitWorld:
    return split_world(world, "films", SPLIT, ScoringConfig())


@dataclass(frozen=True)
class LeakyProfiles:
    """What a careless pipeline does: profiles of everything the users ever did, held out or not."""

    scorer: ProfileScorer
    everything: History
    row_of: Mapping[bytes, int]
    """A user's books, which tell users apart, -> their row."""

    @classmethod
    def of(cls, world: World) -> "LeakyProfiles":
        """Count and score all rows of a world, before any split."""
        scorer = ProfileScorer.learn(
            world.entities, world.item_entities, world.interactions, ScoringConfig()
        )
        books = world.interactions["books"].toarray()
        return cls(
            scorer,
            world.interactions,
            {own.tobytes(): row for row, own in enumerate(books)},
        )

    def texts(self, histories: History) -> list[str]:
        """Return the texts of everything the users of these histories did."""
        rows_ = [self.row_of[own.tobytes()] for own in histories["books"].toarray()]
        return self.scorer.texts({d: matrix[rows_] for d, matrix in self.everything.items()})

    def interests(self, histories: History) -> csr_array:
        """Return what an honest source would; the words are enough to leak."""
        return self.scorer.interests(histories)


class WordMatch(Recommender):
    """Scores an item by how often its title stands among the entities of the profile."""

    name: ClassVar[str] = "word_match"
    paper: ClassVar[str] = "none"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PROFILE, Need.ITEM_TEXT})
    config_type: ClassVar[type[ModelConfig]] = ModelConfig

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        self.titles = list(data.target_items.titles)
        self.item_ids = data.target_items.item_ids
        return FitReport(seconds=0.0)

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        held = [text.split(SEPARATOR) for text in users.profiles or []]
        return np.array([[own.count(t) for t in self.titles] for own in held], dtype=np.float32)

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        return {}

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        return None


def measured(data: Dataset, split: SplitWorld) -> Mapping[str, float]:
    model = WordMatch(ModelConfig())
    model.fit(data, FitContext())
    return evaluate(model, data, split.test, [Full(k=10)]).summary()


def test_a_leak_would_give_a_perfect_score(world, split):
    """The test of the tests below: profiles of all rows rank every held-out film first."""
    leaky = replace(split.data, profiles=LeakyProfiles.of(world))
    assert measured(leaky, split) == {"full/hr@10": 1.0, "full/ndcg@10": 1.0}


def test_the_real_split_knows_nothing_of_them(split):
    """All films tie, and a tie counts as chance: ten of forty places."""
    found = measured(split.data, split)
    n_positives = np.diff(split.test.positives.indptr)
    chance = [
        1 - np.prod([(N_FILMS - 10 - i) / (N_FILMS - i) for i in range(n)]) for n in n_positives
    ]
    assert found["full/hr@10"] == pytest.approx(np.mean(chance))
    assert found["full/ndcg@10"] < 0.4


@pytest.mark.parametrize("fold", range(SPLIT.n_folds))
@pytest.mark.parametrize("kind", ["test", "validation"])
def test_no_entity_of_a_held_out_film_is_in_the_profile(world, fold, kind):
    config = SPLIT.model_copy(update={"fold": fold})
    split = split_world(world, "films", config, ScoringConfig())
    held = split.test if kind == "test" else split.data.valid
    assert held is not None
    assert len(held.user_rows) > 5
    histories = {d: matrix[held.user_rows] for d, matrix in split.data.interactions.items()}
    for place, text in enumerate(split.profiles.texts(histories)):
        assert text
        positives = held.positives[[place]].indices
        assert len(positives)
        assert not {word(film) for film in positives.tolist()} & set(text.split(SEPARATOR))


def test_idf_counts_training_users_only(world, split):
    """n_e of a film's entity is the number of users whose film row was not held out, no more."""
    held_out = {*split.test.user_rows.tolist(), *split.data.valid.user_rows.tolist()}
    for film in range(N_FILMS):
        fans = set(world.interactions["films"][:, [film]].tocoo().coords[0].tolist())
        assert split.profiles.entities.n_users[film] == len(fans - held_out)
    all_rows = ProfileScorer.learn(
        world.entities, world.item_entities, world.interactions, ScoringConfig()
    )
    assert (all_rows.entities.n_users[:N_FILMS] > split.profiles.entities.n_users[:N_FILMS]).any()
    assert split.profiles.entities.n_all == N_USERS  # held-out users keep their books


def test_what_is_held_out_changes_nothing_of_the_training_side(world, split):
    """Give the test users other films, as many: their profiles and all idf stay as they were."""
    films = world.interactions["films"].toarray()
    films[split.test.user_rows] = np.roll(films[split.test.user_rows], 7, axis=1)
    other = replace(world, interactions={**world.interactions, "films": csr_array(films)})
    again = split_world(other, "films", SPLIT, ScoringConfig())
    assert np.array_equal(again.test.user_rows, split.test.user_rows)
    assert (again.test.positives != split.test.positives).nnz > 0
    assert np.array_equal(again.profiles.entities.n_users, split.profiles.entities.n_users)
    assert again.profiles.texts(again.data.interactions) == split.profiles.texts(
        split.data.interactions
    )


def test_a_label_is_never_in_the_profile_it_is_learned_from(split):
    """Training examples: what an example predicts was taken out of the history before the text was made."""
    from training.embedme.config import ExampleMode
    from training.embedme.examples import Drawing, draw_examples, example_users

    for seed in range(5):
        drawn = draw_examples(
            split.data, Drawing(ExampleMode.USER, 0.5, 0.5), np.random.default_rng(seed)
        )
        users = example_users(split.data, drawn, slice(0, len(drawn)))
        assert not set(users.ids.tolist()) & set(split.data.user_ids[split.test.user_rows].tolist())
        for place, text in enumerate(users.profiles or []):
            labels = {word(film) for film in drawn.labels[[place]].indices.tolist()}
            assert labels
            assert not labels & set(text.split(SEPARATOR))


def test_a_bundle_counts_training_rows_only(world, split, tmp_path):
    """What is served is what was learned: no count of a held-out row goes into a bundle."""
    import pyarrow.parquet as pq

    from alias_tables.lookup import AliasIndex
    from mekb.bundle import Bundle, BundleParts, write_bundle
    from training.baselines.popularity import Popularity, PopularityConfig

    with Store.open(tmp_path / "w.duckdb", create=True) as store:
        fill(store)
        index = AliasIndex.from_tables(store.read("entities"), store.read("aliases"))
    model = Popularity(PopularityConfig())
    model.fit(split.data, FitContext())
    write_bundle(tmp_path / "bundle", BundleParts(model, world, split, index, {}))
    stored = pq.read_table(tmp_path / "bundle" / "entities.parquet")["n_users"].to_pylist()
    assert stored == split.profiles.entities.n_users.tolist()
    films = Bundle(tmp_path / "bundle").items["films"]
    held_out = np.concatenate([split.test.user_rows, split.data.valid.user_rows])
    training = np.delete(world.interactions["films"].toarray(), held_out, axis=0)
    assert films.n_users.tolist() == (training > 0).sum(axis=0).tolist()


class EventMatch(WordMatch):
    """Scores the items among a user's single interactions first."""

    name: ClassVar[str] = "event_match"
    needs: ClassVar[frozenset[Need]] = frozenset()

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        assert users.events is not None
        scores = np.zeros((len(users), len(self.titles)), dtype=np.float32)
        films = users.events["films"]
        scores[films.user_rows, films.item_rows] = 1
        return scores


def test_no_single_interaction_leaks_either(world, split):
    """With the events of all rows every held-out film comes first; with those of the split none does."""
    model = EventMatch(ModelConfig())
    model.fit(split.data, FitContext())
    leaky = evaluate(model, replace(split.data, events=world.events), split.test, [Full(k=10)])
    assert leaky.summary() == {"full/hr@10": 1.0, "full/ndcg@10": 1.0}
    assert evaluate(model, split.data, split.test, [Full(k=10)]).summary()["full/ndcg@10"] < 0.4


def test_the_stores_interactions_are_all_there_once(world, split):
    """Training events and held-out events together are the store's rows, with rating and time."""
    films, held = split.data.events["films"], [split.data.valid, split.test]
    rows_ = [films.user_rows, *(one.user_rows[one.events.user_rows] for one in held)]
    items = [films.item_rows, *(one.events.item_rows for one in held)]
    found = sorted(zip(np.concatenate(rows_), np.concatenate(items), strict=True))
    assert found == sorted(zip(*world.interactions["films"].nonzero(), strict=True))
    assert (films.ratings == 5).all()
    assert not films.at.any()
    assert len(split.data.events["books"]) == world.interactions["books"].nnz
