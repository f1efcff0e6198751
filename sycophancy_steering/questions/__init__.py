"""Questions, the prompts they become, and the answers found in a response."""
