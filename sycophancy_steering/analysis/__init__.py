"""How well projections predict sycophancy, and how far vectors agree."""
