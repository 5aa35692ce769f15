/** Typed documents. They are texts at run time; their types come from schema/schema.graphql, by way of graphql-env.d.ts. */
import type { initGraphQLTada, TadaDocumentNode } from 'gql.tada';
import type { introspection } from './graphql-env.d.ts';

interface Setup {
  introspection: introspection;
  disableMasking: true;
  scalars: { DateTime: string; JSON: unknown };
}

/** A document as it is sent: its text, with the fragments that it uses. */
export interface Text {
  text: string;
}

export type Sent<Data, Variables> = TadaDocumentNode<Data, Variables> & Text;

type Api = ReturnType<typeof initGraphQLTada<Setup>>;

class Source implements Text {
  constructor(
    private readonly own: string,
    private readonly uses: readonly Source[],
  ) {}

  get text(): string {
    return [...new Set(this.all().map(({ own }) => own))].join('\n');
  }

  private all(): Source[] {
    return [this, ...this.uses.flatMap((one) => one.all())];
  }
}

const source = (text: string, uses: readonly Source[] = []) => new Source(text.replace(/\s+/g, ' ').trim(), uses);

export const graphql = source as unknown as Api;

export type { ResultOf, VariablesOf } from 'gql.tada';
