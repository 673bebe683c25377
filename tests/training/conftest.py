"""A checkerboard world whose right answer is known, and a BERT small enough to learn it in a second.

Users, source items and target items each belong to one of three blocks, and users like only items of
their own block. A model that transfers anything ranks the items of a newcomer's block first.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, hstack

from training.contract import UserBatch
from training.dataset import Catalogue, Dataset, HeldOut, History
from training.split_config import SplitConfig
from training.splits import make_split

BLOCKS = ("red", "green", "blue")
N_USERS, N_BOOKS, N_FILMS = 16, 8, 6  # of each block
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass
class TitleProfiles:
    """Profiles made of the titles of the items in the history; remembers every history it was given."""

    titles: dict[str, list[str]]
    given: list[History] = field(default_factory=list)

    def texts(self, histories: History) -> list[str]:
        """Return titles by domain and item row."""
        self.given.append(histories)
        n_rows = next(iter(histories.values())).shape[0]
        return [
            " [SEP] ".join(
                self.titles[domain][item]
                for domain, rows in sorted(histories.items())
                for item in sorted(rows.indices[rows.indptr[row] : rows.indptr[row + 1]])
            )
            for row in range(n_rows)
        ]

    def interests(self, histories: History) -> csr_array:
        """Return one entity an item, of both domains side by side."""
        return csr_array(hstack([histories[domain] for domain in sorted(histories)], format="csr"))


@dataclass(frozen=True)
class World:
    """The data set, its test users and the block of every user and film."""

    data: Dataset
    test: HeldOut
    block_of_user: np.ndarray
    block_of_film: np.ndarray
    profiles: TitleProfiles


def liked(rng: np.random.Generator, n_items: int, n_liked: int) -> csr_array:
    """Return users x items of all blocks, each user liking some items of its own block."""
    matrix = np.zeros((len(BLOCKS) * N_USERS, len(BLOCKS) * n_items), dtype=np.float32)
    for user in range(len(matrix)):
        block = user // N_USERS
        chosen = rng.choice(n_items, n_liked, replace=False) + block * n_items
        matrix[user, chosen] = 1
    return csr_array(matrix)


def checkerboard() -> World:
    """Return the world of the fixture `world`, for processes of a test's own."""
    rng = np.random.default_rng(5)
    interactions = {"books": liked(rng, N_BOOKS, 5), "films": liked(rng, N_FILMS, 4)}
    titles = {
        domain: [f"{block} {word}{number}" for block in BLOCKS for number in range(n)]
        for domain, word, n in (("books", "book", N_BOOKS), ("films", "film", N_FILMS))
    }
    split = make_split(interactions, "films", SplitConfig(n_folds=4, valid_share=0.1, seed=1))
    profiles = TitleProfiles(titles)
    data = Dataset(
        user_ids=np.arange(100, 100 + len(BLOCKS) * N_USERS, dtype=np.uint32),
        catalogues={
            domain: Catalogue(domain, np.arange(7, 7 + len(names), dtype=np.uint32), names)
            for domain, names in titles.items()
        },
        interactions=split.train,
        target="films",
        profiles=profiles,
        valid=split.valid,
    )
    blocks = np.arange(len(BLOCKS))
    return World(data, split.test, np.repeat(blocks, N_USERS), np.repeat(blocks, N_FILMS), profiles)


@pytest.fixture
def world() -> World:
    return checkerboard()


@pytest.fixture
def newcomer(world: World) -> UserBatch:
    """A user whose id nobody has seen and who did nothing."""
    history = {
        domain: csr_array((1, rows.shape[1]), dtype=np.float32)
        for domain, rows in world.data.interactions.items()
    }
    return UserBatch(np.array([4_000_000_000], dtype=np.uint32), history, [""])


def write_bert(folder: Path, words: list[str], *, width: int = 32, spread: float = 0.05) -> Path:
    """Write a random two-layer BERT with a vocabulary of whole words."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *words])}
    settings = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    tokenizer = BertWordPieceTokenizer(vocab=vocabulary)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, model_max_length=64, **settings
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        initializer_range=spread,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    assert saved["model_type"] == "bert"
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [*BLOCKS, *(f"{word}{n}" for word in ("book", "film") for n in range(N_BOOKS))]
    letters = [
        *"abcdefghijklmnopqrstuvwxyz0123456789()",
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"),
    ]
    return write_bert(tmp_path_factory.mktemp("bert"), words + letters)


FACTORS = {"embedding_size": 16, "epochs": 20, "batch_size": 32, "learning_rate": 2e-2}
MAPPED = {**FACTORS, "mapping_epochs": 20, "mapping_learning_rate": 1e-2}


@pytest.fixture
def settings(tiny_bert: Path) -> Callable[[str], dict[str, object]]:
    """Return small settings for each model of the registry."""
    quick: dict[str, dict[str, object]] = {
        "embedme": {
            "encoder": str(tiny_bert),
            "max_tokens": 32,
            "embedding_size": 16,
            "epochs": 60,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "hidden_dropout": 0.0,
            "mlp_dropout": 0.0,
        },
        "frozen_text": {"encoder": str(tiny_bert)},
        "diagae": {
            "batch_size": 32,
            "embedding_size": 16,
            "pretraining_epochs": 5,
            "epochs": 5,
        },
        "ddtcdr": {
            "batch_size": 256,
            "epochs": 25,
            "learning_rate": 0.03,
            "autoencoder_epochs": 15,
            "autoencoder_batch_size": 24,
        },
        **dict.fromkeys(("bpr_mf", "cmf"), FACTORS),
        "conet": {**FACTORS, "batch_size": 256},
        "lightgcn": {**FACTORS, "batch_size": 64, "epochs": 10},
        "youtube_dnn": {**FACTORS, "hidden": (32,), "learning_rate": 1e-2},
        **dict.fromkeys(("emcdr", "sscdr", "dcdcsr"), MAPPED),
        "cat_art": {
            "embedding_size": 16,
            "epochs": 20,
            "batch_size": 64,
            "learning_rate": 4e-2,
            "autoencoder_epochs": 30,
            "autoencoder_batch_size": 32,
            "autoencoder_learning_rate": 5e-3,
            "transfer_epochs": 10,
            "transfer_batch_size": 64,
            "transfer_learning_rate": 5e-3,
        },
        "sitn": {
            "embedding_size": 16,
            "n_heads": 2,
            "hidden_size": 32,
            "n_clusters": (3, 6),
            "use_positions": False,  # the world has no order
            "batch_size": 32,
            "epochs": 30,
            "learning_rate": 5e-3,
        },
    }
    return lambda name: quick.get(name, {})


@pytest.fixture
def without_valid(world: World) -> World:
    return replace(world, data=replace(world.data, valid=None))
