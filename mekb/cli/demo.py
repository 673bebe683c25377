"""The demo: the whole job on the built-in sample world, through the same calls a user's own data takes.

It writes the sample world's files, imports them, builds the alias table from the MediaWiki export, links,
scores, trains, evaluates, bundles, and ends with what people want to see.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from alias_tables.schema import PAGE_ID_BASE
from mekb import api
from mekb.cli.options import Format
from mekb.cli.output import note, print_line, print_rows, progress
from mekb.config import load_settings
from mekb.query import Answer
from mekb.sample import write_sample_world
from mekb.trained import Comparison

TARGET, SOURCES = "films", ("books", "music")
AMBIGUOUS = "Dune"
"""A name that a novel and films share."""
_BASELINES = ("popularity", "frozen_text", "source_knn")
_N_SHOWN = 10


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    store: Path
    bundle: Path
    picture: Path
    user: str
    answer: Answer
    comparison: Comparison


def run_demo(folder: Path, *, n_users: int, seed: int, quiet: bool = False) -> DemoResult:
    """Run the whole job in a folder; what is there already and unchanged is not made again.

    Args:
        folder: Where the sample world, the store, the model and the bundle go.
        n_users: How many users to simulate.
        seed: Of the users and of training.
        quiet: Show no progress.
    """
    started = time.perf_counter()
    with progress(quiet=quiet) as on_progress:
        on_progress("sample world", 0, 1)
        world = write_sample_world(folder / "world", n_users=n_users, seed=seed)
        on_progress("sample world", 1, 1)
        store = folder / "demo.duckdb"
        settings = load_settings(
            assignments=["link.chooser=typed", "train.preset=demo", f"train.seed={seed}"]
        )
        stages = [
            api.import_data(
                store, items=[world.items], interactions=[world.interactions], settings=settings
            ).stage,
            api.build_aliases(
                store,
                dumps=[world.dump],
                qids=world.qids,
                settings=settings,
                on_progress=on_progress,
            ).stage,
            api.link(store, settings=settings, on_progress=on_progress).stage,
            api.build_profiles(store, settings=settings),
        ]
        for stage in stages:
            note(str(stage))
        model, bundle = folder / "model", folder / "bundle"
        trained = api.train(
            store,
            model,
            target=TARGET,
            sources=SOURCES,
            settings=settings,
            force=True,
            on_progress=on_progress,
        )
        note(trained.summary())
        comparison = api.evaluate(store, [model], baselines=_BASELINES, on_progress=on_progress)
        opened = api.make_bundle(store, model, bundle, force=True)
    user = _newcomer(world.truth, store)
    picture = folder / f"{user}.png"
    api.export_profile(store, user, picture, force=True)
    answer = api.recommend(opened, user=user, store=store, k=_N_SHOWN)
    result = DemoResult(store, bundle, picture, user, answer, comparison)
    _show(result)
    note(
        f"demo done in {time.perf_counter() - started:.0f} s; look around with: mekb profiles show {store} {user}"
    )
    return result


def _newcomer(truth: Path, store: Path) -> str:
    """Return the user without a film whose strongest interest comes from most items: a clear taste to look at."""
    newcomers = [
        entry["user_id"]
        for entry in map(json.loads, truth.read_text(encoding="utf-8").splitlines())
        if entry["zero_shot"]
    ]
    interests = api.read_table(store, "user_entity").to_pandas()
    linked = interests[interests["entity_id"] < PAGE_ID_BASE]
    strongest = linked.groupby("user_id", as_index=False)["n_items"].max()
    users = api.read_table(store, "users").to_pandas().merge(strongest, on="user_id")
    among = users[users["external_id"].isin(newcomers)]
    clearest = among.sort_values(["n_items", "external_id"], ascending=[False, True])
    return str(clearest["external_id"].iloc[0])


def _show(result: DemoResult) -> None:
    print_line("")
    print_rows(
        [
            {"title": candidate.title, "P(entity | surface)": float(candidate.prior)}
            for candidate in api.lookup(result.store, AMBIGUOUS)
        ],
        Format.TABLE,
        title=f"1. What may '{AMBIGUOUS}' mean?",
    )
    graph = api.user_graph(result.store, result.user)
    print_line("")
    print_rows(
        [
            {
                "interest": interest.title,
                "kind": interest.kind,
                "items": interest.n_items,
                "weight": interest.weight,
                "from": "; ".join(dict.fromkeys(evidence.title for evidence in interest.evidence)),
            }
            for interest in graph.interests[:_N_SHOWN]
        ],
        Format.TABLE,
        title=f"2. The MeKB of {result.user}, who never saw a film here (picture: {result.picture})",
    )
    print_line("")
    print_rows(
        [
            {
                "rank": recommendation.rank,
                "film": recommendation.title,
                "because of": "; ".join(
                    f"{reason.title} ({', '.join(reason.items)})" if reason.items else reason.title
                    for reason in recommendation.reasons
                ),
            }
            for recommendation in result.answer.recommendations
        ],
        Format.TABLE,
        title=f"3. Films for {result.user}",
    )
    print_line("")
    print_rows(
        [
            {"model": row["model"], **{name: value for name, value in row.items() if "@10" in name}}
            for row in result.comparison.rows
        ],
        Format.TABLE,
        title="4. On users whose films were all held out",
    )
    for line in result.comparison.protocol:
        print_line(line)
