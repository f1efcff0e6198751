"""Labels: which answers are sycophantic, by which source."""
