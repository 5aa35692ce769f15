"""Values of settings that belong together, under one name; each setting that is given counts more."""

from __future__ import annotations

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "development": {
        "rate_limit": "off",
        "log_level": "DEBUG",
        "log_slow_ms": "100",
        "metrics": "open",
        "audit_days": "30",
        "changes_days": "7",
    },
    "production": {
        "introspection": "off",
        "max_cost": "50000",
        "max_outage_seconds": "30",
    },
    "test": {
        "rate_limit": "off",
        "log_level": "WARNING",
        "memory_capacity": "1000",
        "audit_entries": "10000",
        "changes_entries": "10000",
        "tool_seconds": "5",
        "max_outage_seconds": "5",
        "unused_blob_days": "0.01",
    },
}
"""By the name of a preset the settings that it makes other than they are by default, as the environment has them."""
