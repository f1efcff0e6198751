"""Scores, grades and transcripts from elsewhere: read strictly, evaluated as the study's own."""
