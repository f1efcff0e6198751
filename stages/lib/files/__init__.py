"""What stages hand to one another: states, labels, vectors and cells, and what is remembered."""
