"""Where everything that is not a table lies, relative to the top of the repository."""

from __future__ import annotations

from pathlib import Path

from sycophancy_steering import MAIN_WORKSPACE

PROMPTS = Path("data/prompts")
ACTIVATIONS = Path("data/activations")
MODELS = Path("data/models")
LABELS = Path("data/labels")
VECTORS = Path("vectors/extracted")
FOREIGN_VECTORS = Path("vectors/foreign")
REPORTS = Path("reports")
CACHE = MAIN_WORKSPACE / ".work"
"""Results that can be computed again; ignored by git and DVC, shared by all experiments."""
