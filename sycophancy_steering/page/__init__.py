"""The page reports/index.html: the study in one file, to be read in a browser."""
