"""What `recollect serve --demo` shows: a small company's agents, with one of them at work."""

from __future__ import annotations

from server.demo.filling import fill, is_demo
from server.demo.live import live_agent

__all__ = ["fill", "is_demo", "live_agent"]
