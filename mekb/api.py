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
    from entity_linking.evaluate import Evaluation, EvaluationConfig
    from entity_linking.linker import Mention
    from mekb.bundle import Bundle
    from mekb.cluster.scoring import ClusterScoring
    from mekb.edits import Edit
    from mekb.forget import Forgotten
    from mekb.growth import Added
    from mekb.increments import Updated
    from mekb.linking import LinkingResult
    from mekb.models import Comparison, TrainedModel
    from mekb.query import Answer
    from mekb.rdf.provenance import Provenance
    from mekb.sources import Description, ImportReport, TableLike
    from mekb.validation import Validation

StoreLike = Store | str | Path
OnProgress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@contextlib.contextmanager
def opened(
    store: StoreLike, *, create: bool = False, settings: Settings | None = None
) -> Iterator[Store]:
    """Give an open store: the one given, or the one at a path, closed again at the end.

    Args:
        store: The store.
        create: Make the file when there is none.
        settings: `settings.store` says what its engine may use; an open store keeps what it was opened with.
    """
    if isinstance(store, Store):
        yield store
        return
    with Store.open(store, create=create, settings=settings.store if settings else None) as own:
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
        target = stack.enter_context(_opened_for_import(store, chosen))

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


def add_data(
    store: StoreLike,
    *,
    items: "Sequence[TableLike]" = (),
    interactions: "Sequence[TableLike]" = (),
    settings: Settings | None = None,
) -> "Added":
    """Add new items and interactions to a store; users and items it knows keep their ids.

    A row of a user and item that is there already is merged by `settings.source.duplicates`. New items count
    once they are linked; `update_profiles` then scores the users touched.

    Args:
        store: A store with imported data.
        items: Files or tables with a row an item, as for `import_data`.
        interactions: Likewise, a row a user and item.
        settings: `settings.source` maps the columns.

    Raises:
        UnknownError: nothing is imported yet.
        ConfigError: `source.positive_from` is not that of the import.
        SourceError: nothing was given, a file is not there, lacks a column, or a policy refuses a row.
    """
    from mekb.growth import add_rows
    from mekb.sources import as_files

    if not items and not interactions:
        raise SourceError("nothing to add: give a file of interactions, of items, or both")
    chosen = settings or Settings()
    with contextlib.ExitStack() as stack:
        item_files, interaction_files = (
            stack.enter_context(as_files(tables)) for tables in (items, interactions)
        )
        inputs = _file_inputs({"items": item_files, "interactions": interaction_files})
        target = stack.enter_context(opened(store, settings=chosen))
        return add_rows(target, item_files, interaction_files, chosen.source, inputs)


@contextlib.contextmanager
def _opened_for_import(store: StoreLike, settings: Settings) -> Iterator[Store]:
    """Open a store, making it if absent; one made here goes away again when the import fails."""
    fresh = not isinstance(store, Store) and not Path(store).exists()
    try:
        with opened(store, create=True, settings=settings) as target:
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
    with _opened_for_import(store, chosen) as target:

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


def build_profiles(
    store: StoreLike,
    *,
    settings: Settings | None = None,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> StageResult:
    """Score the interests of every user of a store (paper 002, eqs. 4-7) and flatten them into texts.

    Users are scored in parts that fit `settings.store.memory_limit`; what else is needed is spilled to disk.

    Raises:
        UnknownError: the items are not imported or not linked yet.
        ConfigError: decay is asked for, and interactions have no time.
    """
    from mekb.interests import build_profiles as build

    chosen = settings or Settings()

    def on_part(done: int, total: int) -> None:
        on_progress("score", done, total)

    with opened(store, settings=chosen) as target:
        return build(target, chosen.scoring, force=force, on_part=on_part)


def export_tables(
    store: StoreLike, folder: str | Path, *, tables: Sequence[str] = (), force: bool = False
) -> dict[str, int]:
    """Write tables of a store as Parquet files with a manifest; return the rows of each.

    Args:
        store: The store.
        folder: Where to; it is written whole or not at all.
        tables: Names of tables; those that profiles are made from where none is given.
        force: Replace a folder that was exported before.

    Raises:
        UnknownError: the store has no such table.
        OutputError: the folder exists, or cannot be written.
    """
    from mekb.exchange import export_tables as export
    from mekb.interests import SCORED_TABLES

    with opened(store) as source:
        return export(source, Path(folder), tuple(tables) or SCORED_TABLES, force=force)


def build_profiles_on_spark(
    input: str | Path,
    output: str | Path,
    *,
    master: str = "local[*]",
    conf: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    force: bool = False,
) -> "ClusterScoring":
    """Score the interests of every user of exported tables on Spark, by the same SQL; needs `mekb[spark]`.

    Args:
        input: What `export_tables` wrote: a path that all workers see, or a URI that Spark knows.
        output: Where to write `user_entity`, `profiles` and what else a store needs, as Parquet.
        master: Such as "local[2]", "spark://host:7077" or "yarn".
        conf: Settings of Spark.
        settings: `settings.scoring`.
        force: Replace what was written there before.

    Raises:
        MissingError: PySpark or Java is not there.
        ClusterError: a table is not there, or Spark fails.
        ConfigError: decay is asked for, and interactions have no time.
        OutputError: the output exists, or cannot be written.
    """
    from mekb.cluster.scoring import build_profiles as build
    from mekb.cluster.session import spark_session

    scoring = (settings or Settings()).scoring
    with spark_session(master, conf) as session:
        return build(session, str(input), str(output), scoring, force=force)


def link_on_spark(
    input: str | Path,
    output: str | Path,
    dictionary: str | Path,
    *,
    ship: bool = False,
    master: str = "local[*]",
    conf: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    force: bool = False,
) -> None:
    """Link exported items on Spark with the same linker; writes `mentions` as Parquet; needs `mekb[spark]`.

    Args:
        input: What `export_tables` wrote with `tables=["items"]`: a path that all workers see, or a URI.
        output: Where to write.
        dictionary: The folder `STORE.aliases` beside a store, which all workers see.
        ship: Copy that folder to the workers instead.
        master: Such as "local[2]", "spark://host:7077" or "yarn".
        conf: Settings of Spark.
        settings: `settings.link`.
        force: Replace what was written there before.

    Raises:
        MissingError: PySpark or Java is not there.
        ClusterError: a table is not there, or Spark fails.
        OutputError: the output exists, or cannot be written.
    """
    from mekb.cluster.linking import Dictionary, link_items
    from mekb.cluster.session import spark_session

    config = (settings or Settings()).link
    found = Dictionary(Path(dictionary), ship)
    with spark_session(master, conf) as session:
        link_items(session, str(input), str(output), found, config, force=force)


def import_profiles(store: StoreLike, folder: str | Path, *, force: bool = False) -> StageResult:
    """Take profiles that `build_profiles_on_spark` wrote into the store whose tables they were made from.

    Raises:
        SourceError: the folder holds no profiles, or not all.
        StoreError: they were made from other tables or by another formula, or a table breaks its contract.
    """
    from mekb.exchange import import_profiles as take

    with opened(store) as target:
        return take(target, Path(folder), force=force)


def import_mentions(
    store: StoreLike,
    folder: str | Path,
    *,
    settings: Settings | None = None,
    force: bool = False,
) -> StageResult:
    """Take mentions that `link_on_spark` wrote into the store whose items they are of; writes what `link` does.

    Raises:
        SourceError: the folder holds no mentions.
        StoreError: they were made from other items or another alias table, or a table breaks its contract.
    """
    from mekb.exchange import import_mentions as take

    with opened(store) as target:
        return take(target, Path(folder), (settings or Settings()).weights, force=force)


def update_profiles(
    store: StoreLike,
    *,
    settings: Settings | None = None,
    refresh: bool = False,
    on_progress: OnProgress = no_progress,
) -> "Updated":
    """Score the users whose interactions or items changed since they were scored, with the idf of the last build.

    Args:
        store: A store whose profiles were built once.
        settings: `settings.scoring` as in the build; `settings.update` says how drift is judged.
        refresh: Score everybody, with idf counted anew.
        on_progress: Told of parts of users.

    Raises:
        UnknownError: no profiles were built yet.
        RefreshError: more than some users' items changed; only a refresh can be right.
    """
    from mekb.increments import update_profiles as update

    chosen = settings or Settings()

    def on_part(done: int, total: int) -> None:
        on_progress("score", done, total)

    with opened(store, settings=chosen) as target:
        return update(target, chosen.scoring, chosen.update, refresh=refresh, on_part=on_part)


def import_keywords(
    store: StoreLike, files: Sequence[str | Path], *, force: bool = False
) -> StageResult:
    """Read dictionaries of keywords into a store; the next `link` finds them in titles and texts.

    Args:
        store: The store.
        files: Tables with `keyword`, and optionally `label`, `weight` and `aliases` (separated by "|").
        force: Read them though nothing changed.

    Raises:
        SourceError: no such file, a weight is no number, or there is no keyword.
        DumpError: a file lacks the column.
    """
    from mekb.keywords import import_keywords as read

    paths = [Path(file) for file in files]
    with opened(store) as target:
        return read(target, paths, _file_inputs({"keywords": paths}), force=force)


def import_relations(store: StoreLike, file: str | Path, *, force: bool = False) -> StageResult:
    """Read relations of the knowledge graph (subject, predicate, object; QIDs) into a store.

    Raises:
        SourceError: no such file, or no row relates two QIDs.
        DumpError: the file lacks the columns.
    """
    from mekb.neighbours import import_relations as read

    with opened(store) as target:
        return read(target, Path(file), _file_inputs({"relations": [Path(file)]}), force=force)


def infer_interests(
    store: StoreLike, *, settings: Settings | None = None, force: bool = False
) -> StageResult:
    """Spread interests one hop along relations into a table of its own, marked as inferred; see `mekb.neighbours`.

    Args:
        store: A store with profiles and relations.
        settings: `settings.neighbours`.
        force: Infer though nothing changed.

    Raises:
        UnknownError: the store has no profiles, or no relations.
    """
    from mekb.neighbours import infer_interests as infer

    chosen = settings or Settings()
    with opened(store, settings=chosen) as target:
        return infer(target, chosen.neighbours, force=force)


def user_graph(store: StoreLike, user: str, *, inferred: bool = False) -> UserGraph:
    """Return one user's MeKB: interests by falling weight, each with its evidence.

    Args:
        store: A store with profiles.
        user: The user's id.
        inferred: Put what was inferred from their interests behind them.

    Raises:
        UnknownError: no such user, no profiles yet, or nothing inferred yet.
    """
    from mekb.interests import read_user_graph

    with opened(store) as source:
        graph = read_user_graph(source, user)
        if not inferred:
            return graph
        from mekb.neighbours import with_inferred

        return with_inferred(source, graph)


def edit_profile(
    store: StoreLike,
    user: str,
    *,
    remove: Sequence[str] = (),
    add: "Sequence[str] | Mapping[str, float | None]" = (),
    pin: "Sequence[str] | Mapping[str, float | None]" = (),
    undo: Sequence[str] = (),
    undo_all: bool = False,
) -> UserGraph:
    """Remove, add or pin interests of a user, and return the profile as it is then.

    Edits are a layer above what the data say: they survive every build, update and import, and undoing them
    gives back the derived profile bit for bit. Names are QIDs, titles ("Heat (1995 film)"), "brand:Sony", or
    any name that means one entity only. Weights sum to 1 again after each edit; `mekb.effective` says how.
    Models are trained on derived interests alone: an edit is no observation.

    Args:
        store: A store with profiles.
        user: The user's id.
        remove: What is to be gone, whatever the data say; the others are scaled up.
        add: What shall count beside the rest, with a weight (0.1 if None), before all are made to sum to 1.
        pin: What shall have just this weight of the profile (that of now if None), whatever the data say.
        undo: Edits to take back.
        undo_all: Take back all of them, before anything else is done.

    Raises:
        UnknownError: no such user or entity, a name that may mean several, or a weight that cannot be.
    """
    from mekb.edits import Changes, name_and_weight
    from mekb.edits import edit_profile as edit

    def weighed(given: "Sequence[str] | Mapping[str, float | None]") -> dict[str, float | None]:
        return dict(given if isinstance(given, Mapping) else map(name_and_weight, given))

    changes = Changes(tuple(remove), weighed(add), weighed(pin), tuple(undo), undo_all)
    with opened(store) as target:
        return edit(target, user, changes)


def profile_edits(store: StoreLike, user: str) -> "tuple[Edit, ...]":
    """Return what a user changed in their profile, the oldest edit first.

    Raises:
        UnknownError: no such user.
    """
    from mekb.edits import read_edits

    with opened(store) as source:
        return read_edits(source, user)


def forget_user(store: StoreLike, user: str) -> "Forgotten":
    """Remove a person from every table of a store, from its file, and from exports made for them; prove it.

    The store's file is written anew without them and takes the old one's place in one step, so that an
    interruption leaves the one or the other, whole. The disk must hold the store twice.

    Args:
        store: The store.
        user: The user's id.

    Raises:
        UnknownError: no such user.
        StoreError: the file cannot be written anew; the store is as before.
    """
    from mekb.forget import forget_user as forget

    with opened(store) as target:
        return forget(target, user)


def export_profile(
    store: StoreLike,
    user: str,
    path: str | Path,
    *,
    format: str | None = None,
    force: bool = False,
    inferred: bool = False,
) -> UserGraph:
    """Write one user's MeKB to a file: json, csv, ttl, jsonld, nt, or a picture as png or svg.

    The store remembers the file, so that `forget_user` can delete it.

    Raises:
        UnknownError: no such user, or no profiles yet.
        OutputError: the file exists and `force` is not set, or the format is not known.
    """
    from mekb.export import write_user_graph
    from mekb.export_log import note_export

    with opened(store) as source:
        graph = user_graph(source, user, inferred=inferred)
        provenance = _provenance(source, graph.run_id)
        write_user_graph(graph, Path(path), format=format, force=force, provenance=provenance)
        note_export(source, Path(path), user)
    return graph


def _provenance(store: Store, run_id: str | None) -> "Provenance":
    from importlib.metadata import version

    from mekb.rdf.provenance import provenance_of

    return provenance_of(store, run_id, software=version("mekb"))


def export_profiles(
    store: StoreLike,
    path: str | Path,
    *,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> int:
    """Write the MeKBs of all users as N-Quads, one named graph a user, in the memory of a few; return their number.

    Args:
        store: A store with profiles.
        path: An `.nq` file, or `.nq.gz`.
        force: Replace a file that stands there.
        on_progress: Told of users written.

    Raises:
        UnknownError: no profiles yet.
        OutputError: the file exists and `force` is not set, has another ending, or cannot be written.
    """
    from mekb.all_profiles import read_all_graphs
    from mekb.export import write_user_graphs
    from mekb.export_log import note_export
    from mekb.interests import newest_run

    with opened(store) as source:
        source.require(
            "users",
            "user_entity",
            hint=f"build the profiles with 'mekb profiles build {source.path}'",
        )
        total = source.count("users")
        with contextlib.closing(read_all_graphs(source)) as graphs:
            n_users = write_user_graphs(
                graphs,
                Path(path),
                force=force,
                provenance=_provenance(source, newest_run(source)),
                on_user=lambda done: on_progress("users", done, total),
            )
        note_export(source, Path(path), None)
        return n_users


def read_profile(path: str | Path, *, user: str | None = None) -> UserGraph:
    """Return a MeKB that was exported as ttl, jsonld, nt, nq or json (or one of these and `.gz`).

    Args:
        path: The file; nothing else is opened or fetched, whatever it says.
        user: Whose, where the file holds several.

    Raises:
        SourceError: the file is malformed, or holds several users and none was named.
        UnknownError: the user is not in it.
    """
    from mekb.rdf.files import read_profile as read

    return read(Path(path), user=user)


def read_profiles(path: str | Path) -> Iterator[UserGraph]:
    """Yield every MeKB of an exported file; those of N-Quads one at a time.

    Raises:
        SourceError: the file is malformed.
    """
    from mekb.rdf.files import read_profiles as read

    return read(Path(path))


def validate_profiles(
    store: StoreLike | None = None,
    users: Sequence[str] = (),
    *,
    file: str | Path | None = None,
    sample: int = 20,
    seed: int = 0,
    on_progress: OnProgress = no_progress,
) -> "Validation":
    """Hold MeKBs to the SHACL shapes that ship with this package; needs the extra `mekb[validate]`.

    Args:
        store: A store with profiles; or else
        file: an exported file (ttl, jsonld, nt, nq), which is checked whole.
        users: Users of the store; a sample of them where none is named.
        sample: How many users to draw.
        seed: Of the draw: the same users for the same seed.
        on_progress: Told of profiles checked.

    Raises:
        MissingError: pySHACL is not installed.
        UnknownError: neither or both of store and file are given; no such user, or no profiles yet.
        SourceError: the file is malformed.
    """
    from mekb.validation import check_file, check_users, sampled_users

    def on_checked(done: int, total: int) -> None:
        on_progress("profiles", done, total)

    if (store is None) == (file is None):
        raise UnknownError("give one of: a store (with users, or a sample is drawn), or a file")
    if store is None:
        return check_file(Path(file or ""), on_checked)
    with opened(store) as source:
        return check_users(source, users or sampled_users(source, sample, seed), on_checked)


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
    profile: UserGraph | str | Path | None = None,
    k: int = 10,
    explain: bool = True,
) -> "Answer":
    """Recommend items of the target domain to a user who may be wholly new.

    Args:
        bundle: A bundle, open or by its folder.
        user: A user of `store`, whose positive interactions are the history, and whose edited profile is
            taken where they edited it; or of a `profile` file of many.
        store: The store that knows the user.
        history: Items as "ITEM" or "DOMAIN:ITEM".
        interests: QIDs, titles or names of entities; used alone, not together with a history.
        profile: A MeKB, or a file one was exported to, here or by another service; its weights are kept.
        k: How many items, at least 1.
        explain: Work out which interests carried each item.

    Raises:
        UnknownError: nothing to go by was given, or something given is not known.
        SourceError: the profile's file is malformed.
    """
    from mekb.bundle import Bundle
    from mekb.query import answer, history_of, weights_of_graph, weights_of_interests

    if k < 1:
        raise UnknownError(f"k is {k}; ask for 1 item at least")
    ways = [
        user is not None and profile is None,
        bool(history),
        bool(interests),
        profile is not None,
    ]
    if sum(ways) != 1 or (profile is not None and store is not None):
        raise UnknownError(
            "give one of: a user (with the store), a history, interests, or a profile"
        )
    opened_bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    if interests:
        weights, notes = weights_of_interests(opened_bundle, interests)
        return answer(opened_bundle, weights, k=k, explain=explain, notes=notes)
    if profile is not None:
        graph = profile if isinstance(profile, UserGraph) else read_profile(profile, user=user)
        return _answer_to_profile(opened_bundle, graph, k=k, explain=explain)
    pairs = (
        _user_items(user, store)
        if user is not None
        else [_domain_and_item(opened_bundle, i) for i in history]
    )
    known = history_of(
        opened_bundle, [pair for pair in pairs if pair[0] is None or pair[0] in opened_bundle.items]
    )
    weights, notes = opened_bundle.profiles.weights(known), []
    if user is not None and store is not None and profile_edits(store, user):
        weights, notes = weights_of_graph(opened_bundle, user_graph(store, user))
        notes = ["the profile was edited by its owner", *notes]
    return answer(opened_bundle, weights, history=known, k=k, explain=explain, notes=notes)


def _answer_to_profile(bundle: "Bundle", graph: UserGraph, *, k: int, explain: bool) -> "Answer":
    from mekb.query import answer, items_of_graph, weights_of_graph

    weights, notes = weights_of_graph(bundle, graph)
    known = items_of_graph(bundle, graph)
    return answer(bundle, weights, history=known, k=k, explain=explain, notes=notes)


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
