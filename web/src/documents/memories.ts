import { graphql, type ResultOf } from '../graphql.ts';

export const MemoryRow = graphql(`
  fragment MemoryRow on Memory {
    id type scope status text tags importance decayFactor accessCount lastAccessedAt createdAt updatedAt
    owner { __typename ... on User { id name } ... on Agent { id name } }
  }
`);
export type MemoryRow = ResultOf<typeof MemoryRow>;

export const Parts = graphql(`
  fragment Parts on ScoreParts {
    similarity textRank fusion importance decay neighbors reply session people links references time entities
  }
`);
export type Parts = ResultOf<typeof Parts>;

export const Memories = graphql(
  `
  query Memories($first: Int!, $after: String, $filter: MemoryFilter, $orderBy: MemoryOrder, $asOf: DateTime) {
    memories(first: $first, after: $after, filter: $filter, orderBy: $orderBy, asOf: $asOf) {
      nodes { ...MemoryRow }
      pageInfo { hasNextPage endCursor }
    }
    memoryCursor
  }
`,
  [MemoryRow],
);

export const SearchMemories = graphql(
  `
  query SearchMemories($query: MemoryQuery!, $filter: MemoryFilter, $mode: SearchMode!, $threshold: Float!, $asOf: DateTime) {
    searchMemories(query: $query, filter: $filter, mode: $mode, threshold: $threshold, first: 30, asOf: $asOf) {
      mode degraded tookMs
      hits { score parts { ...Parts } memory { ...MemoryRow } folded { id text } }
    }
  }
`,
  [MemoryRow, Parts],
);

export const Owners = graphql(`
  query Owners {
    users(first: 100) { nodes { id name } }
    agents(first: 100) { nodes { id name } }
  }
`);

export const MemoryDetail = graphql(
  `
  query MemoryDetail($id: ID!, $asOf: DateTime) {
    memory(by: { id: $id }, asOf: $asOf) {
      ...MemoryRow
      externalId metadata version validFrom validUntil expiresAt lastAccessedAt
      stale
      sources { __typename ... on Message { id text sender { name } session { id title } } ... on ExternalSource { uri } ... on Span { id traceId name } ... on Blob { id filename } }
      referencedBy(first: 20) { nodes { id text createdAt sender { name } session { id title } } pageInfo { hasNextPage } }
      recalls(first: 20) {
        nodes { id score recalledAt parts { ...Parts } message { id text session { id title } } session { id title } }
        pageInfo { hasNextPage }
      }
      links(first: 50) { nodes { id kind weight source { id text type } target { id text type } } pageInfo { hasNextPage } }
      history(first: 50) { nodes { id version text status importance tags metadata validFrom validUntil recordedAt replacedAt cause } }
      annotations(first: 10) { nodes { id name value label comment } }
      entities { id name type }
    }
  }
`,
  [MemoryRow, Parts],
);
export type MemoryDetail = NonNullable<ResultOf<typeof MemoryDetail>['memory']>;

export const GraphNode = graphql(`
  fragment GraphNode on Node {
    __typename id
    ... on Memory {
      text type status importance decayFactor createdAt
      owner { __typename ... on User { id name } ... on Agent { id name } }
    }
    ... on Message { messageText: text }
    ... on Session { title }
    ... on User { name }
    ... on Agent { name }
    ... on Entity { name entityType: type }
  }
`);
export type GraphNode = ResultOf<typeof GraphNode>;

export const Neighborhood = graphql(
  `
  query Neighborhood($id: ID!, $depth: Int!, $limit: Int!, $minWeight: Float, $kinds: [MemoryLinkKind!], $include: [GraphInclude!], $asOf: DateTime) {
    memory(by: { id: $id }) {
      neighborhood(depth: $depth, limit: $limit, minWeight: $minWeight, kinds: $kinds, include: $include, asOf: $asOf) {
        truncated
        nodes { ...GraphNode }
        edges { source target kind weight }
      }
    }
  }
`,
  [GraphNode],
);

/** A named thing, what mentions it, and what it was before it was merged. */
export const EntityDetail = graphql(
  `
  query EntityDetail($id: ID!, $first: Int!) {
    entity(by: { id: $id }) {
      __typename id name type aliases metadata
      merged { name type aliases mergedAt }
      memories(first: $first) { nodes { ...MemoryRow } pageInfo { hasNextPage } }
      messages(first: 20) { nodes { id text createdAt sender { name } session { id title } } pageInfo { hasNextPage } }
    }
  }
`,
  [MemoryRow],
);
export type EntityDetail = NonNullable<ResultOf<typeof EntityDetail>['entity']>;

export const Paths = graphql(`
  query Paths($from: ID!, $to: ID!) {
    memoryPaths(from: $from, to: $to, first: 1) {
      length weight
      memories { id type text importance decayFactor createdAt status owner { __typename ... on User { id name } ... on Agent { id name } } }
      links { id kind weight source { id } target { id } }
    }
  }
`);

export const MemoryCursor = graphql(`query MemoryCursor { memoryCursor }`);

export const MemoryChanges = graphql(
  `
  subscription MemoryChanges($filter: MemoryFilter, $after: String) {
    memoryChanges(filter: $filter, after: $after) {
      cursor time kind memoryId left
      memory { ...MemoryRow }
      link { kind weight source { id } target { id } }
    }
  }
`,
  [MemoryRow],
);
export type MemoryChange = ResultOf<typeof MemoryChanges>['memoryChanges'];

export const GraphOf = graphql(`
  query GraphOf($ids: [ID!]!) {
    nodes(ids: $ids) {
      __typename id
      ... on Memory {
        text type status importance decayFactor createdAt
        owner { __typename ... on User { id name } ... on Agent { id name } }
        links(first: 20) { nodes { kind weight source { id } target { id } } }
      }
    }
  }
`);

/** Of memories the links that were known at a time. */
export const LinksThen = graphql(`
  query LinksThen($ids: [ID!]!, $asOf: DateTime!) {
    nodes(ids: $ids) {
      __typename id
      ... on Memory { neighborhood(depth: 1, limit: 20, asOf: $asOf) { edges { source target kind weight } } }
    }
  }
`);

export const Forecast = graphql(`
  query Forecast($at: DateTime!, $filter: MemoryFilter, $decayPerDay: Float!, $bucket: TimeBucket!, $zone: String!) {
    memoryForecast(at: $at, filter: $filter, decayPerDay: $decayPerDay, bucket: $bucket, zone: $zone, first: 200) {
      at active faded ended expired evicted
      fates { cause time memory { id text type importance owner { __typename ... on User { id name } ... on Agent { id name } } } }
      buckets { startsAt label faded ended expired evicted }
    }
  }
`);
export type Forecast = ResultOf<typeof Forecast>['memoryForecast'];
