"""Fills the README and docs/: numbers from reports, the pipeline's diagram, the reference pages."""
