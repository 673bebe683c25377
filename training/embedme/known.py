"""What is known before anything is learned by gradients: tastes, and where the items stand for a newcomer.

In: training rows. Out: the taste of the training rows, and a dual encoder whose item side knows the prior, the taste
space and what the items' texts lend.
"""

import torch
from scipy.sparse import csr_array

from training.bricks.implicit_als import AlsSettings
from training.contract import FitContext
from training.dataset import Dataset, binary, counts
from training.embedme.batch import ProfileTokenizer
from training.embedme.config import EmbedMeConfig
from training.embedme.item_text import ItemPlaces, ItemTextSettings, lend_text
from training.embedme.own_tastes import OwnTasteSettings
from training.embedme.pooler import FrozenPooler
from training.embedme.prior import log_prior
from training.embedme.task import Parts
from training.embedme.taste import LearnedTaste, TasteSettings, learn_taste
from training.embedme.taste_map import TasteMapSettings


def learn_known_taste(data: Dataset, settings: EmbedMeConfig, seed: int) -> LearnedTaste | None:
    """Return the taste of the training rows; None where none is asked for, or too few users have both sides."""
    if not settings.n_target_tastes:
        return None
    interests, target = (
        AlsSettings(size, settings.taste_l2, settings.taste_unliked)
        for size in (settings.n_interest_tastes, settings.n_target_tastes)
    )
    mapped = TasteMapSettings(interests, target, settings.taste_ridge)
    own = OwnTasteSettings(
        settings.n_own_tastes, settings.own_taste_ridge, settings.own_taste_weight
    )
    return learn_taste(data, TasteSettings(mapped, own if own.n_tastes else None), seed)


def place_items(parts: Parts, data: Dataset, context: FitContext) -> None:
    """Set what the item side of the dual encoder knows, in place."""
    if parts.taste is None:
        prior = log_prior(data, parts.settings.prior_strength)
        parts.module.log_prior.copy_(torch.from_numpy(prior))
        return
    places = ItemPlaces(parts.taste.taste.item_tastes, parts.taste.shares)
    if parts.settings.item_text_likes:
        places = _with_item_text(places, parts, data, context)
    parts.module.set_item_tastes(torch.from_numpy(places.tastes), torch.from_numpy(places.shares))


def _with_item_text(
    places: ItemPlaces, parts: Parts, data: Dataset, context: FitContext
) -> ItemPlaces:
    """Return the places of items with what their texts say."""
    settings, language_model = parts.settings, parts.language_model
    n_tokens = min(settings.item_tokens, settings.max_tokens)
    tokenizer = ProfileTokenizer(
        language_model.tokenizer, n_tokens, language_model.recipe.item_prefix
    )
    pooler = FrozenPooler(parts.module, tokenizer, settings, context)
    pooled = pooler.pool_items([text or "?" for text in data.target_items.written], "items")
    n_likes = counts(csr_array(binary(data.interactions[data.target]).T))
    return lend_text(
        places,
        pooled,
        n_likes,
        ItemTextSettings(settings.item_text_ridge, settings.item_text_likes),
    )
