"""Data contracts: the path, the columns and the types of every table that stages exchange."""
