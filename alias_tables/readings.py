"""The two readings of a dump, slice by slice over the workers.

In: a `Plan` and a work folder. Out: the first reading fills `raw_pages` and `raw_names`, the second
`link_probs`; what is counted comes back as a `Harvest`. A page that two slices hold counts where it stands
first: the later slice is read again without it, so that the outcome is that of reading all in order.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
from pyarrow import parquet

from alias_tables.config import AliasConfig
from alias_tables.errors import DumpError, FalseBoundaryError, WorkFolderError
from alias_tables.harvest import COUNTED, LEFT_OUT, NAMES, PAGES, HarvestTask
from alias_tables.occurrences import COUNTS, LINK_PROBS, CountTask, link_probs
from alias_tables.raw_tables import create_like, insert, load_raw_tables
from alias_tables.report import RejectLog
from alias_tables.site import Site
from alias_tables.slice_pages import SliceTask
from alias_tables.slices import Plan, Slice
from alias_tables.sources import FileStamp
from alias_tables.surface_table import SurfaceTable, save_surface_table
from alias_tables.tasks import HashTask, Task, work_on
from alias_tables.work_folder import SliceFiles, WorkFolder, write_json
from alias_tables.workers import Board, Crew

Progress = Callable[[str, int, int], None]

REPEATED_SQL = """
with files as (select unnest($files) as filename, generate_subscripts($files, 1) - 1 as slice),
held as (
    select distinct page_id, slice from read_parquet($files, filename = true) join files using (filename)
),
repeated as (
    select page_id, min(slice) as first from held group by page_id having count(*) > 1
)
select slice, page_id from held join repeated using (page_id) where slice > first
order by slice, page_id
"""
"""Pages that a slice holds and an earlier one too."""

_SURFACES_SQL = "select distinct surface from ranked where reason is null"
_SURFACES_A_BATCH = 20_000


@dataclass(slots=True)
class Harvest:
    """What the first reading saw beside its tables."""

    pages: RejectLog
    links: RejectLog
    site: Site = field(default_factory=Site)
    stamps: list[FileStamp] = field(default_factory=list)
    n_pages: int = 0
    n_links: int = 0
    n_links_in_templates: int = 0
    invalid_utf8: int = 0
    damaged: int = 0
    rejects: list[Path] = field(default_factory=list)
    """Files of all that was left out, if they were asked for."""


class Readings:
    """Reads the slices of one dump, as many at a time as there are workers."""

    def __init__(
        self, plan: Plan, config: AliasConfig, folder: WorkFolder, crew: Crew, progress: Progress
    ) -> None:
        self.plan = plan
        self._config = config
        self._folder = folder
        self._crew = crew
        self._progress = progress
        self._excluded: dict[Slice, Path] = {}
        self._total = sum(part.stat().st_size for part in plan.parts)

    def first(
        self, connection: duckdb.DuckDBPyConnection, known: Mapping[Path, str], *, rejects: bool
    ) -> Harvest:
        """Fill `raw_pages` and `raw_names`.

        Args:
            connection: where the temporary tables are made.
            known: SHA-256 of parts, where the caller has them already.
            rejects: also write what is left out to files.

        Raises:
            DumpError: a part is damaged, or the dump has no article or no link.
            WorkFolderError: a part is not the one the folder holds work of.
        """
        self._check_hashes(known)
        try:
            files = self._harvest("read", self.plan.slices, rejects=rejects)
        except FalseBoundaryError:
            self.plan = self.plan.uncut()
            files = self._harvest("read", self.plan.slices, rejects=rejects)
        if self._find_repeated(connection, files):
            files |= self._harvest("read_again", list(self._excluded), rejects=rejects)
        harvest = self._sum([files[piece] for piece in self.plan.slices], rejects=rejects)
        pages, names = ([held.path(kind) for held in files.values()] for kind in (PAGES, NAMES))
        load_raw_tables(connection, pages, names)
        return harvest

    def second(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Fill `link_probs` from `ranked`."""
        create_like(connection, "link_probs", LINK_PROBS)
        surfaces = self._folder.path / "surfaces.parquet"
        connection.sql(_SURFACES_SQL).write_parquet(str(surfaces), compression="zstd")
        folder = self._save_table(surfaces)
        stage = f"found-{folder.name}"
        files = {piece: self._files(stage, piece) for piece in self.plan.slices}
        board = self._board(len(files))
        tasks = [
            CountTask(self._task(piece, held, board, slot), folder)
            for slot, (piece, held) in enumerate(files.items())
            if not held.is_finished(COUNTS)
        ]
        self._run("link_probability", tasks, board)
        for rows in link_probs(SurfaceTable(folder), _batches(surfaces), files.values()):
            insert(connection, "link_probs", rows)

    def _save_table(self, surfaces: Path) -> Path:
        """Write the surfaces as a table that workers map, if it is not there yet; return its folder."""
        aside = self._folder.path / "surfaces.part"
        n_surfaces = parquet.read_metadata(surfaces).num_rows
        digest = save_surface_table(lambda: _batches(surfaces), n_surfaces, aside)
        folder = self._folder.path / f"surfaces-{digest[:16]}"
        if folder.exists():
            shutil.rmtree(aside)
            return folder
        return aside.rename(folder)

    def _board(self, n_slots: int) -> Board:
        return Board(self._folder.path / "board", n_slots or 1)

    def _task(self, piece: Slice, held: SliceFiles, board: Board, slot: int) -> SliceTask:
        excluded = self._excluded.get(piece)
        return SliceTask(
            piece, held, self.plan.site, self._config, board.path, slot, excluded=excluded
        )

    def _files(self, stage: str, piece: Slice) -> SliceFiles:
        excluded = self._excluded.get(piece)
        return self._folder.slice_files(stage, piece, "" if excluded is None else excluded.stem)

    def _run(
        self,
        stage: str,
        tasks: Sequence[Task],
        board: Board,
        total: int | None = None,
    ) -> None:
        """Run what is not finished; the stage's bytes begin with those that are."""
        whole = self._total if total is None else total
        todo = sum(task.of.piece.n_bytes for task in tasks if not isinstance(task, HashTask))
        told = whole - todo

        def tell(done: int) -> None:
            nonlocal told
            if whole - todo + done - told > whole // 100:
                told = whole - todo + done
                self._progress(stage, told, whole)

        self._progress(stage, told, whole)
        self._crew.run(work_on, tasks, board, tell)
        self._progress(stage, whole, whole)

    def _harvest(
        self, stage: str, slices: Sequence[Slice], *, rejects: bool
    ) -> dict[Slice, SliceFiles]:
        files = {piece: self._files("read", piece) for piece in slices}
        hashes = self._unhashed(self._hash_files())
        board = self._board(len(slices) + len(hashes))
        tasks: list[Task] = [
            HashTask(part, result, board.path, len(slices) + i)
            for i, (part, result) in enumerate(hashes)
        ]
        for slot, (piece, held) in enumerate(files.items()):
            task = HarvestTask(self._task(piece, held, board, slot), rejects)
            if not held.is_finished(*task.kinds):
                tasks.append(task)
        total = None if stage == "read" else sum(piece.n_bytes for piece in slices)
        self._run(stage, tasks, board, total)
        return files

    def _hash_files(self, name: str = "hash") -> list[Path]:
        return [
            self._folder.path / f"{name}-{number:04d}.json"
            for number in range(len(self.plan.parts))
        ]

    def _unhashed(self, files: Sequence[Path]) -> list[tuple[Path, Path]]:
        return [
            (part, file)
            for part, file in zip(self.plan.parts, files, strict=True)
            if not file.exists()
        ]

    def _check_hashes(self, known: Mapping[Path, str]) -> None:
        """Compare the parts with those the folder holds work of; write the hashes that are known."""
        held = self._hash_files()
        if self._folder.resumed and self._unhashed(held):
            self._folder.clear()  # cut off before it was known what was read
        now = self._hash_files("check") if self._folder.resumed else held
        for part, file in zip(self.plan.parts, now, strict=True):
            file.unlink(missing_ok=True)
            if part in known:
                write_json(file, {"sha256": known[part]})
        if not self._folder.resumed:
            return
        board = self._board(1)
        tasks = [HashTask(part, file, board.path, 0) for part, file in self._unhashed(now)]
        self._run("check", tasks, board, 0)
        for part, before, after in zip(self.plan.parts, held, now, strict=True):
            if before.exists() and _read_hash(before) != _read_hash(after):
                raise WorkFolderError(
                    f"{self._folder.path}: {part.name} changed since; choose another folder"
                )
            after.replace(before)

    def _find_repeated(
        self, connection: duckdb.DuckDBPyConnection, files: Mapping[Slice, SliceFiles]
    ) -> bool:
        """Write the page ids that each slice shares with an earlier one; say whether there are any."""
        if len(files) < 2:  # noqa: PLR2004 (two slices can share a page)
            return False
        paths = [str(held.path(PAGES)) for held in files.values()]
        found = connection.execute(REPEATED_SQL, {"files": paths}).fetchnumpy()
        pieces = list(files)
        for number in np.unique(found["slice"]).tolist():
            ids = found["page_id"][found["slice"] == number].astype(np.uint32)
            digest = hashlib.sha256(ids.tobytes()).hexdigest()[:16]
            path = self._folder.path / f"{digest}.npy"
            np.save(path, ids, allow_pickle=False)
            self._excluded[pieces[number]] = path
        return bool(self._excluded)

    def _sum(self, files: Sequence[SliceFiles], *, rejects: bool) -> Harvest:
        """Add up the counts of all slices, in their order, and judge them."""
        listed = self._config.max_rejects_listed
        harvest = Harvest(RejectLog(listed), RejectLog(listed), self.plan.site)
        harvest.stamps = [
            FileStamp(part.name, part.stat().st_size, _read_hash(file))
            for part, file in zip(self.plan.parts, self._hash_files(), strict=True)
        ]
        for held in files:
            counts = held.counts()
            for name in (*COUNTED, "invalid_utf8", "damaged"):
                setattr(harvest, name, getattr(harvest, name) + counts[name])
            for log, name in ((harvest.pages, "pages"), (harvest.links, "links")):
                log.merge(**counts[name])
            if rejects:
                harvest.rejects.append(held.path(LEFT_OUT))
        _check_plausible(harvest)
        return harvest


def _batches(surfaces: Path) -> Iterator[list[str]]:
    with parquet.ParquetFile(surfaces) as file:
        for batch in file.iter_batches(_SURFACES_A_BATCH):
            yield batch.column(0).to_pylist()


def _read_hash(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8"))["sha256"])


def _check_plausible(harvest: Harvest) -> None:
    names = ", ".join(stamp.name for stamp in harvest.stamps)
    n_skipped = sum(harvest.pages.counts.values())
    if harvest.n_pages == n_skipped:
        raise DumpError(
            f"{names}: no article in {harvest.n_pages} pages; a pages-articles dump is expected"
        )
    if harvest.n_links == 0:
        raise DumpError(
            f"{names}: 0 links in {harvest.n_pages - n_skipped} articles:"
            " wrong dump or unsupported schema"
        )
