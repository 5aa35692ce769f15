"""What an agent reads of a session before it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from domain.chunk import Chunk
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.message import Message
from domain.node import Id
from domain.page import MAX_FIRST_LONG, Slice
from domain.reasoning import ReasoningChain
from domain.session import Session
from domain.values import Json, encode_json
from domain.window import OVERHEAD, ModelForm, Turn, WindowInput, WindowPart, anthropic, openai, turns, units
from resolvers import branches
from resolvers.context import Context
from resolvers.search import recalled_in
from stores.ports import Collection, Records
from stores.tokens import counts

_RECALLED = 10
_OLDER = 64
"""Chunks whose memories are looked at, the latest first."""

_EXTRA = 40
"""How many messages more are read than are asked for: some begin what a recent one ends."""

_LEAST = 20
"""Tokens that a message has at the least, mostly: how many more are read where there is nothing else."""

_FOR_MESSAGES = 0.75
"""The share of the tokens that recent messages may have before memories have had theirs."""

_MEMORIES = "What is remembered, from before and from elsewhere:"


class WindowReason(msgspec.Struct, frozen=True):
    """Why something is in a window, and the tokens it takes."""

    id: Id
    part: WindowPart
    tokens: int


class SessionWindow(msgspec.Struct, frozen=True):
    """What fits, in the order in which it is read. omitted: messages of the branch that are neither here nor what a
    memory here was formed from."""

    memories: list[Memory]
    messages: list[Message]
    reasoning: list[ReasoningChain]
    reasons: list[WindowReason]
    tokens: int
    omitted: int

    @property
    def turns(self) -> list[Turn]:
        """All of it as a model is told."""
        lines = [_MEMORIES, *(f"- {one.text}" for one in self.memories)] if self.memories else []
        lines += [line for chain in self.reasoning for line in _reasoned(chain)]
        return [*([Turn("system", "\n".join(lines))] if lines else []), *turns(self.messages)]


async def windows(
    context: Context, sessions: Sequence[Session], input: WindowInput | None = None
) -> list[SessionWindow]:
    """The window of each session."""
    return [await _window(context, session, input or WindowInput()) for session in sessions]


async def model_messages(
    context: Context, windows: Sequence[SessionWindow], form: ModelForm = ModelForm.OPENAI
) -> list[Json]:
    make = openai if form is ModelForm.OPENAI else anthropic
    return [encode_json(make(one.turns)) for one in windows]


async def _window(context: Context, session: Session, input: WindowInput) -> SessionWindow:
    [end] = await branches.ends(context, [session])
    compressed = await _compressed(context, session)
    extra = _EXTRA if compressed else max(_EXTRA, input.max_tokens // _LEAST)
    messages: list[Message] = []
    if end is not None:
        slice = Slice(min(input.recent_messages + extra, MAX_FIRST_LONG), backward=True)
        [page] = await context.store.pages(Collection.MESSAGE_BRANCH, [end.id], slice)
        messages = page.nodes
    asked = (input.query or "").strip()
    recalled = await recalled_in(context, session, asked, _RECALLED) if asked else []
    chains = await _chains(context, session) if input.include_reasoning else []
    total = len((await context.store.branches([end.id]))[0]) if end is not None else 0
    filling = _Filling(input, messages, compressed, recalled, chains)
    return await asyncio.to_thread(filling.fill, total)


async def _compressed(context: Context, session: Session) -> list[tuple[Chunk, Memory]]:
    """The memories of its chunks, the latest first."""
    [page] = await context.store.pages(Records(Chunk, "session"), [session.id], Slice(_OLDER))
    chunks = [one for one in page.nodes if one.cut_at is not None]
    active = MemoryFilter(statuses=[MemoryStatus.ACTIVE])
    pages = await context.store.pages(Records(Memory, "chunk"), [one.id for one in chunks], Slice(1), active)
    return [(chunk, page.nodes[0]) for chunk, page in zip(chunks, pages, strict=True) if page.nodes]


async def _chains(context: Context, session: Session) -> list[ReasoningChain]:
    [page] = await context.store.pages(Records(ReasoningChain, "session"), [session.id], Slice(_RECALLED))
    return list(page.nodes)


def _reasoned(chain: ReasoningChain) -> list[str]:
    return ["How it was reasoned:", *(f"- {step.text}" for step in chain.steps)]


class _Filling:
    """A window on its way, within its tokens: recent messages first, up to a share of them, then memories, then what is
    left of the messages."""

    def __init__(
        self,
        input: WindowInput,
        messages: Sequence[Message],
        compressed: Sequence[tuple[Chunk, Memory]],
        recalled: Sequence[Memory],
        chains: Sequence[ReasoningChain],
    ) -> None:
        self._input, self._messages, self._compressed = input, messages, compressed
        self._recalled, self._chains = recalled, chains
        self._left = input.max_tokens
        self._said: list[Message] = []
        self._memories: dict[Id, Memory] = {}
        self._reasoning: list[ReasoningChain] = []
        self._reasons: list[WindowReason] = []
        self._covered: set[Id] = set()

    def fill(self, total: int) -> SessionWindow:
        groups = units(self._messages)
        waiting = list(reversed(groups))
        waiting = self._take_messages(waiting, int(self._input.max_tokens * (1 - _FOR_MESSAGES)))
        self._take_memories()
        if self._said or not self._input.recent_messages:
            self._take_messages(waiting, 0)
        here = {one.id for one in self._said}
        memories = sorted(self._memories.values(), key=lambda one: (one.created_at, one.id))
        found = SessionWindow(
            memories, self._said, self._reasoning[::-1], self._reasons, 0, total - len(here | self._covered)
        )
        return msgspec.structs.replace(found, tokens=_tokens(found.turns))

    def _take_messages(self, waiting: list[list[Message]], spare: int) -> list[list[Message]]:
        """Puts groups before what is there, the latest first, and leaves some tokens; those that are left. The latest
        is recent however many messages it has, if any are asked for: of calls and their results none is left out."""
        most = self._input.recent_messages
        for index, group in enumerate(waiting):
            recent = len(self._said) + len(group) <= most if self._said else most > 0
            part = WindowPart.RECENT if recent else WindowPart.EARLIER
            if not recent and (spare or self._covered.issuperset(one.id for one in group)):
                return waiting[index:]
            cost = _tokens(turns(group))
            if cost > self._left - spare:
                return waiting[index:]
            self._left -= cost
            self._said = [*group, *self._said]
            each = [_tokens(turns([one])) for one in group[1:]]
            first = max(cost - sum(each), 0)
            self._reasons += [WindowReason(one.id, part, n) for one, n in zip(group, [first, *each], strict=True)]
        return []

    def _take_memories(self) -> None:
        head = _tokens([Turn("system", _MEMORIES)])
        for memory in self._recalled:
            self._take(memory, WindowPart.RECALLED, [f"- {memory.text}"], head)
        here = {one.id for one in self._said}
        for chunk, memory in self._compressed:
            if here.issuperset(chunk.message_ids):
                continue
            if self._take(memory, WindowPart.COMPRESSED, [f"- {memory.text}"], head):
                self._covered.update(chunk.message_ids)
        for chain in self._chains:
            self._take(chain, WindowPart.REASONING, _reasoned(chain), head)

    def _take(self, one: Memory | ReasoningChain, part: WindowPart, lines: Sequence[str], head: int) -> bool:
        if one.id in self._memories:
            return True
        cost = sum(counts(lines)) + len(lines) + (0 if self._memories or self._reasoning else head)
        if cost > self._left:
            return False
        self._left -= cost
        if isinstance(one, Memory):
            self._memories[one.id] = one
        else:
            self._reasoning.append(one)
        self._reasons.append(WindowReason(one.id, part, cost))
        return True


def _tokens(turns: Iterable[Turn]) -> int:
    return sum(OVERHEAD * max(len(turn.results), 1) + sum(counts(turn.texts)) for turn in turns)
