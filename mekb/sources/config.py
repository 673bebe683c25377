"""Which column of a user's files means what, and what happens to doubtful rows."""

import codecs
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

ITEM_COLUMNS = ("item", "domain", "title", "text", "brand", "categories")
"""The settings of `ImportConfig` that name a column of an items file."""

INTERACTION_COLUMNS = ("user", "item", "domain", "rating", "at")
"""The settings of `ImportConfig` that name a column of an interactions file."""


class ImportConfig(BaseModel):
    """How files are read: the name of each column, and the policies for what is not clear-cut.

    `item` must be in every file, `user` in every file of interactions and `title` in every file of
    items. The other columns are read where they exist; one whose name was changed from the default
    must be in at least one file, so that a misspelt name is an error and never a silent gap.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field(default="user_id", min_length=1)
    item: str = Field(default="item_id", min_length=1)
    """The item's id, in both kinds of file."""
    domain: str = Field(default="domain", min_length=1)
    rating: str = Field(default="rating", min_length=1)
    at: str = Field(default="timestamp", min_length=1)
    """When it happened: seconds, milliseconds, ... since 1970, YYYYMMDD, or ISO 8601."""
    title: str = Field(default="title", min_length=1)
    text: str = Field(default="text", min_length=1)
    brand: str = Field(default="brand", min_length=1)
    categories: str = Field(default="categories", min_length=1)
    """A list, or one string with "|" or ";" between the names."""

    default_domain: str | None = Field(default=None, min_length=1)
    """Domain of the rows that name none."""
    file_domains: Mapping[str, str] = Field(default_factory=dict)
    """File name (without folder) -> domain of its rows that name none; goes before `default_domain`."""
    encoding: str = "utf-8"
    """Of CSV, TSV and JSON lines; old MovieLens files are "latin-1"."""

    positive_from: float = Field(default=4.0, allow_inf_nan=False)
    """A rating of at least this is positive (paper 002, appendix A: a review score of 4 or above);
    in a file without ratings every row is positive."""
    duplicates: Literal["last", "first", "max", "error"] = "last"
    """Which row of a (user, item) is kept: by time, then by place in the files; "max" by rating first.
    A repeated item keeps its first row under "first", else its last."""
    rating_scale: tuple[float, float] | None = None
    """Lowest and highest rating there can be; others are rejected and counted (0.0 stars in Amazon's files)."""
    preset: str | None = Field(default=None, min_length=1)
    """The format the files are known to have (`mekb.sources.presets`)."""
    strict: bool = False
    """Whether one rejected row fails the import."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        """Refuse a name that Python has no codec for."""
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError(f"no encoding {encoding!r}; try utf-8, latin-1, cp1252") from error
        return encoding

    def domain_of(self, file_name: str) -> str | None:
        """Return the domain of a file's rows that name none themselves."""
        return self.file_domains.get(file_name, self.default_domain)

    def is_renamed(self, role: str) -> bool:
        """Return whether the column for `role` has another name than the default."""
        return bool(getattr(self, role) != type(self).model_fields[role].default)
