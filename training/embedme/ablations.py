"""EmbedMe with one thing taken away, or put in, at a time: what each idea is worth, by name.

`mekb compare --ablate NAMES` fits the model with each, under the protocol and on the users of the unchanged
one, and shows paired differences. An entry says which settings of the model, of the interest score
(`mekb.scoring.ScoringConfig`) or of the profiles (`mekb.profile_variants.ProfileVariant`) differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ablation:
    """One change."""

    name: str
    what: str
    """What is changed, in words."""
    model: Mapping[str, Any] = field(default_factory=dict)
    scoring: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Any] = field(default_factory=dict)


ABLATIONS: Mapping[str, Ablation] = {
    one.name: one
    for one in (
        Ablation("no-idf", "every idf is 1 (eq. 5)", scoring={"use_idf": False}),
        Ablation("no-smoothing", "counts are not log-smoothed (eq. 4)", scoring={"k_star": 1e9}),
        Ablation(
            "no-custom-entities",
            "profiles of Wikidata's entities alone: no brand, category, product or keyword",
            profiles={"custom_entities": False},
        ),
        Ablation(
            "frequency-order",
            "entities in order of how many items hold them, not of weight",
            profiles={"order": "frequency"},
        ),
        Ablation(
            "source-only-profiles",
            "profiles of source rows alone, in training and test",
            profiles={"source_only": True},
        ),
        *(
            Ablation(
                f"links-{detector}",
                f"of the links those {who} alone, and what items name themselves",
                profiles={"links": detector},
            )
            for detector, who in (
                ("title", "of whole titles"),
                ("ner", "of names that the NER found"),
                ("dictionary", "that the alias dictionary found"),
            )
        ),
        Ablation(
            "one-hop",
            "interests inferred one hop further in profiles too (out, where neighbours.in_profiles has them in)",
            profiles={"one_hop": True},
        ),
        Ablation(
            "descriptions",
            "texts say what each entity is: title (description) (not, where train.descriptions has them say it)",
            profiles={"descriptions": True},
        ),
        Ablation(
            "weights-in-pooling",
            "the text encoder knows the weights of interests, not their order alone",
            {"weights": "pooling"},
        ),
        Ablation(
            "four-vectors",
            "four vectors a user, of which the nearest to an item counts",
            {"interest_vectors": 4, "sampled_softmax_above": None},
        ),
        Ablation("no-text", "one profile text for all; the numbers stay", profiles={"text": False}),
        Ablation("no-popularity", "no popularity in the logits (eq. 8)", {"popularity": "none"}),
        Ablation("no-taste-map", "no taste map beside the text", {"n_target_tastes": 0}),
        Ablation(
            "no-own-tastes",
            "people with target rows are read like newcomers",
            {"n_own_tastes": 0},
        ),
        Ablation("no-item-text", "new items have no place", {"item_text_likes": 0.0}),
        Ablation(
            "not-pretrained", "the encoder's weights are random at the start", {"pretrained": False}
        ),
        Ablation("text-always", "text is kept though it be no better", {"margin": -1e9}),
        Ablation(
            "closed-form",
            "nothing learned by gradients: neither text nor fine-tuning",
            {"head_epochs": 0, "fine_tune": False},
        ),
        Ablation("no-fine-tuning", "the language model stays as it was", {"fine_tune": False}),
        Ablation(
            "leak",
            "the entities of a label stay in the profile that is to find it, in training",
            {"labels_in_profile": True},
        ),
        Ablation(
            "mixed-profiles",
            "text learns from users of the target alone too, part of their target rows in the profile",
            {"mixed_profiles": True},
        ),
    )
}
"""Name -> ablation."""
