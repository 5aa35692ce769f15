"""What the callers ask."""

from __future__ import annotations

TYPENAME = "{ __typename }"

GET = "query Get($by: Ref!) { session(by: $by) { id kind title status createdAt messageCount } }"

HISTORY = """query History($by: Ref!) { session(by: $by) { messages(last: 50) {
  nodes { id senderType createdAt text } pageInfo { hasPreviousPage startCursor } } } }"""

NESTED = """query Nested($by: Ref!, $first: Int!) { session(by: $by) { id title kind createdAt messages(first: $first) {
  edges { cursor node { id senderType createdAt text
    content { __typename ... on TextContent { text } ... on ToolCall { callId tool } }
    sender { id name }
    memoryRefs { score memory { id text importance } } } }
  pageInfo { hasNextPage endCursor } } } }"""

SEARCH = """query Search($text: String!, $owner: Ref!) {
  searchMemories(query: {text: $text}, filter: {owner: $owner}, mode: HYBRID, first: 10) {
    tookMs hits { score memory { id type text importance createdAt } parts { similarity textRank fusion } } } }"""

SEARCH_BY = SEARCH.replace("$owner: Ref!", "$owner: Ref!, $mode: SearchMode!").replace("mode: HYBRID", "mode: $mode")

NEIGHBORHOOD = """query Around($by: Ref!) { memory(by: $by) { neighborhood(depth: 2, limit: 100) { truncated
  nodes { id ... on Memory { text importance } } edges { source target kind weight } } } }"""

TRACE = """subscription Trace($session: Ref!) { sessionTrace(session: $session) {
  cursor node { id type component time durationMs data } } }"""

CREATE_SESSION = "mutation Session($input: CreateSessionInput!) { createSession(input: $input) { errors { message } } }"

UPSERT_USER = "mutation User($input: UpsertUserInput!) { upsertUser(input: $input) { errors { message } } }"

ADD_MESSAGE = (
    "mutation Add($input: AddMessageInput!) { addMessage(input: $input) { message { id } errors { message } } }"
)

ADD_MESSAGES = "mutation AddAll($input: AddMessagesInput!) { addMessages(input: $input) { errors { message } } }"

CREATE_MEMORY = (
    "mutation Remember($input: CreateMemoryInput!) { createMemory(input: $input) { memory { id } errors { message } } }"
)

CREATE_MEMORIES = (
    "mutation Remember($input: CreateMemoriesInput!) { createMemories(input: $input) { errors { message } } }"
)

LINK_MEMORIES = "mutation Link($input: LinkMemoriesInput!) { linkMemories(input: $input) { errors { message } } }"

APPEND = """mutation Append($input: AppendTraceEventsInput!) {
  appendTraceEvents(input: $input) { accepted errors { message } } }"""

WRITTEN = b'"errors":[]'
"""What is in the answer of a mutation that wrote."""
