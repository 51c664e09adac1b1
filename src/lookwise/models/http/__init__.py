"""Models behind a chat server that speaks the OpenAI protocol: `http://HOST/v1#MODEL`, `https://…`.

spec.py reads what a user writes, wire.py turns conversations into request bodies and bodies into replies, ranking.py
makes a ranking of options out of what a chat can say, faults.py names what can go wrong, pace.py and budget.py say when
the next request may go, client.py sends it, batches.py uses a provider's batch service, model.py is the `Model`.
"""

from __future__ import annotations

__all__: list[str] = []
