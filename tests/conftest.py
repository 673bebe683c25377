"""The command line in this process, and a small finished project, made once for all tests above the pipeline."""

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("untimed")

N_USERS = 300
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
QUICK = {
    "train.preset": "demo",
    "train.precision": "32-true",
    "train.model.max_tokens": 32,
    "train.model.embedding_size": 16,
    "train.model.epochs": 1,
}
"""Settings of a model that is trained in a second, and knows next to nothing."""


@dataclass(frozen=True)
class Project:
    """The sample world under the names the help texts use: from its files to a bundle."""

    folder: Path
    encoder: Path
    """A random BERT of two narrow layers, in the place of the packaged encoder."""
    newcomer: str
    """A user who never rated a film."""
    quick: tuple[str, ...]
    """--set options of a model trained in a second."""

    @property
    def store(self) -> Path:
        """The store."""
        return self.folder / "my.duckdb"

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.folder / "model"

    @property
    def bundle(self) -> Path:
        """The bundle folder."""
        return self.folder / "bundle"


def write_small_bert(folder: Path) -> Path:
    """Write a random BERT that spells every word by its letters."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = [*special, *LETTERS, *"().,:'-!&", *(f"##{letter}" for letter in LETTERS)]
    tokenizer = BertWordPieceTokenizer(vocab={word: row for row, word in enumerate(words)})
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        model_max_length=256,
        **{f"{name[1:-1].lower()}_token": name for name in special},
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def write_files(folder: Path) -> str:
    """Write the sample world under the help texts' names; return its zero-shot user of most items."""
    from mekb.sample import sample_pages, write_sample_world

    world = write_sample_world(folder, n_users=N_USERS)
    world.dump.rename(folder / "enwiki-pages-articles.xml.bz2")
    world.qids.rename(folder / "titles.tsv")
    with gzip.open(folder / "aliases.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("surface\ttitle\tqid\n")
        file.writelines(f"{p.title}\t{p.title}\t{p.qid}\n" for p in sample_pages() if p.qid)
    truth = [json.loads(line) for line in world.truth.read_text(encoding="utf-8").splitlines()]
    rows = world.interactions.read_text(encoding="utf-8").splitlines()
    return max(
        (user["user_id"] for user in truth if user["zero_shot"]),
        key=lambda user: sum(row.startswith(f"{user},") for row in rows),
    )


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random BERT."""
    return write_small_bert(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, small_bert: Path) -> Project:
    """Import, build aliases, link, score, train and bundle the sample world; not to be written to."""
    from mekb import api
    from mekb.config import load_settings

    folder = tmp_path_factory.mktemp("project")
    encoder = small_bert
    newcomer = write_files(folder)
    quick = {**QUICK, "train.model.encoder": str(encoder)}
    assignments = [f"{key}={value}" for key, value in quick.items()]
    settings = load_settings(assignments=assignments)
    made = Project(
        folder, encoder, newcomer, tuple(word for each in assignments for word in ("--set", each))
    )
    api.import_data(
        made.store, items=[folder / "items.jsonl"], interactions=[folder / "interactions.csv"]
    )
    dump = folder / "enwiki-pages-articles.xml.bz2"
    api.build_aliases(made.store, dumps=[dump], qids=folder / "titles.tsv")
    api.link(made.store)
    api.build_profiles(made.store)
    api.train(made.store, made.model, target="films", sources=["books", "music"], settings=settings)
    api.make_bundle(made.store, made.model, made.bundle)
    return made


@pytest.fixture
def own_project(project: Project, tmp_path: Path) -> Project:
    """A copy of the project that a test may write to."""
    folder = tmp_path / "own"
    shutil.copytree(project.folder, folder)
    return Project(folder, project.encoder, project.newcomer, project.quick)


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def mekb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return a function that runs `mekb WORD ...` through its real entry point."""
    from mekb.cli.app import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str | Path) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["mekb", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int | None)
        return Ran(code or 0, captured.out, captured.err)

    return run
