"""What makes a model look better than it is, looked for in the data before anything is trained on it.

    items, interactions, a split ──audit──> findings: count, share, examples, verdict, what to do

No framework looks for these: one product under two ids (`mekb.twins`), test rows that stand in the source under
another id, entities of the test items in the profiles, source rows that are younger than the target's, repeated
products, ids that differ in case or spaces only.
"""

from mekb.audit.audit import audit
from mekb.audit.report import Audit, Finding, Verdict, as_markdown
from mekb.twins import TwinConfig, twins

__all__ = ["Audit", "Finding", "TwinConfig", "Verdict", "as_markdown", "audit", "twins"]
