"""The study in figures: each function takes tables and returns a matplotlib figure."""
