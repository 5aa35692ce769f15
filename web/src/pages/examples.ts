/** First questions, each of which shows something else. */
export const EXAMPLES: readonly { name: string; query: string; variables: string }[] = [
  {
    name: 'Sessions',
    variables: '',
    query: `{
  sessions(first: 5) {
    nodes {
      __typename
      id
      title
      kind
      messageCount
      lastActiveAt
    }
  }
}
`,
  },
  {
    name: 'From an answer to the memories it drew on',
    variables: '',
    query: `{
  sessions(first: 1, filter: {text: "parcel"}) {
    nodes {
      title
      messages(first: 5) {
        nodes {
          sender { name }
          text
          memoryRefs {
            score
            memory { text source { ... on Message { session { title } } } }
          }
        }
      }
    }
  }
}
`,
  },
  {
    name: 'Search memories, and why they were found',
    variables: '{"text": "late parcel"}',
    query: `query ($text: String!) {
  searchMemories(query: {text: $text}, first: 5) {
    tookMs
    hits {
      score
      parts { similarity textRank fusion importance decay }
      memory { text type owner { ... on User { name } ... on Agent { name } } }
    }
  }
}
`,
  },
  {
    name: 'Slow and failed spans',
    variables: '',
    query: `{
  failed: spans(first: 5, filter: {statusCodes: [ERROR]}) { nodes { name kind statusMessage session { title } } }
  slow: spans(first: 5, orderBy: {field: DURATION}) { nodes { name kind durationMs usage { totalTokens costUsd } } }
}
`,
  },
  {
    name: 'Follow what becomes of memories',
    variables: '',
    query: `subscription {
  memoryChanges {
    time
    kind
    memory { type text decayFactor }
  }
}
`,
  },
  {
    name: 'Add a memory',
    variables: '{"text": "The console was here."}',
    query: `mutation ($text: String!) {
  createMemory(input: {scope: GLOBAL, type: SEMANTIC, text: $text}) {
    memory { id }
    errors { code message path }
  }
}
`,
  },
];
