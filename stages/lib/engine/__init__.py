"""A language model, asked: its residual stream, what it answers, how likely each answer is."""
