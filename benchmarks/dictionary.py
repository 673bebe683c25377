"""Dictionary matching and linking at full speed: titles per CPU second, matches lost, memory, time to open.

    python benchmarks/dictionary.py
    python benchmarks/dictionary.py --large

The surfaces are names made up here: one to five words, drawn from 60,000 words that fall off as words do
(Zipf), one in twenty with an accent. A title is one to three of these names among other words. Printed side by
side from one run: ours (arrays, `Match` objects, and a whole `Linker`), a trie asked for the prefixes of each
token start, an Aho-Corasick automaton and FlashText where they can be imported, and for each the matches it
loses against the reference: a plain dict walked from every token start, longest match. All but ours match text
that was folded beforehand, free of charge. `--large` adds build, opening and look-ups at 10,000,000 surfaces.
"""

import argparse
import gc
import importlib
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from alias_tables.lookup import AliasIndex
from alias_tables.schema import ALIASES, ENTITIES
from alias_tables.surface import folded_key, tokens
from entity_linking.config import LinkConfig
from entity_linking.linker import Linker

N_WORDS, N_TITLES, REPEATS = 60_000, 100_000, 3
N_LINKED, BATCH = 20_000, 2_000
SYLLABLES = "ba be bi bo bu da de di do fa fe ga go ha he ja ka ke ki ko la le li lo ma me mi mo na ne ni no".split()  # noqa: SIM905  a list to read
Span = tuple[int, int, int]
"""Text, start and stop of a match."""


def make_names(n: int, rng: np.random.Generator) -> list[str]:
    """Return `n` different names, sorted."""
    words = make_words(rng)
    names: set[str] = set()
    while len(names) < n:
        size = (n - len(names)) * 5 // 4 + 1_000
        lengths = rng.choice([1, 2, 3, 4, 5], size, p=[0.08, 0.42, 0.28, 0.15, 0.07])
        picked = words[zipf_rows(int(lengths.sum()), rng)].tolist()
        position = 0
        for length in lengths.tolist():
            names.add(" ".join(picked[position : position + length]))
            position += length
    return sorted(sorted(names)[:: max(1, len(names) // n)][:n])


def make_words(rng: np.random.Generator) -> np.ndarray:
    """Return the words, the most frequent first; one in twenty has an accent."""
    words: dict[str, None] = {}
    while len(words) < N_WORDS:
        word = "".join(rng.choice(SYLLABLES, rng.integers(1, 5))).capitalize()
        if rng.random() < 1 / 60:
            word = word.replace("e", "\u00e9")
        words.setdefault(word)
    return np.array(list(words), dtype=object)


def zipf_rows(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return row numbers of words: the r-th is about 1 / r as frequent as the first."""
    return np.minimum(np.exp(rng.random(n) * np.log(N_WORDS)).astype(int), N_WORDS - 1)


def make_titles(names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return titles: names of the table and other words."""
    words = make_words(rng)
    titles = []
    for n_names, n_words in rng.integers(1, [[3, 5]], (N_TITLES, 2)).tolist():
        parts = [names[row] for row in rng.integers(0, len(names), n_names)]
        parts += words[zipf_rows(n_words, rng)].tolist()
        titles.append(" ".join(parts[row] for row in rng.permutation(len(parts))))
    return titles


def make_tables(names: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Return the two tables: an entity for every two names, one or two entities a name."""
    n = len(names)
    ids = np.arange(1, n // 2 + 2, dtype=np.uint32)
    entities = {
        "entity_id": ids,
        "title": pa.array([names[2 * row % n] + " (name)" for row in range(len(ids))]),
        "description": pa.nulls(len(ids), pa.string()),
        "year": pa.nulls(len(ids), pa.uint16()),
    }
    entities["label"] = entities["title"]
    entities["kind"] = pa.array(["wikidata"] * len(ids))
    empty = pa.ListArray.from_arrays(np.zeros(len(ids) + 1, np.int32), pa.array([], pa.string()))
    entities |= {"flags": empty, "types": empty, "n_inlinks": np.ones(len(ids), np.uint32)}
    twice = np.sort(np.concatenate([np.arange(n), np.arange(0, n, 4)]))
    second = np.concatenate([[False], twice[1:] == twice[:-1]])
    columns = {
        "surface": pa.array(names).take(pa.array(twice)),
        "entity_id": ids[(twice // 2 + second) % len(ids)],
        "prior": np.where(second, 0.25, np.where(twice % 4 == 0, 0.75, 1.0)).astype(np.float32),
        "link_prob": ((twice * 7919 % 100) / 100).astype(np.float32),
    }
    for field in ALIASES:
        if field.name not in columns:
            counts = field.name.startswith("n_")
            columns[field.name] = np.ones(len(twice), np.uint32) if counts else pa.nulls(len(twice))
    return table(entities, ENTITIES), table(columns, ALIASES)


def table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    """Return columns in the order and the types of a schema."""
    return pa.table({field.name: columns[field.name] for field in schema}).cast(schema)


def cpu_seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least CPU time of some calls."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def reference(keys: frozenset[str], folded: Sequence[str]) -> set[Span]:
    """Return the matches: at every token start the longest key that ends at a token stop."""
    longest = max(map(len, keys))
    found = set()
    for number, text in enumerate(folded):
        spans = tokens(text)
        for first, (start, _) in enumerate(spans):
            stops = [stop for _, stop in spans[first:] if stop - start <= longest]
            for stop in reversed(stops):
                if text[start:stop] in keys:
                    found.add((number, start, stop))
                    break
    return found


def trie_matcher(keys: Sequence[str]) -> Callable[[Sequence[str]], Iterator[Span]]:
    """Return a matcher that asks a marisa trie for the prefixes of each token start: the floor of that way."""
    trie = importlib.import_module("marisa_trie").Trie(keys)
    boundary = importlib.import_module("re").compile(r"\w+|[^\w\s]")

    def match(texts: Sequence[str]) -> Iterator[Span]:
        for number, text in enumerate(texts):
            for token in boundary.finditer(text):
                start = token.start()
                for key in reversed(trie.prefixes(text[start:])):
                    stop = start + len(key)
                    if stop == len(text) or not (text[stop].isalnum() and key[-1].isalnum()):
                        yield number, start, stop
                        break

    return match


def automaton_matcher(keys: Sequence[str]) -> Callable[[Sequence[str]], Iterator[Span]]:
    """Return the leftmost-longest hits of an Aho-Corasick automaton, word boundaries checked afterwards."""
    library = importlib.import_module("ahocorasick_rs")
    automaton = library.AhoCorasick(keys, matchkind=library.MatchKind.LeftmostLongest)

    def match(texts: Sequence[str]) -> Iterator[Span]:
        for number, text in enumerate(texts):
            for _, start, stop in automaton.find_matches_as_indexes(text):
                before, after = text[start - 1 : start], text[stop : stop + 1]
                if not before.isalnum() and not after.isalnum():
                    yield number, start, stop

    return match


def flashtext_matcher(keys: Sequence[str]) -> Callable[[Sequence[str]], Iterator[Span]]:
    """Return FlashText's hits."""
    processor = importlib.import_module("flashtext").KeywordProcessor(case_sensitive=True)
    for key in keys:
        processor.add_keyword(key)

    def match(texts: Sequence[str]) -> Iterator[Span]:
        for number, text in enumerate(texts):
            for _, start, stop in processor.extract_keywords(text, span_info=True):
                yield number, start, stop

    return match


def without_overlap(spans: set[Span]) -> set[Span]:
    """Return the leftmost of overlapping spans, the longest of one start: what automata aim at."""
    kept: set[Span] = set()
    text, reached = -1, 0
    for span in sorted(spans, key=lambda span: (span[0], span[1], -span[2])):
        if span[0] != text or span[1] >= reached:
            kept.add(span)
            text, reached = span[0], span[2]
    return kept


def report(name: str, n: int, seconds: float, note: str = "") -> None:
    """Print one line."""
    print(f"{name:44} {n / seconds:12,.0f} /CPU-s   {note}", flush=True)


def compare(names: Sequence[str], index: AliasIndex, titles: Sequence[str]) -> int:
    """Print ours and the others; return how many matches ours loses."""
    folded = [folded_key(title) for title in titles]
    keys = frozenset(map(folded_key, names))
    expected = reference(keys, folded)
    print(
        f"{len(expected):,} matches in {len(titles):,} titles (reference: dict from token starts)"
    )
    found = index.matches_many(titles)
    ours = set(zip(found.texts.tolist(), found.starts.tolist(), found.stops.tolist(), strict=True))
    lost = len(expected ^ ours)
    report(
        "ours, arrays", len(titles), cpu_seconds(lambda: index.matches_many(titles)), f"{lost} lost"
    )
    objects = cpu_seconds(lambda: deque(index.matches_many(titles).rows(), maxlen=0))
    report("ours, Match objects", len(titles), objects, f"{lost} lost")
    some = titles[: N_TITLES // 50]
    report(
        "ours, one by one", len(some), cpu_seconds(lambda: [index.matches(text) for text in some])
    )
    sole = without_overlap(expected)
    for name, make, aim in (
        ("marisa trie from token starts (floor)", trie_matcher, expected),
        ("ahocorasick_rs, boundaries checked after", automaton_matcher, sole),
        ("FlashText", flashtext_matcher, sole),
    ):
        try:
            match = make(sorted(keys))
        except ImportError as error:
            print(f"{name:44} not here ({error})")
            continue
        gone = len(aim - set(match(folded)))
        seconds = cpu_seconds(lambda match=match: list(match(folded)))
        report(name, len(titles), seconds, f"{gone} lost of {len(aim):,} ({gone / len(aim):.1%})")
    link(index, "titles", titles[:N_LINKED])
    link(index, "one name each", names[:: len(names) // N_LINKED][:N_LINKED])
    report(
        "ours, candidates_many()",
        N_TITLES,
        cpu_seconds(lambda: index.candidates_many(names[:N_TITLES])),
    )
    report(
        "ours, candidates()",
        len(some),
        cpu_seconds(lambda: list(map(index.candidates, names[: len(some)]))),
    )
    report("ours, top_many()", N_TITLES, cpu_seconds(lambda: index.top_many(names[:N_TITLES])))
    return lost


def link(index: AliasIndex, what: str, texts: Sequence[str]) -> None:
    """Print what a whole linker does with some texts, in batches as the linking stage makes them."""
    linker = Linker(index, LinkConfig(detector="dictionary"))
    for field in ("text", "title"):

        def work(field: str = field) -> None:
            for first in range(0, len(texts), BATCH):
                batch = texts[first : first + BATCH]
                linker.link_texts(batch, [field] * len(batch))

        report(f"ours, whole Linker, {what}, field '{field}'", len(texts), cpu_seconds(work))


OPENED = """
import resource, sys, time
import psutil
import numpy, alias_tables.lookup
from pathlib import Path
folder, queries = Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").split("\\n")
memory = psutil.Process().memory_info
before, clock, cpu = memory().rss, time.perf_counter(), time.process_time()
index = alias_tables.lookup.AliasIndex.open(folder)
opened = time.perf_counter() - clock
ids, _ = index.top_many(queries)
looked = time.perf_counter() - clock
found = index.matches_many(queries)
print(f"opened in {opened:.4f} s; with {len(queries):,} first look-ups {looked:.3f} s"
      f" ({time.process_time() - cpu:.3f} s CPU with matching); {int((ids > 0).sum()):,} found;"
      f" resident memory grew by {(memory().rss - before) / 1e6:.0f} MB")
"""


def open_elsewhere(folder: Path, queries: Sequence[str], scratch: Path) -> None:
    """Print what opening a saved index costs a fresh process."""
    file = scratch / "queries.txt"
    file.write_text("\n".join(queries), encoding="utf-8")
    subprocess.run(  # noqa: S603  our own Python, our own code
        [sys.executable, "-c", OPENED, str(folder), str(file)], check=True
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"on disk: {size / 1e6:.0f} MB")


def build(n: int, rng: np.random.Generator, scratch: Path) -> tuple[list[str], Path]:
    """Build and save an index of `n` surfaces; print time and memory."""
    names = make_names(n, rng)
    entities, aliases = make_tables(names)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, started = time.perf_counter(), time.process_time()
    index = AliasIndex.from_tables(entities, aliases)
    built, elapsed = time.process_time() - started, time.perf_counter() - clock
    folder = scratch / f"index_{n}"
    index.save(folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{n:,} surfaces, {aliases.num_rows:,} pairs: built in {built:.1f} s CPU ({elapsed:.1f} s),"
        f" saved in {time.process_time() - started - built:.1f} s CPU;"
        f" peak memory grew by {grown / 1e3:.0f} MB beyond the tables'"
    )
    return names, folder


def main() -> int:
    """Print all; return 1 when a match is lost."""
    parser = argparse.ArgumentParser(description="Dictionary matching at full speed.")
    parser.add_argument("--surfaces", type=int, default=1_000_000)
    parser.add_argument("--large", action="store_true", help="also 10,000,000 surfaces")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        names, folder = build(arguments.surfaces, rng, scratch)
        titles = make_titles(names, rng)
        open_elsewhere(folder, names[:: len(names) // 20_000][:20_000], scratch)
        gc.freeze()  # the names and titles are no work of the linker's, nor of its garbage collector
        lost = compare(names, AliasIndex.open(folder), titles)
        if arguments.large:
            names, folder = build(10_000_000, rng, scratch)
            open_elsewhere(folder, names[:: len(names) // 20_000][:20_000], scratch)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
