"""Checkpoints in the Hugging Face format, asked in packed batches.

families.py says which architectures are known; load.py opens one with its adapter; encode.py turns a conversation into
tokens; pictures.py turns pictures into features; layout.py lays a batch out without padding and attention.py attends in
it; rank.py and generate.py ask; model.py is the whole as a `Model`.  Nothing here is imported before a model is opened,
families.py apart, which is plain Python.
"""

from __future__ import annotations

__all__: list[str] = []
