"""What a convention is: where the attributes of spans say what, in order of trust.

A library is read by what it sends, so a new one is a new value of `Convention` in a file of this folder, listed in
`domain.conventions.CONVENTIONS`; nothing else has to know it. The table in docs/opentelemetry.md is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from domain.span import SpanKind

Names = tuple[str, ...]

WHATEVER = "*"
"""Any value of an attribute, where that it is there tells the kind of a span."""


class Pending(NamedTuple):
    """Spans that stand for one that has begun, their parent: an attribute and the value that tells them, and the
    attribute that names the parent of that one."""

    key: str
    value: str
    parent: str


class Convention(msgspec.Struct, frozen=True, kw_only=True):
    """The names of one convention or library. A name that ends in `.*` stands for all below it, such as
    `llm.input_messages.*`; one of the form `metadata#user_id` for a member of an attribute that is an object, as a rule
    told as JSON text, and of a member's members by further ones.

    libraries: what tells spans by it, with the versions that were tried. needs: what a program has to tell the library
    so that content and ids are sent. faults: what is known to be missing or wrong, with the version.
    kinds: the names that tell what kind of work a span is, each with what its values mean.
    named: the kind of spans whose own name is what does it: the agent of an agent's span, the tool of a tool's.
    no_providers: what it tells as a provider that is none. running: usage that agents' spans tell sums up what went
    before them, so it is not read.
    entity: what does the work, whatever its kind: an agent, a tool. instructions: the system's. asked, said: messages
    to and by a model; text, thoughts, calls: the parts of one that it said. given, made: what goes in and comes out of
    any work: messages of a model, arguments and result of a tool. failed: what says
    that a tool answered with an error, as true or as a status. usage: an object of counts, under any names.
    counted_by: what says, as `model_call`, that a span repeats the usage of a model's call beside it.
    first_token: how long until the first part of an answer came (seconds as a fraction, milliseconds where whole);
    first_token_at: when it came. first_token_events: span events that are so timed.
    """

    name: str
    libraries: Names = ()
    needs: str = ""
    faults: str = ""
    kinds: Mapping[str, Mapping[str, SpanKind]] = {}
    named: tuple[SpanKind, ...] = ()
    no_providers: Names = ()
    running: bool = False
    pending: Pending | None = None
    session: Names = ()
    user: Names = ()
    user_name: Names = ()
    agent_id: Names = ()
    agent: Names = ()
    entity: Names = ()
    model: Names = ()
    provider: Names = ()
    instructions: Names = ()
    asked: Names = ()
    said: Names = ()
    text: Names = ()
    thoughts: Names = ()
    calls: Names = ()
    given: Names = ()
    made: Names = ()
    tool: Names = ()
    call_id: Names = ()
    arguments: Names = ()
    result: Names = ()
    failed: Names = ()
    finish_reasons: Names = ()
    input_tokens: Names = ()
    output_tokens: Names = ()
    total_tokens: Names = ()
    cached_tokens: Names = ()
    reasoning_tokens: Names = ()
    cost: Names = ()
    usage: Names = ()
    counted_by: Names = ()
    first_token: Names = ()
    first_token_ms: Names = ()
    first_token_at: Names = ()
    first_token_events: Names = ()
    chunk_events: Names = ()
    error: Names = ()


_OTHERS = {"libraries", "no_providers", "first_token_events", "chunk_events"}

SLOTS: Names = tuple(
    field.name
    for field in msgspec.structs.fields(Convention)
    if field.default == () and field.name not in _OTHERS | {"named"}
)
"""The fields that name attributes."""
