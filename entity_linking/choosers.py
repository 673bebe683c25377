"""The choosers by name."""

from alias_tables.lookup import AliasIndex
from entity_linking.config import LinkConfig
from entity_linking.context import Context
from entity_linking.disambiguate import Chooser, MostLikely
from entity_linking.typed import Typed


def make_chooser(index: AliasIndex, config: LinkConfig) -> Chooser:
    """Return the chooser that the settings name."""
    match config.chooser:
        case "at1":
            return MostLikely(config.min_prior)
        case "typed":
            return Typed(index, config)
        case "context":
            return Context(index, config)
