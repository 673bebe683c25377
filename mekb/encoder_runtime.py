"""Who runs the language model when a bundle is asked: torch, or ONNX Runtime where it was asked for.

In: a trained model and a file of the bundle. Out: that file, and the model with its language model run from it.
"""

from pathlib import Path

from mekb.errors import ConfigError
from training.contract import VectorRecommender
from training.embedme.model import EmbedMe
from training.embedme.onnx_encoder import OnnxBert, export_onnx


def write_encoder(model: VectorRecommender, path: Path) -> None:
    """Write the language model of `model` for ONNX Runtime.

    Raises:
        ConfigError: the model has no language model of its own.
        EncoderError: a package is not installed.
    """
    if not isinstance(model, EmbedMe):
        raise ConfigError(
            f"bundle.encoder_runtime=onnx: '{model.name}' has no language model; leave it at 'torch'"
        )
    export_onnx(model.module.encoder.bert, model.settings.max_tokens, path)


def run_encoder(model: VectorRecommender, path: Path) -> None:
    """Let ONNX Runtime run the language model of `model` from now on; its torch weights are let go.

    Raises:
        EncoderError: onnxruntime is not installed, or cannot read the file.
    """
    assert isinstance(model, EmbedMe), "only its bundles hold such a file"
    model.module.encoder.bert = OnnxBert(path)
