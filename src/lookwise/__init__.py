"""Lookwise: for this task, is this picture worth looking at, and does using it pay?"""

__all__ = ["__version__"]

__version__ = "0.1.0"
