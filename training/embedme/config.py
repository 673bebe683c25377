"""Settings of EmbedMe, with three presets: the paper's, a default for one machine, and a demo."""

from enum import StrEnum
from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from training.config import parse_config
from training.encoder_files import MINILM, Pooling
from training.errors import ConfigError
from training.evaluate import Full, Protocol, Sampled
from training.loop import LoopConfig, OptimizerName, Schedule
from training.losses import Products, Reduction

FIRST_HAS_NO_SHARES = (
    "the encoder's vector is its first token's state, in which weights and several interest vectors have no share:"
    " set pooling=mean"
)


class ExampleMode(StrEnum):
    """What one example is."""

    USER = "user"
    """A user with all its labels, encoded once an epoch."""
    POSITIVE = "positive"
    """A (user, positive) pair, as in the paper: a user is encoded once for each positive."""


class PopularityBias(StrEnum):
    """Whether an item's logit knows how often the item was liked."""

    NONE = "none"
    """The paper's score, eq. 8."""
    FIXED = "fixed"
    """Plus log P(item) of the training rows."""
    LEARNED = "learned"
    """Plus log P(item) times a learned scale."""


class WeightUse(StrEnum):
    """How the text encoder sees what each interest weighs."""

    ORDER = "order"
    """By the order of the titles alone, as in the paper (section 3.2.2)."""
    POOLING = "pooling"
    """By the share of each title's states in the text's vector too (`training.embedme.reading`)."""


class ValidationProtocol(StrEnum):
    """How validation users are ranked; see `training.evaluate`."""

    FULL = "full"
    SAMPLED = "sampled"


class EmbedMeConfig(LoopConfig):
    """Settings of EmbedMe; the loop's are inherited."""

    encoder: str = MINILM
    """"minilm", a folder, or a BERT or RoBERTa in the Hugging Face cache, by its name there or a short one of
    `training.encoder_files.HUB_NAMES` ("bert-base-uncased", "e5-base-v2", "blair-roberta-base")."""
    pooling: Pooling | None = None
    """Which states make a text's vector, "mean" or "first"; None as the encoder was trained to
    (`training.encoder_files.recipe_of`)."""
    profile_prefix: str | None = None
    """Written before each profile; None what the encoder was trained with, E5's "query: ", most have nothing."""
    item_prefix: str | None = None
    """Written before each item's text, as above; E5's "passage: "."""
    pretrained: bool = True
    """Whether the encoder starts from its weights, or from random ones (the paper's ablation, section 4.3)."""
    max_tokens: int = Field(default=256, ge=8)
    """Tokens of a profile, N in section 3.2.2."""
    embedding_size: PositiveInt = 256
    """K in section 3.2.2."""
    weights: WeightUse = WeightUse.ORDER
    """How the text encoder sees what each interest weighs."""
    interest_vectors: PositiveInt = 1
    """Vectors a user; of several the one nearest to an item counts (`training.embedme.late_interaction`). A bundle
    serves one."""
    examples: ExampleMode = ExampleMode.USER
    source_only_share: float = Field(default=0.5, ge=0, le=1)
    """Chance that a user with source rows is shown without any target row: a zero-shot user."""
    mixed_profiles: bool = True
    """Whether users without source rows, and target rows that are no label, are learned from; without, every
    example is a user with source rows, seen as a newcomer."""
    label_share: float = Field(default=0.5, gt=0, le=1)
    """Chance of each target positive of a mixed example to be a label."""
    labels_in_profile: bool = False
    """Whether a label's entities stay in the profile that is to find it: a leak, there to show its cost."""
    reduction: Reduction = "mean"
    """"mean" weighs users alike, "sum" interactions."""
    popularity: PopularityBias = PopularityBias.LEARNED
    prior_strength: PositiveFloat | None = 300.0
    """Without a taste map, what the popularity among all users counts for beside that among users with source rows
    (`training.embedme.prior`); None takes the popularity among all users alone."""
    hidden_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Inside the BERT; its attention weights have none, for the fused kernels' sake."""
    mlp_dropout: float = Field(default=0.1, ge=0, lt=1)
    head_epochs: int = Field(default=0, ge=0)
    """Epochs of the warm start, in which only head, items and prior scale learn; 0 leaves it out."""
    head_views: PositiveInt = 2
    """Times each user is encoded for the warm start, each with other labels."""
    head_batch_size: PositiveInt = 256
    head_learning_rate: PositiveFloat = 1e-3
    head_patience: PositiveInt | None = 6
    """Epochs without a better validation that end the warm start."""
    n_target_tastes: int = Field(default=0, ge=0)
    """Dimensions of the target's taste space, m of `taste_map`; 0 leaves the taste map out, as the paper does. On fold 0
    of Amazon-KG 64 lose up to .006 of NDCG@10 among 999 negatives, and 256 rank as 128 do at several times the cost."""
    taste_l2: PositiveFloat = 0.01
    """l2 of that space's factors, and of those of interests (`training.bricks.implicit_als`). With the target's alone changed,
    NDCG@10 among sampled items: in the sample world .015 loses .005 and, with `taste_unliked` 20, .005 gains .007 and .02 loses .07; on folds 0 and 1 of Amazon-KG .005
    loses up to .004, .015 gains up to .002."""
    taste_unliked: PositiveFloat = 10.0
    """What all pairs without a like weigh in both, over what the likes do; with the target's alone changed 20 loses .006 in the
    sample world, and is as good on Amazon-KG."""
    n_interest_tastes: int = Field(default=32, ge=0)
    """Dimensions in which interests go together, k of `taste_map`. On validation users of folds 0 and 1 of Amazon-KG, both ways,
    24 and 48 come within .003 of NDCG@10 among 999 negatives, 16, 64 and 128 lose up to .006, 8 loses up to .014."""
    taste_ridge: PositiveFloat = 10.0
    """Shrinkage of the taste map; 10 and 20 differ by less than .002."""
    n_own_tastes: int = Field(default=0, ge=0)
    """Dimensions in which those who have target items among their interests are read by these
    (`training.embedme.own_tastes`), beside the taste map; 0 leaves that out, as the paper does. Newcomers' scores are
    the same with any number."""
    own_taste_ridge: PositiveFloat = 2.0
    """Shrinkage of these, as a share of the largest power of their space; 1 to 5 differ by less than .007 in NDCG@10."""
    own_taste_weight: PositiveFloat = 48.0
    """What they count for beside the taste map's; 36 to 72 differ by less than .002 on validation rows, 24 loses .005 among
    sampled items."""
    item_text_likes: NonNegativeFloat = 0.0
    """Likes that an item's text is worth beside those it has (`training.embedme.item_text`); 0 leaves the text
    out, and items without training rows have no place. Only beside a taste map."""
    item_text_ridge: PositiveFloat = 10.0
    """Shrinkage of what texts say; 3 to 30 differ by less than .004 in NDCG@10 among new items."""
    item_tokens: PositiveInt = 48
    """Tokens of an item's text that are read."""
    margin: float = 1.0
    """Standard errors on validation users by which the warm start, and fine-tuning after it, must be better
    than what was before them (`training.embedme.selection`); far below 0, each is kept as it comes."""
    fine_tune: bool = True
    """Whether the language model is fine-tuned at all; False stops after the warm start (an ablation)."""
    softmax_products: Products = Products.EXACT
    """In what users are multiplied with all items; "bf16" takes a half to a third of the time (`training.losses`)."""
    sampled_softmax_above: PositiveInt | None = None
    """Size of the catalogue above which the loss is over a sample of it (`training.sampled_softmax`); None
    takes all items always."""
    n_sampled_items: PositiveInt = 8192
    """Items of such a sample, on average, half of them by popularity and half of them alike."""
    validation: ValidationProtocol = ValidationProtocol.FULL
    encode_batch_size: PositiveInt = 256
    """Profiles encoded at once when users are judged."""

    @model_validator(mode="after")
    def _fits_together(self) -> "EmbedMeConfig":
        if self.interest_vectors > 1 and self.sampled_softmax_above is not None:
            raise ValueError(
                "interest_vectors above 1 needs all items in the loss: leave sampled_softmax_above out"
            )
        if self.pooling is Pooling.FIRST and self.takes_shares:
            raise ValueError(FIRST_HAS_NO_SHARES)
        return self

    @property
    def takes_shares(self) -> bool:
        """Whether a text's vectors are means over some of its tokens, or by weight."""
        return self.interest_vectors > 1 or self.weights is not WeightUse.ORDER

    @property
    def validation_protocol(self) -> Protocol:
        """How validation users are ranked."""
        return Full(k=10) if self.validation is ValidationProtocol.FULL else Sampled(k=10)

    @staticmethod
    def preset(name: str, **overrides: object) -> "EmbedMeConfig":
        """Return preset "paper", "default" or "demo", with some settings changed.

        Raises:
            ConfigError: there is no such preset, or an override is not a setting.

        >>> EmbedMeConfig.preset("paper", epochs=3).optimizer.value
        'lamb'
        """
        if name not in PRESETS:
            raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        return parse_config(EmbedMeConfig, {**PRESETS[name], **overrides})


PRESETS: dict[str, dict[str, Any]] = {
    # Sections 3.2.2 and 4.2: N = 256, K = 256, 1,024 examples a step, LAMB with learning rate and weight
    # decay 5e-4, 15 epochs, cosine schedule with the first epoch for warm-up, one example a positive.
    # The histories drop the positive of the example; the paper does not say whether its own did.
    "paper": {
        "max_tokens": 256,
        "embedding_size": 256,
        "batch_size": 1024,
        "optimizer": OptimizerName.LAMB,
        "learning_rate": 5e-4,
        "weight_decay": 5e-4,
        "epochs": 15,
        "schedule": Schedule.COSINE,
        "warmup_epochs": 1.0,
        "examples": ExampleMode.POSITIVE,
        "source_only_share": 0.0,
        "reduction": "sum",
        "popularity": PopularityBias.NONE,
        "validation": ValidationProtocol.SAMPLED,
    },
    # What is known in closed form, a warm start, then few careful epochs, each step only where it is clearly better.
    # On folds 0 and 1 of Amazon-KG examples of users with source rows alone cost a tenth, and validate as well.
    # With learning rates of 1e-4 and more for the language model, or
    # with dropout inside it, the first epoch on the sample world unlearned what the warm start had reached
    # (validation NDCG@10 .32-.34 after it, .36 before).
    "default": {
        "max_tokens": 256,
        "batch_size": 64,
        "optimizer": OptimizerName.ADAMW,
        "learning_rate": 2e-5,
        "new_weights_factor": 10.0,
        "weight_decay": 1e-2,
        "warmup_epochs": 0.3,
        "epochs": 6,
        "clip_norm": 1.0,
        "patience": 2,
        "mlp_dropout": 0.5,
        "hidden_dropout": 0.0,
        "head_epochs": 40,
        "mixed_profiles": False,
        "n_target_tastes": 128,
        "n_own_tastes": 256,
        "item_text_likes": 3.0,
    },
    "demo": {
        "max_tokens": 64,
        "batch_size": 32,
        "optimizer": OptimizerName.ADAMW,
        "learning_rate": 3e-5,
        "new_weights_factor": 10.0,
        "weight_decay": 1e-2,
        "warmup_epochs": 0.2,
        "epochs": 3,
        "clip_norm": 1.0,
        "hidden_dropout": 0.0,
        "head_epochs": 20,
        "head_views": 1,
        "head_batch_size": 64,
        "n_target_tastes": 128,
        "n_own_tastes": 256,
        "item_text_likes": 3.0,
    },
}
"""Settings that differ from the class's own defaults, or that the paper fixes."""
