"""The order in which figures, tables and the page show the methods of making vectors."""

from __future__ import annotations

METHODS = (
    *("mean_difference", "probe", "pca", "lda", "ccs", "leace"),
    *("median_difference", "in_context_vector", "shuffled", "letter", "random"),
)
"""Those that differ most come first, those that hardly differ from them after these, nulls last.
The first five have the same colours everywhere: blue, vermillion, green, purple, orange."""
