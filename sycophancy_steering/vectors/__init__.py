"""Methods that make steering vectors from two groups of activations."""
