"""Alias tables, and items and texts linked with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mekb.api.stores import (
    OnProgress,
    StoreLike,
    file_inputs,
    no_progress,
    opened,
    opened_for_import,
)
from mekb.config import Settings
from mekb.runs import Stage, StageResult, run_stage, settings_of
from mekb.store import Store

if TYPE_CHECKING:
    from alias_tables.lookup import Candidate
    from alias_tables.report import BuildReport
    from entity_linking.evaluate import Evaluation, EvaluationConfig
    from entity_linking.linker import Mention
    from mekb.linking import LinkingResult


@dataclass(frozen=True)
class BuiltAliases:
    """What an alias build did; `report` is None when nothing had changed."""

    stage: StageResult
    report: "BuildReport | None"
    dictionary: Path
    """The folder beside the store that later stages map the table from (`mekb.saved_aliases`)."""


def build_aliases(
    store: StoreLike,
    *,
    dumps: Sequence[str | Path] = (),
    qids: str | Path | None = None,
    extra: Sequence[str | Path] = (),
    wikidata: Sequence[str | Path] = (),
    page_props: str | Path | None = None,
    redirects: str | Path | None = None,
    pages: str | Path | None = None,
    merged: str | Path | None = None,
    graph: Sequence[str | Path] = (),
    settings: Settings | None = None,
    workers: int = 1,
    work: str | Path | None = None,
    resume: bool = False,
    rejects: str | Path | None = None,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> BuiltAliases:
    """Build the alias table of a store from MediaWiki dumps and lists of titles or aliases.

    Args:
        store: The store (made if absent).
        dumps: `pages-articles` exports, .xml, .xml.bz2 or .xml.gz.
        qids: A table of titles and QIDs.
        extra: Tables of further aliases or titles; their counts add to those of the dumps.
        wikidata: Wikidata's JSON dump of entities.
        page_props: The wiki's page_props.sql.gz.
        redirects: The wiki's redirect.sql.gz.
        pages: The wiki's page.sql.gz.
        merged: QIDs that were merged into others.
        graph: A knowledge graph of your own, beside Wikidata or in its place: tables with id, title and
            optionally aliases, description, type, weight, count; or RDF (.ttl, .nt, .jsonld).
        settings: `settings.aliases`.
        workers: Processes that read the dumps; more than one need a script's
            `if __name__ == "__main__":` around the call. The result is the same.
        work: A folder to keep unfinished work in; a temporary one by default.
        resume: Go on with the work in that folder.
        rejects: Where to write everything left out, with the reason: .tsv, .tsv.gz or .parquet.
        force: Build even when nothing changed.
        on_progress: Told of each stage.

    Raises:
        DumpError: a dump is damaged, no dump, or implausible.
        WorkFolderError: the work folder holds something else.
        WorkerError: a worker was ended by the system.
    """
    from alias_tables.build import build
    from alias_tables.inputs import BuildInputs
    from alias_tables.options import BuildOptions
    from mekb.linking import alias_index
    from mekb.saved_aliases import aliases_folder

    chosen = settings or Settings()
    given = BuildInputs(
        dumps=tuple(map(Path, dumps)),
        qids=_path(qids),
        extra=tuple(map(Path, extra)),
        wikidata=tuple(map(Path, wikidata)),
        page_props=_path(page_props),
        redirects=_path(redirects),
        pages=_path(pages),
        merged=_path(merged),
        graph=tuple(map(Path, graph)),
    )
    files: dict[str, list[Path]] = {"dump": list(given.dumps)}
    for kind, path in given.beside_the_dump():
        files.setdefault(kind, []).append(path)
    inputs = file_inputs(files)
    options = BuildOptions(
        workers=workers,
        work=_path(work),
        resume=resume,
        rejects=_path(rejects),
        sha256=dict(zip(given.dumps, inputs.values(), strict=False)),
    )
    unlisted = options.rejects is not None and not options.rejects.exists()
    reports: list[BuildReport] = []
    with opened_for_import(store, chosen) as target:

        def build_tables() -> Mapping[str, Any]:
            built = build(
                target.connection,
                given,
                config=chosen.aliases,
                options=options,
                on_progress=on_progress,
            )
            reports.append(built.report)
            return {
                "entities": built.entities,
                "aliases": built.aliases,
                "graph_entities": built.graph,
            }

        stage = Stage(
            name="aliases",
            config=settings_of(chosen.aliases),
            inputs=inputs,
            outputs=("entities", "aliases", "graph_entities"),
            packages=("alias_tables",),
        )
        result = run_stage(target, stage, build_tables, force=force or unlisted)
        alias_index(target)
        folder = aliases_folder(target.path)
    return BuiltAliases(result, reports[0] if reports else None, folder)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def lookup(store: StoreLike, surface: str, *, limit: int = 10) -> "list[Candidate]":
    """Return the entities a surface may mean, the likeliest first; none for an unknown surface."""
    from mekb.linking import alias_index

    with opened(store) as source:
        return alias_index(source).candidates(surface, limit)


def link(
    store: StoreLike,
    *,
    settings: Settings | None = None,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> "LinkingResult":
    """Link the items of a store to entities; writes mentions, custom entities and item entities.

    Raises:
        UnknownError: items or alias table are not there yet.
        PipelineError: the spaCy pipeline asked for is not installed.
    """
    from mekb.linking import link_items

    chosen = settings or Settings()
    with opened(store, settings=chosen) as target:
        return link_items(target, chosen.link, chosen.weights, force=force, on_progress=on_progress)


def link_text(store: StoreLike, text: str, *, settings: Settings | None = None) -> "list[Mention]":
    """Return the mentions of one text, linked with a store's alias table; nothing is written."""
    from entity_linking.linker import Linker
    from mekb.linking import alias_index

    with opened(store) as source:
        index = alias_index(source)
    return Linker(index, (settings or Settings()).link).link_texts([text])[0]


def evaluate_linking(
    store: StoreLike,
    gold: str | Path,
    *,
    settings: Settings | None = None,
    scoring: "EvaluationConfig | None" = None,
    coreference: bool = False,
) -> "Evaluation":
    """Measure the linking of texts or titles against a gold file; nothing is written.

    Args:
        store: A store with an alias table, or the folder of a saved alias index (`AliasIndex.save`).
        gold: Annotated texts (.jsonl) or titles (.tsv), as `entity_linking.gold` describes.
        settings: `settings.link`.
        scoring: The rule, strong or weak, and how intervals are drawn.
        coreference: Ask for pronouns and "the company" as for any other mention.

    Raises:
        GoldError: the gold file cannot be read, or a line of it is wrong.
        UnknownError: the store has no alias table.
        TableError: the folder holds no complete alias index.
        PipelineError: the spaCy pipeline asked for is not installed.
    """
    from alias_tables.lookup import AliasIndex
    from entity_linking.evaluate import evaluate as measure
    from entity_linking.gold import read_gold
    from mekb.linking import alias_index, inlink_counts

    texts = read_gold(gold, coreference=coreference)
    if not isinstance(store, Store) and Path(store).is_dir():
        index, n_inlinks = AliasIndex.open(Path(store)), None
    else:
        with opened(store) as source:
            index, n_inlinks = alias_index(source), inlink_counts(source)
    config = (settings or Settings()).link
    return measure(index, texts, config, scoring=scoring, n_inlinks=n_inlinks)
