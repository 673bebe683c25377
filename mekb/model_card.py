"""The card of a model: what it is, what it learned from, how well it does, what it may be used for.

In: what a model's folder says of itself (`config.json`, the manifest's metadata) and what was measured. Out:
`README.md` with the YAML front matter that the Hugging Face hub reads, and the facts of a run that go into the
metadata. No path, host or user id is among them.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import EvalResult, ModelCardData

from mekb.dataset import SplitWorld, World
from training.evaluate import Evaluation

ITEMS = "items.parquet"
RECORDS = "metrics.jsonl"
PACKAGES = ("mekb", "torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
"""Whose versions a model's metadata remember."""
ENCODER_LICENCES = {"minilm": "all-MiniLM-L6-v2, Apache-2.0"}
TAGS = ("sentence-transformers", "recommendation", "cross-domain", "cold-start", "knowledge-graph")

TEMPLATE = """---
{front_matter}
---

# {title}

{paper}

The model reads a person's interests in {sources} (a knowledge-graph profile: titles of entities by falling weight,
joined by ` [SEP] `) and ranks {n_items} items of {target}. It is made for people whose tastes in {target} nobody
knows yet.

## Use

{use}

## Data

{data}

Split: {split}. Interest weights and their idf come from training rows only.

## Results

{results}

## Training

{training}

Settings:

```json
{settings}
```

## Limits

- Items without a training row have no learned vector; a profile without any known entity cannot be judged.
- Entities are as good as the links behind them: a wrong link is a wrong interest.
- Offline rankings of held-out likes say little of how people would take to the recommendations.
- Likes mirror who was recorded and what was on sale; the model repeats such leanings.

## Licences

- Profiles are made of titles from Wikipedia (CC BY-SA 4.0) and ids from Wikidata (CC0).
- Encoder: {encoder}; its licence holds for the weights made from it.
- Item titles and the likes learned from are under the terms of the data set they come from.
"""


@dataclass(frozen=True)
class Measured:
    """How a model did on some users."""

    users: str
    """Who they are, in words."""
    n_users: int
    values: tuple[tuple[str, float, float, float], ...]
    """(measure, mean, bounds of its 95 % interval)."""

    @classmethod
    def of(cls, users: str, evaluation: Evaluation) -> "Measured":
        """Return the means of an evaluation with bootstrap intervals over users."""
        values = []
        for measure in evaluation.measures:
            interval = evaluation.interval(measure)
            name = f"{measure.metric.upper()}@{measure.k} ({measure.protocol})"
            values.append((name, interval.mean, interval.low, interval.high))
        return cls(users, evaluation.n_users, tuple(values))


def run_facts(split: SplitWorld, device: str) -> dict[str, Any]:
    """Return what a run should remember of its data, machine and versions; JSON-able."""
    data = split.data
    domains = {
        domain: {
            "items": len(data.catalogues[domain]),
            "users": int((matrix.sum(axis=1) > 0).sum()),
            "likes": int(matrix.nnz),
        }
        for domain, matrix in data.interactions.items()
    }
    return {
        "data": domains,
        "validation_users": 0 if data.valid is None else len(data.valid.user_rows),
        "test_users": len(split.test.user_rows),
        "hardware": {
            "device": device,
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "system": platform.system(),
        },
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
    }


def item_file(world: World, split: SplitWorld) -> bytes:
    """Return a Parquet file of the target's items, in the order of the model's vectors."""
    target = split.data.target
    catalogue = split.data.target_items
    table = pa.table(
        {
            "item_id": pa.array(catalogue.item_ids, pa.uint32()),
            "external_id": pa.array(world.item_names[target], pa.string()),
            "title": pa.array(list(catalogue.titles), pa.string()),
        }
    )
    stream = BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def model_card(
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    measured: Sequence[Measured],
    paper: str,
) -> str:
    """Return the text of README.md.

    Args:
        settings: The model's configuration, as in `config.json`.
        metadata: Of the model's folder, with `run_facts`.
        measured: What was measured, on whom.
        paper: Where the model comes from.
    """
    target, sources = metadata["target"], ", ".join(metadata["sources"])
    title = f"EmbedMe: {sources} to {target}"
    return TEMPLATE.format(
        front_matter=_front_matter(title, settings, metadata, measured),
        title=title,
        paper=paper,
        sources=sources,
        target=target,
        n_items=f"{metadata['data'][target]['items']:,}",
        use=_use(settings),
        data=_data(metadata["data"]),
        split=_split(metadata),
        results="\n\n".join(map(_results, measured)) or "Nothing was measured.",
        training=_training(metadata),
        settings=json.dumps(settings, indent=2, sort_keys=True),
        encoder=ENCODER_LICENCES.get(settings["encoder"], f"`{settings['encoder']}`"),
    )


USE = """```python
from mekb import api
bundle = api.make_bundle("STORE.duckdb", "THIS_FOLDER", "bundle")
api.recommend(bundle, interests=["Jazz", "Hayao Miyazaki"])
```

The text part alone, in sentence-transformers:

```python
from sentence_transformers import SentenceTransformer
SentenceTransformer("THIS_FOLDER").encode(["Jazz [SEP] Hayao Miyazaki"])
```

"""
USE_OF_SEVERAL_VECTORS = """A user has {n_vectors} vectors, of which the nearest to an item counts. A bundle searches one vector a user, and so does
sentence-transformers; in Python:

```python
from pathlib import Path
from training import checkpoint
model, _ = checkpoint.load(Path("THIS_FOLDER"))
model.score(users)  # `training.evaluate.user_batch` makes them of a data set
```"""
TEXT_PART = """These vectors are the user vectors but for a last entry of 1, which meets the items' prior."""
TEXT_PART_WITH_TASTES = """These vectors are the first part of a user vector, phi. What follows in a whole user vector is the taste that the
interests' weights tell by the taste map, and a 1 that meets the items' prior: a ranking by the text alone is another,
weaker one."""


def _use(settings: Mapping[str, Any]) -> str:
    if settings["interest_vectors"] > 1:
        return USE_OF_SEVERAL_VECTORS.format(n_vectors=settings["interest_vectors"])
    return USE + (TEXT_PART_WITH_TASTES if settings["n_target_tastes"] else TEXT_PART)


def _front_matter(
    title: str,
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    measured: Sequence[Measured],
) -> str:
    results = [
        EvalResult(
            task_type="recommendation",
            dataset_type="private",
            dataset_name=f"{', '.join(metadata['sources'])} to {metadata['target']}, {one.users}",
            metric_type=name,
            metric_value=round(mean, 4),
        )
        for one in measured
        for name, mean, _, _ in one.values
    ]
    base = "sentence-transformers/all-MiniLM-L6-v2" if settings["encoder"] == "minilm" else None
    facts = ModelCardData(
        model_name=title,
        base_model=base,
        library_name="sentence-transformers" if settings["interest_vectors"] == 1 else None,
        pipeline_tag="feature-extraction",
        license="other",
        license_name="see-licences-below",
        tags=list(TAGS),
        eval_results=results or None,
    )
    return str(facts.to_yaml())


def _data(domains: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        f"| {domain} | {one['items']:,} | {one['users']:,} | {one['likes']:,} |"
        for domain, one in domains.items()
    ]
    return "\n".join(["| domain | items | users | likes |", "|---|---|---|---|", *rows])


def _split(metadata: Mapping[str, Any]) -> str:
    given = ", ".join(f"{name} {value}" for name, value in metadata["split"].items())
    return (
        f"{metadata['test_users']:,} users held out for test and {metadata['validation_users']:,} for validation"
        f" ({given}); the table counts training rows"
    )


def _results(measured: Measured) -> str:
    rows = [
        f"| {name} | {mean:.4f} | {low:.4f}-{high:.4f} |"
        for name, mean, low, high in measured.values
    ]
    head = f"{measured.n_users:,} {measured.users}:"
    return "\n".join([head, "", "| measure | mean | 95 % interval |", "|---|---|---|", *rows])


def _training(metadata: Mapping[str, Any]) -> str:
    report, hardware = metadata["report"], metadata["hardware"]
    where = f"{hardware['device']}, {hardware['machine']}, {hardware['cpus']} CPUs"
    versions = ", ".join(f"{name} {number}" for name, number in metadata["versions"].items())
    lines = [
        f"{report['seconds']:.0f} seconds on {where}; {versions}.",
        "",
        "| epoch | loss | validation |",
        "|---|---|---|",
    ]
    for number, loss in enumerate(report["losses"]):
        found = report["validation"][number] if number < len(report["validation"]) else {}
        kept = " (kept)" if number + 1 == report["chosen_epoch"] else ""
        values = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        lines.append(f"| {number + 1}{kept} | {loss:.4f} | {values} |")
    return "\n".join([*lines, "", *(f"- {note}" for note in report["notes"])])
