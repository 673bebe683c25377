"""What a careful reader of an import should know, in sentences: guesses made, gaps found, policies used."""

from collections.abc import Iterator, Sequence

from mekb.sources.config import INTERACTION_COLUMNS, ITEM_COLUMNS, ImportConfig
from mekb.sources.formats import RawTable
from mekb.sources.read import nearest
from mekb.sources.report import ImportReport
from mekb.sources.rows import has_values

LOW_JOIN_RATE = 0.9
"""Below this share of items with metadata, ids of the two kinds of file probably do not match."""


def notes_on(
    report: ImportReport,
    items: Sequence[RawTable],
    interactions: Sequence[RawTable],
    config: ImportConfig,
) -> tuple[str, ...]:
    """Return the notes of an import.

    Args:
        report: its numbers.
        items: the items files as read.
        interactions: the interactions files as read.
        config: the settings it ran under.
    """
    return (
        *(note for raw in items for note in _unused(raw, ITEM_COLUMNS, config)),
        *(note for raw in interactions for note in _unused(raw, INTERACTION_COLUMNS, config)),
        *_ratings(interactions, report, config),
        *_times(report),
        *_metadata(report),
        *_duplicates(report, config),
    )


def _unused(raw: RawTable, roles: Sequence[str], config: ImportConfig) -> Iterator[str]:
    """Name a column that looks like a misspelt one, for what was left empty."""
    if raw.is_preset:
        return
    taken = {str(getattr(config, role)) for role in roles}
    for role in roles:
        column = str(getattr(config, role))
        near = nearest(column, [name for name in raw.columns if name not in taken])
        if role not in raw.table.column_names and near:
            yield f"{raw.path}: no column {column!r}; is {near!r} meant? Then set {role} = {near!r}"


def _ratings(
    interactions: Sequence[RawTable], report: ImportReport, config: ImportConfig
) -> Iterator[str]:
    """Say what counts as positive where that is a choice, or where nothing does."""
    for raw in interactions:
        if not has_values(raw, "rating"):
            yield f"{raw.path}: no ratings; every row counts as positive"
    for domain, counts in report.domains.items():
        if counts.n_interactions and not counts.n_positive:
            yield (
                f"{domain}: none of {counts.n_interactions:,} ratings reaches positive_from ="
                f" {config.positive_from:g}; set it to this scale (1 for likes)"
            )


def _times(report: ImportReport) -> Iterator[str]:
    """Say how times were read."""
    for file in report.files:
        if file.time_unit:
            yield f"{file.file}: times read as {file.time_unit}, UTC where no zone is written"


def _metadata(report: ImportReport) -> Iterator[str]:
    """Count items that only interactions name."""
    n_items = report.n_items
    without = report.n_items_without_metadata
    if without:
        yield f"{without:,} of {n_items:,} items have no metadata: kept, with an empty title and text"
    if without > (1 - LOW_JOIN_RATE) * n_items:
        yield (
            f"only {1 - without / n_items:.0%} of the items have metadata: are the ids of the same kind"
            " in both files (in Amazon's, asin and parent_asin are not)?"
        )


def _duplicates(report: ImportReport, config: ImportConfig) -> Iterator[str]:
    """Say what became of repeated rows."""
    if report.n_duplicate_interactions:
        yield (
            f"{report.n_duplicate_interactions:,} rows repeated a (user, item): merged by duplicates ="
            f" {config.duplicates!r}"
        )
    if report.n_duplicate_items:
        yield f"{report.n_duplicate_items:,} rows of items repeated a (domain, item): merged"
