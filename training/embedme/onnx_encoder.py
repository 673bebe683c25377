"""The language model in ONNX Runtime: the same hidden states, in less CPU time.

In: a trained BERT. Out: an ONNX file, and a module that runs it in the BERT's place: token rows, a mask of who sees
whom and positions in, hidden states out. Float32 throughout: on single profiles of 20 to 60 tokens it takes 0.56 of
torch's CPU time and gives the same ten best items (60 queries of 60; vectors to 4e-6). Dynamic int8 takes a quarter,
but turns the vectors (cosine .95, at worst .93): not offered.

Needs the extra `mekb[onnx]`: onnxruntime to read, onnx and onnxscript to write.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.errors import EncoderError

INPUTS = ("input_ids", "attention_mask", "position_ids")
READERS, WRITERS = ("onnxruntime",), ("onnx", "onnxscript")
MAX_ROWS = 1 << 20
"""An upper bound that the exporter asks for."""


def missing_packages(*, to_write: bool) -> list[str]:
    """Return what is not installed of what reading, or writing too, needs."""
    wanted = (*READERS, *WRITERS) if to_write else READERS
    return [name for name in wanted if find_spec(name) is None]


def export_onnx(bert: nn.Module, max_tokens: int, path: Path) -> None:
    """Write a BERT as one ONNX file, for any number of rows of up to `max_tokens` tokens.

    Raises:
        EncoderError: a package is not installed.
    """
    if missing := missing_packages(to_write=True):
        raise EncoderError(
            f"the ONNX runtime needs {', '.join(missing)}, not installed here: pip install 'mekb[onnx]'"
        )
    rows = torch.export.Dim("rows", min=1, max=MAX_ROWS)
    tokens = torch.export.Dim("tokens", min=2, max=max_tokens)
    example = (
        torch.ones((2, 5), dtype=torch.int64),
        torch.ones((2, 1, 5, 5), dtype=torch.bool),
        torch.arange(5).repeat(2, 1),
    )
    with _quiet():
        torch.onnx.export(
            _Hidden(bert).cpu().eval(),
            example,
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=INPUTS,
            output_names=["hidden"],
            dynamic_shapes=(
                {0: rows, 1: tokens},
                {0: rows, 2: tokens, 3: tokens},
                {0: rows, 1: tokens},
            ),
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of operators that no BERT has, and of axes that are as long as one another."""
    logs = logging.getLogger("torch.onnx")
    former = logs.level
    logs.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name")
            yield
    finally:
        logs.setLevel(former)


class _Hidden(nn.Module):
    """A BERT whose output is a tensor."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor) -> Tensor:
        found = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids
        )
        hidden: Tensor = found.last_hidden_state
        return hidden


class OnnxBert(nn.Module):
    """An exported BERT, called as `ProfileEncoder` calls its own; it has no weights and cannot be trained.

    Args:
        path: The file that `export_onnx` wrote.

    Raises:
        EncoderError: onnxruntime is not installed, or cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            import onnxruntime  # noqa: PLC0415  an extra: asked for when it is used
        except ImportError as error:
            raise EncoderError(
                "the ONNX runtime is not installed: pip install 'mekb[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no root but Exception
            line = " ".join(str(error).split())
            raise EncoderError(f"{path}: ONNX Runtime cannot read it: {line}") from error

    @override
    def forward(
        self,
        input_ids: Int64[Tensor, "rows tokens"],
        attention_mask: Bool[Tensor, "rows 1 tokens tokens"],
        position_ids: Int64[Tensor, "rows tokens"],
    ) -> SimpleNamespace:
        """Return the hidden states as `last_hidden_state`, shape (rows, tokens, hidden)."""
        given = zip(INPUTS, (input_ids, attention_mask, position_ids), strict=True)
        (found,) = self._session.run(None, {name: value.numpy() for name, value in given})
        hidden: Float[Tensor, "rows tokens hidden"] = torch.from_numpy(found)
        return SimpleNamespace(last_hidden_state=hidden)
