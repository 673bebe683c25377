"""The whole job on the sample world: what is learned is worth more than popularity, and nothing is made twice."""

import re
import shutil
from pathlib import Path

import pytest

from mekb import api
from mekb.config import load_settings
from mekb.sample import sample_pages, write_sample_world
from training.evaluate import Measure, compare

N_USERS = 1200
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MARKS = "abcdefghijklmnopqrstuvwxyz0123456789().,:'-!&"


def write_word_bert(folder: Path) -> Path:
    """Write a random BERT of two layers, 64 wide, that knows the words of the sample wiki's titles.

    It stands in for the packaged encoder, which takes minutes on two cores: what it knows of the world it
    learned from the training rows.
    """
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = {word for page in sample_pages() for word in re.findall(r"\w+", page.title.lower())}
    pieces = dict.fromkeys([*SPECIAL, *MARKS, *(f"##{mark}" for mark in MARKS), *sorted(words)])
    tokenizer = BertWordPieceTokenizer(vocab={piece: row for row, piece in enumerate(pieces)})
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        **{f"{name[1:-1].lower()}_token": name for name in SPECIAL},
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.05,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Build everything from the sample world's files, train for twenty epochs, and compare."""
    folder = tmp_path_factory.mktemp("demo")
    world = write_sample_world(folder / "world", n_users=N_USERS)
    store = folder / "demo.duckdb"
    settings = load_settings(
        assignments=[
            "train.preset=demo",
            "train.precision=32-true",
            f"train.model.encoder={write_word_bert(folder / 'encoder')}",
            "train.model.epochs=20",
            "train.model.batch_size=32",
            "train.model.learning_rate=2e-3",
        ]
    )
    api.import_data(store, items=[world.items], interactions=[world.interactions])
    api.build_aliases(store, dumps=[world.dump], qids=world.qids)
    api.link(store)
    api.train(
        store, folder / "model", target="films", sources=["books", "music"], settings=settings
    )
    found = api.evaluate(store, [folder / "model"], baselines=["popularity"])
    shutil.rmtree(folder)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "metric", "k", "times"),
    [
        ("sampled-999", "ndcg", 10, 1.3),
        ("sampled-999", "hr", 10, 1.2),
        ("full", "ndcg", 20, 1.1),
    ],
)
def test_newcomers_are_served_better_than_by_popularity(comparison, protocol, metric, k, times):
    """Seen: 1.68, 1.46 and 1.26 times; the paired 95 % interval of the lead lies above 0."""
    measure = Measure(protocol, metric, k)
    ours, theirs = comparison.evaluations["embedme"], comparison.evaluations["popularity"]
    assert ours.n_users == ours.n_covered > 100
    assert ours.values(measure).mean() >= times * theirs.values(measure).mean()
    lead = compare(ours, theirs, measure)
    assert lead.interval.low > 0
    assert lead.p_value < 0.01


@pytest.mark.slow
def test_the_table_says_so_too(comparison):
    first, second = comparison.rows
    assert (first["model"], second["model"]) == ("embedme", "popularity")
    assert first["NDCG@10 sampled-999"] > second["NDCG@10 sampled-999"]
    assert second["p"] < 0.01
    assert first["users"] == first["judged"] > 100
