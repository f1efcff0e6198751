"""Ground floor: array types, errors, atomic files, the command line of a stage."""
