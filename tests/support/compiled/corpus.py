"""Operations written by hand: what is easily done wrong when a selection becomes a program.

One is a paragraph; comments are the variables of its runs, each perhaps with the name of the operation that is meant.
"""

from __future__ import annotations

import json

from tests.support.compiled.operations import Operation

_QUERIES = """
{ session(by: {externalId: "odd"}) { f1: id f0: title o: kind L: version out: status v_0: __typename item_1:
createdAt } }

{ session(by: {externalId: "odd"}) { _: id __: title class: kind def: version None: status } }

{ s: session(by: {externalId: "odd"}) { id } t: session(by: {externalId: "odd"}) { id } }

{ session(by: {externalId: "odd"}) { title: id id: title } }

{ session(by: {externalId: "odd"}) { messages: messages(first: 1) { nodes: edges { edges: cursor } edges: nodes
{ node: id } } } }

{ session(by: {externalId: "odd"}) { a: messages(first: 1) { n: totalCount } b: messages(last: 1) { n:
totalCount } } }

{ session(by: {externalId: "odd"}) { give_up: id isfinite: title Raw: kind datetime: version } }

{ __typename }

{ t: __typename sessions(first: 1) { __typename } }

{ __typename session(by: {externalId: "odd"}) { __typename messages(first: 2) { __typename edges { __typename
node { __typename } } } } }

{ session(by: {externalId: "odd"}) { messages(first: 9) { nodes { content { __typename } toolCalls { __typename
} } } } }

{ session(by: {externalId: "odd"}) { a: __typename b: __typename ... { c: __typename } } }

{ memory(by: {externalId: "m2"}) { owner { __typename } source { __typename } } }

{ session(by: {externalId: "odd"}) { id id id title id } }

{ session(by: {externalId: "odd"}) { messages(first: 2) { nodes { id } } messages(first: 2) { nodes { text }
totalCount } } }

{ session(by: {externalId: "odd"}) { title messages(first: 2) { nodes { id } } kind messages(first: 2) { nodes {
id sender { name } } } } }

{ session(by: {externalId: "odd"}) { id } session(by: {externalId: "odd"}) { title } }

{ session(by: {externalId: "odd"}) { ...A ...B messages(first: 1) { totalCount } } } fragment A on Session {
messages(first: 1) { nodes { id } } } fragment B on PlaygroundSession { messages(first: 1) { nodes { text }
pageInfo { endCursor } } }

{ session(by: {externalId: "demo-teapot"}) { messages(first: 2) { nodes { sender { id } } edges { node { sender
{ name } } } nodes { sender { name } } } } }

{ session(by: {externalId: "odd"}) { ... on Node { id ... on Session { title ... on PlaygroundSession { kind }
... on ChatSession { status } } } } }

{ sessions(first: 50) { nodes { __typename ... on ChatSession { a: title } ... on PanelSession { a: title b:
kind } ... on WorkflowSession { c: id messages(first: 1) { totalCount } } ... on PlaygroundSession {
messages(first: 1) { nodes { id } } } } } }

{ sessions(first: 50) { nodes { ... on ChatSession { m: messages(first: 1) { nodes { id } } } ... on
PanelSession { m: messages(first: 1) { nodes { text } } } } } }

{ session(by: {externalId: "odd"}) { messages(first: 9) { nodes { content { ... on TextContent { text } ... on
ToolCall { callId arguments response { result isError } } ... on ToolResponse { callId result } } } } } }

{ session(by: {externalId: "odd"}) { messages(first: 9) { nodes { content { ... on ToolCall { tool } } } } } }

{ memories(first: 50) { nodes { owner { ... on User { id name } ... on Agent { id capabilities } } source { ...
on Message { text } ... on ExternalSource { uri } } } } }

{ memories(first: 50) { nodes { owner { ... on Node { id } } source { ... on Node { id } } } } }

{ memories(first: 50) { nodes { owner { ...A ...B } } } } fragment A on User { name sessions(first: 1) {
totalCount } } fragment B on Agent { name }

{ session(by: {externalId: "odd"}) { ...on ChatSession { title } } }

{ session(by: {externalId: "odd"}) { ...F ...F ...F } } fragment F on Session { id ...G } fragment G on Session
{ title }

{ sessions(first: 3) { nodes { ...F } edges { node { ...F } } } } fragment F on Session { id participants(first:
1) { nodes { name } } }

{ a: sessions(first: 2) { ...F } b: sessions(last: 2) { ...F } } fragment F on SessionConnection { nodes { id
messages(first: 1) { nodes { id } } } }

{ session(by: {externalId: "odd"}) { ... { id ... { title } } } }

{ sessions(first: 3) { nodes { ...F messages(first: 2) { nodes { session { ...F } sender { session { ...F } } } } } } }
fragment F on Session { participants(first: 2) { totalCount nodes { actor { ... on Node { id } } } } }

{ memories(first: 9) { nodes { ...M links(first: 2) { nodes { target { ...M } source { ...M } } } } } }
fragment M on Memory { text owner { ... on User { memories(first: 1) { nodes { source { ... on Message { id } } } } } } }

{ session(by: {externalId: "odd"}) { messages(first: 0) { nodes { id sender { name } } totalCount pageInfo {
hasNextPage startCursor } } } }

{ session(by: {externalId: "odd"}) { id @skip(if: true) } }

{ session(by: {externalId: "odd"}) { messages(first: 2) { nodes { id @skip(if: true) sender { id @include(if:
false) } } } } }

{ session(by: {externalId: "none such"}) { id messages { nodes { id } } } }

{ session(by: {externalId: "empty"}) { title messages { nodes { id } totalCount } participants { totalCount } }
}

{ state(namespace: "none", key: "such") { value } }

{ node(id: "") { id } nodes(ids: ["", "mem_x", "ses_00000000000000000000000000000000"]) { id } }

{ nodes(ids: []) { id } }

{ memory(by: {externalId: "m1"}) { owner { __typename } source { __typename } lastAccessedAt validFrom expiresAt
} }

{ session(by: {externalId: "odd"}) { id @skip(if: true) title @skip(if: false) kind @include(if: true) version
@include(if: false) } }

{ session(by: {externalId: "odd"}) { id @skip(if: false) @include(if: false) title @skip(if: true) @include(if:
true) kind @skip(if: false) @include(if: true) } }

{ session(by: {externalId: "odd"}) { ... @skip(if: true) { id } ... @include(if: true) { title } ...F @skip(if:
true) ...F @include(if: true) } } fragment F on Session { kind }

{ session(by: {externalId: "odd"}) { id @skip(if: true) id } }

{ session(by: {externalId: "odd"}) { messages(first: 1) @skip(if: true) { nodes { id } } messages(first: 1) {
nodes { text } } } }

{ session(by: {externalId: "odd"}) { metadata context createdAt updatedAt lastActiveAt capabilities messageCount
} }

{ session(by: {externalId: "odd"}) { messages(first: 9) { nodes { metadata createdAt content { ... on
ToolResponse { result isError } } } } } }

{ states(namespace: "n") { nodes { key value tags version expiresAt } } }

{ memories(first: 50) { nodes { importance decayFactor accessCount lastAccessedAt tags version } } }

{ users { nodes { memoryUsage { active archived capacity sizeBytes fullness } profile } } agents { nodes {
config capabilities description } } }

{ spans(first: 50) { nodes { durationMs usage { inputTokens outputTokens totalTokens costUsd } attributes
endedAt statusMessage } } }

{ health { status stores { name status latencyMs reason circuit backlog } } viewer { name workspace rights }
memoryCursor }

{ searchMemories(query: {text: "tea"}, threshold: 0) { hits { score parts { similarity textRank fusion
importance decay } memory { text owner { ... on User { name } } } } mode degraded tookMs } }

{ searchMemories(query: {text: "none such word"}, mode: TEXT) { hits { score memory { id } } mode } }

{ session(by: {externalId: "odd"}) { messages(first: 1) { nodes { session { messages(first: 1) { nodes { session
{ messages(first: 1) { nodes { session { id } } } } } } } } } } }

{ memories(first: 3) { nodes { links { nodes { source { links { nodes { target { links { totalCount } } } } }
target { id } } } } } }

{ session(by: {externalId: "demo-teapot"}) { spans { nodes { name parent { name parent { name } } children {
nodes { name children { nodes { name } } } } events { nodes { type parent { type } } } } } } }

{ session(by: {externalId: "demo-teapot"}) { traces { nodes { root { name } spans { nodes { name agent { name }
message { text } } } usage { totalTokens } } } } }

{ session(by: {externalId: "odd"}) { trace { nodes { type data user { name } agent { name } message { text }
span { name } parent { type } namedMemories { text } session { title } } } } }

{ memory(by: {externalId: "m1"}) { neighborhood(include: [ACTORS, MESSAGES, SESSIONS]) { center { id } nodes {
__typename id ... on Session { title messages(first: 1) { totalCount } } ... on Memory { text owner { __typename
} } } edges { source target kind weight link { kind weight } } truncated } } }

{ memory(by: {externalId: "m1"}) { similar(threshold: 0, first: 3) { score memory { text } parts { similarity }
} sharedReferences { score memory { id } messages { id } sessions { id } neighbors { id } } history { nodes {
version text replacedAt } } recalls { nodes { score session { id } message { id } event { type } } }
referencedBy { nodes { id } } } }

{ users { nodes { sessions(first: 2) { nodes { participants { nodes { actor { ... on User { name } ... on Agent
{ name } } messages(first: 1) { nodes { text } } } } } } } } }

{ session(by: {externalId: "odd"}) { threads { nodes { name session { id } messages { nodes { thread { name }
replies(first: 2) { nodes { parent { id } } } } } } } } }

{ session(by: {externalId: "demo-teapot"}) { messages(first: 20) { nodes { memoryRefs { score note memory { text
} } formedMemories { text source { ... on Message { id } } } trace { totalCount } } } } }

{ sessions(first: -1) { nodes { id } } }

{ sessions(first: 1, last: 1) { nodes { id } } }

{ session(by: {externalId: "odd"}) { messages(first: -1) { nodes { id } } } }

{ session(by: {externalId: "odd"}) { title messages(first: 1) { nodes { id replies(first: -1) { nodes { id } } }
} } }

{ session(by: {externalId: "odd"}) { messages(first: 1) { nodes { session { a: messages(first: 1) { totalCount }
b: messages(last: 5000) { totalCount } } } } } }

{ sessions(first: 2) { nodes { messages(after: "x") { totalCount } } } }

{ memory(by: {externalId: "m1"}) { neighborhood(depth: 99) { truncated } } }

{ memories(first: 1) { nodes { links(kinds: [], direction: OUT) { totalCount } } } }

{ memories(filter: {metadata: 5}) { nodes { id } } }

{ __type(name: "Session") { name kind fields { name } } session(by: {externalId: "odd"}) { id } }

{ __schema { queryType { name } types { name } } }

query($x: Boolean!, $y: Boolean!) { session(by: {externalId: "odd"}) { id @skip(if: $x) title @include(if: $y)
kind } }
# {"x": true, "y": true}
# {"x": true, "y": false}
# {"x": false, "y": true}
# {"x": false, "y": false}

query($x: Boolean!, $y: Boolean!) { session(by: {externalId: "odd"}) { ... @skip(if: $x) { id } ...F
@include(if: $y) } } fragment F on Session { title @skip(if: $x) }
# {"x": true, "y": true}
# {"x": true, "y": false}
# {"x": false, "y": true}
# {"x": false, "y": false}

query($x: Boolean!, $y: Boolean!) { session(by: {externalId: "odd"}) { messages(first: 2) @skip(if: $x) { nodes
{ id } } messages(first: 2) @include(if: $y) { nodes { text } } } }
# {"x": true, "y": true}
# {"x": true, "y": false}
# {"x": false, "y": true}
# {"x": false, "y": false}

query($x: Boolean!, $y: Boolean!) { session(by: {externalId: "odd"}) @skip(if: $x) { id } sessions(first: 1)
@include(if: $y) { totalCount } }
# {"x": true, "y": true}
# {"x": true, "y": false}
# {"x": false, "y": true}
# {"x": false, "y": false}

query A($x: Boolean!, $y: Boolean!) { ...Q } query B($y: Boolean!, $x: Boolean!) { ...Q } query C($y: Boolean =
true, $x: Boolean = false) { ...Q } fragment Q on Query { sessions(first: 2) { nodes { __typename kind @skip(if:
$x) status @skip(if: $y) } } }
# {"x": true, "y": false} A
# {"x": true, "y": false} B
# {"x": true, "y": false} C
# {"x": false, "y": true} B
# {"x": false, "y": true} A
# {"x": false, "y": true} C
# {} C
# {} A

query($x: Boolean = true, $y: Boolean) { session(by: {externalId: "odd"}) { title @skip(if: $x) kind }
spans(first: 1, filter: {running: $y}) { totalCount } }
# {"x": true}
# {"y": true}
# {"x": null, "y": true}
# {"x": false, "y": true}
# {"y": false}
# {"x": null}

query($n: Int) { sessions(first: $n) { nodes { messages(first: $n) { nodes { id } } } } }
# {}
# {"n": 2}
# {"n": null}
# {"n": -1}
# {"n": "2"}

query($n: Int = 1) { sessions(first: $n) { nodes { messages(first: $n) { nodes { id } } } } }
# {}
# {"n": 2}
# {"n": null}

query($n: Int! = 3) { sessions(first: 1) { nodes { messages(first: $n) { totalCount nodes { id } } } } }
# {}

query($k: [MemoryLinkKind!], $d: LinkDirection! = OUT) { memories(first: 5) { nodes { links(kinds: $k,
direction: $d) { nodes { kind } } } } }
# {"k": ["SUPPORTS", "RELATED"]}

query($k: [MemoryLinkKind!]) { memories(first: 5) { nodes { links(kinds: $k) { nodes { kind } } } } }
# {"k": "SUPPORTS"}

query($f: MemoryFilter) { users { nodes { memories(filter: $f, first: 2) { nodes { text } } } } }
# {"f": {"types": ["SEMANTIC"], "metadata": {"demo": true}}}

query($f: MessageFilter) { sessions(first: 3) { nodes { messages(filter: $f, first: 2) { nodes { text } } } } }
# {"f": {"metadata": {}, "createdAt": {"from": "2020-01-01T00:00:00+05:00"}}}

query($f: MessageFilter) { sessions(first: 3) { nodes { messages(filter: $f) { nodes { text } } } } }
# {"f": {"metadata": []}}

query($r: Ref!) { session(by: $r) { title } }
# {"r": {"externalId": "odd"}}
# {"r": {"id": "x", "externalId": "odd"}}

query($o: SessionOrder) { users { nodes { sessions(orderBy: $o, first: 2) { nodes { title } } } } }
# {"o": {"field": "TITLE", "direction": "ASC"}}

query($t: DateTime) { memories(filter: {createdAt: {until: $t}}, first: 2) { nodes { createdAt } } }
# {"t": "2100-01-01T00:00:00Z"}

query A { sessions(first: 1) { nodes { id } } } query B { users { nodes { id } } }
# {} B
# {} A
# {}
"""

_MUTATIONS = """
mutation { createSession(input: {title: "New", kind: PANEL, externalId: "n1", metadata: {a: [1]}, participants:
[{name: "A"}, {type: AGENT, actor: {externalId: "bot"}}]}) { __typename session { __typename id title metadata
participants { nodes { name actor { ... on Agent { name } } } } } errors { code } } }
# {}

mutation { createSession(input: {externalId: "n1"}) { session { id } errors { code path message __typename } } }
# {}

mutation { updateSession(input: {session: {externalId: "n1"}, title: "Newer", contextPatch: {set: {a: 1}}}) {
session { title context version } errors { code } } }
# {}

mutation { endSession(input: {session: {externalId: "n1"}}) { session { status messages { totalCount } } errors
{ message } } }
# {}

mutation { archiveSession(input: {session: {externalId: "n1"}, dryRun: true}) { session { status } errors {
message } } }
# {}

mutation { addParticipant(input: {session: {externalId: "n1"}, name: "B"}) { participant { id name session {
title } } errors { message } } }
# {}

mutation { upsertUser(input: {externalId: "u1", name: "U", profile: {a: 1}}) { user { id name profile memories {
totalCount } memoryUsage { active } } errors { message } } }
# {}

mutation { upsertAgent(input: {externalId: "a1", capabilities: ["x"]}) { agent { id name capabilities sessions {
totalCount } } errors { message } } }
# {}

mutation { addMessage(input: {session: {externalId: "n1"}, role: "user", text: "Hi", externalId: "nm"}) {
message { id text sender { name } session { messageCount } } errors { code path } } }
# {}

mutation { addMessage(input: {session: {externalId: "n1"}, role: "nobody", text: "Hi"}) { message { id } errors
{ code path message } } }
# {}

mutation($m: [MessageInput!]!) { addMessages(input: {session: {externalId: "n1"}, messages: $m}) { messages {
text parent { text } toolCalls { tool response { result } } } errors { code path } } }
# {"m": [{"role": "user", "text": "1", "content": [{"toolCall": {"callId": "z", "tool": "t", "arguments": 1}}]}]}

mutation { createMemory(input: {text: "likes tea", owner: {externalId: "u1"}, sourceMessage: {externalId:
"nm"}}) { memory { id owner { ... on User { name } } source { ... on Message { text } } } archived { id } errors
{ code } } }
# {}

mutation { createMemory(input: {text: "x", importance: 2}) { memory { id } archived { id } errors { code path
message } } }
# {}

mutation { createMemories(input: {memories: [{text: "a", scope: GLOBAL, externalId: "x1"}, {text: "b", scope:
GLOBAL, externalId: "x2", links: [{target: {externalId: "x1"}}]}]}) { memories { text links { nodes { kind
target { text } } } } archived { id } errors { code } } }
# {}

mutation { updateMemory(input: {memory: {externalId: "x1"}, text: "aa"}) { memory { text version history { nodes
{ text } } } errors { code } } }
# {}

mutation { updateMemory(input: {memory: {externalId: "none such"}, text: "aa"}) { memory { text } archived { id
} errors { code path } } }
# {}

mutation { archiveMemories(input: {memories: [{externalId: "x2"}], dryRun: true}) { memories { status } errors {
code } } }
# {}

mutation { restoreMemories(input: {memories: [{externalId: "m2"}]}) { memories { status } archived { id } errors
{ code } } }
# {}

mutation { touchMemories(input: {memories: [{externalId: "x1"}]}) { memories { accessCount lastAccessedAt }
errors { code } } }
# {}

mutation { decayMemories(input: {rate: 0.5, dryRun: true, filter: {scopes: [USER, AGENT, GLOBAL]}}) { count memories { text decayFactor } errors { code }
} }
# {}

mutation { linkMemories(input: {links: [{source: {externalId: "x1"}, target: {externalId: "m1"}, kind: CAUSES,
weight: 0.25}]}) { links { id kind weight source { text } target { text } } errors { code } } }
# {}

mutation { unlinkMemories(input: {links: ["lnk_none"]}) { links { id } errors { code path } } }
# {}

mutation { recall(input: {query: {text: "tea"}, session: {externalId: "n1"}, message: {externalId: "nm"},
threshold: 0}) { search { hits { score memory { accessCount recalls { nodes { score message { id } } } } }
tookMs } event { type data namedMemories { text } } errors { code } } }
# {}

mutation { appendTraceEvents(input: {session: {externalId: "n1"}, events: [{type: "a"}, {type: "span_start",
spanId: "CD", name: "root"}]}) { accepted endCursor errors { code } } }
# {}

mutation { startSpan(input: {session: {externalId: "n1"}, name: "s", traceId: "t9", spanId: "s9"}) { span { name
kind session { title } events { nodes { type } } } errors { code } } }
# {}

mutation { endSpan(input: {traceId: "t9", spanId: "s9", attributes: {outputTokens: 4}}) { span { statusCode
durationMs usage { totalTokens } } errors { code } } }
# {}

mutation { setState(input: {namespace: "n", key: "z", value: {a: 1}}) { state { id version value } errors { code
} } }
# {}

mutation { setState(input: {namespace: "n", key: "z", value: 1, ifVersion: 7}) { state { id } errors { code path
message } } }
# {}

mutation { setStates(input: {entries: [{namespace: "n", key: "y", value: [1]}]}) { states { value tags } errors
{ code } } }
# {}

mutation { deleteState(input: {namespace: "n", key: "z"}) { state { key value } errors { code } } }
# {}

mutation { a: setState(input: {namespace: "n", key: "a", value: 1}) { state { version } } b: setState(input:
{namespace: "n", key: "a", value: 2}) { state { version value } errors { code } } }
# {}

mutation { deleteMemories(input: {memories: [{externalId: "x2"}]}) { memories { text links { totalCount } }
errors { code } } }
# {}

mutation { deleteSession(input: {session: {externalId: "n1"}}) { session { title messages { totalCount } }
errors { code } } }
# {}
"""

SUBSCRIPTIONS = {
    "messages": """
subscription($after: String) { sessionMessages(session: {externalId: "odd"}, after: $after) { cursor node {
__typename id text sender { name } content { ... on ToolCall { tool response { isError } } } parent { id thread
{ name } } session { ... on PlaygroundSession { title } } } } }
""",
    "messages again": """
subscription($after: String) { s: sessionMessages(session: {externalId: "odd"}, after: $after) { cursor
__typename } }
""",
    "trace": """
subscription($after: String) { sessionTrace(session: {externalId: "odd"}, after: $after) { node { type data user
{ name } agent { name } namedMemories { text } parent { type } span { name } } cursor } }
""",
    "changes": """
subscription($after: String) { memoryChanges(after: $after) { kind memoryId time memory { text owner { ... on
User { name } ... on Agent { name } } } link { kind target { text } } } }
""",
}
"""By the log that each one follows."""


def _read(text: str) -> list[Operation]:
    found = []
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        query = "\n".join(line for line in lines if not line.startswith("#"))
        runs = [line[2:].rpartition("}") for line in lines if line.startswith("#")] or [("{", "}", "")]
        found += [Operation(query, json.loads(given + end), name.strip() or None) for given, end, name in runs]
    return found


QUERIES = _read(_QUERIES)
MUTATIONS = _read(_MUTATIONS)
