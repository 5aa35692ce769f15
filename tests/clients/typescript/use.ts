// What a frontend does with the generated types; a mistake in them does not compile.
import type { ResultOf, VariablesOf } from '@graphql-typed-document-node/core';
import { ConversationDocument, LiveDocument, SayDocument } from './operations';

type Shown = ResultOf<typeof ConversationDocument>;
type Said = ResultOf<typeof SayDocument>;
type Followed = ResultOf<typeof LiveDocument>;

export const asked: VariablesOf<typeof ConversationDocument> = { session: { externalId: 'demo' }, first: 10 };
export const saying: VariablesOf<typeof SayDocument> = { input: { session: { id: 'x' }, role: 'user', text: 'Hello' } };
// @ts-expect-error a Ref is one of id and externalId
export const both: VariablesOf<typeof LiveDocument> = { session: { id: 'x', externalId: 'y' } };
// @ts-expect-error a session is needed
export const neither: VariablesOf<typeof LiveDocument> = {};

export function lines(shown: Shown): string[] {
  const edges = shown.session?.messages.edges ?? [];
  return edges.map(({ node }) => `${node.text} ${node.content.map((part) => part.__typename).join()}`);
}

export function title(shown: Shown): string | undefined {
  const created: string | undefined = shown.session?.createdAt;
  const metadata: unknown = shown.session?.metadata;
  return metadata === null ? created : shown.session?.title;
}

export function problems(said: Said): string[] {
  return said.addMessage.errors.map((error) => `${error.code}: ${error.message} ${error.path.join('.')}`);
}

export const cursor = (followed: Followed): string => followed.sessionMessages.cursor;
