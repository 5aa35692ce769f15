// Follows a session with graphql-ws alone, or with Apollo and the loop of the documentation, and prints what comes.
import WebSocket from 'ws';
import { createClient } from 'graphql-ws';
import { follow } from './follow.mjs';

const [name, url, session, after] = process.argv.slice(2);
const LIVE = `subscription Live($session: Ref!, $after: String) {
  sessionMessages(session: $session, after: $after) { cursor node { text } } }`;
const variables = { session: { externalId: session }, after };
const print = (line) => console.log(JSON.stringify(line));

if (name === 'graphql-ws') {
  const client = createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    lazy: false,
    on: { connected: () => print({ connected: true }), closed: (event) => print({ closed: event.code }) },
  });
  client.subscribe(
    { query: LIVE, variables },
    {
      next: ({ data }) => {
        variables.after = data.sessionMessages.cursor; // it sends these again when it is back
        print({ text: data.sessionMessages.node.text });
      },
      error: (error) => print({ error: String(error.reason ?? error.message ?? error) }),
      complete: () => print({ complete: true }),
    },
  );
} else {
  const { connect } = await import(`./${name}.mjs`);
  const client = connect(url, WebSocket);
  const live = (from, onEvent) => client.subscribe(LIVE, { ...variables, after: from }, (data) => onEvent(data.sessionMessages));
  follow(live, after, (event) => print({ text: event.node.text }), new AbortController().signal);
  print({ connected: true });
}
