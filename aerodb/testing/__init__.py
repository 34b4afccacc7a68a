"""AeroDB in tests: the pytest plugin. See `plugin.py` for the fixtures."""
