import { graphql, type ResultOf } from '../graphql.ts';

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
