"""Extracts the activations and responses of a model on a prompt set."""
