"""Realtime without a socket: frames and time in; events, frames and the next deadline out."""

from __future__ import annotations
