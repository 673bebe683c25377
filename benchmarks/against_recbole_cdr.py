"""RecBole-CDR's models beside ours, on its own split and candidates: HR@10, NDCG@10, and what training cost.

    python benchmarks/against_recbole_cdr.py --peer-python PEER/bin/python
    python benchmarks/against_recbole_cdr.py --peer-python PEER/bin/python --data FOLDER --source books --target movies --trials 8

FOLDER holds atomic files, as `mekb data export --format recbole` writes them; without it a small world of users whose
groups hold in both domains is made. RecBole-CDR splits the target's rows of each user 8:1:1, and that split is read back:
ours learn from the same training rows, choose their epoch on the same validation rows and rank the same items (all but the
user's training and validation rows). All users are in training: warm, the only protocol it has. Defaults on both
sides, but for epochs: 300 at most and 50 without gain, since an epoch of a small world is a step or two. With `--trials N`
each model of either side has its defaults and N - 1 settings drawn from a space of its own (`PEER_SPACES`,
`training.tuning.SPACES`), of which the best on the validation rows counts, by NDCG@10 over all items; the seconds are those of the whole search.

Its EMCDR and SSCDR score a user of both domains by the map, target rows or not; ours by the user's own vector where
there is one. The rows "map_everyone" do as it does, and are the ones to hold against it: in the small world, whose
source has twice the target's rows for the same groups, the map knows more than so few target rows. (After its target
phase its EMCDR, too, ranks by own vectors no better than ours.)

PEER needs an interpreter in which `import recbole_cdr` works. RecBole-CDR 0.1.0 wants old libraries, so it is one of its
own: of its wheel the models are missing, so its sources must be on the path (`--peer-path`), with RecBole 1.0.1 and numpy 1.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from worlds_graph import N_GROUPS, N_USERS, grouped

from training.comparison import Clock
from training.contract import FitContext
from training.dataset import Catalogue, Dataset, HeldOut
from training.evaluate import Full, evaluate
from training.registry import model_class
from training.tuning import (
    Choice,
    LogUniform,
    Space,
    fit_best,
    settings_from,
    settings_to_try,
)

PEERS = ("CMF", "CoNet", "EMCDR", "DTCDR", "SSCDR", "DCDCSR")
OURS = (
    *("popularity", "item_knn", "ease_target", "ease", "bpr_mf"),
    *("cmf", "conet", "emcdr", "sscdr", "dcdcsr"),
)
MAPS_EVERYONE = ("emcdr", "sscdr")
"""Whose peers score warm users by the map."""
SIZE, RATE = Choice((32, 64, 128)), LogUniform(1e-4, 1e-2)
REGULARISATION = LogUniform(1e-4, 1.0)
PEER_SPACES: dict[str, Space] = {
    "CMF": {
        "embedding_size": SIZE,
        "learning_rate": RATE,
        "alpha": Choice((0.1, 0.3, 0.5, 0.7)),
        "lambda": REGULARISATION,
        "gamma": REGULARISATION,
    },
    "CoNet": {
        "embedding_size": Choice((16, 32, 64)),
        "learning_rate": LogUniform(5e-4, 2e-2),
        "reg_weight": REGULARISATION,
    },
    "EMCDR": {
        "mapping_function": Choice(("linear", "non_linear")),
        "learning_rate": RATE,
        "reg_weight": REGULARISATION,
    },
    "SSCDR": {
        "embedding_size": SIZE,
        "learning_rate": RATE,
        "margin": Choice((0.2, 0.5, 1.0, 2.0)),
        "lambda": Choice((0.0, 0.25, 0.5, 1.0)),
    },
    "DCDCSR": {
        "embedding_size": SIZE,
        "learning_rate": RATE,
        "k": Choice((5, 10, 50)),
    },
    "BiTGCF": {
        "embedding_size": SIZE,
        "learning_rate": RATE,
        "reg_weight": REGULARISATION,
        "n_layers": Choice((1, 2, 3)),
        "connect_way": Choice(("concat", "mean")),
    },
}
"""The peer's settings that a search draws, around its defaults and as wide as ours. EMCDR's other loss is not
among them: with it it ends in a KeyError."""
Pairs = Sequence[tuple[str, str]]


def write_world(folder: Path, seed: int) -> None:
    """Write a source and a target with the same users as atomic files."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(N_USERS) % N_GROUPS)
    for domain, share_own, n_rows in (("source", 0.8, 15), ("target", 0.8, 10)):
        users, items = grouped(rng, groups, share_own, n_rows).nonzero()
        (folder / domain).mkdir()
        lines = ["user_id:token\titem_id:token"]
        lines += [f"u{user}\t{domain}{item}" for user, item in zip(users, items, strict=True)]
        (folder / domain / f"{domain}.inter").write_text("\n".join(lines) + "\n")


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Return the users and items of an atomic file."""
    with path.open(encoding="utf-8") as file:
        names = [name.split(":")[0] for name in file.readline().rstrip("\n").split("\t")]
        places = names.index("user_id"), names.index("item_id")
        rows = (line.rstrip("\n").split("\t") for line in file)
        return [(row[places[0]], row[places[1]]) for row in rows]


def split_data(
    source: Pairs, split: dict[str, list[list[str]]], names: tuple[str, str]
) -> tuple[Dataset, HeldOut]:
    """Return the peer's split as ours: training rows with validation users, and test users."""
    parts = {name: [(user, item) for user, item in rows] for name, rows in split.items()}
    target = [pair for rows in parts.values() for pair in rows]
    users = {name: row for row, name in enumerate(sorted({user for user, _ in [*source, *target]}))}
    items = [
        {name: row for row, name in enumerate(sorted({item for _, item in pairs}))}
        for pairs in (source, target)
    ]

    def matrix(pairs: Pairs, of: int) -> csr_array:
        places = [[users[user] for user, _ in pairs], [items[of][item] for _, item in pairs]]
        shape = (len(users), len(items[of]))
        found = csr_array((np.ones(len(pairs), dtype=np.float32), places), shape=shape)
        found.data[:] = 1.0
        return found

    train, valid, test = (matrix(parts[name], 1) for name in ("train", "valid", "test"))

    def held(positives: csr_array, excluded: csr_array) -> HeldOut:
        rows = np.flatnonzero(np.diff(positives.indptr))
        return HeldOut(rows, positives[rows], excluded[rows])

    catalogues = {
        name: Catalogue(name, np.arange(len(one), dtype=np.uint32), list(one))
        for name, one in zip(names, items, strict=True)
    }
    data = Dataset(
        np.arange(len(users), dtype=np.uint32),
        catalogues,
        {names[0]: matrix(source, 0), names[1]: train},
        names[1],
        valid=held(valid, test),
    )
    return data, held(test, valid)


def run_peer(python: str, path: str, arguments: Sequence[str | Path]) -> None:
    """Run the peer's side in a process and interpreter of its own, in the folder of its results.

    Args:
        python: The interpreter.
        path: Where the peer's package stands, if it is not installed.
        arguments: Of the script, the last path being the folder of its results.
    """
    script = Path(__file__).with_name("against_recbole_cdr_run.py")
    places = [one for one in arguments if isinstance(one, Path)]
    subprocess.run(  # noqa: S603  (the interpreter is the caller's choice)
        [python, script, *arguments],
        check=True,
        cwd=places[-1],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )


def as_long(name: str) -> dict[str, int]:
    """Return the settings by which one of ours may learn as long as the peer's do: 300 epochs, 50 without gain."""
    known = model_class(name).config_type.model_fields
    return {key: value for key, value in {"epochs": 300, "patience": 50}.items() if key in known}


def ways(name: str) -> dict[str, dict[str, object]]:
    """Return the rows one of ours has, with their settings: a second where the peer maps everybody."""
    long: dict[str, object] = dict(as_long(name))
    if name not in MAPS_EVERYONE:
        return {name: long}
    return {name: long, f"{name} map_everyone": {**long, "map_everyone": True}}


def show(name: str, hr: float, ndcg: float, wall: float, cpu: float) -> None:
    """Print one row."""
    print(f"{name:28} {hr:8.4f} {ndcg:8.4f} {wall:9.1f} {cpu:9.1f}", flush=True)


def main() -> None:
    """Run the peer's models, then ours on its split."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-python", required=True, help="an interpreter with recbole_cdr")
    parser.add_argument(
        "--peer-path", default="", help="where its package stands, if not installed"
    )
    parser.add_argument("--data", type=Path, help="atomic files; a small world is made")
    parser.add_argument("--source", default="source")
    parser.add_argument("--target", default="target")
    parser.add_argument("--peers", nargs="*", default=PEERS)
    parser.add_argument("--ours", nargs="*", default=OURS)
    parser.add_argument("--trials", type=int, default=1, help="settings tried of each model")
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        out, data_folder = Path(folder), options.data or Path(folder, "data")
        if options.data is None:
            data_folder.mkdir()
            write_world(data_folder, options.seed)
        to_try = {
            name: settings_from(
                PEER_SPACES.get(name, {}), options.trials, np.random.default_rng(options.seed)
            )
            for name in options.peers
        }
        (out / "settings.json").write_text(json.dumps(to_try))
        places = ("--settings", out / "settings.json", data_folder, options.source, options.target)
        run_peer(options.peer_python, options.peer_path, [*places, out, *options.peers])
        results = json.loads((out / "results.json").read_text())
        split = json.loads((out / "split.json").read_text())
        source, target = (
            read_pairs(data_folder / domain / f"{domain}.inter")
            for domain in (options.source, options.target)
        )
    if {tuple(row) for rows in split.values() for row in rows} != set(target):
        parser.error("the peer's split is not of the target's rows: its names were read wrongly")
    data, test = split_data(source, split, (options.source, options.target))
    print(
        f"{len(data.user_ids)} users, {len(data.target_items)} items, {len(test.user_rows)} tested"
    )
    print(f"{'':28} {'HR@10':>8} {'NDCG@10':>8} {'wall s':>9} {'CPU s':>9}")
    for name, found in results.items():
        if "failed" in found:
            print(f"RecBole-CDR {name:16} {found['failed'][:90]}")
        else:
            show(
                f"RecBole-CDR {name}",
                *(found[key] for key in ("hit@10", "ndcg@10", "wall", "cpu")),
            )
    for name, settings in [way for one in options.ours for way in ways(one).items()]:
        clock, name_of_model = Clock(), name.split()[0]
        tried = settings_to_try(name_of_model, options.trials, fixed=settings)
        tuned = fit_best(name_of_model, data, FitContext(seed=options.seed), tried, Full(k=10))
        cost = clock.cost()
        found = evaluate(tuned.model, data, test, [Full(k=10)]).summary()
        show(name, found["full/hr@10"], found["full/ndcg@10"], cost.wall, cost.cpu)


if __name__ == "__main__":
    main()
