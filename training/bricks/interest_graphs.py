"""Two domains' graphs with shared users, their losses, and the batches they are trained on (DIAGAE).

    stage 1    L_rec^S of the source's pairs alone
    stage 2    L = L_rec^T + lambda_inter L_inter + lambda_intra L_intra        (eq. 9)

A batch of stage 2 is some of the target's pairs and the users in them. Users who are known in the source only are
dealt out over the batches as well: nothing of the target says anything about them, so the alignment with the source
is what their target vectors learn from. Similarities are aligned over the users who have source rows; each
domain's links are decoded over those who have rows there (a missing history is unknown, not unlike all others).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt32
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from typing_extensions import override

from training.bricks.feedback import Feedback, Labelled, LabelledDomain
from training.bricks.graph_attention import Edges, GraphEncoder
from training.bricks.interest_alignment import LinkDecoder, Reduction, alignment_loss
from training.bricks.rating_head import RatingHead
from training.dataset import counts, keep_entries, rows_of
from training.gradient_model import GradientConfig
from training.loop import Batch

FEWEST_BATCHES = 8
"""Of an epoch whose batches hide their own pairs: on small data all edges would be hidden otherwise."""


class InterestConfig(GradientConfig):
    """Settings of DIAGAE; where no section is named the paper leaves it open."""

    epochs: PositiveInt = 50
    """Of stage 2."""
    pretraining_epochs: PositiveInt = 20
    """Of stage 1."""
    batch_size: PositiveInt = 1024
    """Pairs a step (section 4.1)."""
    learning_rate: PositiveFloat = 0.005
    """Section 4.1."""
    patience: PositiveInt | None = 10
    embedding_size: PositiveInt = 64
    """Section 4.1."""
    inter_weight: NonNegativeFloat = 0.8
    """lambda_inter (section 4.1); 0 is the paper's ablation."""
    intra_weight: NonNegativeFloat = 0.6
    """lambda_intra (section 4.1); 0 is the paper's ablation."""
    reduction: Reduction = Reduction.MEAN
    """Of eqs. 6 and 8 in a batch; the paper prints sums ("sum")."""
    degrees_of_freedom: PositiveFloat = 1.0
    """Of Student's t; 1 as in t-SNE."""
    link_similarity: float = Field(default=0.1, ge=0, lt=1)
    """Two users are linked in a domain who share an item and whose rows have at least this cosine: the paper's "a lot
    of the same items". At 0, in a dense domain, all are linked with all."""
    hidden_size: PositiveInt = 64
    """Of the rating MLP's hidden layer."""
    init_scale: PositiveFloat = 0.1
    """Standard deviation of the first vectors."""
    feedback: Feedback = Feedback.CLICKS
    n_negatives: PositiveInt = 4
    """Of clicks: items never liked, with label 0, for each positive."""
    hide_pairs: bool = True
    """Of clicks: take a batch's own pairs out of the target graph it sees. Else a liked item is told from others
    by being a neighbour. The paper does not say; False is its text to the letter."""


class InterestGraphs(nn.Module):
    """All weights, and the scale of the ratings."""

    scale: Tensor
    """(2,): the least and the greatest rating."""

    def __init__(
        self, n_users: int, n_source_items: int, n_target_items: int, config: InterestConfig
    ) -> None:
        super().__init__()
        dim, scale = config.embedding_size, config.init_scale
        self.source = GraphEncoder(n_users, n_source_items, dim, scale)
        self.target = GraphEncoder(n_users, n_target_items, dim, scale)
        self.source_head = RatingHead(dim, [config.hidden_size])
        self.target_head = RatingHead(dim, [config.hidden_size])
        self.fusion = nn.Linear(2 * dim, dim)
        self.source_links, self.target_links = LinkDecoder(dim), LinkDecoder(dim)
        self.register_buffer("scale", torch.tensor([0.0, 1.0]))

    def fused(
        self, source: Float[Tensor, "users dim"], target: Float[Tensor, "users dim"]
    ) -> Float[Tensor, "users dim"]:
        """Return H_U of users encoded in both domains: a linear layer on both side by side (open in the paper)."""
        together: Tensor = self.fusion(torch.cat([source, target], dim=1))
        return together


class SourceStage(nn.Module):
    """Stage 1, as the loop calls it."""

    def __init__(self, graphs: InterestGraphs) -> None:
        super().__init__()
        self.encoder, self.head = graphs.source, graphs.source_head

    @override
    def forward(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """Return L_rec^S (eqs. 3 and 4)."""
        rows, users, items, labels = inputs[:4]
        encoded = self.encoder(rows, Edges(*inputs[4:6]))
        predicted = self.head(encoded[users], self.encoder.items[items])
        return mse_loss(torch.sigmoid(predicted), labels)


class JointStage(nn.Module):
    """Stage 2, as the loop calls it."""

    def __init__(self, graphs: InterestGraphs, config: InterestConfig) -> None:
        super().__init__()
        self.graphs, self._config = graphs, config

    def losses(self, *inputs: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Return L_rec^T, L_inter and L_intra; the last two only where their weight is not 0."""
        graphs, config = self.graphs, self._config
        rows, users, items, labels = inputs[:4]
        source = graphs.source(rows, Edges(*inputs[4:6]))
        target = graphs.target(rows, Edges(*inputs[6:8]))
        in_source, in_target, source_links, target_links = inputs[8:]
        fused = graphs.fused(source, target)
        predicted = graphs.target_head(fused[users], graphs.target.items[items])
        found = {"rec": mse_loss(torch.sigmoid(predicted), labels)}
        if config.inter_weight:
            found["inter"] = alignment_loss(
                source[in_source], target[in_source], config.degrees_of_freedom, config.reduction
            )
        if config.intra_weight:
            of_source = graphs.source_links(fused[in_source], source_links, config.reduction)
            of_target = graphs.target_links(fused[in_target], target_links, config.reduction)
            found["intra"] = of_source + of_target
        return found

    @override
    def forward(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """Return L (eq. 9)."""
        found = self.losses(*inputs)
        loss = found["rec"]
        if "inter" in found:
            loss = loss + self._config.inter_weight * found["inter"]
        if "intra" in found:
            loss = loss + self._config.intra_weight * found["intra"]
        return loss


@dataclass(frozen=True)
class GraphBatches:
    """Makes the batches of either stage."""

    source: LabelledDomain
    target: LabelledDomain | None
    """None in stage 1."""
    user_ids: UInt32[np.ndarray, " users"]
    config: InterestConfig

    def epoch(self, rng: np.random.Generator) -> "GraphEpoch":
        """Return every pair of the stage's domain once, and every user known in the source only once."""
        if self.target is None:
            return GraphEpoch(self, self.source.epoch(rng), np.empty(0, dtype=np.int64))
        only = (counts(self.source.graph) > 0) & (counts(self.target.graph) == 0)
        return GraphEpoch(self, self.target.epoch(rng), rng.permutation(np.flatnonzero(only)))

    def batch(self, pairs: Labelled, others: Int64[np.ndarray, " others"]) -> Batch:
        """Return some pairs, with some users besides, as the inputs of the stage."""
        rows, places = np.unique(np.concatenate([pairs.user_rows, others]), return_inverse=True)
        places = places[: len(pairs.labels)]
        arrays: tuple[np.ndarray, ...] = (rows, places, pairs.item_rows, pairs.labels)
        source = self.source.graph[rows]
        if self.target is None:
            shown = without(source, places, pairs.item_rows) if self.hides else source
            arrays += (rows_of(shown), shown.indices.astype(np.int64))
        else:
            target = self.target.graph[rows]
            shown = without(target, places, pairs.item_rows) if self.hides else target
            in_source, in_target = counts(source) > 0, counts(target) > 0
            arrays += (
                *(rows_of(source), source.indices.astype(np.int64)),
                *(rows_of(shown), shown.indices.astype(np.int64)),
                *(in_source, in_target),
                *(self._links(source[in_source]), self._links(target[in_target])),
            )
        inputs = tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in arrays)
        return Batch(inputs, self.user_ids[pairs.user_rows])

    @property
    def hides(self) -> bool:
        """Whether a batch does not see its own pairs as edges."""
        return self.config.hide_pairs and self.config.feedback is Feedback.CLICKS

    def _links(self, met: csr_array) -> np.ndarray:
        """Return who met the same items: second-order proximity in the batch (section 2.5)."""
        shared = (met @ met.T).toarray()
        lengths = np.sqrt(np.diag(shared))
        linked: np.ndarray = shared >= self.config.link_similarity * np.outer(lengths, lengths)
        linked &= shared > 0
        return linked


@dataclass(frozen=True)
class GraphEpoch:
    """The batches of one epoch, made one by one."""

    batches: GraphBatches
    pairs: Labelled
    others: Int64[np.ndarray, " others"]

    def __len__(self) -> int:
        n_full = math.ceil(len(self.pairs.labels) / self.batches.config.batch_size)
        return max(n_full, FEWEST_BATCHES) if self.batches.hides else n_full

    def __iter__(self) -> Iterator[Batch | None]:
        others = np.array_split(self.others, len(self))
        parts = np.array_split(np.arange(len(self.pairs.labels)), len(self))
        for part, besides in zip(parts, others, strict=True):
            yield self.batches.batch(self.pairs.at(part), besides) if len(part) else None


def without(
    graph: csr_array, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
) -> csr_array:
    """Return the graph without some edges."""
    edges = rows_of(graph) * graph.shape[1] + graph.indices
    return keep_entries(graph, ~np.isin(edges, users * graph.shape[1] + items))
