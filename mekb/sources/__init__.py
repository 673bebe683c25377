"""Readers of a user's data: files of items and interactions in, three tables and a report out.

    files ──read──> text columns ──rows──> judged rows ──tables──> items, users, interactions

`ImportConfig` maps columns and sets policies, `read_tables` does the import, and `describe` counts what
a store holds, with a verdict on what that means for training.
"""

from mekb.sources.config import ImportConfig
from mekb.sources.describe import Description, DomainOverlap, DomainSummary, describe
from mekb.sources.in_memory import TableLike, as_files
from mekb.sources.links import DomainLinks, EntityOverlap, LinkCoverage
from mekb.sources.report import DomainCounts, FileReport, ImportReport, Rejected
from mekb.sources.tables import ImportedTables, read_tables

__all__ = [
    "Description",
    "DomainCounts",
    "DomainLinks",
    "DomainOverlap",
    "DomainSummary",
    "EntityOverlap",
    "FileReport",
    "ImportConfig",
    "ImportReport",
    "ImportedTables",
    "LinkCoverage",
    "Rejected",
    "TableLike",
    "as_files",
    "describe",
    "read_tables",
]
