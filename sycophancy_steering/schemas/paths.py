"""Where everything that is not a table lies, relative to the top of the repository."""

from __future__ import annotations

from pathlib import Path

PROMPTS = Path("data/prompts")
ACTIVATIONS = Path("data/activations")
MODELS = Path("data/models")
LABELS = Path("data/labels")
VECTORS = Path("vectors/extracted")
FOREIGN_VECTORS = Path("vectors/foreign")
REPORTS = Path("reports")
CACHE = Path(".work")
"""Results that can be computed again; ignored by git and DVC."""
