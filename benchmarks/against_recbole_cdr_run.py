"""RecBole-CDR's side of `against_recbole_cdr.py`, under an interpreter of its own where `recbole_cdr` can be imported.

    PEER_PYTHON against_recbole_cdr_run.py [--epochs N] [--settings FILE] FOLDER SOURCE TARGET OUT MODEL...

In: atomic files, FOLDER/<domain>/<domain>.inter. Out: OUT/split.json with the names of its training, validation and test
rows, and OUT/results.json with each model's test metrics and times, the CPU seconds of each training epoch among them.
With `--epochs` every phase has that many and nothing is validated or tested. FILE holds {model: [settings, ...]}: each is
tried and the best on the validation rows is kept, its defaults alone without. It knows nothing of this project. Two things
are put right from outside: torch reads its checkpoints whole, and BiTGCF finds the method of scipy that it calls.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from recbole.utils import init_seed
from recbole_cdr.config import CDRConfig
from recbole_cdr.data import create_dataset, data_preparation
from recbole_cdr.utils import get_model, get_trainer
from scipy.sparse import dok_matrix


def configured(model: str, folder: Path, domains: dict[str, str], out: Path) -> dict[str, Any]:
    """Return its settings: its own defaults, nothing filtered, whatever is rated counts.

    It waits for 50 epochs without gain instead of 10: an epoch of a small world is two steps of its batch.
    """
    everything = {
        "user_inter_num_interval": "[1,inf)",
        "item_inter_num_interval": "[1,inf)",
        "val_interval": None,
        "load_col": {"inter": ["user_id", "item_id"]},
    }
    return {
        "model": model,
        "data_path": str(folder),
        "checkpoint_dir": str(out / "saved"),
        "show_progress": False,
        "state": "WARNING",
        "use_gpu": False,
        "metrics": ["Hit", "NDCG", "Recall", "MRR"],
        "valid_metric": "NDCG@10",
        "stopping_step": 50,
        **{
            f"{side}_domain": {"dataset": name, "data_path": str(folder), **everything}
            for side, name in domains.items()
        },
    }


def rows(part: Any, names: Any) -> list[list[str]]:  # noqa: ANN401  (the peer's own classes)
    """Return the rows of one part of a split as names of users and items.

    Args:
        part: Of the target's rows.
        names: The whole; its tables of name -> number are right, its `id2token` is one off where users are shared.
    """
    tables = (names.target_user_ID_remap_dict, names.target_item_ID_remap_dict)
    users, items = ({number: name for name, number in one.items()} for one in tables)
    found = (part.inter_feat[field].tolist() for field in (part.uid_field, part.iid_field))
    return [[users[user], items[item]] for user, item in zip(*found, strict=True)]


def phases_of(model: str) -> list[str]:
    """Return its phases where it trains by `--epochs`."""
    return ["SOURCE", "TARGET", "OVERLAP"] if model in {"EMCDR", "SSCDR"} else ["BOTH"]


def timed(trainer: Any) -> dict[str, list[float]]:  # noqa: ANN401  (the peer's own class)
    """Return where the CPU seconds of each epoch of each phase will stand once it has trained."""
    seconds: dict[str, list[float]] = {}
    train_epoch, set_phase = trainer._train_epoch, trainer.model.set_phase  # noqa: SLF001  (no public hook around an epoch)
    phases = ["BOTH"]

    def watched_phase(phase: str) -> None:
        phases.append(phase)
        set_phase(phase)

    def timed_epoch(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        start = time.process_time()
        found = train_epoch(*given, **named)
        seconds.setdefault(phases[-1], []).append(time.process_time() - start)
        return found

    trainer.model.set_phase = watched_phase
    trainer._train_epoch = timed_epoch  # noqa: SLF001
    return seconds


def run(
    model: str,
    folder: Path,
    domains: dict[str, str],
    out: Path,
    n_epochs: int | None,
    changed: dict[str, Any],
) -> dict[str, Any]:
    """Train and test one model with some settings changed; the split is the same for all, by its seed."""
    settings = {**configured(model, folder, domains, out), **changed}
    if n_epochs is not None:
        settings["train_epochs"] = [f"{phase}:{n_epochs}" for phase in phases_of(model)]
    config = CDRConfig(model=model, config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    kept: dict[str, Any] = {}
    build = dataset.build

    def building() -> list[Any]:
        built: list[Any] = build()
        for name, part in zip(("train", "valid", "test"), built[2:], strict=True):
            kept[name] = rows(part, dataset)
        return built

    dataset.build = building
    train, valid, test = data_preparation(config, dataset)
    (out / "split.json").write_text(json.dumps(kept))
    init_seed(config["seed"], config["reproducibility"])
    module = get_model(config["model"])(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, module)
    wall, cpu, epochs = time.perf_counter(), time.process_time(), timed(trainer)
    judged = n_epochs is None
    valid_score, _ = trainer.fit(
        train, valid if judged else None, saved=judged, show_progress=False
    )
    cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "epochs": epochs}
    if not judged:
        return cost
    metrics = trainer.evaluate(test, load_best_model=True, show_progress=False)
    return {**metrics, **cost, "valid": float(valid_score), "settings": changed}


def best(tried: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what did best on the validation rows, the first one of equals; where all failed, the first one.

    `wall` and `cpu` are of all together, `every` has what each reached there, in order.
    """
    done = [one for one in tried if "failed" not in one]
    if not done:
        return tried[0]
    found = max(done, key=lambda one: one.get("valid", 0.0))
    costs = {key: sum(one[key] for one in done) for key in ("wall", "cpu")}
    return {**found, **costs, "every": [one.get("valid") for one in tried]}


def main() -> None:
    """Run each model; one that fails is told of and the next one runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("places", nargs=4)
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    folder, source, target, out = options.places
    dok_matrix._update = lambda matrix, cells: matrix._dict.update(cells)  # noqa: SLF001
    load = torch.load  # noqa: TID251  (the peer's checkpoints, which hold an object)
    torch.load = lambda *given, **named: load(*given, **{"weights_only": False, **named})  # noqa: TID251
    torch.set_num_threads(1)
    sys.argv = sys.argv[:1]  # it reads the command line as well
    domains = {"source": source, "target": target}
    to_try = json.loads(options.settings.read_text()) if options.settings else {}
    found: dict[str, Any] = {}
    for model in options.models:
        tried = []
        for changed in to_try.get(model, [{}]):
            try:
                one = run(model, Path(folder), domains, Path(out), options.epochs, changed)
            except Exception as error:  # noqa: BLE001  (a peer's fault is a result, not ours to stop at)
                one = {"failed": f"{type(error).__name__}: {error}"}
            tried.append(one)
            print(model, changed, one, file=sys.stderr, flush=True)
        found[model] = best(tried)
        Path(out, "results.json").write_text(json.dumps(found, default=float))


if __name__ == "__main__":
    main()
