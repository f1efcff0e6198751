"""The study in words and tables."""
