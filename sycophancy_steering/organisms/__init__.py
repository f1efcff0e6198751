"""Model organisms: small language models with a planted cause of sycophancy."""
