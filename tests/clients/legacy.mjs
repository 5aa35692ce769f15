// The older client of the older sub-protocol: a query, a mutation and a subscription.
import ws from 'ws';
import { SubscriptionClient } from 'subscriptions-transport-ws';

const [url, session] = process.argv.slice(2);
const client = new SubscriptionClient(url.replace('http', 'ws'), { reconnect: false }, ws);
const once = (query, variables) =>
  new Promise((resolve, reject) => {
    let result;
    client.request({ query, variables }).subscribe({ next: (r) => (result = r), error: reject, complete: () => resolve(result) });
  });
const by = { externalId: session };
const add = (text) =>
  once('mutation ($input: AddMessageInput!) { addMessage(input: $input) { errors { code } } }', {
    input: { session: by, role: 'user', text },
  });
await once('mutation ($input: CreateSessionInput!) { createSession(input: $input) { errors { code } } }', {
  input: { externalId: session },
});
const { data } = await once('query ($by: Ref!) { session(by: $by) { messageCursor } }', { by });
const followed = [];
const done = new Promise((resolve, reject) => {
  const live = 'subscription ($by: Ref!, $after: String) { sessionMessages(session: $by, after: $after) { node { text } } }';
  const next = (result) => followed.push(result.data.sessionMessages.node.text) === 2 && resolve();
  client.request({ query: live, variables: { by, after: data.session.messageCursor } }).subscribe({ next, error: reject });
});
await add('a');
await add('b');
await done;
console.log(JSON.stringify({ followed }));
client.close();
process.exit(0);
