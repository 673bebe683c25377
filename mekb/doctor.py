"""What this machine has: versions, devices, encoders, pipelines; each row with a verdict."""

import os
import platform
import shutil
from importlib import metadata, util

_LIBRARIES = (
    "duckdb", "pyarrow", "spacy", "torch", "transformers", "sentence-transformers",
    "lightning-fabric", "faiss-cpu", "rdflib",
)  # fmt: skip


def examine() -> list[dict[str, str]]:
    """Return one row a thing examined: what, found, verdict ("ok" or what to do)."""
    rows = [
        _row("mekb", metadata.version("mekb")),
        _row("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _row("cores", str(os.cpu_count())),
        _row("free disk here", f"{shutil.disk_usage('.').free / 2**30:.0f} GiB"),
    ]
    rows += [_library(name) for name in _LIBRARIES]
    rows += [_encoder(), _device(), _pipelines()]
    return rows


def _row(what: str, found: str, verdict: str = "ok") -> dict[str, str]:
    return {"what": what, "found": found, "verdict": verdict}


def _library(name: str) -> dict[str, str]:
    try:
        return _row(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return _row(name, "not installed", f"pip install {name}")


def _encoder() -> dict[str, str]:
    from training.encoder_files import MINILM, find_encoder
    from training.errors import EncoderError

    try:
        find_encoder(MINILM)
    except EncoderError as error:
        return _row("encoder minilm", "not usable", str(error))
    return _row("encoder minilm", "packaged weights, hash as expected")


def _device() -> dict[str, str]:
    if util.find_spec("torch") is None:
        return _row("device", "no torch", "pip install torch")
    import torch

    if torch.cuda.is_available():
        return _row("device", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return _row("device", "CPU", "ok")


def _pipelines() -> dict[str, str]:
    if util.find_spec("spacy") is None:
        return _row("spaCy pipelines", "no spaCy", "pip install 'spacy>=3.8,<3.9'")
    from spacy.util import get_installed_models

    found = sorted(get_installed_models())
    if not found:
        return _row(
            "spaCy pipelines",
            "none",
            "linking uses the dictionary alone; for NER: python -m spacy download en_core_web_sm",
        )
    return _row("spaCy pipelines", ", ".join(found))
