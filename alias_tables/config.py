"""Settings of an alias table: weights, limits and what is left out.

Counts are kept per channel, so weights and options change the priors without a change of the counts.
"""

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt


class ChannelNumbers(BaseModel):
    """One number for each channel of `schema.CHANNELS`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: NonNegativeFloat = 0.0
    title: NonNegativeFloat = 0.0
    title_stripped: NonNegativeFloat = 0.0
    redirect: NonNegativeFloat = 0.0
    disambig: NonNegativeFloat = 0.0
    wikidata_alias: NonNegativeFloat = 0.0


class AliasConfig(BaseModel):
    """How counts become candidates. Defaults without a source are policies of ours, open to change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: ChannelNumbers = ChannelNumbers(anchor=1.0)
    """Weight of each channel in freq(m, e); link texts alone by default (paper 002, eq. 3)."""
    pseudo_counts: ChannelNumbers = ChannelNumbers(
        title=1.0, redirect=0.5, wikidata_alias=0.5, title_stripped=0.25, disambig=0.1
    )
    """Stands in for the weights where a surface has no weighted count at all ("title-only")."""
    smooth: bool = False
    """Also give pseudo-counts to pairs without weight of a surface that has weighted ones; eq. 3 if off."""

    max_candidates: PositiveInt = 50
    """Candidates kept a surface; priors are computed before this cut, so their sum is the kept mass."""
    min_count: PositiveInt = 1
    """Link texts a pair needs when nothing but links supports it."""
    min_alias_chars: PositiveInt = 1
    max_alias_chars: PositiveInt = 100
    drop_digits: bool = False
    """Leave out surfaces of digits only; off, because films and books are called "300" and "1984"."""
    drop_punctuation: bool = True
    """Leave out surfaces without any letter or digit."""

    exclude_flags: tuple[str, ...] = ("date", "list")
    """Pages with one of these flags stay entities, but no surface means them."""
    section_redirects: bool = True
    """Count a redirect to a section as a name of the whole page."""
    disambiguation_lists: bool = False
    """Count the entries of disambiguation pages in the channel `disambig`."""
    links_in_templates: bool = True
    """Count links inside template arguments (infoboxes, citations)."""
    link_probability: bool = True
    """Read the dump a second time to count in how many documents each surface occurs unlinked."""
    describe: bool = True
    """Keep the first sentence of each article as the description of its entity."""

    language: str | None = None
    """Language of the link trail; by default that of the dump's root element."""
    max_page_chars: PositiveInt = 4_000_000
    """Longer pages are skipped with a reason; MediaWiki's own limit is 2 MiB."""
    max_label_chars: PositiveInt = 1_000
    max_link_depth: PositiveInt = 100
    max_description_chars: PositiveInt = 300
    skip_damaged_pages: bool = False
    """Resume at the next page after malformed XML instead of failing; the number is reported."""
    max_rejects_listed: NonNegativeInt = 100
    """Examples kept for each reason; the counts are always complete."""
