"""Fine-tuning as a baseline, and what it changes in the activations."""
