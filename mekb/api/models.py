"""Recommenders: trained, compared, and packed into bundles that answer without the store."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.stores import OnProgress, StoreLike, no_progress, opened
from mekb.config import Settings
from mekb.errors import EXPECTED_ERRORS, BundleError

if TYPE_CHECKING:
    from mekb.bundle import Bundle
    from mekb.comparison_plan import Plan
    from mekb.comparison_tables import Compared
    from mekb.models import TrainedModel
    from mekb.trained import Comparison

_LONGEST_REASON = 200


def train(
    store: StoreLike,
    folder: str | Path,
    *,
    target: str,
    sources: Sequence[str] = (),
    settings: Settings | None = None,
    force: bool = False,
    resume: bool = False,
    on_progress: OnProgress = no_progress,
) -> "TrainedModel":
    """Fine-tune EmbedMe for a target domain and write the model to a folder.

    Args:
        store: A store with linked items.
        folder: Where the model goes.
        target: The domain to recommend from.
        sources: The other domains profiles are made from; all others when empty.
        settings: `settings.train`, `settings.split`, `settings.scoring`.
        force: Replace a model that stands there, and drop a training that was interrupted.
        resume: Go on with a training that was interrupted, from its newest whole snapshot; its settings, data and seed must be
            the same, else it starts anew.
        on_progress: Told of each epoch and step.

    Raises:
        UnknownError: a domain or table is not there.
        OutputError: the folder exists.
    """
    from mekb.models import Route, train_model

    return train_model(
        lambda: opened(store),
        Path(folder),
        Route(target, tuple(sources)),
        settings or Settings(),
        force=force,
        resume=resume,
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
    from mekb.trained import compare_models

    with opened(store) as source:
        folders = list(dict.fromkeys(Path(model) for model in models))
        return compare_models(
            source, folders, tuple(dict.fromkeys(baselines)), on_progress=on_progress
        )


def compare(
    store: StoreLike,
    *,
    target: str,
    plan: "Plan",
    sources: Sequence[str] = (),
    settings: Settings | None = None,
    on_progress: OnProgress = no_progress,
) -> "Compared":
    """Tune, fit and measure models of the registry on the same splits of a store, and put them side by side.

    Runs that stand in the work folder are taken up as long as settings, data and code are the same.

    Args:
        store: A store with linked items.
        target: The domain recommended from.
        plan: Models, protocol, seeds, folds, trials, controls and ablations.
        sources: The other domains; all others when empty.
        settings: `settings.split`, `settings.scoring`, and `settings.train` for EmbedMe.
        on_progress: Told of trials, steps and runs.

    Raises:
        UnknownError: a domain, model, control or ablation is not known.
        DatasetError: the split leaves nobody to test on.
    """
    from mekb.comparison import compare as put_side_by_side
    from mekb.models import Route

    with opened(store) as source:
        route = Route(target, tuple(sources))
        return put_side_by_side(source, route, settings or Settings(), plan, on_progress)


def write_split(
    store: StoreLike,
    folder: str | Path,
    *,
    target: str,
    sources: Sequence[str] = (),
    settings: Settings | None = None,
    n_negatives: int = 999,
    force: bool = False,
) -> str:
    """Write the split of `settings.split` as plain files, for models of other programs; returns its digest.

    Args:
        store: A store with linked items.
        folder: Where the files go (`mekb.split_files` lists them).
        target: The domain recommended from.
        sources: The other domains; all others when empty.
        settings: `settings.split`.
        n_negatives: Negatives listed for each test positive.
        force: Replace a split that stands there.

    Raises:
        OutputError: the folder exists.
    """
    from mekb.models import Route, sources_of
    from mekb.split_files import store_split

    with opened(store) as source:
        given = sources_of(source, Route(target, tuple(sources)))
        config = (settings or Settings()).split
        return store_split(
            source, Path(folder), (given, target), config, n_negatives=n_negatives, force=force
        )


def write_card(store: StoreLike, model: str | Path) -> str:
    """Measure a model on its validation and its test users, and write its README.md anew; return the text.

    Args:
        store: The store the model was trained on.
        model: Its folder, as `train` wrote it.

    Raises:
        StoreError: the store is not what the model was trained on.
    """
    from mekb.trained import write_card as write

    with opened(store) as source:
        return write(source, Path(model))


def make_bundle(
    store: StoreLike,
    model: str | Path,
    folder: str | Path,
    *,
    settings: Settings | None = None,
    force: bool = False,
) -> "Bundle":
    """Write the immutable folder that answers without the store, and open it.

    Args:
        store: The store the model was trained on.
        model: Its folder.
        folder: Where the bundle goes.
        settings: `settings.bundle`: exact search, or an approximate index whose recall is measured.
        force: Replace a bundle that stands there.

    Raises:
        OutputError: the folder exists.
        StoreError: the store is not what the model was trained on.
    """
    from mekb.trained import bundle_model

    with opened(store) as source:
        config = (settings or Settings()).bundle
        return bundle_model(source, Path(model), Path(folder), config, force=force)


def open_bundle(folder: str | Path) -> "Bundle":
    """Check and load a bundle; open it once, ask often.

    Raises:
        BundleError: a part is missing, added, altered or of another version.
        CheckpointError: so it is with its model.
    """
    from mekb.bundle import Bundle

    try:
        return Bundle(Path(folder))
    except EXPECTED_ERRORS:
        raise
    except Exception as error:  # every hash is right, and yet a part is no such part: it was forged
        line = " ".join(str(error).split())[:_LONGEST_REASON]
        raise BundleError(
            f"{folder}: a part of it cannot be read ({line}); make the bundle again with 'mekb bundle'"
        ) from error
