"""The storage service, decided: names, calls, answers, and the two state machines of transfers.

Nothing here reads a file or waits; `aerodb_async_src/storage` joins it with what does.
"""

from __future__ import annotations
