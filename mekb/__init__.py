"""Interest graphs of people, and recommendations for people a service has never seen.

    import mekb
    mekb.import_data("my.duckdb", items=["items.jsonl"], interactions=["interactions.csv"])
    mekb.build_aliases("my.duckdb", dumps=["pages-articles.xml.bz2"], qids="titles.tsv")
    mekb.link("my.duckdb")
    mekb.build_profiles("my.duckdb")
    mekb.train("my.duckdb", "model", target="films", sources=["books"])
    bundle = mekb.make_bundle("my.duckdb", "model", "bundle")
    mekb.recommend(bundle, interests=["Hayao Miyazaki", "jazz"])

Importing this loads nothing heavy: the verbs live in `mekb.api` and are fetched when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mekb.api import (
        add_data,
        audit,
        build_aliases,
        build_profiles,
        compare,
        describe,
        evaluate,
        evaluate_linking,
        export_profile,
        export_profiles,
        import_data,
        import_dataset,
        link,
        link_text,
        lookup,
        make_bundle,
        open_bundle,
        read_profile,
        read_profiles,
        read_table,
        recommend,
        runs,
        train,
        update_profiles,
        user_graph,
        validate_profiles,
        write_card,
        write_split,
    )
    from mekb.comparison_plan import Plan
    from mekb.config import Settings, load_settings
    from mekb.store import Store

    __version__: str

__all__ = [
    "Plan",
    "Settings",
    "Store",
    "add_data",
    "audit",
    "build_aliases",
    "build_profiles",
    "compare",
    "describe",
    "evaluate",
    "evaluate_linking",
    "export_profile",
    "export_profiles",
    "import_data",
    "import_dataset",
    "link",
    "link_text",
    "load_settings",
    "lookup",
    "make_bundle",
    "open_bundle",
    "read_profile",
    "read_profiles",
    "read_table",
    "recommend",
    "runs",
    "train",
    "update_profiles",
    "user_graph",
    "validate_profiles",
    "write_card",
    "write_split",
]

_ROOMS = {
    "Plan": "mekb.comparison_plan",
    "Settings": "mekb.config",
    "load_settings": "mekb.config",
    "Store": "mekb.store",
}


def __getattr__(name: str) -> object:
    """Fetch a public name from its module when it is first asked for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("mekb")
    if name not in __all__:
        raise AttributeError(f"module 'mekb' has no attribute '{name}'")
    return getattr(import_module(_ROOMS.get(name, "mekb.api")), name)
