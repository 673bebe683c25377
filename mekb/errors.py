"""What can go wrong above the pipeline, and the tuple of everything the CLI shows as one line.

MekbError
├── ConfigError    a configuration file or a --set is wrong
├── SourceError    input data cannot be read as what it claims to be
├── StoreError     the store is locked, foreign, damaged, or a table breaks its contract
├── RefreshError   profiles cannot be brought up to date for some users alone
├── UnknownError   a user, item, entity or model that is not there
├── OutputError    an output exists or cannot be written
├── MissingError   an optional library is asked for and not installed
├── ClusterError   Spark cannot be started, or what runs on it fails
└── BundleError    a bundle is incomplete, altered or of another version
"""

from alias_tables.errors import AliasTableError
from entity_linking.errors import LinkingError
from training.errors import TrainingError


class MekbError(Exception):
    """Root of all errors of this package; its text is one line for the user."""


class ConfigError(MekbError):
    """A configuration names an unknown key or a value that is not allowed."""


class SourceError(MekbError):
    """Input data cannot be read as what it claims to be."""


class StoreError(MekbError):
    """The store cannot be opened, or a table in it breaks its contract."""


class RefreshError(MekbError):
    """Profiles cannot be brought up to date for some users alone; everybody must be scored."""


class UnknownError(MekbError):
    """Something was asked for by a name that is not there."""


class OutputError(MekbError):
    """An output exists already or cannot be written."""


class MissingError(MekbError):
    """An optional library is asked for and not installed."""


class ClusterError(MekbError):
    """Spark cannot be started, or what runs on it fails."""


class BundleError(MekbError):
    """A bundle is incomplete, altered or of another version."""


EXPECTED_ERRORS: tuple[type[Exception], ...] = (
    AliasTableError,
    LinkingError,
    TrainingError,
    MekbError,
)
"""What the CLI prints as one line, without a traceback."""
