"""Sequences of two domains as instances, and what contrast between the domains teaches their encoders (SITN, stage 1).

    p^s = mean f_s(x^s),  p^t = mean f_t(x^t)                                        (2)
    L   = InfoNCE(p^s, p^t) + InfoNCE(p^t, p^s) + sum over interest spaces of e_i2c       (3, 4, 7)

f is self-attention over item vectors, the mean is over real places; the loss of each user is returned, of whom the
batch holds both sequences (Sun et al., AAAI 2023). `SequencePair` is what stage 2 goes on with.
"""

from collections.abc import Sequence

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from training.bricks.info_nce import info_nce_both_ways
from training.bricks.interest_clusters import ClusterSettings, InterestSpace
from training.bricks.sequence_attention import EncodedPlaces, SequenceEncoder, masked_mean
from training.bricks.sequences import Windows


class SequencePair(nn.Module):
    """Item vectors and sequence encoders of a source and a target domain."""

    def __init__(
        self,
        n_source_items: int,
        n_target_items: int,
        source_encoder: SequenceEncoder,
        target_encoder: SequenceEncoder,
    ) -> None:
        super().__init__()
        self.source_encoder, self.target_encoder = source_encoder, target_encoder
        dim = source_encoder.dim
        self.source_items = nn.Embedding(n_source_items, dim)
        self.target_items = nn.Embedding(n_target_items, dim)

    @override
    def forward(self, source: Windows, target: Windows) -> tuple[EncodedPlaces, EncodedPlaces]:
        """Return the encoded places of both domains with their masks."""
        return (
            _encoded(self.source_encoder, self.source_items, source),
            _encoded(self.target_encoder, self.target_items, target),
        )


def _encoded(encoder: SequenceEncoder, items: nn.Embedding, windows: Windows) -> EncodedPlaces:
    mask = windows.mask.to(items.weight.device)
    return EncodedPlaces(encoder(items(windows.items.to(items.weight.device)), mask), mask)


class DomainContrast(nn.Module):
    """Instance-to-instance and instance-to-cluster contrast, either of which may be off."""

    def __init__(
        self,
        spaces: Sequence[ClusterSettings],
        instances: bool,
        temperature: float,
        normalise: bool,
    ) -> None:
        super().__init__()
        self.spaces = nn.ModuleList(InterestSpace(one) for one in spaces)
        self.instances, self.temperature, self.normalise = instances, temperature, normalise

    @override
    def forward(
        self, source: Float[Tensor, "users dim"], target: Float[Tensor, "users dim"]
    ) -> Float[Tensor, " users"]:
        """Return the loss of each user's two instances."""
        loss = source.new_zeros(len(source))
        for space in self.spaces:
            loss = loss + space(source, target)
        if self.instances:
            if self.normalise:
                source, target = functional.normalize(source), functional.normalize(target)
            loss = loss + info_nce_both_ways(source, target, self.temperature)
        return loss


class ContrastStage(nn.Module):
    """A pair of encoders under contrast, as the training loop calls it."""

    def __init__(self, pair: SequencePair, contrast: DomainContrast) -> None:
        super().__init__()
        self.pair, self.contrast = pair, contrast

    @override
    def forward(self, *windows: Int64[Tensor, "users places"] | Tensor) -> Float[Tensor, ""]:
        """Return the mean loss of the users whose source and target windows these are."""
        sides = self.pair(Windows(*windows[:2]), Windows(*windows[2:]))
        losses: Tensor = self.contrast(*(masked_mean(*side) for side in sides))
        return losses.mean()
