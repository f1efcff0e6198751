"""Where questions come from, and how they are taken from there."""
