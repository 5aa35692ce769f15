import { graphql, type ResultOf, type VariablesOf } from '../graphql.ts';

export const SessionRow = graphql(`
  fragment SessionRow on Session {
    id kind title status messageCount createdAt lastActiveAt
    usage { totalTokens costUsd }
    participants(first: 6) { nodes { id name type } }
  }
`);
export type SessionRow = ResultOf<typeof SessionRow>;

export const Sessions = graphql(
  `
  query Sessions($first: Int!, $after: String, $filter: SessionFilter, $orderBy: SessionOrder) {
    sessions(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      nodes { ...SessionRow }
      pageInfo { hasNextPage endCursor }
    }
    sessionCursor
  }
`,
  [SessionRow],
);

export const SessionChanges = graphql(
  `
  subscription SessionChanges($filter: SessionFilter, $after: String) {
    sessionChanges(filter: $filter, after: $after) { cursor sessionId left session { ...SessionRow } }
  }
`,
  [SessionRow],
);
export type SessionFilter = NonNullable<VariablesOf<typeof Sessions>['filter']>;
export type SessionOrder = NonNullable<VariablesOf<typeof Sessions>['orderBy']>;

export const ContentPart = graphql(`
  fragment ContentPart on Content {
    __typename
    ... on TextContent { text }
    ... on ReasoningContent { text }
    ... on ToolCall {
      callId tool arguments
      response { result isError }
      execution { id status startedAt durationMs error }
    }
    ... on ToolResponse { callId result isError }
    ... on Media { mediaType url caption blob { id filename mediaType sizeBytes signedUrl } }
    ... on ImageContent { width height }
    ... on AudioContent { transcript }
    ... on VideoContent { transcript }
    ... on DocumentContent { title }
  }
`);
export type ContentPart = ResultOf<typeof ContentPart>;

export const MessageShown = graphql(
  `
  fragment MessageShown on Message {
    id senderType createdAt editedAt isRedacted onCurrentBranch warnings version
    content { ...ContentPart }
    sender { id name type }
    thread { id name }
    parent { id }
    memoryRefs { score note memory { id type text } }
    formedMemories { id type text }
    annotations(first: 5) { nodes { id name value label comment } }
  }
`,
  [ContentPart],
);
export type MessageShown = ResultOf<typeof MessageShown>;

export const SessionHead = graphql(`
  query SessionHead($id: ID!) {
    session(by: { id: $id }) {
      id externalId kind title status context metadata capabilities messageCount createdAt lastActiveAt version
      traceCursor
      usage { totalTokens costUsd }
      participants(first: 50) {
        nodes { id name type role leftAt actor { __typename ... on User { id } ... on Agent { id } } }
        pageInfo { hasNextPage }
      }
      threads(first: 50) { nodes { id name } }
      branches { id text createdAt }
      forkedFrom { id session { id title } }
      annotations(first: 20) { nodes { id name value label comment } }
      spans(first: 20, filter: { running: true }) {
        nodes { id spanId parentSpanId traceId name kind startedAt endedAt durationMs statusCode usage { totalTokens costUsd } }
      }
    }
  }
`);
export type SessionHead = NonNullable<ResultOf<typeof SessionHead>['session']>;

export const Messages = graphql(
  `
  query Messages($id: ID!, $branch: ID, $last: Int!, $before: String, $filter: MessageFilter) {
    session(by: { id: $id }) {
      id messageCursor
      messages(branch: $branch, last: $last, before: $before, filter: $filter) {
        nodes { ...MessageShown }
        pageInfo { hasPreviousPage startCursor }
      }
    }
  }
`,
  [MessageShown],
);

export const MessagePlaces = graphql(`
  query MessagePlaces($id: ID!, $last: Int!, $before: String, $filter: MessageFilter) {
    session(by: { id: $id }) {
      messages(last: $last, before: $before, filter: $filter) {
        edges { cursor node { id } }
        pageInfo { hasPreviousPage startCursor }
      }
    }
  }
`);

export const SessionMemories = graphql(`
  query SessionMemories($id: ID!) {
    session(by: { id: $id }) {
      memories(first: 100) { nodes { id type text importance decayFactor createdAt } pageInfo { hasNextPage } }
    }
  }
`);

export const SessionTraces = graphql(`
  query SessionTraces($id: ID!) {
    session(by: { id: $id }) {
      traces(first: 50) {
        nodes { id traceId startedAt durationMs statusCode usage { totalTokens costUsd } root { name kind } }
        pageInfo { hasNextPage }
      }
    }
  }
`);

export const MessagesById = graphql(
  `query MessagesById($ids: [ID!]!) { nodes(ids: $ids) { __typename ...MessageShown } }`,
  [MessageShown],
);

export const NewMessages = graphql(`
  subscription NewMessages($id: ID!, $after: String) {
    sessionMessages(session: { id: $id }, after: $after) { cursor node { id thread { name } } }
  }
`);

export const SessionEvents = graphql(`
  subscription SessionEvents($id: ID!, $after: String) {
    sessionTrace(session: { id: $id }, after: $after) {
      cursor
      node { id type component time data message { id } span { id spanId parentSpanId traceId name kind startedAt endedAt durationMs statusCode usage { totalTokens costUsd } } }
    }
  }
`);
export type SessionEvent = ResultOf<typeof SessionEvents>['sessionTrace']['node'];

export const Provenance = graphql(`
  query Provenance($id: ID!) {
    node(id: $id) {
      __typename
      ... on Message {
        id
        span { id traceId name }
        parent { id }
        trace(first: 20) { nodes { id type span { id traceId name } } }
        memoryRefs {
          score note
          memory {
            id type text importance decayFactor
            sources { __typename ... on Message { id text sender { name } session { id title } } ... on ExternalSource { uri } ... on Span { id traceId name } ... on Blob { id filename } }
            recalls(first: 20) {
              nodes {
                id score recalledAt message { id }
                parts {
                  similarity textRank fusion importance decay neighbors reply session people links references time entities
                }
              }
            }
          }
        }
        formedMemories { id type text importance decayFactor }
      }
    }
  }
`);

export const Viewer = graphql(`query Viewer { viewer { name workspace rights } }`);

export const Kind = graphql(`
  query Kind($id: ID!) {
    node(id: $id) {
      __typename id
      ... on Message { session { id } }
      ... on Span { traceId }
      ... on Trace { traceId }
      ... on Participant { session { id } }
      ... on Recall { memory { id } }
    }
  }
`);

export const FindAnything = graphql(`
  query FindAnything($text: String!) {
    sessions(first: 5, filter: { text: $text }, orderBy: { field: LAST_ACTIVE_AT }) { nodes { id title kind } }
    searchMessages(text: $text, first: 5) { edges { snippet node { id sender { name } session { id title } } } }
    memories(first: 5, filter: { text: $text }) { nodes { id text type } }
  }
`);


export const KindPart = graphql(`
  query KindPart($id: ID!) {
    session(by: { id: $id }) {
      __typename
      ... on PanelSession {
        format
        decisions { id topic text consensus createdAt votes { choice comment participant { id name } } }
        insights { id category text consensus participant { id name } supportingMessages { id text } }
      }
      ... on WorkflowSession { state states { name description isFinal transitions { to name } } trace(last: 100, filter: { types: ["workflow_advanced"], components: ["workflow"] }) { nodes { id time data agent { name } } } executions { id state name status startedAt durationMs error } }
      ... on PlaygroundSession { experiments { id name description parameters results { id metrics comment createdAt } } }
    }
  }
`);
export type KindPart = NonNullable<ResultOf<typeof KindPart>['session']>;
