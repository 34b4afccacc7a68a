"""Decides, and never waits: no I/O, clock, randomness or logging below this package."""
