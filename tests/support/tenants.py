"""Two workspaces that hold the same things under the same names, and what can be asked about them.

All texts of one say OURS, of the other THEIRS.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from domain.caller import Caller
from formats.recollect import jsonl as recollect_jsonl
from resolvers.context import Context
from schema.build import build, sdl
from schema.loading import Loading
from server.graphql.documents import Request
from server.graphql.executor import Executor
from server.limits import Limits
from tests.support.graphql_client import Graph, Words, anybody, vector_of

SCHEMA = build_schema(sdl())
ROOTS: dict[str, GraphQLObjectType] = {
    name: root
    for name, root in (
        ("query", SCHEMA.query_type),
        ("mutation", SCHEMA.mutation_type),
        ("subscription", SCHEMA.subscription_type),
    )
    if root is not None
}
NODE: Any = SCHEMA.type_map["Node"]

OURS, THEIRS = "OURS", "THEIRS"


@cache
def executor() -> Executor:
    """One without limits: the queries here select everything at once."""
    sizes = ("document_bytes", "tokens", "selections", "aliases", "repeats", "cost")
    return Executor(build(), role=anybody, limits=Limits(max_seconds=600, **{f"max_{size}": 10**9 for size in sizes}))  # type: ignore[arg-type]


class Tenant:
    """One workspace, with one thing of each kind and a little more."""

    def __init__(self, graph: Graph, caller: Caller, mark: str) -> None:
        self.context = Context(graph.engine, Words(), caller, clock=graph.clock, intake=graph.intake)
        self._plans = graph.family == "services"
        self.mark = mark
        self.ids: dict[str, list[str]] = {}
        self.kept: list[Any] = []

    async def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer.

        Neo4j may take longer to plan so large a statement than a call may last on a busy machine. It keeps the plan: a
        read of that family is asked again, once.
        """
        answer = await self._answer(query, variables)
        codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
        if self._plans and "UNAVAILABLE" in codes and not query.startswith("mutation"):
            answer = await self._answer(query, variables)
        return answer

    async def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await executor().execute(Request(query, variables), Loading(self.context)))
        return answer

    async def do(self, mutation: str, input: Mapping[str, Any]) -> None:
        query = f"mutation ($input: {mutation[0].upper()}{mutation[1:]}Input!) {{ done: {mutation}(input: $input) {{ errors {{ message path }} }} }}"
        answer = await self.ask(query, input=input)
        assert answer.get("data", {}).get("done") == {"errors": []}, answer

    async def fill(self) -> None:
        """Makes everything, by the names in `NAMES`."""
        mark, text = {"mark": self.mark}, f"{self.mark} black tea"
        s = {"session": {"externalId": "s"}}
        await self.do("upsertUser", {"externalId": "ann", "name": self.mark, "profile": mark})
        await self.do("upsertAgent", {"externalId": "bot", "name": self.mark})
        await self.do(
            "upsertAgent",
            {
                "externalId": "bot",
                "name": self.mark,
                "description": self.mark,
                "config": mark,
                "capabilities": [self.mark],
                "routes": [{"name": self.mark, "keywords": [self.mark], "examples": [text]}],
            },
        )
        participants = [
            {"externalId": "p", "name": self.mark, "actor": {"externalId": "ann"}},
            {"type": "AGENT", "externalId": "q", "name": self.mark, "actor": {"externalId": "bot"}},
        ]
        await self.do(
            "createSession",
            {
                "externalId": "s",
                "title": self.mark,
                "context": mark,
                "metadata": mark,
                "capabilities": [self.mark],
                "participants": participants,
            },
        )
        await self.do("updateSession", {**s, "contextPatch": {"set": {"more": self.mark}, "comment": self.mark}})
        said = {"sender": {"externalId": "p"}, "thread": self.mark, "metadata": mark}
        call = {"callId": "c", "tool": self.mark, "arguments": mark}
        await self.do(
            "createMemories",
            {
                "memories": [
                    {
                        "externalId": name,
                        "text": text,
                        "owner": {"externalId": "ann"},
                        "tags": [self.mark],
                        "metadata": mark,
                        "vector": vector_of("black", "tea"),
                        "entities": [
                            {
                                "name": f"{self.mark} {name}",
                                "aliases": [self.mark],
                                "type": f"{self.mark} {name}",
                                "metadata": mark,
                                "externalId": name,
                            }
                        ],
                    }
                    for name in ("m", "n")
                ]
            },
        )
        await self.do("addMessages", {**s, "messages": [
            {**said, "externalId": "x", "content": [{"text": text}, {"toolCall": call}], "memoryRefs": [{"memory": {"externalId": "m"}, "note": self.mark}]},
            {**said, "externalId": "y", "parent": {"externalId": "x"}, "content": [{"toolResponse": {"callId": "c", "result": mark}}, {"document": {"data": b64encode(SAME).decode(), "filename": self.mark, "caption": self.mark, "title": self.mark, "text": self.mark}}, {"document": {"data": b64encode(f"tea of {self.mark}".encode()).decode()}}]},
        ]})  # fmt: skip
        edited = [{"text": f"{text}!"}, {"toolCall": call}]
        await self.do("editMessage", {"message": {"externalId": "x"}, "content": edited})
        await self.do(
            "createMemory",
            {"externalId": "o", "text": text, "owner": {"externalId": "ann"}, "sourceMessage": {"externalId": "x"}},
        )
        formed = {"owner": {"externalId": "ann"}, "tags": [self.mark], "metadata": mark}
        await self.do("formMemory", {"externalId": "f", "text": text, "messages": [{"externalId": "y"}], **formed})
        await self.do("updateMemory", {"memory": {"externalId": "m"}, "text": f"{text}!", "metadata": mark})
        await self.do(
            "linkMemories",
            {"links": [{"source": {"externalId": "m"}, "target": {"externalId": "n"}, "metadata": mark}]},
        )
        again = {"source": {"externalId": "m"}, "target": {"externalId": "n"}, "weight": 0.7}
        await self.do("linkMemories", {"links": [again]})  # what the link was is kept
        span = {"traceId": "0f", "spanId": "0a"}
        await self.do("startSpan", {**span, **s, "name": self.mark, "kind": "LLM", "attributes": mark})
        await self.do("startSpan", {**s, "traceId": "0f", "spanId": "0b", "parentSpanId": "0a", "name": self.mark})
        await self.do(
            "appendTraceEvents",
            {
                **s,
                "events": [
                    {
                        "type": self.mark,
                        "component": self.mark,
                        "data": mark,
                        "externalId": "e",
                        "user": {"externalId": "ann"},
                        "agent": {"externalId": "bot"},
                        "message": {"externalId": "x"},
                        "memories": [{"externalId": "m"}],
                        **span,
                    },
                    {"type": self.mark, "parent": {"externalId": "e"}},
                ],
            },
        )
        ran = {"tool": self.mark, "callId": "c", "arguments": mark, "agent": {"externalId": "bot"}}
        await self.do("startToolExecution", {**s, **ran})
        steps = [{"text": self.mark, "data": mark, "callId": "c"}]
        thought = {"steps": steps, "conclusion": self.mark, "metadata": mark, "message": {"externalId": "x"}}
        await self.do("recordReasoning", {**s, **thought, "agent": {"externalId": "bot"}, "externalId": "r"})
        await self._fill_kinds()
        await self.do("recall", {**s, "query": {"text": "tea"}, "mode": "TEXT", "message": {"externalId": "x"}})
        await self.do("setState", {"namespace": "ns", "key": "k", "value": mark, "tags": [self.mark]})
        await self.do("setStateSchema", {"namespace": "ns", "schema": {"title": self.mark}, "index": ["$"]})
        await self.do("cacheGeneration", {"key": "k", "value": mark})
        await self.do("createApiKey", {"name": self.mark})
        await self.do("upsertUser", {"externalId": "gone", "name": self.mark})
        await self.do("eraseUser", {"user": {"externalId": "gone"}})
        await self.do("createSession", {"externalId": "trashed", "title": self.mark})
        self.context.trash_days = 1.0
        await self.do("deleteSession", {"session": {"externalId": "trashed"}})
        self.context.trash_days = 0.0
        self.kept = await self.look()  # for the id of a target
        for kind in ("session", "message", "span", "memory"):
            said = {"value": 1, "label": self.mark, "comment": text, "metadata": mark, "by": {"externalId": "ann"}}
            await self.do("annotate", {"target": self.ids[kind][0], "name": self.mark, **said})

    async def _fill_kinds(self) -> None:
        """What sessions of each kind have of their own."""
        mark, titled = {"mark": self.mark}, {"title": self.mark}
        panel, flow, play = ({"session": {"externalId": name}} for name in KINDS.values())
        member = {"externalId": "p", "name": self.mark}
        await self.do(
            "createSession", {**titled, "externalId": "panel", "kind": "PANEL", "panel": {}, "participants": [member]}
        )
        said = {"role": "user", "text": self.mark, "externalId": "z"}
        await self.do("addMessage", {**panel, **said})
        votes = [{"participant": {"externalId": "p"}, "choice": self.mark, "comment": self.mark}]
        await self.do("addDecision", {**panel, "text": self.mark, "topic": self.mark, "votes": votes, "metadata": mark})
        why = {"supportingMessages": [{"externalId": "z"}], "by": {"externalId": "p"}}
        await self.do("addInsight", {**panel, "text": self.mark, "metadata": mark, **why})
        tied = {"source": {"externalId": "s"}, "target": {"externalId": "panel"}, "metadata": mark}
        await self.do("linkSessions", {"links": [tied]})
        states = [{"name": name, "description": self.mark} for name in (self.mark, "new")]
        ways = [{"from": self.mark, "to": "new", "name": self.mark}]
        workflow = {"states": states, "transitions": ways}
        await self.do("createSession", {**titled, "externalId": "flow", "kind": "WORKFLOW", "workflow": workflow})
        ran = {"name": self.mark, "input": mark, "output": mark, "error": self.mark, "agent": {"externalId": "bot"}}
        await self.do("recordExecution", {**flow, **ran})
        tried = {"name": self.mark, "externalId": "e", "description": self.mark, "parameters": mark, "metadata": mark}
        await self.do("createSession", {**titled, "externalId": "play", "kind": "PLAYGROUND"})
        await self.do("addExperiment", {**play, **tried})
        came = {"metrics": {self.mark: 1}, "output": mark, "comment": self.mark}
        await self.do("addResult", {"experiment": {"externalId": "e"}, **came})

    async def look(self) -> list[Any]:
        """Everything that is in the workspace; notes the ids by type."""
        lines = [json.loads(line) async for line in recollect_jsonl.export(self.context)]
        found = defaultdict(list)
        for line in lines:
            if "id" in line.get("record", {}) and line["type"] != "erasure":  # which no query shows
                found[line["type"]].append(line["record"]["id"])
        answer = await self.ask(
            "{ apiKeys { id } auditLog { nodes { id } } "
            "trashedSessions { nodes { id } } blobs { nodes { attachments { nodes { id } } chunks { nodes { id } } } } }"
        )
        found["audit"] = [node["id"] for node in answer["data"]["auditLog"]["nodes"]]
        found["api_key"] = [key["id"] for key in answer["data"]["apiKeys"]]
        found["trashed_session"] = [one["id"] for one in answer["data"]["trashedSessions"]["nodes"]]
        for kind, of in (("attachment", "attachments"), ("document_chunk", "chunks")):
            found[kind] = [one["id"] for blob in answer["data"]["blobs"]["nodes"] for one in blob[of]["nodes"]]
        self.ids = dict(found)
        return [line for line in lines if "record" in line]

    async def remember(self) -> None:
        """Takes what is there for what there should be."""
        self.kept = await self.look()

    def for_place(self, place: Place, number: int) -> list[str]:
        """Ids to be named in the place: one of each kind that may belong there, and of some others in their turn."""
        step = place.path[-1]
        right = MEANT.get(step, {step.removesuffix("s")}) & self.ids.keys() or self.ids.keys()
        return [
            ids[0] for turn, (kind, ids) in enumerate(self.ids.items()) if kind in right or (turn + number) % 6 == 0
        ]


class World(NamedTuple):
    """Both workspaces."""

    ours: Tenant
    theirs: Tenant


def blind(answer: Any, theirs: Tenant, sent: str = "") -> None:
    """An answer that tells nothing of them."""
    text = json.dumps(answer)
    assert theirs.mark not in text
    for ids in theirs.ids.values():
        for id in ids:
            assert id not in (json.dumps(answer.get("data")) if id == sent else text)


def selection(type: Any, within: tuple[str, ...] = ()) -> str:
    """All fields of a type: of a node below another one only those that are plain."""
    type = get_named_type(type)
    if not is_composite_type(type):
        return ""
    if is_abstract_type(type):
        parts = [f"... on {one.name} {selection(one, within)}" for one in SCHEMA.get_possible_types(type)]
        return f"{{ __typename {' '.join(parts)} }}"
    fields = []
    for name, field in type.fields.items():
        below = get_named_type(field.type)
        is_node = NODE in getattr(type, "interfaces", ())
        if is_leaf_type(below):
            fields.append(alias(type, name))
        elif below.name not in within and not (is_node and within):
            fields.append(f"{alias(type, name)} {selection(below, (*within, type.name))}")
    return f"{{ {' '.join(fields) or '__typename'} }}"


def alias(type: Any, name: str) -> str:
    """A field under a name of its own, for members of a union may have fields of one name and several types; with what
    must be given."""
    needed = [argument for argument, one in type.fields[name].args.items() if is_required_argument(one)]
    arguments = ", ".join(f"{argument}: {json.dumps(NAMES[argument])}" for argument in needed)
    return f"{type.name}_{name}: {name}{f'({arguments})' if arguments else ''}"


NAMES: dict[str, Any] = {
    "by": {"externalId": "s"},
    "session": {"externalId": "s"},
    "user": {"externalId": "ann"},
    "owner": {"externalId": "ann"},
    "agent": {"externalId": "bot"},
    "memory": {"externalId": "m"},
    "into": {"externalId": "n"},
    "memories": [{"externalId": "m"}],
    "source": {"externalId": "m"},
    "target": {"externalId": "n"},
    "message": {"externalId": "x"},
    "participant": {"externalId": "p"},
    "id": "key_0",
    "link": {"source": {"externalId": "m"}, "target": {"externalId": "n"}, "kind": "RELATED"},
    "namespace": "ns",
    "schema": {},
    "key": "k",
    "value": 1,
    "traceId": "0f",
    "spanId": "0c",
    "query": {"text": "black tea"},
    "text": "new",
    "name": "new",
    "externalId": "new",
    "type": "new",
    "rate": 0.1,
    "events": [{"type": "new"}],
    "callId": "new",
    "tool": "new",
    "arguments": {},
    "result": {},
    "kind": "RELATED",
    "annotation": "ann_0",
    "entity": {"externalId": "m"},
    "entities": [{"externalId": "m"}],
    "span": "spn_0",
    "entries": [{"namespace": "ns", "key": "new", "value": 1}],
    "experiment": {"externalId": "e"},
    "metrics": {"new": 1},
    "metric": "new",
    "at": "2100-01-01T00:00:00Z",
    "time": "2100-01-01T00:00:00Z",
    "choice": "new",
}
"""What is given for what must be given, by its name; of both workspaces alike."""

KINDS = {"PANEL": "panel", "WORKFLOW": "flow", "PLAYGROUND": "play"}
"""What the session of a kind is called."""

OF_KIND = {
    "addDecision": "panel",
    "addInsight": "panel",
    "advanceWorkflow": "flow",
    "recordExecution": "flow",
    "addExperiment": "play",
}
"""The session that a mutation takes, where that is one of a kind."""

SAME = b"black tea"
"""The bytes of a blob that each of them has."""

BY = {
    "user": {"externalId": "ann"},
    "agent": {"externalId": "bot"},
    "memory": {"externalId": "m"},
    "entity": {"externalId": "m"},
    "blob": {"externalId": sha256(SAME).hexdigest()},
}
"""What `by` names, where that is no session."""


GROUPS = {
    "sessionStats": ["USER"],
    "messageStats": ["SESSION"],
    "memoryStats": ["OWNER", "TAG"],
    "traceStats": ["NAME", "SESSION"],
}
"""What statistics are grouped by, so that they show names."""


def given(root: GraphQLObjectType, name: str, own: Tenant) -> dict[str, Any]:
    """The arguments that a root field must have, which name things of the workspace."""
    values: dict[str, Any] = {}
    for argument, one in root.fields[name].args.items():
        type = get_nullable_type(one.type)
        if argument == "groupBy":
            values[argument] = GROUPS[name]
        if not is_required_argument(one):
            continue
        if name in ("searchMessages", "searchDocuments"):
            values[argument] = "tea"
        elif name == "searchStates" and argument == "query":
            values[argument] = {"text": "tea"}
        elif name == "generationKey":
            values[argument] = {"model": "new", "messages": []}
        elif name == "routeAgent":
            values[argument] = {"text": own.mark}
        elif argument == "by":
            values[argument] = BY.get(name, NAMES["by"])
        elif argument in ("id", "from", "to"):
            values[argument] = own.ids["memory"][argument == "to"]
        elif argument == "ids":
            values[argument] = [id for ids in own.ids.values() for id in ids]
        else:
            values[argument] = minimal(type, argument)
    return values


def minimal(type: Any, name: str) -> Any:
    """The least value of an input type."""
    type = get_nullable_type(type)
    if isinstance(type, GraphQLInputObjectType) and name not in NAMES:
        return {field: minimal(one.type, field) for field, one in type.fields.items() if is_required_input_field(one)}
    if is_list_type(type) and name not in NAMES:
        return [minimal(type.of_type, name.removesuffix("s"))]
    return deepcopy(NAMES[name])


def operation(kind: str, root: GraphQLObjectType, name: str, arguments: Mapping[str, Any], fields: str) -> str:
    field = root.fields[name]
    declared = ", ".join(f"${argument}: {field.args[argument].type}" for argument in arguments)
    passed = ", ".join(f"{argument}: ${argument}" for argument in arguments)
    return f"{kind} {f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''} {fields} }}"


class Place(NamedTuple):
    """A place in the arguments of a root field that takes an id: how it is reached, and whether it is a Ref."""

    kind: str
    field: str
    path: tuple[str, ...]
    is_ref: bool

    def __str__(self) -> str:
        return f"{self.field}.{'.'.join(self.path)}"


def places() -> Iterator[Place]:
    for kind, root in ROOTS.items():
        for name, field in root.fields.items():
            yield from _of_field(kind, name, field)


def _of_field(kind: str, name: str, field: GraphQLField) -> Iterator[Place]:
    for argument, one in field.args.items():
        for path, is_ref in _within(one.type, (argument,), ()):
            yield Place(kind, name, path, is_ref)


def _within(type: Any, path: tuple[str, ...], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bool]]:
    named = get_named_type(type)
    if named.name == "ID":
        yield path, False
    elif named.name == "Ref":
        yield path, True
    elif named.name == "Operation":
        pass  # of a transaction: each is what a mutation takes
    elif isinstance(named, GraphQLInputObjectType) and named.name not in above:
        for field, one in named.fields.items():
            yield from _within(one.type, (*path, field), (*above, named.name))


PLACES = sorted(places(), key=str)

PEOPLE, SAID = {"user", "agent", "participant"}, {"message", "span", "event"}
MEANT = {
    **dict.fromkeys(("actor", "author", "owner", "sender"), PEOPLE),
    **dict.fromkeys(("parent", "sourceMessage", "supportingMessages"), SAID),
    "memories": {"memory"},
    "entities": {"entity"},
}
"""The kinds of what a place may name, where its name says so in another way than by one kind's own."""


def with_id(place: Place, own: Tenant, id: str) -> dict[str, Any]:
    """The arguments of a place's field, that id being in it and all others being ours."""
    field = ROOTS[place.kind].fields[place.field]
    arguments = given(ROOTS[place.kind], place.field, own)
    holder, type = arguments, field.args[place.path[0]].type
    for depth, step in enumerate(place.path):
        if depth:
            type = get_named_type(type).fields[step].type
        last = depth == len(place.path) - 1
        listed = is_list_type(get_nullable_type(type))
        if last:
            value = {"id": id} if place.is_ref else id
            holder[step] = [value] if listed else value
            break
        inner = get_named_type(type)
        if inner.is_one_of:
            fresh: dict[str, Any] = {}
        else:
            fresh = {
                name: minimal(one.type, name) for name, one in inner.fields.items() if is_required_input_field(one)
            }
        before = holder.get(step)
        if isinstance(before, list):
            before = before[0] if before else None
        kept = {**fresh, **(before or {})} if not inner.is_one_of else {}
        holder[step] = [kept] if listed else kept
        holder = kept
    complete(place, arguments)
    if place.field == "annotate" and "target" not in place.path:
        arguments["input"]["target"] = own.ids["message"][0]
    return arguments


def complete(place: Place, arguments: dict[str, Any]) -> None:
    """What must stand beside the place, though the schema does not say so."""
    if place.field == "annotate":
        arguments["input"]["value"] = 1
    if place.field in OF_KIND and "session" not in place.path:
        arguments["input"]["session"] = {"externalId": OF_KIND[place.field]}
    if place.field == "recordReasoning" and not {"agent", "chain"} & {*place.path}:
        arguments["input"]["agent"] = {"externalId": "bot"}
    if place.field == "finishToolExecution" and "toolExecution" not in place.path:
        arguments["input"]["callId"] = "c"
    if place.field in ("createMemory", "createMemories") and "owner" not in place.path:
        memory = arguments["input"]["memories"][0] if place.field == "createMemories" else arguments["input"]
        memory["owner"] = {"externalId": "ann"}
    if place.field == "formMemory":
        arguments["input"].setdefault("messages", [{"externalId": "y"}])
        arguments["input"].setdefault("owner", {"externalId": "ann"})
    if place.field in ("addMessage", "addMessages"):
        target = arguments["input"]["messages"][0] if place.field == "addMessages" else arguments["input"]
        target.setdefault("text", "new")
        if "sender" not in target:
            target["role"] = "user"
