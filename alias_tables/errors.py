"""What can go wrong while an alias table is built or read.

AliasTableError
├── DumpError      the dump cannot be read as what it claims to be
└── TableError     a table or an index does not keep its contract
"""


class AliasTableError(Exception):
    """Root of all errors of this package; its text is one line for the user."""


class DumpError(AliasTableError):
    """A dump is damaged, of the wrong kind, or implausible."""


class TableError(AliasTableError):
    """An alias table or a saved index breaks its own contract."""
