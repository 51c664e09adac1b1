"""Tuning readers and small models on the evidence that was kept."""
