"""Comparisons beside the ranking of held-out likes: predicted ratings and clicks, and every domain as the target."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mekb.api.stores import OnProgress, StoreLike, no_progress, opened
from mekb.config import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mekb.domain_comparison import DomainsCompared
    from mekb.rating_comparison import RatingPlan, RatingsCompared


def compare_ratings(
    store: StoreLike,
    *,
    target: str,
    plan: "RatingPlan",
    sources: Sequence[str] = (),
    settings: Settings | None = None,
    on_progress: OnProgress = no_progress,
) -> "RatingsCompared":
    """Tune, fit and measure models that predict single ratings or clicks, on their own metrics.

    Args:
        store: A store with imported data.
        target: The domain whose items are rated.
        plan: Models, what they predict, trials (`mekb.rating_comparison`).
        sources: The other domains; all others when empty.
        settings: `settings.split` says what is held out, `settings.source.positive_from` what rating is relevant.
        on_progress: Told of steps and trials.

    Raises:
        UnknownError: a domain is not known, or a model predicts no such labels.
        DatasetError: there are no such labels to predict.
    """
    from mekb.models import Route
    from mekb.rating_comparison import compare_ratings as put_side_by_side

    with opened(store) as source:
        route = Route(target, tuple(sources))
        return put_side_by_side(source, route, settings or Settings(), plan, on_progress)


def compare_domains(
    store: StoreLike,
    models: Sequence[str],
    *,
    domains: Sequence[str] = (),
    settings: Settings | None = None,
    model_settings: "Mapping[str, Mapping[str, Any]] | None" = None,
    on_progress: OnProgress = no_progress,
) -> "DomainsCompared":
    """Measure models in every domain at once, each beside a model of that domain alone: is transfer negative?

    Args:
        store: A store with imported data; linked, for models that read profiles.
        models: Names of the registry.
        domains: Two or more; all when empty.
        settings: `settings.split`: the share held out, and the seed.
        model_settings: Model -> its settings.
        on_progress: Told of steps.

    Raises:
        UnknownError: a domain or a model is not known, or there are fewer than two domains.
        DatasetError: a domain leaves nobody to test on.
    """
    from mekb.domain_comparison import compare_domains as put_side_by_side

    with opened(store) as source:
        return put_side_by_side(
            source, domains, models, settings or Settings(), on_progress, model_settings
        )
