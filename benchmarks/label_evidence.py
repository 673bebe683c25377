"""How much an NER label says about the type of the entity meant: the likelihood ratios of `typed`.

    python benchmarks/label_evidence.py --data DATA --pipeline NAME

Over the spans of `linking/benchmarks/*.jsonl` that the pipeline finds with exactly the gold offsets and whose gold
entity has a type there: how often the label fits the type of the right entity, and how often it would fit the
entity of any other such span. One is added to each count (Laplace).
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from entity_linking.spans import Recogniser
from entity_linking.typed import LABEL_TYPES

TYPES = {
    "Q215627": "person",
    "Q27096213": "place",
    "Q43229": "organisation",
    "Q1656682": "event",
    "Q17537576": "work",
    "Q2424752": "product",
    "Q16521": "concept",
    "Q33829": "concept",
    "Q431289": "product",
}
"""The coarse types of the gold files -> `ENTITY_TYPES`."""


def labelled(data: Path, pipeline: str) -> list[tuple[str, frozenset[str]]]:
    """Return label and gold types of each span found."""
    recogniser = Recogniser(pipeline, tuple(LABEL_TYPES), 64)
    found: list[tuple[str, frozenset[str]]] = []
    for path in sorted((data / "linking" / "benchmarks").glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            texts = [json.loads(line) for line in file]
        for text, spans in zip(texts, recogniser.find([one["text"] for one in texts]), strict=True):
            gold = {(one["start"], one["end"]): one for one in text["mentions"] if not one["nil"]}
            for start, stop, label in spans:
                types = str(gold.get((start, stop), {}).get("type", "")).split("|")
                known = frozenset(TYPES[one] for one in types if one in TYPES)
                if known:
                    found.append((label, known))
    return found


def main() -> int:
    """Print the likelihood ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pipeline", required=True)
    arguments = parser.parse_args()
    found = labelled(arguments.data, arguments.pipeline)
    all_types = Counter(types for _, types in found)
    right, other = Counter[bool](), Counter[bool]()
    for label, types in found:
        wanted = frozenset(LABEL_TYPES[label])
        right[not wanted.isdisjoint(types)] += 1
        for any_types, n in all_types.items():
            other[not wanted.isdisjoint(any_types)] += n
    print(f"{len(found)} spans")
    for fits in (True, False):
        ratio = (right[fits] + 1) / (len(found) + 2) / ((other[fits] + 1) / (len(found) ** 2 + 2))
        name = "fits" if fits else "other"
        print(
            f"label {name:6} right {right[fits]} wrong {other[fits]} likelihood ratio {ratio:.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
