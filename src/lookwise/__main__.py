"""`python -m lookwise`: the same as the command `lookwise`."""

from __future__ import annotations

import sys

from lookwise.cli import main

sys.exit(main())
