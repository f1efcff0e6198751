"""What stages write and read: activations, vectors, labels, cells; and the cache of results."""
