"""Bundled tiny models: how each is trained, from scratch, by one deterministic command."""
