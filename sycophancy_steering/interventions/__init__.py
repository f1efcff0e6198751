"""Adding and removing vectors, and prompting, in a model as it runs."""
