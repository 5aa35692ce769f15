"""What `recollect serve --demo` shows: a small company's agents, with one of them at work."""

from __future__ import annotations

from server.demo.client import Client, Refused
from server.demo.filling import fill, is_demo
from server.demo.live import live_agent

__all__ = ["Client", "Refused", "fill", "is_demo", "live_agent"]
