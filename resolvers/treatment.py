"""What is done to every record before it is stored, whoever writes it: secrets are masked, costs are reckoned, and
entities are found in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, Protocol

from msgspec import Raw
from msgspec.structs import force_setattr, replace

from domain.audit import DONE, MAX_TARGETS, AuditEntry
from domain.blob import Attachment
from domain.caller import Caller
from domain.conversation import Conversation
from domain.key import ApiKey
from domain.masking import Masks
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node
from domain.price import Prices
from domain.span import Span, Trace
from domain.tally import Tally
from domain.trash import TrashedPart
from domain.workflow import Workflow
from resolvers.audit import entry
from stores.catalogue.kinds import kind
from stores.ports import Transaction


class Find(Protocol):
    """Has rules find entities (resolvers.entity_finding)."""

    async def __call__(self, tx: Transaction, written: Sequence[Node]) -> None:
        """In records that were written in this transaction."""

    async def look_through(self, tx: Transaction, there: Sequence[Node]) -> None:
        """In records that are there, whenever they were written."""


class Treatments(NamedTuple):
    """masked: how often which rule has masked something in this process. find: what finds entities."""

    prices: Prices | None = None
    masks: Masks | None = None
    masked: Counter[str] = Counter()
    find: Find | None = None

    def __bool__(self) -> bool:
        return self.prices is not None or self.masks is not None or self.find is not None


class Treating:
    """The treatment of the records of one write (stores.treated.Treatment)."""

    def __init__(self, rules: Treatments, caller: Caller) -> None:
        self._rules, self._caller = rules, caller
        self.masks = rules.masks is not None
        self._count: Counter[str] = Counter()
        self._on: dict[Id, None] = {}
        self._said: dict[Id, Node] = {}

    def records(self, records: Sequence[Node]) -> None:
        prices, masks = self._rules.prices, self._rules.masks
        if prices is not None and records and type(records[0]) is Span:
            for span in records:
                assert isinstance(span, Span)
                force_setattr(span, "tokens", prices.reckon(span.tokens, span.model, span.started_at))
        if masks is not None:
            for record in records:
                self._mask(masks, record)
        if self._rules.find is not None and records and type(records[0]) in (Memory, Message):
            self._said.update((record.id, record) for record in records)

    def _mask(self, masks: Masks, record: Node) -> None:
        for name in _fields(type(record)):
            before = getattr(record, name)
            if before is None:
                continue
            after = _APART.get(name, Masks.value)(masks, before, self._count)
            if after is not before:
                force_setattr(record, name, after)
                self._on[record.id] = None

    def text(self, text: str) -> str:
        return text if self._rules.masks is None else self._rules.masks.text(text, self._count)

    def json(self, value: Raw) -> Raw:
        return value if self._rules.masks is None else self._rules.masks.json(value, self._count)

    async def end(self, tx: Transaction) -> None:
        if self._rules.find is not None and self._said:
            await self._rules.find(tx, list(self._said.values()))
        if self._on:
            await tx.put([entry(tx, self._caller, MASK, DONE, list(islice(self._on, MAX_TARGETS)))])

    def done(self) -> None:
        self._rules.masked.update(self._count)


MASK = "mask"
"""The action in the audit log; its targets are what had something that is masked."""


def _tags(masks: Masks, tags: list[str], count: Counter[str]) -> list[str]:
    """Tags; those that say whose something is stay, for an erasure looks for them."""
    told = [tag if tag.startswith(("user:", "agent:")) else masks.text(tag, count) for tag in tags]
    return tags if told == tags else told


def _workflow(masks: Masks, workflow: Workflow, count: Counter[str]) -> Workflow:
    """The states and ways of a workflow are called as they are; what states are described by is masked."""
    told = [replace(one, description=masks.value(one.description, count)) for one in workflow.states]
    return workflow if told == workflow.states else replace(workflow, states=told)


_APART: dict[str, Callable[[Masks, Any, Counter[str]], Any]] = {"tags": _tags, "workflow": _workflow}
"""Fields in which something stays that names things."""

_NOT_LOOKED_INTO = (ApiKey, Attachment, AuditEntry, Conversation, Tally, Trace, TrashedPart)
"""Kinds that are none of a caller's, or made of what was looked into: out of the trash comes what went there."""

_FINDING = {
    "id", "external_id", "trace_id", "span_id", "parent_span_id", "call_id", "sha256", "media_type", "type",
    "component", "tool", "model", "provider", "finish_reasons", "stored_as", "embedder", "reason", "strategy", "schema",
    "capabilities", "routes", "state",
}  # fmt: skip
"""Fields by which things are found and told apart, beside those of natural keys and references, and those that say what
is to be done: a JSON Schema whose members are called as secrets are would not be one any more, and a pattern would mean
something else."""


@cache
def _fields(record: type[Node]) -> tuple[str, ...]:
    """The fields of a kind that may have something to mask."""
    if record in _NOT_LOOKED_INTO:
        return ()
    texts = [
        column
        for column in kind(record).columns.values()
        if column.form in ("json", "strings", "struct") or (column.form == "plain" and column.type is str)
    ]
    named = [one.field for one in texts if one.natural is None and one.refers is None and one.field is not None]
    return tuple(name for name in named if name not in _FINDING and "." not in name)
