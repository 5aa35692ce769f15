import { graphql, type ResultOf, type VariablesOf } from '../graphql.ts';
import { ContentPart } from './sessions.ts';

/** Traces by their first spans, until there is a list of them. */
export const RootSpans = graphql(`
  query RootSpans($first: Int!, $after: String, $filter: SpanFilter, $orderBy: SpanOrder) {
    spans(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      nodes {
        id traceId parentSpanId name kind statusCode startedAt endedAt durationMs model
        usage { totalTokens costUsd }
        session { id title }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
export type SpanRow = ResultOf<typeof RootSpans>['spans']['nodes'][number];
export type SpanFilter = NonNullable<VariablesOf<typeof RootSpans>['filter']>;
export type SpanOrder = NonNullable<VariablesOf<typeof RootSpans>['orderBy']>;

export const TraceSpans = graphql(`
  query TraceSpans($traceId: String!, $after: String, $first: Int!, $direction: OrderDirection!) {
    spans(first: $first, after: $after, filter: { traceId: $traceId }, orderBy: { field: STARTED_AT, direction: $direction }) {
      nodes { id spanId parentSpanId name kind statusCode startedAt durationMs usage { totalTokens costUsd } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
export type SpanLine = ResultOf<typeof TraceSpans>['spans']['nodes'][number];

export const TraceSession = graphql(`
  query TraceSession($traceId: String!) {
    spans(first: 1, filter: { traceId: $traceId }) { nodes { id session { id title traceCursor } } }
  }
`);

export const SpanDetail = graphql(
  `
  query SpanDetail($id: ID!) {
    node(id: $id) {
      __typename
      ... on Span {
        id traceId spanId parentSpanId kind name statusCode statusMessage startedAt endedAt durationMs
        attributes provider model timeToFirstTokenMs finishReasons warnings
        usage { inputTokens outputTokens totalTokens costUsd cachedTokens reasoningTokens }
        inputMessages { role content { ...ContentPart } }
        outputMessages { role content { ...ContentPart } }
        session { id title }
        message { id text session { id } }
        toolExecution { id tool status arguments result error durationMs }
        agent { id name }
        annotations(first: 10) { nodes { id name value label comment } }
      }
    }
  }
`,
  [ContentPart],
);
export type SpanDetail = Extract<ResultOf<typeof SpanDetail>['node'], { __typename: 'Span' }>;
