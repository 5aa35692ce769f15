/** The one connection to the server that this page came from, whatever path it stands behind. */
import { signal } from '@preact/signals';
import { createClient, type Client } from 'graphql-ws';
import type { TadaDocumentNode } from 'gql.tada';
import type { Text } from './graphql.ts';

export type Document<Data, Variables> = TadaDocumentNode<Data, Variables>;

const address = new URL('graphql', document.baseURI);

const KEY = 'recollect.key';

/** Whether the server asks for a key or token that this tab has not. */
export const locked = signal(false);

/** How the live parts of the page are: all connected, or since when one is not. */
export const unconnected = signal(0);

/** The key or token of this tab; as a header, and as the payload of connection_init. */
const credential = (): Record<string, string> => {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
};

export const hasKey = (): boolean => sessionStorage.getItem(KEY) !== null;

/** Keeps a key with which `check` succeeds; throws what that throws. */
export async function signIn(key: string, check: () => Promise<unknown>): Promise<void> {
  sessionStorage.setItem(KEY, key.trim());
  try {
    await check();
    locked.value = false;
  } catch (error) {
    sessionStorage.removeItem(KEY);
    throw error;
  }
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  locked.value = true;
  void sockets?.terminate();
}

/** What the server said is wrong, with the id under which its log has the request. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly code: string = '',
    readonly request: string = '',
  ) {
    super(message);
  }
}

interface Answer {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
  extensions?: Record<string, unknown>;
}

/** The whole answer to any text; only problems of the way are thrown. */
export async function post(body: object, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<[Answer, Response]> {
  let response: Response;
  try {
    response = await fetch(address, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/graphql-response+json, application/json;q=0.9',
        ...credential(),
        ...headers,
      },
      body: JSON.stringify(body),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem('The server cannot be reached. Is it running?', 'UNREACHABLE');
  }
  if (response.status === 401) locked.value = true;
  const request = response.headers.get('X-Request-Id') ?? '';
  try {
    return [(await response.json()) as Answer, response];
  } catch {
    throw new Problem(`The server answered ${response.status} ${response.statusText}.`, 'HTTP', request);
  }
}

/** A text of this server that is no GraphQL. Throws Problem. */
export async function fetched(path: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(at(path), { headers: credential(), signal });
  if (response.ok) return response.text();
  const why = response.status === 404 ? 'The server does not give that out.' : `The server answered ${response.status}.`;
  throw new Problem(why, 'HTTP', response.headers.get('X-Request-Id') ?? '');
}

/** The data of a query or mutation. Throws Problem. */
export async function ask<Data, Variables>(document: Document<Data, Variables>, variables: Variables, signal?: AbortSignal): Promise<Data> {
  const [{ data, errors }, response] = await post({ query: textOf(document), variables }, signal);
  const error = errors?.[0];
  if (error) throw new Problem(error.message, error.extensions?.code, response.headers.get('X-Request-Id') ?? '');
  return data as Data;
}

const textOf = (document: unknown): string => (document as Text).text;

const ALIVE_MS = 5000; // a network that has gone silent closes nothing: without a ping the page would stand still for ever

let sockets: Client | undefined;

function connected(): Client {
  if (sockets) return sockets;
  const url = new URL(address);
  url.protocol = url.protocol.replace('http', 'ws');
  // retryAttempts: 0 leaves reconnecting to `follow`, which knows the cursor.
  const made = createClient({ url: url.href, connectionParams: credential, retryAttempts: 0, keepAlive: ALIVE_MS, lazyCloseTimeout: 3000 });
  let unanswered: ReturnType<typeof setTimeout> | undefined;
  made.on('ping', (received) => {
    if (!received) unanswered = setTimeout(() => made.terminate(), ALIVE_MS);
  });
  made.on('pong', (received) => {
    if (received) clearTimeout(unanswered);
  });
  made.on('closed', () => clearTimeout(unanswered));
  return (sockets = made);
}

/** One try of a subscription: ends when that does, however it ends. */
export function subscribe(query: string, variables: object, onData: (data: unknown) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = connected().subscribe(
      { query, variables: variables as Record<string, unknown> },
      {
        next: ({ data, errors }) => (errors ? reject(errors) : onData(data)),
        error: reject,
        complete: resolve,
      },
    );
    signal.addEventListener('abort', stop, { once: true });
  });
}

const SOON_MS = 200;
const LATER_MS = 5000;

/**
 * Each event after a cursor once and in order, until the signal aborts: where the connection breaks it goes on after the last
 * one that came. Throws what the server will say again, such as that the credential is not good.
 */
export async function follow<Data, Variables extends { after?: string | null }, Event extends { cursor: string }>(
  document: Document<Data, Variables>,
  variables: Variables,
  eventOf: (data: Data) => Event,
  onEvent: (event: Event) => void,
  signal: AbortSignal,
): Promise<void> {
  let after = variables.after ?? null;
  let wait = SOON_MS;
  let away = false;
  const isAway = (now: boolean) => {
    if (now !== away) unconnected.value += now ? 1 : -1;
    away = now;
  };
  signal.addEventListener('abort', () => isAway(false), { once: true });
  while (!signal.aborted) {
    const back = setTimeout(() => isAway(false), 1000);
    await subscribe(
      textOf(document),
      { ...variables, after },
      (data) => {
        const event = eventOf(data as Data);
        after = event.cursor;
        wait = SOON_MS;
        isAway(false);
        onEvent(event);
      },
      signal,
    ).catch((error: unknown) => {
      if (signal.aborted) return;
      if (Array.isArray(error)) {
        const problem = problemOf(error);
        if (problem.code === 'UNAVAILABLE') return; // a store is away: its own outage ends
        throw problem;
      }
      if (isRefused(error)) {
        if (error.code === 4403) locked.value = true;
        throw new Problem(error.reason || 'The server closed the connection.', String(error.code));
      }
    });
    clearTimeout(back);
    if (signal.aborted) return;
    isAway(true);
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
    wait = Math.min(wait * 2, LATER_MS);
  }
}

const problemOf = ([error]: readonly unknown[]): Problem => {
  const { message, extensions } = error as { message: string; extensions?: { code?: string } };
  return new Problem(message, extensions?.code);
};

/** Closed for a reason that will be there again: 44xx, but for "timed out" and "went away". */
const isRefused = (error: unknown): error is CloseEvent =>
  error instanceof CloseEvent && error.code >= 4400 && error.code < 4499 && error.code !== 4408;

/** Where a path of this server is for this page, which a proxy may have put elsewhere. */
export const at = (path: string): string => new URL(path.replace(/^\//, ''), document.baseURI).href;
