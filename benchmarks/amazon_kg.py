"""Amazon-KG, 5-core: do book readers who never rated a film get the right films, and the other way round?

    python benchmarks/amazon_kg.py --data ../shared/data/amazon_kg_5core --folds 5 --out results.json

Beside the folder must lie `linking/`, `wikidata/` and `wikipedia/`. What is done, all by the functions that a user's own data go through:

1. `import`: 13,097 books and films, 182,638 likes of 15,071 users (Amazon-KG v2, SIGIR 2024, 5-core). Every
   rating is 1.0, so `positive_from` is 1. `creator` is the brand; categories are given as lists.
2. `aliases`: 305 pages of the English Wikipedia, with QIDs, and title lists (below).
3. `link`: titles and texts, by a spaCy pipeline and the alias dictionary.
4. `profiles`: brand 0.5, category 0.3, product 0.1 (paper 002, appendix A).
5. For each direction and fold: EmbedMe is fine-tuned and compared with popularity, source-domain kNN, kNN
   blended with popularity, and frozen MiniLM vectors of the same profile texts. The test users are a fifth
   of the 1,062 shared users, with every target row of theirs held out; a tenth of the other shared users
   validates, and chooses epochs and settings.

Measures: HR@10 and NDCG@10 of each held-out item among 999 sampled negatives, the mean over a user's items
(paper 002, section 4.2), and NDCG@20 over all items. Intervals are 95 % bootstrap intervals over users, all
folds together; p values are of paired sign-flip tests, corrected by Holm's rule.

What to keep in mind beside any number:

- The set keeps linkable items only, which favours methods that use entities.
- The title lists hold the items' own Wikipedia titles: linking is easier here than in the wild.
- Texts and categories come from DBpedia. Every model that reads text is given the same profile text.
- Links of items to pages are silver: 3-7 % are wrong.
- A profile never holds a row of the target domain for a test user, but the target domain's items of
  *other* users shape the idf, as they would in production.

The alias table. 305 pages are no Wikipedia, so lists of titles stand in for the missing pages: the titles of
the items (DBpedia names, QIDs where one item alone has it), 34,383 films, whatever the articles of the dump
link to, and persons, genres and places that facts of a Wikidata sample name. Settings chosen by
reading the links (`LINKING`), not by results:

- `smooth`: a title list is evidence too where 200 articles happen to link a name elsewhere.
- `min_count` 2: in so small a dump a link text seen once ("Davies": a ball player) is no name.
- no NORP: "American" and "British" in "American novels" stand for no country one is interested in.
- eight aliases for shelf words ("Horror", "Memoir") that otherwise only a film of that name bears.

Running time on two cores: see `README.md` beside this file. The store and the trained models stay in the
work folder; what has not changed is not done again.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import amazon_kg_data
import coverage
import pooled
from cold_start import EMBEDME, Direction, FoldResult, fold_settings, model_names, run_fold

from entity_linking.config import NER_LABELS
from mekb import api
from mekb.config import Settings, load_settings
from mekb.errors import EXPECTED_ERRORS
from mekb.store import Store

IMPORTING = ("source.positive_from=1", "source.brand=creator")
LINKING = (
    "aliases.smooth=true",
    "aliases.min_count=2",
    f"link.ner_labels={json.dumps([label for label in NER_LABELS if label != 'NORP'])}",
)
QUICK = ("epochs=2", "max_tokens=64", "head_views=1")
"""What EmbedMe's settings become under --quick: one fold, both ways, within twenty minutes on two cores."""
N_FOLDS = 5
DIRECTIONS = (Direction("books", "movies"), Direction("movies", "books"))
PROGRESS_SECONDS = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        report = run(options)
    except EXPECTED_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare the store, run the folds, print as it goes, and return everything for the record."""
    started = time.monotonic()
    settings = settings_of(options)
    prepared = amazon_kg_data.prepare(options.data, options.work)
    path = options.work / "amazon_kg.duckdb"
    _build_store(path, prepared, settings)
    with Store.open(path) as store:
        facts = coverage.coverage(store, prepared.own_titles)
        print(coverage.as_text(facts), end="\n\n", flush=True)
        rows: list[dict[str, Any]] = []
        folds: dict[str, Any] = {}
        for direction in _directions(options.target):
            results = _run_folds(store, direction, settings, options)
            evaluations = {
                name: pooled.pool([fold.evaluations[name] for fold in results])
                for name in model_names(results)
            }
            rows += pooled.rows_of_direction(str(direction), evaluations, EMBEDME)
            folds[str(direction)] = [fold.facts for fold in results]
    print(pooled.as_text(rows))
    return {
        "benchmark": "amazon_kg_5core",
        "rows": rows,
        "folds": folds,
        "coverage": facts,
        "settings": settings.model_dump(mode="json"),
        "quick": options.quick,
        "folds run": f"{options.folds} of {N_FOLDS}",
        "seconds": round(time.monotonic() - started, 1),
        "made with": {
            "host": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            **{package: version(package) for package in ("mekb", "torch", "transformers", "spacy")},
        },
    }


def settings_of(options: argparse.Namespace) -> Settings:
    """Return all settings of a run; a name without a dot is a setting of EmbedMe."""
    chosen = [
        *IMPORTING,
        *LINKING,
        f"link.pipeline={json.dumps(options.pipeline or _pipeline_beside(options.data))}",
        f"split.n_folds={N_FOLDS}",
        f"train.preset={json.dumps(options.preset)}",
    ]
    for assignment in [*(QUICK if options.quick else ()), *options.set]:
        name = assignment.partition("=")[0]
        chosen.append(assignment if "." in name else f"train.model.{assignment}")
    return load_settings(assignments=chosen)


def _build_store(path: Path, prepared: amazon_kg_data.Prepared, settings: Settings) -> None:
    """Import, build aliases, link and score; stages that nothing changed for are skipped."""
    imported = api.import_data(
        path, items=[prepared.items], interactions=[prepared.interactions], settings=settings
    )
    print(imported.stage)
    aliases = api.build_aliases(
        path,
        dumps=[prepared.dump],
        qids=prepared.qids,
        extra=prepared.title_lists,
        settings=settings,
    )
    print(aliases.stage)
    print(api.link(path, settings=settings).stage)
    print(api.build_profiles(path, settings=settings), end="\n\n", flush=True)


def _run_folds(
    store: Store, direction: Direction, settings: Settings, options: argparse.Namespace
) -> list[FoldResult]:
    """Run the folds of one direction, and print each fold's NDCG."""
    results = []
    models = None if options.skip_embedme else options.work / "models"
    for fold in range(options.folds):
        clock = time.monotonic()
        result = run_fold(store, direction, fold_settings(settings, fold), models, _progress())
        values = ", ".join(
            f"{name} {evaluation.values(pooled.DECIDING).mean():.4f}"
            for name, evaluation in result.evaluations.items()
        )
        seconds = time.monotonic() - clock
        print(f"{direction}, fold {fold}: {pooled.DECIDING.metric} {values} ({seconds:.0f} s)")
        print(f"  chosen: {json.dumps(result.facts, default=str)}", flush=True)
        results.append(result)
    return results


def _pipeline_beside(data: Path) -> str:
    """Return the pipeline that lies beside the data sets, or the name of spaCy's small English one."""
    beside = data.parent.parent / "models" / "en_ner_distilled_sm"
    return str(beside) if beside.is_dir() else "en_core_web_sm"


def _directions(target: str | None) -> list[Direction]:
    return [direction for direction in DIRECTIONS if target in {None, direction.target}]


def _progress() -> api.OnProgress:
    """Return what writes a line to stderr now and then."""
    last = time.monotonic()

    def show(stage: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            print(f"{stage}: {done} of {total}", file=sys.stderr, flush=True)

    return show


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such folder")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=_folder, required=True, help="the folder amazon_kg_5core")
    parser.add_argument(
        "--folds", type=int, choices=range(1, N_FOLDS + 1), default=N_FOLDS, help="how many of five"
    )
    parser.add_argument("--quick", action="store_true", help=f"EmbedMe with {', '.join(QUICK)}")
    parser.add_argument("--out", type=Path, help="write results as JSON")
    parser.add_argument("--work", type=Path, default=Path("amazon_kg"), help="work folder")
    parser.add_argument(
        "--pipeline", help="a spaCy pipeline, by name or folder; else one beside the data"
    )
    parser.add_argument("--preset", default="default", help="EmbedMe's settings to start from")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="epochs=3, scoring.k_star=3, ..."
    )
    parser.add_argument(
        "--target", choices=[one.target for one in DIRECTIONS], help="one direction"
    )
    parser.add_argument("--skip-embedme", action="store_true", help="baselines only")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
