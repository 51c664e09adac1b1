"""Scores and statistics over plain values; no models, no torch."""
