"""What a single zero-shot query costs, beside the encoder's own forward pass and an exact scan.

    python benchmarks/query.py [--bundle FOLDER] [--items 25000] [--queries 60] [--json FILE]

In: a bundle; without one, the sample world with as many films more as are asked for, the packaged encoder and
a model that has learned next to nothing (what a query costs does not depend on what the model knows). Out: p50
and p99 of queries by history, by named interests and by free text, in CPU milliseconds on one thread; of the
forward pass of the very same profile and of the scan of all item vectors, timed in turn with the queries; the
ratio of the two; what explaining costs; and the CPU seconds from opening the bundle to the first answer, after
imports, in a process of its own.
"""

import argparse
import contextlib
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from scipy.sparse import csr_array

from mekb import api
from mekb.bundle import Bundle
from mekb.config import load_settings
from mekb.errors import UnknownError
from mekb.given import given_interests, given_text, history_of
from mekb.reasons import encode
from mekb.sample import sample_pages, write_sample_world
from training.embedme.batch import PackedRows, pack
from training.embedme.model import EmbedMe

N_USERS = 300
REPEATS = 5
ALLOWED_RATIO = 1.3
"""A query's median over that of forward pass and scan."""
ALLOWED_SECONDS = 3.0
"""CPU, from opening a bundle to its first answer."""
QUICK = ("train.preset=demo", "train.model.epochs=1", "train.model.head_epochs=1")
WORDS = ("Iron", "Harbour", "Winter", "Garden", "Silent", "Copper", "River", "Night", "Paper")
PLACES = ("Station", "Letters", "Island", "Window", "Machine", "Orchard", "Crossing", "Mirror")
FIRST_ANSWER = """
import sys, time
import mekb.given, mekb.query, mekb.bundle, training.embedme.model, transformers.models.bert.modeling_bert
from mekb import api
started = time.process_time()
bundle = api.open_bundle(sys.argv[1])
opened = time.process_time()
api.recommend(bundle, interests=[sys.argv[2]], explain=False)
print(opened - started, time.process_time() - opened)
"""


@dataclass(frozen=True)
class Question:
    """One way of asking, and the MeKB it comes to."""

    ask: Callable[..., object]
    weights: csr_array


@dataclass(frozen=True)
class Timing:
    """One way of asking, in CPU milliseconds."""

    way: str
    n_tokens: float
    """Mean length of the profiles read."""
    query_p50: float
    query_p99: float
    forward_p50: float
    scan_p50: float
    ratio: float
    """Median of the queries over that of forward pass and scan."""
    explained_p50: float


def further_items(n_items: int) -> list[dict[str, object]]:
    """Return films with made-up titles, a brand and two categories each."""
    return [
        {
            "item_id": f"x{n:06d}",
            "domain": "films",
            "title": f"{WORDS[n % 9]} {PLACES[n // 9 % 8]} {n} (film)",
            "text": "",
            "brand": f"Studio {n % 400}",
            "categories": [f"Shelf {n % 60}", f"Row {n % 7}"],
        }
        for n in range(n_items)
    ]


def build_bundle(folder: Path, n_items: int) -> Path:
    """Make the sample world with further films, train on it for a moment, and bundle it."""
    world = write_sample_world(folder, n_users=N_USERS)
    with world.items.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(item) + "\n" for item in further_items(n_items))
    names = folder / "aliases.tsv.gz"
    with gzip.open(names, "wt", encoding="utf-8") as file:
        file.write("surface\ttitle\tqid\n")
        file.writelines(f"{p.title}\t{p.title}\t{p.qid}\n" for p in sample_pages() if p.qid)
    store = folder / "world.duckdb"
    settings = load_settings(assignments=[*QUICK, "train.precision=32-true"])
    api.import_data(store, items=[world.items], interactions=[world.interactions])
    api.build_aliases(store, dumps=[world.dump], qids=world.qids)
    api.link(store)
    api.build_profiles(store)
    api.train(store, folder / "model", target="films", settings=settings)
    api.make_bundle(store, folder / "model", folder / "bundle")
    return folder / "bundle"


def questions(bundle: Bundle, n: int, seed: int = 0) -> dict[str, list[Question]]:
    """Return ways of asking, each as calls beside the weights they come to."""
    rng = np.random.default_rng(seed)
    pairs = [
        (domain, name)
        for domain, items in bundle.items.items()
        for name, n_users in zip(items.names, items.n_users, strict=True)
        if n_users
    ]
    entities = bundle.profiles.entities
    titles = [
        title
        for title, kind in zip(entities.titles, entities.kinds, strict=True)
        if kind == "wikidata"
    ]
    asked: dict[str, list[Question]] = {"history": [], "interests": [], "text": []}
    for _ in range(n):
        history = [pairs[i] for i in rng.choice(len(pairs), rng.integers(3, 30), replace=False)]
        chosen = [titles[i] for i in rng.choice(len(titles), rng.integers(1, 12), replace=False)]
        names = [title.partition(" (")[0] for title in chosen]
        text = f"I enjoyed {', '.join(names)} a lot."
        lines = [f"{domain}:{name}" for domain, name in history]
        asked["history"].append(
            Question(
                partial(api.recommend, bundle, history=lines),
                bundle.profiles.weights(history_of(bundle, history)),
            )
        )
        asked["interests"].append(
            Question(
                partial(api.recommend, bundle, interests=chosen),
                given_interests(bundle, chosen).weights,
            )
        )
        with contextlib.suppress(UnknownError):  # nothing in it that the dictionary knows
            weights = given_text(bundle, text).weights
            asked["text"].append(Question(partial(api.recommend, bundle, text=text), weights))
    return asked


def cpu_ms(call: Callable[[], object]) -> float:
    """Return the CPU milliseconds of one call."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def bare_parts(bundle: Bundle, weights: csr_array) -> tuple[PackedRows, Callable[[], object]]:
    """Return a profile's tokens, and the bare scan of all items with its vector."""
    model = bundle.model
    assert isinstance(model, EmbedMe)
    ids = model.tokenizer.ids(bundle.profiles.texts_of(weights))
    vector = encode(bundle, weights)
    return pack(ids, model.settings.max_tokens), lambda: bundle.index.search(vector, 10)


def timed(bundle: Bundle, question: Question) -> list[float]:
    """Return tokens, and the CPU milliseconds of query, forward pass, scan and explained query."""
    model = bundle.model
    assert isinstance(model, EmbedMe)
    encoder = model.module.encoder
    rows, scan = bare_parts(bundle, question.weights)

    def forward() -> object:
        with torch.inference_mode():
            return encoder(rows, 1)

    plain = partial(question.ask, explain=False)
    plain()  # what a bundle looks up once is looked up now
    calls = [plain, forward, scan]
    rounds = [[cpu_ms(call) for call in calls] for _ in range(REPEATS)]
    return [rows.tokens.shape[1], *np.min(rounds, axis=0), cpu_ms(question.ask)]


def measure(bundle: Bundle, n: int) -> list[Timing]:
    """Time every way of asking; the least of a few rounds, in which a query and its parts take turns."""
    timings = []
    for way, asked in questions(bundle, n).items():
        table = np.array([timed(bundle, question) for question in asked])
        tokens, query, forward, scan, explained = table.T
        timings.append(
            Timing(
                way,
                n_tokens=float(tokens.mean()),
                query_p50=float(np.median(query)),
                query_p99=float(np.quantile(query, 0.99)),
                forward_p50=float(np.median(forward)),
                scan_p50=float(np.median(scan)),
                ratio=float(np.median(query) / np.median(forward + scan)),
                explained_p50=float(np.median(explained)),
            )
        )
    return timings


def first_answer(bundle: Path, interest: str) -> tuple[float, float]:
    """Return the CPU seconds of opening a bundle and of its first answer, in a fresh process."""
    ran = subprocess.run(  # noqa: S603  our own Python, our own code
        [sys.executable, "-c", FIRST_ANSWER, str(bundle), interest],
        check=True,
        capture_output=True,
        text=True,
    )
    opening, answering = map(float, ran.stdout.split())
    return opening, answering


def report(bundle: Bundle, n: int) -> dict[str, Any]:
    """Return all figures of a bundle."""
    entities = bundle.profiles.entities
    title = entities.titles[int(np.argmax(entities.kinds == np.array("wikidata")))]
    first = [first_answer(bundle.folder, title) for _ in range(REPEATS)]
    opening, answering = min(first, key=sum)
    return {
        "items": bundle.index.ntotal,
        "entities": len(entities.titles),
        "open_seconds": opening,
        "first_answer_seconds": answering,
        "ways": [asdict(timing) for timing in measure(bundle, n)],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--items", type=int, default=25_000)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.bundle or build_bundle(Path(scratch), given.items)
        found = report(api.open_bundle(folder), given.queries)
    print(
        f"{found['items']:,} items, {found['entities']:,} entities; opened in"
        f" {found['open_seconds']:.2f} s CPU, first answer after {found['first_answer_seconds']:.2f} s"
    )
    print("CPU ms       tokens  query p50    p99  forward   scan  ratio  explained p50")
    for row in found["ways"]:
        print(
            f"{row['way']:12} {row['n_tokens']:6.0f} {row['query_p50']:10.2f} {row['query_p99']:6.1f}"
            f" {row['forward_p50']:8.2f} {row['scan_p50']:6.2f} {row['ratio']:6.2f} {row['explained_p50']:14.1f}"
        )
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    is_slow = found["open_seconds"] + found["first_answer_seconds"] > ALLOWED_SECONDS
    return int(is_slow or any(row["ratio"] > ALLOWED_RATIO for row in found["ways"]))


if __name__ == "__main__":
    sys.exit(main())
