"""Whose memories: a lost id is no filter, a recall keeps to those who take part, and a name of two people is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from graphql import GraphQLInputObjectType, get_named_type, is_non_null_type

from schema.build import build
from schema.inputs import published
from tests.schema.test_inputs import members
from tests.support.graphql_client import Graph, vector_of

SCHEMA = build()
SAYS_WHOSE = {"owner", "session", "participant", "actor", "agent", "user", "sender"}
LETS_THROUGH = {
    "text",
    "capability",
    "prefix",
    "tool",
    "tools",
    "mediaTypes",
    "said",
    "says",
    "outcomes",
    "actions",
    "types",
    "aliases",
    "components",
    "tags",
    "labels",
    "names",
    "models",
    "providers",
}
"""What says what a record is like, not whose or which it is; enums, ranges and the like do so too."""

SAYS_WHICH = [
    (name, member)
    for name, input in SCHEMA.type_map.items()
    if isinstance(input, GraphQLInputObjectType) and name.endswith("Filter")
    for member, field in input.fields.items()
    if get_named_type(field.type).name in ("Ref", "ID", "String") and member not in LETS_THROUGH
]
MEMBERS = [
    (name, member)
    for name, input in SCHEMA.type_map.items()
    if isinstance(input, GraphQLInputObjectType)
    for member, field in input.fields.items()
    if get_named_type(field.type).name == "Ref" and member in SAYS_WHOSE and not is_non_null_type(field.type)
]
MEMBERS += [one for one in SAYS_WHICH if one not in MEMBERS]


def test_what_says_which_is_found() -> None:
    known = [("SpanFilter", "traceId"), ("AnnotationFilter", "target"), ("AnnotationFilter", "author")]
    assert {*known, ("MessageFilter", "thread"), ("TraceFilter", "message"), ("AuditFilter", "callers")} <= {
        *SAYS_WHICH
    }


@pytest.mark.parametrize(("input", "member"), MEMBERS)
def test_no_member_that_says_whose_takes_null(input: str, member: str) -> None:
    command: Any = published(input)
    with pytest.raises(msgspec.ValidationError, match=f"null` - at `[$].{member}"):
        msgspec.convert({**members(command, 0), member: None}, command)


NULL = {"owner": None}


@pytest.mark.parametrize("filter", [NULL, {"and": [NULL]}, {"or": [{"tags": ["a"]}, {"not": NULL}]}, {"session": None}])
async def test_null_is_nobodys_filter(graph: Graph, filter: Any) -> None:
    path = ["filter", *_path(filter)]
    asked = 'query ($f: MemoryFilter) { searchMemories(query: {text: "x"}, filter: $f) { hits { score } } }'
    assert await graph.refusal(asked, f=filter) == ("INVALID", path)
    assert await graph.refusal("query ($f: MemoryFilter) { memories(filter: $f) { totalCount } }", f=filter) == (
        "INVALID",
        path,
    )
    assert await graph.fails("decayMemories", {"filter": filter}) == ("INVALID", path)
    assert await graph.fails("recall", {"query": {"text": "x"}, "filter": filter}) == ("INVALID", path)
    literal = "{ memories(filter: {owner: null}) { totalCount } }"
    assert await graph.refusal(literal) == ("INVALID", ["filter", "owner"])
    inside = "query ($o: Ref) { memories(filter: {and: [{owner: $o}]}) { totalCount } }"
    assert await graph.refusal(inside, o=None) == ("INVALID", ["filter", "and", "0", "owner"])


def _path(filter: Any) -> list[str]:
    if isinstance(filter, list):
        for index, part in enumerate(filter):
            if None in _leaves(part):
                return [str(index), *_path(part)]
    [name] = filter
    return [name] if filter[name] is None else [name, *_path(filter[name])]


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for member in value.values() for leaf in _leaves(member)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "filter",
    [None, {}, {"tags": []}, {"text": ""}, {"metadata": {}}, {"importance": {}}, {"createdAt": {}}, {"and": []}, {"and": [{}]}, {"or": [{"tags": ["a"]}, {}]}, {"or": []}, {"not": {}}, {"not": {"not": {}}}, {"not": {"or": []}}, {"not": {"and": [{}]}}, {"and": [{"not": {"tags": []}}]}, {"not": {"types": []}}, {"not": {"scopes": []}}, {"not": {"statuses": []}}, {"not": {"and": [{"tags": ["a"]}, {"types": []}]}}, {"and": [{"not": {"or": [{"types": []}, {"scopes": []}]}}]}, {"not": {"not": {"not": {"types": []}}}}],
)  # fmt: skip
async def test_a_filter_that_lets_everything_through_fades_nothing(graph: Graph, filter: Any) -> None:
    assert await graph.fails("decayMemories", {"filter": filter}) == ("INVALID", ["filter"])
    assert await graph.fails("decayMemories", {}) == ("INVALID", ["filter"])


@pytest.fixture
async def people(graph: Graph) -> Graph:
    """What Anna, Bert and the agent Iris remember, and what everybody does; Anna talks with Iris, and Carl has left."""
    for name, scope in (("anna", "USER"), ("bert", "USER"), ("carl", "USER"), ("iris", "AGENT"), ("", "GLOBAL")):
        owner = {"owner": {"externalId": name}} if name else {}
        await graph.do("createMemory", {"text": f"quinces of {name or 'all'}", "scope": scope, **owner})
    talking = [("USER", "anna"), ("AGENT", "iris"), ("USER", "carl")]
    participants = [{"type": type, "actor": {"externalId": name}} for type, name in talking]
    await graph.do("createSession", {"externalId": "s", "participants": participants})
    await graph.do("removeParticipant", {"session": {"externalId": "s"}, "participant": {"externalId": "carl"}})
    message = {"session": {"externalId": "s"}, "externalId": "m", "text": "?", "sender": {"externalId": "anna"}}
    await graph.do("addMessage", message)
    await graph.do("createSession", {"externalId": "nobody"})
    return graph


async def recalled(graph: Graph, **more: Any) -> set[str]:
    given = {"query": {"text": "quinces"}, "threshold": 0, **more}
    done = await graph.do("recall", given, "search { hits { memory { text } } }")
    return {hit["memory"]["text"].removeprefix("quinces of ") for hit in done["search"]["hits"]}


ALL = {"anna", "bert", "carl", "iris", "all"}
HERE = {"anna", "iris", "all"}


@pytest.mark.parametrize("mode", ["TEXT", "SEMANTIC", "HYBRID"])
async def test_a_recall_keeps_to_those_who_take_part(people: Graph, mode: str) -> None:
    for occasion in ({"session": {"externalId": "s"}}, {"message": {"externalId": "m"}}):
        assert await recalled(people, mode=mode, **occasion) == HERE
        assert await recalled(people, mode=mode, filter={"scopes": ["USER", "GLOBAL"]}, **occasion) == {"anna", "all"}
        assert await recalled(people, mode=mode, filter={"not": {"owner": {"externalId": "anna"}}}, **occasion) == {
            "iris",
            "all",
        }
        assert await recalled(people, mode=mode, anyone=True, **occasion) == ALL
        assert await recalled(people, mode=mode, filter={"owner": {"externalId": "bert"}}, **occasion) == {"bert"}
    assert await recalled(people, mode=mode) == ALL
    assert await recalled(people, mode=mode, session={"externalId": "nobody"}) == {"all"}


async def test_by_vector(people: Graph) -> None:
    found = await recalled(people, query={"vector": vector_of("quinces")}, mode="SEMANTIC", session={"externalId": "s"})
    assert found == HERE


@pytest.mark.parametrize("within", [None, "and", "or", "not"])
async def test_a_name_of_a_user_and_an_agent(graph: Graph, within: str | None) -> None:
    for scope in ("USER", "AGENT"):
        memory = {"text": f"tea of the {scope}", "scope": scope, "owner": {"externalId": "kim"}}
        await graph.do("createMemory", memory)
    kim: Any = {"owner": {"externalId": "kim"}}
    filter = {None: kim, "and": {"and": [kim]}, "or": {"or": [{"tags": ["x"]}, kim]}, "not": {"not": kim}}[within]
    path = {None: [], "and": ["and", "0"], "or": ["or", "1"], "not": ["not"]}[within]
    refused = ("AMBIGUOUS", ["filter", *path, "owner"])
    listed = "query ($f: MemoryFilter) { memories(filter: $f) { nodes { text } } }"
    assert await graph.refusal(listed, f=filter) == refused
    assert await graph.fails("decayMemories", {"filter": filter}) == refused
    assert await graph.fails("recall", {"query": {"text": "tea"}, "filter": filter}) == refused
    for scope in ("USER", "AGENT"):
        said = {**kim, "scopes": [scope, "GLOBAL"]}
        assert (await graph.data(listed, f=said))["memories"]["nodes"] == [{"text": f"tea of the {scope}"}]


async def test_a_participant_who_may_be_two(graph: Graph) -> None:
    both = [{"type": type, "actor": {"externalId": "kim"}} for type in ("USER", "AGENT")]
    await graph.do("createSession", {"externalId": "s", "participants": both})
    said = {"session": {"externalId": "s"}, "text": "x", "sender": {"externalId": "kim"}}
    assert await graph.fails("addMessage", said) == ("AMBIGUOUS", ["sender"])
    listed = 'query { sessions(filter: {participant: {externalId: "kim"}}) { totalCount } }'
    assert await graph.refusal(listed) == ("AMBIGUOUS", ["filter", "participant"])


LISTS = {
    "EntityFilter": "query ($f: EntityFilter) { entities(filter: $f) { totalCount } }",
    "SpanFilter": "query ($f: SpanFilter) { spans(filter: $f) { totalCount } }",
    "TraceListFilter": "query ($f: TraceListFilter) { traces(filter: $f) { totalCount } }",
    "AnnotationFilter": "query ($f: AnnotationFilter) { annotations(filter: $f) { totalCount } }",
    "AuditFilter": "query ($f: AuditFilter) { auditLog(filter: $f) { totalCount } }",
    "MessageFilter": 'query ($f: MessageFilter) { session(by: {externalId: "s"}) { messages(filter: $f) { totalCount } } }',
    "TraceFilter": 'query ($f: TraceFilter) { session(by: {externalId: "s"}) { trace(filter: $f) { totalCount } } }',
    "SessionFilter": "query ($f: SessionFilter) { sessions(filter: $f) { totalCount } }",
    "BlobFilter": "query ($f: BlobFilter) { blobs(filter: $f) { totalCount } }",
    "ToolExecutionFilter": "query ($f: ToolExecutionFilter) { toolExecutions(filter: $f) { totalCount } }",
    "ReasoningChainFilter": "query ($f: ReasoningChainFilter) { reasoningChains(filter: $f) { totalCount } }",
    "TrashedSessionFilter": "query ($f: TrashedSessionFilter) { trashedSessions(filter: $f) { totalCount } }",
    "MemoryFilter": "query ($f: MemoryFilter) { memories(filter: $f) { totalCount } }",
}


@pytest.mark.parametrize(("input", "member"), SAYS_WHICH)
async def test_null_is_nothing_to_list_by(graph: Graph, input: str, member: str) -> None:
    await graph.do("createSession", {"externalId": "s"})
    null = {member: None}
    for filter, path in ((null, []), ({"or": [null]}, ["or", "0"]), ({"not": {"and": [null]}}, ["not", "and", "0"])):
        assert await graph.refusal(LISTS[input], f=filter) == ("INVALID", ["filter", *path, member])


@pytest.mark.parametrize("of", ["messages", "sessions", "memories", "spans"])
async def test_an_author_who_may_be_two(graph: Graph, of: str) -> None:
    for kind in ("User", "Agent"):
        await graph.do(f"upsert{kind}", {"externalId": "kim"})
    await graph.do("createSession", {"externalId": "s"})
    kim = {"author": {"externalId": "kim"}}
    for filter, path in ((kim, []), ({"or": [kim]}, ["or", "0"]), ({"not": kim}, ["not"])):
        refused = ("AMBIGUOUS", ["filter", *path, "author"])
        assert await graph.refusal(LISTS["AnnotationFilter"], f=filter) == refused
        name = {
            "messages": "MessageFilter",
            "sessions": "SessionFilter",
            "memories": "MemoryFilter",
            "spans": "SpanFilter",
        }[of]
        inside = ("AMBIGUOUS", ["filter", "annotation", *path, "author"])
        assert await graph.refusal(LISTS[name], f={"annotation": filter}) == inside
