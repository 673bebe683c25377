"""What can go wrong while an alias table is built or read.

AliasTableError
├── DumpError             the dump cannot be read as what it claims to be
│   └── FalseBoundaryError    a bz2 stream does not begin where one seemed to (read the part whole)
├── TableError            a table or an index does not keep its contract
├── WorkFolderError       a folder of unfinished work is not that of this build
└── WorkerError           a worker process was ended from outside
"""


class AliasTableError(Exception):
    """Root of all errors of this package; its text is one line for the user."""


class DumpError(AliasTableError):
    """A dump is damaged, of the wrong kind, or implausible."""


class FalseBoundaryError(DumpError):
    """A slice of a bz2 file does not end where a stream begins: the plan was wrong, not the file."""


class TableError(AliasTableError):
    """An alias table or a saved index breaks its own contract."""


class WorkFolderError(AliasTableError):
    """A work folder holds something else, or the work of another build."""


class WorkerError(AliasTableError):
    """A worker process ended without a word: killed, or out of memory."""
