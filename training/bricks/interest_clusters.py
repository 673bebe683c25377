"""Interest clusters of two domains that learn each other's instances: prototypical contrast (SITN, CL-I2C).

An instance p is a user's encoded sequence. Within a mini-batch of n users, per domain, for K trainable clusters c
(Sun et al., AAAI 2023, eqs. 5-7; the soft assignment is that of TCC, Shen et al., NeurIPS 2021):

    pi_i(k) = exp(c_k.p_i) / sum_k' exp(c_k'.p_i)
    u_k     = sum_i pi_i(k) p_i                                              new clusters       (5)
    q_i     = MLP(concat of the m new clusters nearest to p_i)               multi-view         (6)
    loss    = InfoNCE(p^s_k; q^t_k against all u^t) + InfoNCE(p^t_k; q^s_k against all u^s)     (7)

Instance and clusters are of different domains, and everything is learned end to end, in alternation with nothing.

Printed so, the loss has a minimum that knows nothing of interests: all instances of one domain at one pole and all of
the other's opposite, the MLPs constant at the other pole. It is all but 0 there for any number of clusters, and
training ran there: the 8 clusters of a world with 8 interests, and 16 as well, had one direction (mean cosines of .95
and .90). Hence:

- u_k grows with the batch, so that with a dot product as `sim` the softmax would saturate. With `normalise` (ours by
  default) p are taken from the mean of their batch and p, c, u and q scaled to length 1 before each similarity, as TCC
  does with u: no domain has a pole, and instances fill a sphere. Eq. 5 takes the temperature as well, without which
  unit vectors would belong nearly alike to all clusters. Without `normalise` similarities are the printed ones.
- Eq. 7 counts all K clusters as negatives, an instance's own m among them. Prototypical contrast, which the paper takes
  up (PCL, Li et al., ICLR 2021), has the clusters as negatives that an instance does *not* belong to: without
  `own_repel` so has ours. In `benchmarks/worlds_sitn.py` it made no difference that is sure over five seeds.

The MLP of eq. 6 has one hidden layer of the embedding's size with ReLU, one MLP a domain. Without the multi-view module
q_i is the nearest u itself.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from training.bricks.info_nce import info_nce_against


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of one interest space."""

    dim: int
    n_clusters: int
    n_views: int = 2
    """m of eq. 6; 1 switches the multi-view module off."""
    temperature: float = 0.1
    normalise: bool = True
    own_repel: bool = True
    """Whether a user's own clusters are among the negatives, as eq. 7 prints it."""


class UserClusters(NamedTuple):
    """The clusters of a batch and where its users stand among them."""

    clusters: Float[Tensor, "clusters dim"]
    """u of eq. 5."""
    views: Float[Tensor, "batch dim"]
    """q of eq. 6."""
    nearest: Int64[Tensor, "batch views"]
    """Which clusters q is made of."""


def new_clusters(
    clusters: Float[Tensor, "clusters dim"],
    instances: Float[Tensor, "batch dim"],
    temperature: float = 1.0,
) -> Float[Tensor, "clusters dim"]:
    """Return each cluster as the sum of the instances by their soft assignment to it (eq. 5)."""
    share = torch.softmax(instances @ clusters.T / temperature, dim=1)
    renewed: Tensor = share.T @ instances
    return renewed


class DomainClusters(nn.Module):
    """The clusters of one domain at one granularity."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__()
        self.settings = settings
        dim, n_views = settings.dim, min(settings.n_views, settings.n_clusters)
        self.n_views = n_views
        self.clusters = nn.Parameter(torch.randn(settings.n_clusters, dim) / dim**0.5)
        self.views = (
            nn.Sequential(nn.Linear(n_views * dim, dim), nn.ReLU(), nn.Linear(dim, dim))
            if n_views > 1
            else None
        )

    @override
    def forward(self, instances: Float[Tensor, "batch dim"]) -> UserClusters:
        """Return the new clusters, and each instance's multi-view cluster."""
        sharpness = self.settings.temperature if self.settings.normalise else 1.0
        renewed = self.unit(new_clusters(self.unit(self.clusters), instances, sharpness))
        nearest = (instances @ renewed.T).topk(self.n_views, dim=1).indices
        chosen = renewed[nearest].flatten(start_dim=1)
        own = chosen if self.views is None else self.unit(self.views(chosen))
        return UserClusters(renewed, own, nearest)

    def on_sphere(self, instances: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Return the directions from the mean of the batch, or the instances without `normalise`."""
        return (
            self.unit(instances - instances.mean(dim=0)) if self.settings.normalise else instances
        )

    def unit(self, vectors: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """Return the vectors with length 1, or as they are without `normalise`."""
        return functional.normalize(vectors) if self.settings.normalise else vectors


class InterestSpace(nn.Module):
    """The clusters of both domains at one granularity, and their contrast."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.source, self.target = DomainClusters(settings), DomainClusters(settings)

    @override
    def forward(
        self, source: Float[Tensor, "batch dim"], target: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, " batch"]:
        """Return the instance-to-cluster loss of each user (eq. 7)."""
        source, target = self.source.on_sphere(source), self.target.on_sphere(target)
        return self._half(source, self.target(target)) + self._half(target, self.source(source))

    def _half(
        self, instances: Float[Tensor, "batch dim"], across: UserClusters
    ) -> Float[Tensor, " batch"]:
        return info_nce_against(
            instances,
            across.views,
            across.clusters,
            self.settings.temperature,
            None if self.settings.own_repel else across.nearest,
        )
