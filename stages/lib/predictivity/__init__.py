"""How well a projection tells who is sycophantic, with nulls and intervals."""
