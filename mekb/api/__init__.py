"""The verbs of the product, one call each: the command line adds nothing but text.

A store is given by its path or as an open `Store`. Long verbs take `on_progress(stage, done, total)`; a
total of 0 means that the length is not known, and what follows ": " in a stage is a note that changes. Heavy libraries are imported by the verb that needs them.

This is the one door, `from mekb import api; api.train(...)`; the verbs stand by job in the modules beside it.
"""

from mekb.api.ask import explain, recommend
from mekb.api.auditing import audit
from mekb.api.cluster import (
    build_profiles_on_spark,
    export_tables,
    import_mentions,
    import_profiles,
    link_on_spark,
)
from mekb.api.data import (
    Imported,
    add_data,
    describe,
    import_data,
    import_keywords,
    import_relations,
    read_table,
    runs,
)
from mekb.api.datasets import add_dataset, export_recbole, import_dataset, preview_data
from mekb.api.exports import (
    export_profile,
    export_profiles,
    read_profile,
    read_profiles,
    validate_profiles,
)
from mekb.api.linking import BuiltAliases, build_aliases, evaluate_linking, link, link_text, lookup
from mekb.api.measuring import compare_domains, compare_ratings
from mekb.api.models import (
    compare,
    evaluate,
    make_bundle,
    open_bundle,
    train,
    write_card,
    write_split,
)
from mekb.api.pages import profile_page
from mekb.api.profiles import (
    build_profiles,
    edit_profile,
    forget_user,
    infer_interests,
    profile_edits,
    update_profiles,
    user_graph,
)
from mekb.api.serving import serve
from mekb.api.stores import OnProgress, StoreLike, no_progress, opened

__all__ = [
    "BuiltAliases",
    "Imported",
    "OnProgress",
    "StoreLike",
    "add_data",
    "add_dataset",
    "audit",
    "build_aliases",
    "build_profiles",
    "build_profiles_on_spark",
    "compare",
    "compare_domains",
    "compare_ratings",
    "describe",
    "edit_profile",
    "evaluate",
    "evaluate_linking",
    "explain",
    "export_profile",
    "export_profiles",
    "export_recbole",
    "export_tables",
    "forget_user",
    "import_data",
    "import_dataset",
    "import_keywords",
    "import_mentions",
    "import_profiles",
    "import_relations",
    "infer_interests",
    "link",
    "link_on_spark",
    "link_text",
    "lookup",
    "make_bundle",
    "no_progress",
    "open_bundle",
    "opened",
    "preview_data",
    "profile_edits",
    "profile_page",
    "read_profile",
    "read_profiles",
    "read_table",
    "recommend",
    "runs",
    "serve",
    "train",
    "update_profiles",
    "user_graph",
    "validate_profiles",
    "write_card",
    "write_split",
]
