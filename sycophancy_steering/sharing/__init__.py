"""Pushes the study to DVC's remote, and pulls it: DVC's own commands, with what they leave open."""
