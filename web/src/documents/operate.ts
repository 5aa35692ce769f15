import { graphql, type ResultOf, type VariablesOf } from '../graphql.ts';

export const Health = graphql(`query Health { health { status stores { name status latencyMs reason circuit backlog } } }`);

export const Tools = graphql(`query Tools { toolStats { tool count pending ok error timeout averageMs p50Ms p95Ms maxMs } }`);

export const AuditLog = graphql(`
  query AuditLog($first: Int!, $after: String, $filter: AuditFilter) {
    auditLog(first: $first, after: $after, filter: $filter) {
      nodes { id time callerName action outcome targets }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
export type AuditRow = ResultOf<typeof AuditLog>['auditLog']['nodes'][number];

export const Keys = graphql(`query Keys { apiKeys { id name role createdAt expiresAt revokedAt } }`);

export const CreateKey = graphql(`
  mutation CreateKey($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } errors { message } } }
`);

export const RevokeKey = graphql(`
  mutation RevokeKey($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { id } errors { message } } }
`);

export const Retain = graphql(`
  mutation Retain($policies: [RetentionPolicy!], $dryRun: Boolean!) {
    applyRetention(input: { policies: $policies, dryRun: $dryRun }) { removed { kind count bytes oldest latest } errors { message } }
  }
`);
export type RetentionPolicy = NonNullable<VariablesOf<typeof Retain>['policies']>[number];

const Report = graphql(`
  fragment Report on ErasureReport { dryRun searchedFor elsewhere found stores { store removed blanked found } }
`);
export type Report = ResultOf<typeof Report>;

export const EraseUser = graphql(
  `mutation EraseUser($whom: Ref!, $dryRun: Boolean!) { erased: eraseUser(input: { user: $whom, dryRun: $dryRun }) { report { ...Report } errors { message } } }`,
  [Report],
);
export const EraseAgent = graphql(
  `mutation EraseAgent($whom: Ref!, $dryRun: Boolean!) { erased: eraseAgent(input: { agent: $whom, dryRun: $dryRun }) { report { ...Report } errors { message } } }`,
  [Report],
);
export const EraseSession = graphql(
  `mutation EraseSession($whom: Ref!, $dryRun: Boolean!) { erased: eraseSession(input: { session: $whom, dryRun: $dryRun }) { report { ...Report } errors { message } } }`,
  [Report],
);

export const Decay = graphql(`
  mutation Decay($filter: MemoryFilter!, $rate: Float!, $dryRun: Boolean!) {
    decayMemories(input: { filter: $filter, rate: $rate, dryRun: $dryRun }) { count errors { message } }
  }
`);
