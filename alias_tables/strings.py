"""Many strings as two arrays, which can be mapped from disk: `bytes_[offsets[i]:offsets[i + 1]]` is UTF-8 of string i.

In: an Arrow column. Out: its buffers, without a Python object a string.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Strings:
    """Strings by number."""

    offsets: npt.NDArray[np.int64]
    """One more than there are strings."""
    bytes_: npt.NDArray[np.uint8]

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray | pa.Array) -> "Strings":
        """Return the strings of a column; a null becomes the empty string."""
        wide = pc.fill_null(column, "").cast(pa.large_string())
        array = wide.combine_chunks() if isinstance(wide, pa.ChunkedArray) else wide
        if len(array) == 0:
            return cls(np.zeros(1, np.int64), np.zeros(0, np.uint8))
        _, offsets, data = array.buffers()
        bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        return cls(bounds - bounds[0], content[bounds[0] : bounds[-1]])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> str:
        return str(self.bytes_[self.offsets[number] : self.offsets[number + 1]].data, "utf-8")
