"""Declarations: tasks, prompts, answer reading, published results."""
