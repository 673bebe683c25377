"""The verbs of the product, one call each: the command line adds nothing but text.

A store is given by its path or as an open `Store`. Long verbs take `on_progress(stage, done, total)`; a
total of 0 means that the length is not known. Heavy libraries are imported by the verb that needs them.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mekb.config import Settings
from mekb.errors import SourceError, UnknownError
from mekb.fingerprint import file_fingerprint
from mekb.graph import UserGraph
from mekb.runs import Stage, StageResult, run_stage, settings_of
from mekb.store import Store

if TYPE_CHECKING:
    from alias_tables.lookup import Candidate
    from alias_tables.report import BuildReport
    from entity_linking.linker import Mention
    from mekb.bundle import Bundle
    from mekb.linking import LinkingResult
    from mekb.models import Comparison, TrainedModel
    from mekb.query import Answer
    from mekb.sources import Description, ImportReport, TableLike

StoreLike = Store | str | Path
OnProgress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@contextlib.contextmanager
def opened(store: StoreLike, *, create: bool = False) -> Iterator[Store]:
    """Give an open store: the one given, or the one at a path, closed again at the end."""
    if isinstance(store, Store):
        yield store
        return
    with Store.open(store, create=create) as own:
        yield own


@dataclass(frozen=True)
class Imported:
    """What an import did; `report` is None when nothing had changed."""

    stage: StageResult
    report: "ImportReport | None"


def import_data(
    store: StoreLike,
    *,
    items: "Sequence[TableLike]",
    interactions: "Sequence[TableLike]",
    settings: Settings | None = None,
    force: bool = False,
) -> Imported:
    """Read items and interactions into a store (made if absent), replacing what it held of them.

    Args:
        store: The store.
        items: CSV, TSV, JSONL or Parquet files, or Arrow or pandas tables, with a row an item.
        interactions: Likewise, a row a user and item.
        settings: `settings.source` maps the columns.
        force: Read again even when nothing changed.

    Raises:
        SourceError: a file is not there, lacks a column, or holds no usable row.
    """
    from mekb.sources import as_files, read_tables

    chosen = settings or Settings()
    reports: list[ImportReport] = []
    with contextlib.ExitStack() as stack:
        item_files, interaction_files = (
            stack.enter_context(as_files(tables)) for tables in (items, interactions)
        )
        inputs = _file_inputs({"items": item_files, "interactions": interaction_files})
        target = stack.enter_context(_opened_for_import(store))

        def work() -> Mapping[str, pa.Table]:
            tables = read_tables(target.connection, item_files, interaction_files, chosen.source)
            reports.append(tables.report)
            return {
                "items": tables.items,
                "users": tables.users,
                "interactions": tables.interactions,
            }

        stage = Stage(
            name="import",
            config=settings_of(chosen.source),
            inputs=inputs,
            outputs=("items", "users", "interactions"),
        )
        result = run_stage(target, stage, work, force=force)
    return Imported(result, reports[0] if reports else None)


@contextlib.contextmanager
def _opened_for_import(store: StoreLike) -> Iterator[Store]:
    """Open a store, making it if absent; one made here goes away again when the import fails."""
    fresh = not isinstance(store, Store) and not Path(store).exists()
    try:
        with opened(store, create=True) as target:
            yield target
    except BaseException:
        if fresh and not isinstance(store, Store):
            Path(store).unlink(missing_ok=True)
        raise


def _file_inputs(files: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Return the fingerprints of files; the number keeps two files of one name apart."""
    return {
        f"{name}/{number}/{path.name}": _fingerprint(path)
        for name, paths in files.items()
        for number, path in enumerate(paths)
    }


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _fingerprint(path: Path) -> str:
    """Return the fingerprint of a file; SourceError when it cannot be read."""
    if not path.is_file():
        raise SourceError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        return file_fingerprint(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def describe(store: StoreLike) -> "Description":
    """Return counts, overlaps, text and link coverage of a store, with warnings."""
    from mekb.sources import describe as describe_tables

    with opened(store) as source:
        source.require(
            "items", "users", "interactions", hint="import your data with 'mekb data import'"
        )
        return describe_tables(source.connection)


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
    )
    files: dict[str, list[Path]] = {"dump": list(given.dumps)}
    for kind, path in given.beside_the_dump():
        files.setdefault(kind, []).append(path)
    inputs = _file_inputs(files)
    options = BuildOptions(
        workers=workers,
        work=_path(work),
        resume=resume,
        rejects=_path(rejects),
        sha256=dict(zip(given.dumps, inputs.values(), strict=False)),
    )
    unlisted = options.rejects is not None and not options.rejects.exists()
    reports: list[BuildReport] = []
    with _opened_for_import(store) as target:

        def build_tables() -> Mapping[str, Any]:
            built = build(
                target.connection,
                given,
                config=chosen.aliases,
                options=options,
                on_progress=on_progress,
            )
            reports.append(built.report)
            return {"entities": built.entities, "aliases": built.aliases}

        stage = Stage(
            name="aliases",
            config=settings_of(chosen.aliases),
            inputs=inputs,
            outputs=("entities", "aliases"),
            packages=("alias_tables",),
        )
        result = run_stage(target, stage, build_tables, force=force or unlisted)
        alias_index(target)
        folder = aliases_folder(target.path)
    return BuiltAliases(result, reports[0] if reports else None, folder)


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
    with opened(store) as target:
        return link_items(target, chosen.link, chosen.weights, force=force, on_progress=on_progress)


def link_text(store: StoreLike, text: str, *, settings: Settings | None = None) -> "list[Mention]":
    """Return the mentions of one text, linked with a store's alias table; nothing is written."""
    from entity_linking.linker import Linker
    from mekb.linking import alias_index

    with opened(store) as source:
        index = alias_index(source)
    return Linker(index, (settings or Settings()).link).link_texts([text])[0]


def build_profiles(
    store: StoreLike, *, settings: Settings | None = None, force: bool = False
) -> StageResult:
    """Score the interests of every user of a store (paper 002, eqs. 4-7) and flatten them into texts.

    Raises:
        UnknownError: the items are not imported or not linked yet.
    """
    from mekb.interests import build_profiles as build

    with opened(store) as target:
        return build(target, (settings or Settings()).scoring, force=force)


def user_graph(store: StoreLike, user: str) -> UserGraph:
    """Return one user's MeKB: interests by falling weight, each with its evidence.

    Raises:
        UnknownError: no such user, or no profiles yet.
    """
    from mekb.interests import read_user_graph

    with opened(store) as source:
        return read_user_graph(source, user)


def export_profile(
    store: StoreLike, user: str, path: str | Path, *, format: str | None = None, force: bool = False
) -> UserGraph:
    """Write one user's MeKB to a file: json, csv, ttl, jsonld, nt, or a picture as png or svg.

    Raises:
        UnknownError: no such user, or no profiles yet.
        OutputError: the file exists and `force` is not set, or the format is not known.
    """
    from importlib.metadata import version

    from mekb.export import write_user_graph
    from mekb.rdf import Provenance

    with opened(store) as source:
        graph = user_graph(source, user)
        name = source.path.stem
    provenance = Provenance(store=name, run_id=graph.run_id, software=version("mekb"))
    write_user_graph(graph, Path(path), format=format, force=force, provenance=provenance)
    return graph


def read_table(store: StoreLike, table: str) -> pa.Table:
    """Return a whole table of a store, as Arrow (`.to_pandas()` for pandas).

    Raises:
        UnknownError: the store has no such table.
    """
    with opened(store) as source:
        source.require(table, hint="run the stage that makes it")
        return source.read(table)


def runs(store: StoreLike) -> list[dict[str, Any]]:
    """Return what was run on a store, the newest first."""
    with opened(store) as source:
        if not source.has("runs"):
            return []
        rows: list[dict[str, Any]] = (
            source.read("runs").sort_by([("started_at", "descending")]).to_pylist()
        )
        return rows


def train(
    store: StoreLike,
    folder: str | Path,
    *,
    target: str,
    sources: Sequence[str] = (),
    settings: Settings | None = None,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> "TrainedModel":
    """Fine-tune EmbedMe for a target domain and write the model to a folder.

    Args:
        store: A store with linked items.
        folder: Where the model goes.
        target: The domain to recommend from.
        sources: The other domains profiles are made from; all others when empty.
        settings: `settings.train`, `settings.split`, `settings.scoring`.
        force: Replace a model that stands there.
        on_progress: Told of each epoch and step.

    Raises:
        UnknownError: a domain or table is not there.
        OutputError: the folder exists.
    """
    from mekb.models import Route, train_model

    with opened(store) as source:
        return train_model(
            source,
            Path(folder),
            Route(target, tuple(sources)),
            settings or Settings(),
            force=force,
            on_progress=on_progress,
        )


def evaluate(
    store: StoreLike,
    models: Sequence[str | Path],
    *,
    baselines: Sequence[str] = ("popularity", "source_knn", "frozen_text"),
    on_progress: OnProgress = no_progress,
) -> "Comparison":
    """Measure trained models and baselines on the held-out cold-start users of the models' split.

    Args:
        store: The store the models were trained on.
        models: Model folders; all of one split.
        baselines: Names of the registry, fitted here on the same training rows and tuned on validation.
        on_progress: Told of each model.

    Raises:
        UnknownError: no such model or baseline.
        StoreError: the store is not what the models were trained on.
    """
    from mekb.models import compare_models

    with opened(store) as source:
        folders = list(dict.fromkeys(Path(model) for model in models))
        return compare_models(
            source, folders, tuple(dict.fromkeys(baselines)), on_progress=on_progress
        )


def make_bundle(
    store: StoreLike, model: str | Path, folder: str | Path, *, force: bool = False
) -> "Bundle":
    """Write the immutable folder that answers without the store, and open it.

    Raises:
        OutputError: the folder exists.
        StoreError: the store is not what the model was trained on.
    """
    from mekb.models import bundle_model

    with opened(store) as source:
        return bundle_model(source, Path(model), Path(folder), force=force)


def open_bundle(folder: str | Path) -> "Bundle":
    """Check and load a bundle; open it once, ask often.

    Raises:
        BundleError: a part is missing, added, altered or of another version.
    """
    from mekb.bundle import Bundle

    return Bundle(Path(folder))


def recommend(
    bundle: "Bundle | str | Path",
    *,
    user: str | None = None,
    store: StoreLike | None = None,
    history: Sequence[str] = (),
    interests: Sequence[str] = (),
    k: int = 10,
    explain: bool = True,
) -> "Answer":
    """Recommend items of the target domain to a user who may be wholly new.

    Args:
        bundle: A bundle, open or by its folder.
        user: A user of `store`, whose positive interactions are the history.
        store: The store that knows the user.
        history: Items as "ITEM" or "DOMAIN:ITEM".
        interests: QIDs, titles or names of entities; used alone, not together with a history.
        k: How many items, at least 1.
        explain: Work out which interests carried each item.

    Raises:
        UnknownError: nothing to go by was given, or something given is not known.
    """
    from mekb.bundle import Bundle
    from mekb.query import answer, history_of, weights_of_interests

    if k < 1:
        raise UnknownError(f"k is {k}; ask for 1 item at least")
    ways = [user is not None, bool(history), bool(interests)]
    if sum(ways) != 1:
        raise UnknownError("give one of: a user (with the store), a history, or interests")
    opened_bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    if interests:
        weights, notes = weights_of_interests(opened_bundle, interests)
        return answer(opened_bundle, weights, k=k, explain=explain, notes=notes)
    pairs = (
        _user_items(user, store)
        if user is not None
        else [_domain_and_item(opened_bundle, i) for i in history]
    )
    known = history_of(
        opened_bundle, [pair for pair in pairs if pair[0] is None or pair[0] in opened_bundle.items]
    )
    return answer(
        opened_bundle, opened_bundle.profiles.weights(known), history=known, k=k, explain=explain
    )


def _user_items(user: str, store: StoreLike | None) -> list[tuple[str | None, str]]:
    from mekb.interests import liked_items

    if store is None:
        raise UnknownError(
            f"user '{user}' is asked for without a store; give the store that knows them"
        )
    with opened(store) as source:
        return list(liked_items(source, user))


def _domain_and_item(bundle: "Bundle", text: str) -> tuple[str | None, str]:
    domain, colon, item = text.partition(":")
    return (domain, item) if colon and domain in bundle.items else (None, text)
