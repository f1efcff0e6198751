"""Runs a Hugging Face causal language model: activations, continuations, likelihoods, hooks."""
