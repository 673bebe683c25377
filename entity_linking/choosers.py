"""The choosers by name."""

from alias_tables.lookup import AliasIndex
from entity_linking.config import LinkConfig
from entity_linking.disambiguate import Chooser, MostLikely


def make_chooser(index: AliasIndex, config: LinkConfig) -> Chooser:  # noqa: ARG001  for those that read entities
    """Return the chooser that the settings name."""
    return MostLikely(config.min_prior)
