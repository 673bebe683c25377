"""EmbedMe's reader of profiles as a model of sentence-transformers.

In: the language model, the profile encoder on top of it. Out: the small files that, laid beside
`encoder/` (`training.embedme.bert`), let `SentenceTransformer(folder)` give the same text vectors phi without
any code of ours:

    Transformer  encoder/   BERT, texts cut at max_tokens, the encoder's prefix before each
    Pooling      pooling/   mean over the tokens, or the first token
    Dense        hidden/    gelu(W1' pooled + b1')    W1' = W1 / scale, b1' = b1 - W1' centre
    Dense        output/    W2 hidden + b2

The scale by which pooled states enter the head is folded into its first layer, so that the four modules of
sentence-transformers are enough. They know no weights of interests (`training.embedme.reading`): of a model that reads
them this is phi of a text whose weights nobody knows.
"""

import json
from importlib.metadata import version

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor, nn

from training.embedme.batch import frame_of
from training.embedme.bert import FOLDER, LanguageModel
from training.embedme.encoder import ProfileEncoder
from training.encoder_files import Pooling

MODULES = (
    ("Transformer", FOLDER),
    ("Pooling", "pooling"),
    ("Dense", "hidden"),
    ("Dense", "output"),
)
"""Class in `sentence_transformers.models`, folder; in the order they are applied."""
SPECIAL_TOKENS = {
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""What each is called by a BERT's tokenizer, and by a RoBERTa's."""
PROMPT = "profile"


def sentence_transformer_files(
    language_model: LanguageModel, encoder: ProfileEncoder, max_tokens: int
) -> dict[str, bytes]:
    """Return the files beside the encoder's own, path in the model's folder -> content.

    Args:
        language_model: Of the encoder.
        encoder: Trained.
        max_tokens: Tokens of a profile.
    """
    first, output = encoder.mlp[0], encoder.mlp[-1]
    assert isinstance(first, nn.Linear)
    assert isinstance(output, nn.Linear)
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (name, path) in enumerate(MODULES)
    ]
    recipe = language_model.recipe
    prompts = (
        {"prompts": {PROMPT: recipe.profile_prefix}, "default_prompt_name": PROMPT}
        if recipe.profile_prefix
        else {}
    )
    versions = {name.replace("-", "_"): version(name) for name in ("sentence-transformers",)}
    return {
        "modules.json": _json(modules),
        "config_sentence_transformers.json": _json(
            {"__version__": versions, "similarity_fn_name": "dot", **prompts}
        ),
        f"{FOLDER}/sentence_bert_config.json": _json(
            {
                "max_seq_length": max_tokens,
                "do_lower_case": False,  # the tokenizer knows what to do
                "model_args": {"add_pooling_layer": False},
            }
        ),
        f"{FOLDER}/tokenizer_config.json": _json(_tokenizer_config(language_model, max_tokens)),
        "pooling/config.json": _json(
            {
                "word_embedding_dimension": language_model.hidden_size,
                "pooling_mode_mean_tokens": recipe.pooling is Pooling.MEAN,
                **({"pooling_mode_cls_token": True} if recipe.pooling is Pooling.FIRST else {}),
            }
        ),
        **_dense("hidden", *folded(first, encoder.centre, encoder.scale), activation=nn.GELU),
        **_dense("output", output.weight, output.bias, activation=nn.Identity),
    }


def folded(
    layer: nn.Linear, centre: Float[Tensor, " hidden"], scale: Float[Tensor, " hidden"]
) -> tuple[Float[Tensor, "out hidden"], Float[Tensor, " out"]]:
    """Return weight and bias that give of x what `layer` gives of (x - centre) / scale; in float64."""
    weight = layer.weight.detach().double() / scale.double()
    return weight, layer.bias.detach().double() - weight @ centre.double()


def _dense(
    folder: str, weight: Tensor, bias: Tensor, activation: type[nn.Module]
) -> dict[str, bytes]:
    n_out, n_in = weight.shape
    settings = {
        "in_features": n_in,
        "out_features": n_out,
        "bias": True,
        "activation_function": f"{activation.__module__}.{activation.__name__}",
    }
    arrays = {"linear.weight": weight, "linear.bias": bias}
    stored = {
        name: value.detach().to("cpu", torch.float32).contiguous() for name, value in arrays.items()
    }
    return {
        f"{folder}/config.json": _json(settings),
        f"{folder}/model.safetensors": save(stored, metadata={"format": "pt"}),
    }


def _tokenizer_config(language_model: LanguageModel, max_tokens: int) -> dict[str, object]:
    """Return what makes of `tokenizer.json`, as it is, a tokenizer of transformers."""
    known = language_model.tokenizer.get_vocab(with_added_tokens=True)
    _, separator = frame_of(language_model.tokenizer)
    family = 0 if known.get(SPECIAL_TOKENS["sep_token"][0]) == separator else 1
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        **{key: names[family] for key, names in SPECIAL_TOKENS.items() if names[family] in known},
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode("utf-8")
