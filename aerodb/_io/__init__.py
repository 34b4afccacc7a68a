"""Waits; never decides. `on_asyncio` and `on_threads` export the same names."""
