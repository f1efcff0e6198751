"""What is done to a model, or said to it, and what it answers then."""
