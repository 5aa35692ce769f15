// What a frontend does, with the client of the documentation that is named: write, read, page, and follow over a break.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { follow } from './follow.mjs';

const [name, url, session] = process.argv.slice(2);
const { connect } = await import(`./${name}.mjs`);
const client = connect(url, WebSocket);

const CREATE = 'mutation Create($input: CreateSessionInput!) { createSession(input: $input) { session { id } errors { code } } }';
const ADD = 'mutation Add($input: AddMessagesInput!) { addMessages(input: $input) { messages { id } errors { code } } }';
const PAGE = `query Page($session: Ref!, $after: String) { session(by: $session) { __typename id messageCursor
  messages(first: 10, after: $after) { edges { cursor node { id text } } pageInfo { hasNextPage endCursor } } } }`;
const LIVE = `subscription Live($session: Ref!, $after: String) {
  sessionMessages(session: $session, after: $after) { cursor node { id text } } }`;

const by = { externalId: session };
const said = async (...texts) => {
  const messages = texts.map((text) => ({ role: 'user', text }));
  const { addMessages } = await client.mutate(ADD, { input: { session: by, messages } });
  if (addMessages.errors.length) throw new Error(JSON.stringify(addMessages.errors));
};
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const cut = async () => {
  console.log('CUT');
  await lines.next();
};

const created = await client.mutate(CREATE, { input: { externalId: session, title: name } });
if (created.createSession.errors.length) throw new Error(JSON.stringify(created));
await said(...Array.from({ length: 25 }, (_, n) => `m${n}`));

const paged = [];
let after = null;
let cursor;
for (;;) {
  const page = (await client.query(PAGE, { session: by, after })).session;
  paged.push(page.messages.edges.map((edge) => edge.node.text));
  cursor = page.messageCursor;
  if (!page.messages.pageInfo.hasNextPage) break;
  after = page.messages.pageInfo.endCursor;
}

const followed = [];
const stop = new AbortController();
let starts = 0;
const live = (from, onEvent) => {
  starts += 1;
  return client.subscribe(LIVE, { session: by, after: from }, (data) => onEvent(data.sessionMessages));
};
const until = async (count) => {
  for (let waited = 0; followed.length < count; waited += 1) {
    if (waited > 1500) throw new Error(`only ${followed} came`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
follow(live, cursor, (event) => followed.push(event.node.text), stop.signal);
await said('m25', 'm26');
await until(2);
await cut();
await said('m27', 'm28').catch(() => said('m27', 'm28')); // the socket it would have gone over is gone
await until(4);
await cut();
await new Promise((resolve) => setTimeout(resolve, 600));
await said('m29');
await until(5);
stop.abort();
console.log(JSON.stringify({ paged, followed, starts }));
process.exit(0);
