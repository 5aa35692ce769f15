import { graphql, type ResultOf } from '../graphql.ts';

export const Annotation = graphql(`fragment Annotation on Annotation { id name value label comment }`);
export type Annotation = ResultOf<typeof Annotation>;

export const Annotate = graphql(
  `
  mutation Annotate($input: AnnotateInput!) { annotate(input: $input) { annotation { ...Annotation } errors { message } } }
`,
  [Annotation],
);

export const TakeAway = graphql(`
  mutation TakeAway($id: ID!) { deleteAnnotations(input: { annotations: [$id] }) { annotations { id } errors { message } } }
`);
