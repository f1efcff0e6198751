"""What every stage begins and ends with: its command line, parameters, refusals, whole outputs."""
