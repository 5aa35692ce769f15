import { graphql, type ResultOf, type VariablesOf } from '../graphql.ts';
import { ContentPart } from './sessions.ts';

export const TraceRow = graphql(`
  fragment TraceRow on Trace {
    id traceId startedAt durationMs runningSpans errorSpans statusCode
    usage { totalTokens costUsd }
    session { id title }
    root { name kind }
  }
`);
export type TraceRow = ResultOf<typeof TraceRow>;

export const Traces = graphql(
  `
  query Traces($first: Int!, $after: String, $filter: TraceListFilter, $orderBy: TraceOrder) {
    traces(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      nodes { ...TraceRow }
      pageInfo { hasNextPage endCursor }
    }
    traceChangeCursor
  }
`,
  [TraceRow],
);
export type TraceListFilter = NonNullable<VariablesOf<typeof Traces>['filter']>;
export type TraceOrder = NonNullable<VariablesOf<typeof Traces>['orderBy']>;

export const TraceChanges = graphql(
  `
  subscription TraceChanges($filter: TraceListFilter, $after: String) {
    traceChanges(filter: $filter, after: $after) { cursor traceId left trace { ...TraceRow } }
  }
`,
  [TraceRow],
);

/** Of a trace the spans whose name, inputs, outputs or failure have a text. */
export const SpansWith = graphql(`
  query SpansWith($traceId: String!, $text: String!) {
    spans(first: 1000, filter: { traceId: $traceId, text: $text }) { nodes { id } pageInfo { hasNextPage } }
  }
`);

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
