"""LightGCN on the joined graph of all domains: a newcomer's source rows reach target items through other users.

Nodes are the users and the items of the chosen domains, edges the positives; with A their adjacency, D its degrees
and E^(0) the learned vectors (He et al., SIGIR 2020):

    E^(k+1) = D^-1/2 A D^-1/2 E^(k),    E = mean of E^(0) .. E^(K),    score(u, i) = e_u . e_i
    loss    = mean over (u, i, j) of -log sigma(e_u . e_i - e_u . e_j) + l2/2 (|e_u^(0)|^2 + |e_i^(0)|^2 + |e_j^(0)|^2)

With `domains` "target" it is the paper's model on one domain. A user who was not in training is folded in by the
same propagation: their layers 1 to K come from the items' layers, and they have no layer 0 of their own. A user
without a positive in the chosen domains cannot be judged (NaN).
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import NonNegativeFloat, NonNegativeInt
from scipy.sparse import block_array, csr_array, eye_array
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.bpr import RankingLoss, Triplets, ranking_loss
from training.bricks.histories import Domains, chosen_domains, side_by_side
from training.bricks.matrix_factorisation import FactorConfig
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset, counts
from training.errors import DatasetError
from training.gradient_model import GradientModel, Phase, Shape
from training.loop import Epoch


class LightGcnConfig(FactorConfig):
    """Settings of LightGCN."""

    l2: NonNegativeFloat = 1e-4
    """The paper's; with .02 newcomers of the sample world are ranked worse."""
    n_layers: NonNegativeInt = 3
    """K; 0 is matrix factorisation."""
    domains: Domains = Domains.ALL


class Propagate(torch.autograd.Function):
    """A symmetric sparse matrix times vectors: its own transpose carries the gradient back."""

    @staticmethod
    @override
    def forward(ctx: Any, matrix: csr_array, vectors: Tensor) -> Tensor:
        """Return the product."""
        ctx.matrix = matrix
        return product(matrix, vectors)

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor]:
        """Return the gradient of the vectors."""
        return None, product(ctx.matrix, grad_outputs[0])


def product(matrix: csr_array, vectors: Tensor) -> Tensor:
    """Return matrix @ vectors, by SciPy: on one core it is faster than torch's sparse kernels."""
    found = torch.from_numpy(matrix @ vectors.detach().cpu().numpy())
    return found.to(vectors.device)


class Graph(nn.Module):
    """The vectors of layer 0, and those that came out of the last propagation."""

    final: Tensor
    """(users + items, dim): E."""
    lent: Tensor
    """(items, dim): what an item lends a folded-in user, sum over k < K of e_i^(k) / (sqrt|U_i| (K + 1))."""

    def __init__(self, n_users: int, n_items: int, config: LightGcnConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.vectors = nn.Parameter(config.init_scale * torch.randn(n_users + n_items, size))
        self.register_buffer("final", torch.zeros(n_users + n_items, size))
        self.register_buffer("lent", torch.zeros(n_items, size))
        self.n_users, self._config = n_users, config
        self.adjacency = csr_array(eye_array(n_users + n_items, dtype=np.float32, format="csr"))
        """Normalised, of the data being fitted; not part of the state."""

    def layers(self) -> list[Float[Tensor, "nodes dim"]]:
        """Return E^(0) .. E^(K)."""
        found: list[Tensor] = [self.vectors]
        for _ in range(self._config.n_layers):
            found.append(Propagate.apply(self.adjacency, found[-1]))  # type: ignore[no-untyped-call]  # torch's stub
        return found

    @override
    def forward(
        self, users: Tensor, positives: Tensor, negatives: Tensor, weights: Tensor
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch; items are counted from 0."""
        vectors = torch.stack(self.layers()).mean(dim=0)
        first = self.n_users
        nodes = torch.cat([users, positives + first, negatives[:, 0] + first])
        own, liked, other = vectors.index_select(0, nodes).chunk(3)
        scores = (own * liked).sum(dim=1), (own * other).sum(dim=1, keepdim=True)
        loss = (weights * ranking_loss(RankingLoss.BPR, *scores)).mean()
        squares = self.vectors.index_select(0, nodes).square().sum()
        return loss + 0.5 * self._config.l2 * squares / len(users)

    @torch.no_grad()
    def refresh(self) -> None:
        """Propagate the present vectors into `final` and `lent`."""
        layers = torch.stack(self.layers())
        self.final.copy_(layers.mean(dim=0))
        degrees = np.maximum(np.diff(self.adjacency.indptr)[self.n_users :], 1)
        scale = torch.from_numpy(1.0 / np.sqrt(degrees)).to(layers)
        self.lent.copy_(layers[:-1, self.n_users :].sum(dim=0) / len(layers) * scale[:, None])


def normalised(histories: csr_array) -> csr_array:
    """Return D^-1/2 A D^-1/2 of the graph of users and items, users first."""
    graph = csr_array(block_array([[None, histories], [histories.T, None]], format="csr"))
    scale = 1.0 / np.sqrt(np.maximum(counts(graph), 1))
    scaled: csr_array = graph.multiply(scale[:, None]).multiply(scale[None, :]).tocsr()
    return csr_array(scaled.astype(np.float32))


class LightGcn(GradientModel[Graph], VectorRecommender):
    """Vectors spread over the graph of who liked what, in every domain."""

    name: ClassVar[str] = "lightgcn"
    paper: ClassVar[str] = (
        "He et al.: LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, SIGIR 2020"
        " (here over the graph of all domains)"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = LightGcnConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, LightGcnConfig)
        self.settings = config

    @override
    def build(self, shape: Shape) -> Graph:
        n_items = shape.n_target_items
        if self.settings.domains is Domains.ALL:
            n_items = sum(shape.n_items.values())
        return Graph(shape.n_users, n_items, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        domains = chosen_domains(data, self.settings.domains)
        histories = side_by_side(data.interactions, domains)
        if not histories.nnz:
            raise DatasetError(f"no positive interaction in {', '.join(domains)} to learn from")
        self.module.adjacency = normalised(histories)
        triplets = Triplets(data.user_ids, data.interactions, domains)

        def batches(rng: np.random.Generator) -> Epoch:
            return triplets.epoch(rng, self.settings.batch_size)

        def validate() -> Mapping[str, float]:
            self.module.refresh()
            return self.ranking(data)

        yield Phase("graph", self.module, batches, self.settings, validate)
        self.module.refresh()

    def _domains(self) -> tuple[str, ...]:
        if self.shape is None:
            raise not_fitted(self)
        sources = sorted(self.shape.sources) if self.settings.domains is Domains.ALL else ()
        return (*sources, self.shape.target)

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return e of the target's items, which stand last."""
        if self.shape is None:
            raise not_fitted(self)
        found: np.ndarray = self.module.final[-self.shape.n_target_items :].cpu().numpy()
        return found

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return e of users in training, folded-in vectors of others; NaN without a history."""
        rows, domains = self.known_rows(users), self._domains()
        own = side_by_side(users.history, domains)
        n_items = counts(own)[:, None]
        folded = own @ self.module.lent.cpu().numpy() / np.sqrt(np.maximum(n_items, 1))
        final = self.module.final[torch.from_numpy(np.maximum(rows, 0)).to(self.device)]
        vectors = np.where((rows >= 0)[:, None], final.cpu().numpy(), folded)
        found: np.ndarray = np.where(n_items > 0, vectors, np.nan).astype(np.float32)
        return found
