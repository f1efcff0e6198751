"""Estimates with intervals that allow answers about one item to be alike."""
