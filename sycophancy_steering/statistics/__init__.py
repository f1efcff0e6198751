"""Discrimination, intervals, nulls and permutation tests as pure functions of arrays."""
