"""Elements and tables of the page: every text and attribute is escaped on its way in.

Strings in, markup out.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["element", "table"]


def element(tag: str, text: str, kind: str = "", title: str = "") -> str:
    """Return an element whose text and attributes are escaped."""
    attributes = (f' class="{escape(kind)}"' if kind else "") + (f' title="{escape(title)}"' if title else "")
    return f"<{tag}{attributes}>{escape(text)}</{tag}>"


def table(head: Iterable[str], body: Iterable[str]) -> str:
    """Return a table that scrolls by itself, from the markup of its head's cells and of its rows."""
    rows = "\n".join(body)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{"".join(head)}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )
