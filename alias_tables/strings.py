"""Many strings as two arrays, which can be mapped from disk: `content[offsets[i]:offsets[i + 1]]` is string i.

In: an Arrow column. Out: its buffers, without a Python object a string.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class Strings:
    """Strings by number."""

    def __init__(self, offsets: npt.NDArray[np.int64], content: npt.NDArray[np.uint8]) -> None:
        """Take the arrays as they are.

        Args:
            offsets: Where each string begins in `content`, and the end; one more than there are strings.
            content: UTF-8.
        """
        self.offsets = offsets
        self.content = content
        self._bounds = offsets.data  # hands out Python integers, many times faster than NumPy
        self._bytes = content.data

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
        return str(self._bytes[self._bounds[number] : self._bounds[number + 1]], "utf-8")
