"""Stages killed at random moments: is the earlier artefact whole, and does a rerun end where it should?

    python benchmarks/kills.py --kills 200

In: a small project, a number and a seed. Each stage of `STAGES` is run on a copy of the project and killed (SIGKILL):

    by the clock    uniformly over the time an uninterrupted run takes, or (every third) in its last tenth
    by the event    before the n-th file it opens for writing, makes, renames or removes: between any two of them

After the kill, each artefact must open, pass its own checks and be the earlier one or the complete new one; after the
same command once more, all must be as after a run that nobody killed, and nothing else may lie about. A run is a fork of
this process, which has imported everything, so that a kill falls into the work and not into Python's start.

Out: a line a stage, and by moment how many kills left the earlier and how many the new artefact. What was lost ends it.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).parents[1]
DUMP = "enwiki-pages-articles.xml.bz2"
TRAIN = ("train", "my.duckdb", "model", "--target", "films", "--sources", "books,music", "--quiet")
LEFT_OVER = ("my.duckdb.wal", "model.logs")
"""What may stay: DuckDB's log of committed changes, which the next to open the store takes up; TensorBoard's curves."""


@dataclass(frozen=True)
class Stage:
    """A command that replaces artefacts which are there already."""

    name: str
    words: tuple[str, ...]
    artefacts: tuple[str, ...]
    """What it makes: "tables", "dictionary", "model", "bundle"."""
    before: tuple[tuple[str, ...], ...] = ()
    """Commands that make the folder it starts from."""
    again: tuple[str, ...] = ()
    """Further words when it is run after a kill."""
    quick: bool = False
    """Whether it takes the settings of the small model."""


STAGES = (
    Stage(
        "aliases build",
        (
            *("aliases", "build", "my.duckdb", "--dump", DUMP, "--qids", "titles.tsv"),
            *("--force", "--quiet", "--workers", "1", "--set", "aliases.smooth=true"),
        ),
        ("tables", "dictionary"),
    ),
    Stage(
        "link",
        ("link", "my.duckdb", "--force", "--quiet", "--set", "link.min_prior=0.9"),
        ("tables",),
    ),
    Stage(
        "profiles build",
        ("profiles", "build", "my.duckdb", "--force", "--quiet", "--set", "scoring.k_star=2"),
        ("tables",),
    ),
    Stage(
        "profiles update",
        ("profiles", "update", "my.duckdb", "--quiet"),
        ("tables",),
        before=(("data", "add", "my.duckdb", "--interactions", "day.csv"),),
    ),
    Stage(
        "train",
        (*TRAIN, "--force", "--set", "train.seed=1", "--set", "train.snapshot_seconds=0.05"),
        ("model",),
        again=("--resume",),
        quick=True,
    ),
    Stage(
        "bundle",
        ("bundle", "my.duckdb", "model", "bundle", "--force"),
        ("bundle",),
        before=((*TRAIN, "--force", "--set", "train.seed=1"),),
        quick=True,
    ),
)


@dataclass
class Killed:
    """What the kills of one stage led to."""

    stage: str
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(moment, which artefact stood there) -> kills."""
    too_late: int = 0
    """Runs that ended before they were killed; not counted as kills."""
    temporary: Counter[str] = field(default_factory=Counter)
    """Folders left where temporary files go, by name."""

    @property
    def n_kills(self) -> int:
        """How many runs were killed."""
        return sum(self.left.values())


class LostError(Exception):
    """An artefact is neither the earlier one nor the new one, or a rerun ends elsewhere."""


def tests_conftest() -> ModuleType:
    """Return what makes the tests' small project."""
    spec = importlib.util.spec_from_file_location(
        "project_of_tests", ROOT / "tests" / "conftest.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def in_child(work: Callable[[], object], said: Path) -> int:
    """Start a fork of this process that does some work and writes what it says to a file; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        work()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException as error:  # noqa: BLE001  (it ends here, whatever it is)
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    """Wait for a child; return its exit code, or -signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(folder: Path, words: Sequence[str]) -> Callable[[], None]:
    """Return what runs `mekb WORD ...` in a folder."""

    def run() -> None:
        from mekb.cli.app import main  # noqa: PLC0415  (imported long before, see `warm_up`)

        os.chdir(folder)
        tempfile.tempdir = str(temporary_of(folder))
        sys.argv = ["mekb", *words]
        main()

    return run


def temporary_of(folder: Path) -> Path:
    """Return where runs on a folder put temporary files."""
    made = folder.with_name(f"{folder.name}.tmp")
    made.mkdir(exist_ok=True)
    return made


_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate")


def counting(work: Callable[[], None], folder: Path, stop_at: int | None) -> Callable[[], None]:
    """Return some work that counts its changes of files in a folder, and is killed before one of them.

    Their kinds are written to `folder`.events, one a line, when nobody is killed.
    """
    prefix = str(folder)

    def run() -> None:
        events: list[str] = []

        def hook(event: str, given: tuple[object, ...]) -> None:
            writes = event == "open" and isinstance(given[2], int) and given[2] & os.O_ACCMODE
            if not (writes or event in _CHANGES) or not given:
                return
            path = given[0]
            name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
            if not Path(folder, name).is_relative_to(prefix):
                return
            if len(events) == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
            events.append(event)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            kinds = list(events)
            Path(f"{prefix}.events").write_text("\n".join(kinds), encoding="utf-8")

    return run


def digests(folder: Path, artefacts: Sequence[str]) -> dict[str, str]:
    """Open and check each artefact of a folder; return what tells its content from others.

    Raises:
        Exception: an artefact is not whole.
    """
    found: dict[str, str] = {}
    if {"tables", "dictionary"} & set(artefacts):
        found |= _store_digests(folder, artefacts)
    if "model" in artefacts:
        from training import checkpoint  # noqa: PLC0415  (imported by `warm_up`)

        checkpoint.load(folder / "model")
        manifest = json.loads((folder / "model" / "manifest.json").read_text())
        listed = {
            name: digest
            for name, digest in manifest["files"].items()
            if name.endswith((".safetensors", "config.json"))
        }
        found["model"] = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    if "bundle" in artefacts:
        from mekb import api  # noqa: PLC0415  (imported by `warm_up`)

        api.open_bundle(folder / "bundle")
        manifest = json.loads((folder / "bundle" / "manifest.json").read_text())
        files = {n: d for n, d in manifest["files"].items() if n != "model/manifest.json"}
        found["bundle"] = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return found


def _store_digests(folder: Path, artefacts: Sequence[str]) -> dict[str, str]:
    from alias_tables.lookup import AliasIndex  # noqa: PLC0415  (imported by `warm_up`)
    from mekb.contracts import Contract  # noqa: PLC0415
    from mekb.saved_aliases import aliases_folder, tables_stamp  # noqa: PLC0415
    from mekb.schema import CATALOGUE  # noqa: PLC0415
    from mekb.store import Store  # noqa: PLC0415

    with Store.open(folder / "my.duckdb") as store:
        prints = {name: store.fingerprint(name) for name in CATALOGUE if store.has(name)}
        prints.pop("runs")
        for name in prints:
            for check, query in Contract.of(name).violations():
                if store.first_row(query) is not None:
                    raise LostError(f"table {name} fails its check {check}")
        stamp = tables_stamp(store)
    found = {"tables": json.dumps(prints, sort_keys=True)}
    place = aliases_folder(folder / "my.duckdb")
    if "dictionary" in artefacts:
        index = AliasIndex.open(place, verify=True)
        found["dictionary"] = index.stamp
        found["dictionary is of the tables"] = str(index.stamp == stamp)
    return found


def measured(folder: Path, artefacts: Sequence[str]) -> dict[str, str]:
    """Return `digests`, worked out by a fork: this process never opens a store.

    Raises:
        LostError: an artefact is not whole.
    """
    answer, said = folder.with_name(f"{folder.name}.state"), folder.with_name(f"{folder.name}.said")
    answer.unlink(missing_ok=True)

    def work() -> None:
        answer.write_text(json.dumps(digests(folder, artefacts)), encoding="utf-8")

    if ended(in_child(work, said)):
        raise LostError(said.read_text(encoding="utf-8"))
    state: dict[str, str] = json.loads(answer.read_text(encoding="utf-8"))
    return state


def run_whole(folder: Path, words: Sequence[str]) -> tuple[float, list[str]]:
    """Run a command to its end; return its seconds and the changes of files it made.

    Raises:
        LostError: it failed.
    """
    said = folder.with_name(f"{folder.name}.said")
    begun = time.perf_counter()
    if ended(in_child(counting(command(folder, words), folder, None), said)):
        raise LostError(f"{' '.join(words)}: {said.read_text(encoding='utf-8')}")
    return time.perf_counter() - begun, Path(f"{folder}.events").read_text().split("\n")


def files_of(folder: Path) -> set[str]:
    """Return every path below a folder, but for what may stay."""
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {path for path in paths if not path.startswith(LEFT_OVER)}


class Bench:
    """One stage, the folder it starts from, and what an uninterrupted run makes of it."""

    def __init__(self, stage: Stage, project: Path, quick: Sequence[str], work: Path) -> None:
        self.stage = stage
        self.work = work / stage.name.replace(" ", "-")
        self.base = self.work / "base"
        self.quick = tuple(quick)
        shutil.copytree(project, self.base)
        for words in stage.before:
            run_whole(self.base, self._settled(words))
        self.before = measured(self.base, stage.artefacts)
        whole = self._copy()
        self.seconds, self.events = run_whole(whole, self._settled(stage.words))
        self.after = measured(whole, stage.artefacts)
        self.files = files_of(whole)
        if self.before == self.after:
            raise LostError(f"{stage.name} changes nothing")

    def _settled(self, words: Sequence[str]) -> tuple[str, ...]:
        return (*words, *self.quick) if words[0] == "train" else tuple(words)

    def _copy(self) -> Path:
        made = self.work / "copy"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(self.base, made)
        return made

    def kill(self, moment: "Moment", killed: Killed) -> None:
        """Run the stage on a copy, kill it, look at what is there, and run it again.

        Raises:
            LostError: something is not as it should be.
        """
        folder, words = self._copy(), self._settled(self.stage.words)
        temporary = temporary_of(folder)
        work = counting(command(folder, words), folder, moment.event)
        child = in_child(work, folder.with_name("copy.said"))
        if moment.seconds is not None:
            time.sleep(moment.seconds)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        if ended(child) != -signal.SIGKILL:
            killed.too_late += 1
            return
        state = measured(folder, self.stage.artefacts)
        for name in self.stage.artefacts:
            if state[name] not in {self.before[name], self.after[name]}:
                raise LostError(f"{self.stage.name} killed {moment}: {name} is neither old nor new")
        is_new = all(state[name] == self.after[name] for name in self.stage.artefacts)
        killed.left[moment.name, "new" if is_new else "earlier"] += 1
        run_whole(folder, (*words, *self.stage.again))
        state = measured(folder, self.stage.artefacts)
        if state != self.after:
            raise LostError(f"{self.stage.name} killed {moment}: a rerun made another artefact")
        if more := files_of(folder) - self.files:
            raise LostError(f"{self.stage.name} killed {moment}: left {sorted(more)}")
        killed.temporary.update(entry.name.split("-")[0] for entry in temporary.iterdir())
        shutil.rmtree(temporary)

    def moments(self, n: int, rng: np.random.Generator) -> Iterator["Moment"]:
        """Yield moments to kill at: by the clock and by the event in turn."""
        while True:
            for _ in range(n):
                if self.events[0] and rng.random() < 0.5:
                    event = int(rng.integers(0, len(self.events)))
                    yield Moment(f"before {self.events[event]}", event=event)
                    continue
                share = float(rng.uniform(0.9, 1.0) if rng.random() < 1 / 3 else rng.uniform(0, 1))
                third = ("first third", "second third", "last third", "last tenth")
                name = third[3 if share >= 0.9 else int(3 * share)]
                yield Moment(name, seconds=share * self.seconds)


@dataclass(frozen=True)
class Moment:
    """When a run is killed: after some seconds, or before a change of a file."""

    name: str
    seconds: float | None = None
    event: int | None = None


def kill_stage(
    stage: Stage, project: Path, quick: Sequence[str], n_kills: int, seed: int
) -> Killed:
    """Kill one stage so many times; return what was left.

    Args:
        stage: Which.
        project: A finished small project; not written to.
        quick: Settings of its model, as words of the command line.
        n_kills: How often.
        seed: Of the moments.

    Raises:
        LostError: something is not as it should be.
    """
    killed = Killed(stage.name)
    with tempfile.TemporaryDirectory(prefix="mekb-kills-") as folder:
        bench = Bench(stage, project, quick, Path(folder))
        for moment in bench.moments(n_kills, np.random.default_rng(seed)):
            bench.kill(moment, killed)
            if killed.n_kills == n_kills:
                return killed
    raise AssertionError("unreachable: moments do not end")


def write_day(project: Path) -> None:
    """Write a day's new rows beside a project's files, for `profiles update`."""
    rows = (project / "interactions.csv").read_text(encoding="utf-8").splitlines()
    users = dict.fromkeys(row.split(",")[0] for row in rows[1:])
    items = dict.fromkeys(row.split(",")[1] for row in rows[1:])
    header = rows[0].split(",")
    rng = np.random.default_rng(0)
    values = {"rating": "5", "timestamp": rows[1].split(",")[header.index("timestamp")]}
    made = [
        ",".join({"user_id": user, "item_id": item, **values}.get(name, "") for name in header)
        for user, item in zip(rng.choice(list(users), 60), rng.choice(list(items), 60), strict=True)
    ]
    (project / "day.csv").write_text("\n".join([rows[0], *made]) + "\n", encoding="utf-8")


def warm_up() -> None:
    """Import what stages import, so that forks have it."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for name in ("torch", "transformers", "faiss", "mekb.cli.app", "mekb.bundle", "mekb.models"):
        importlib.import_module(name)
    for name in ("alias_tables.build", "mekb.linking", "mekb.increments", "mekb.trained", "spacy"):
        importlib.import_module(name)
    import torch  # noqa: PLC0415  (heavy)

    torch.set_num_threads(1)


def main() -> None:
    """Kill every stage, and print what was left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="over all stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", action="append", help="only this one; may be repeated")
    parser.add_argument("--project", type=Path, help="a finished small project, not one made here")
    parser.add_argument("--set", action="append", default=[], help="settings of that one's model")
    given = parser.parse_args()
    warm_up()
    stages = [stage for stage in STAGES if given.stage is None or stage.name in given.stage]
    with tempfile.TemporaryDirectory(prefix="mekb-kills-project-") as folder:
        project, quick = given.project, [word for one in given.set for word in ("--set", one)]
        if project is None:
            project, quick = make_project(Path(folder))
        write_day(project)
        total = 0
        for number, stage in enumerate(stages):
            share = given.kills // len(stages) + (number < given.kills % len(stages))
            begun = time.perf_counter()
            found = kill_stage(stage, project, quick, share, given.seed + number)
            total += found.n_kills
            seconds = time.perf_counter() - begun
            print(f"{stage.name}: {found.n_kills} kills, nothing lost ({seconds:.0f} s;", end=" ")
            print(
                f"{found.too_late} runs ended first; temporary folders left {dict(found.temporary)})"
            )
            for (moment, artefact), n in sorted(found.left.items()):
                print(f"    {moment:24} {artefact:8} {n:4}", flush=True)
    print(f"{total} kills, 0 artefacts lost")


def make_project(folder: Path) -> tuple[Path, list[str]]:
    """Make the tests' small project in a folder; return its place and the settings of its model."""
    tests = tests_conftest()
    encoder = tests.write_small_bert(folder / "encoder")
    project = folder / "project"
    project.mkdir()
    tests.write_files(project)
    quick = [
        f"{key}={value}" for key, value in {**tests.QUICK, "train.model.encoder": encoder}.items()
    ]
    words = [word for one in quick for word in ("--set", one)]
    for stage in (
        (
            "data",
            "import",
            "my.duckdb",
            "--items",
            "items.jsonl",
            "--interactions",
            "interactions.csv",
        ),
        ("aliases", "build", "my.duckdb", "--dump", DUMP, "--qids", "titles.tsv", "--workers", "1"),
        ("link", "my.duckdb", "--quiet"),
        ("profiles", "build", "my.duckdb", "--quiet"),
        (*TRAIN, *words),
        ("bundle", "my.duckdb", "model", "bundle"),
    ):
        run_whole(project, stage)
    return project, words


if __name__ == "__main__":
    main()
