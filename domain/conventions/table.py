"""The conventions as the documentation shows them: what is read, what a library must be told, and its known faults."""

from __future__ import annotations

import sys

from domain.conventions.convention import Convention

_CALL = ("model", "provider", "first_token", "first_token_ms", "first_token_at", "finish_reasons")
_ROWS = (
    ("session, user", ("session", "user", "user_name")),
    ("agent, kind", ("agent_id", "agent", "entity")),
    (
        "model, provider, time",
        ("model", "provider", "first_token", "first_token_ms", "first_token_at", "finish_reasons"),
    ),
    ("messages", ("instructions", "asked", "said", "text", "thoughts", "calls", "given", "made")),
    ("tools", ("tool", "call_id", "arguments", "result", "failed")),
    (
        "usage",
        (
            "input_tokens",
            "output_tokens",
            "total_tokens",
            "cached_tokens",
            "reasoning_tokens",
            "cost",
            "usage",
            "counted_by",
        ),
    ),
)


def section(convention: Convention) -> str:
    """One convention in Markdown: tried versions, what is read, what is needed, known faults."""
    lines = [f"### {convention.name}", "", f"Tried with {', '.join(convention.libraries)}."]
    for title, slots in _ROWS:
        names = [name for slot in slots for name in getattr(convention, slot)]
        if title == "agent, kind":
            names += convention.kinds
        if title == "model, provider, time":
            names += [f"event {name}" for name in convention.first_token_events]
        if names:
            lines.append(f"- {title}: {', '.join(f'`{name}`' for name in dict.fromkeys(names))}")
    if convention.needs:
        lines.append(f"- it needs: {convention.needs}")
    if convention.faults:
        lines.append(f"- known faults: {convention.faults}")
    return "\n".join([*lines[:3], "", *lines[3:], ""])


def table(conventions: tuple[Convention, ...]) -> str:
    return "\n".join(map(section, conventions))


if __name__ == "__main__":
    from domain.conventions import CONVENTIONS

    sys.stdout.write(table(CONVENTIONS))
