"""Vectors from and for other tools: their files read, converted, recorded and written."""
