"""Settings of splits: the kind of split and its shares; `splits` says what each kind does."""

from enum import StrEnum

from pydantic import Field

from training.config import ModelConfig

PAPER_MIN_USER, PAPER_MIN_ITEM = 5, 50
"""Positives that a user and an item must have (paper 002, appendix A)."""


class SplitKind(StrEnum):
    """The rule by which target rows are held out."""

    COLD = "cold"
    SHOTS = "shots"
    WARM = "warm"
    TIME = "time"
    PAPER = "paper"


class SplitConfig(ModelConfig):
    """Which target rows are held out, for validation and for test."""

    kind: SplitKind = SplitKind.COLD
    n_folds: int = Field(default=5, ge=2)
    """Overlapping users are dealt into so many test folds: 5 gives the paper's 20 % (paper 002, 4.2)."""
    fold: int = Field(default=0, ge=0)
    """Which fold is the test; where there are no folds, the number of the repetition."""
    cold_share: float | None = Field(default=None, gt=0, lt=1)
    """Share of the overlapping users to test on, drawn anew for each `fold`; None takes the fold itself."""
    shots: int = Field(default=0, ge=0)
    """Target rows a cold user of a k-shot split keeps in training."""
    reserve: int = Field(default=0, ge=0)
    """Target rows of such a user set apart before any is tested: with 5, the test rows of 0, 1, 3 and 5 shots
    are the same ones. Less than `shots` means `shots`."""
    test_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the target rows tested by a warm, temporal or paper split."""
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the other overlapping users, or of all target rows, that chooses the epoch and the settings."""
    source_before_target: bool = False
    """Take out source rows that are not known to be older than their user's first target row."""
    min_user_positives: int | None = Field(default=None, ge=0)
    """Positives a user must have in a domain to count there; None is the kind's own: 5 for `paper`, else 0."""
    min_item_positives: int | None = Field(default=None, ge=0)
    """Positives an item must have to stay in its catalogue; None is the kind's own: 50 for `paper`, else 0."""
    positive_from: float | None = None
    """Lowest rating that is positive; None keeps what the import decided."""
    drop_twins: bool = True
    """Take out the source rows of items that are target items under another id; both numbers tell."""
    min_twin_buyers: int = Field(default=4, ge=1)
    """Users two items must share, all of them, to be taken for one product."""
    seed: int = 0

    @property
    def least(self) -> tuple[int, int]:
        """Positives that a user and an item must have."""
        own = (PAPER_MIN_USER, PAPER_MIN_ITEM) if self.kind is SplitKind.PAPER else (0, 0)
        asked = (self.min_user_positives, self.min_item_positives)
        user, item = (
            default if one is None else one for one, default in zip(asked, own, strict=True)
        )
        return user, item

    @property
    def needs_times(self) -> bool:
        """Whether rows must have times."""
        return self.kind is SplitKind.TIME or self.source_before_target
