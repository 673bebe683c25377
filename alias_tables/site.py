"""What a dump says of its wiki in `<siteinfo>`: name, language, case rule, namespaces."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alias_tables.languages import LEGACY_NAMESPACES, NAMESPACE_NAMES


@dataclass(frozen=True, slots=True)
class Site:
    """The wiki a dump was taken from."""

    dbname: str = ""
    language: str = "en"
    first_letter: bool = True
    """Titles begin with a capital (Wikipedias); False on case-sensitive wikis (Wiktionaries)."""
    local_namespaces: Mapping[str, int] = field(default_factory=dict)
    """Names as the dump gives them, e.g. `{"Datei": 6}`."""

    def namespaces(self) -> dict[str, int]:
        """Return every known namespace name, casefolded and with spaces, and its number."""
        local = {
            name.replace("_", " ").casefold(): number
            for name, number in self.local_namespaces.items()
            if name
        }
        legacy = LEGACY_NAMESPACES.get(self.language, {})
        return {**NAMESPACE_NAMES, **legacy, **local}
