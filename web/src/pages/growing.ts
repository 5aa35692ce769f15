/** What a graph of memories is made of: read from the server, as it is or as it was known at a time. */
import { EntityDetail, GraphOf, LinksThen, Memories, Neighborhood, SearchMemories, type GraphNode, type MemoryRow } from '../documents.ts';
import { asProblem } from '../parts/load.ts';
import type { Edge, Node } from '../plane.ts';
import { ask } from '../server.ts';

const AT_FIRST = 100;

export interface Known extends Node {
  owner: string | null;
  createdAt: number;
}

export interface Graph {
  nodes: ReadonlyMap<string, Known>;
  edges: ReadonlyMap<string, Edge>;
}

/** All that is read of a part of the graph. */
export interface Part {
  nodes: Known[];
  edges: Edge[];
  truncated?: boolean;
}

export const NONE: Graph = { nodes: new Map(), edges: new Map() };

export function known(node: GraphNode): Known {
  const base = { id: node.id, x: NaN, y: NaN, strength: 1, size: 7, owner: null, createdAt: 0 };
  switch (node.__typename) {
    case 'Memory':
      return { ...base, kind: node.type, label: node.text, size: 4 + 9 * node.importance, strength: node.decayFactor, owner: node.owner?.id ?? null, createdAt: Date.parse(node.createdAt) };
    case 'Message':
      return { ...base, kind: 'MESSAGE', label: node.messageText, size: 5 };
    case 'User':
    case 'Agent':
      return { ...base, kind: 'ACTOR', label: node.name };
    case 'Entity':
      return { ...base, kind: 'ENTITY', label: node.name, size: 8 };
    default:
      return { ...base, kind: 'SESSION', label: 'title' in node ? (node.title as string) : node.__typename };
  }
}

export function joined(graph: Graph, nodes: readonly Known[], edges: readonly Edge[]): Graph {
  const all = new Map(graph.nodes);
  for (const node of nodes) all.set(node.id, node);
  const lines = new Map(graph.edges);
  for (const edge of edges) lines.set(`${edge.source} ${edge.kind} ${edge.target}`, edge);
  return { nodes: all, edges: lines };
}

export async function around(id: string, depth: number, limit: number, query: URLSearchParams): Promise<Part> {
  const { memory } = await ask(Neighborhood, { id, depth, limit, include: included(query) as ['MESSAGES'], asOf: query.get('asOf') });
  if (!memory) throw asProblem('There is no such memory: it may have expired or been deleted.');
  const { nodes, edges, truncated } = memory.neighborhood;
  return { nodes: nodes.map(known), edges: [...edges], truncated };
}

/** An entity with the memories that mention it, newest first. */
export async function mentioning(id: string, limit: number): Promise<Part> {
  const { entity } = await ask(EntityDetail, { id, first: Math.min(limit, 200) });
  if (!entity) throw asProblem('There is no such entity: it may have been deleted.');
  const nodes = entity.memories.nodes.map((row) => known({ ...row, __typename: 'Memory' }));
  const edges = nodes.map((node) => ({ source: node.id, target: id, kind: 'MENTIONS', weight: 1 }));
  return { nodes: [known({ ...entity, entityType: entity.type }), ...nodes], edges, truncated: entity.memories.pageInfo.hasNextPage };
}

/** Memories by their ids, with their links, as they are now. */
export async function of(ids: readonly string[]): Promise<Part> {
  if (!ids.length) return { nodes: [], edges: [] };
  const { nodes } = await ask(GraphOf, { ids: [...ids] });
  const memories = nodes.filter((node) => node?.__typename === 'Memory');
  const edges = memories.flatMap(({ links }) => links.nodes.flatMap(({ source, target, kind, weight }) => (source ? [{ source: source.id, target: target.id, kind, weight }] : [])));
  return { nodes: memories.map((node) => known(node)), edges };
}

/** Memories as they were known at a time, with the links that were known then. */
async function then(rows: readonly MemoryRow[], asOf: string): Promise<Part> {
  const nodes = rows.map((row) => known({ ...row, __typename: 'Memory' }));
  if (!rows.length) return { nodes, edges: [] };
  const found = await ask(LinksThen, { ids: rows.map(({ id }) => id), asOf });
  return { nodes, edges: found.nodes.flatMap((node) => (node?.__typename === 'Memory' ? [...node.neighborhood.edges] : [])) };
}

export async function begin(query: URLSearchParams): Promise<Part> {
  const [start, asOf] = [query.get('start'), query.get('asOf')];
  if (start?.startsWith('ent_')) return mentioning(start, Number(query.get('limit') ?? 150));
  if (start) return around(start, Number(query.get('depth') ?? 2), Number(query.get('limit') ?? 150), query);
  const filter = { ...(query.get('owner') ? { owner: { id: query.get('owner')! } } : {}), ...(query.get('type') ? { types: [query.get('type') as 'SEMANTIC'] } : {}) };
  const read = (rows: readonly MemoryRow[]) => (asOf ? then(rows, asOf) : of(rows.map(({ id }) => id)));
  if (query.get('text')) {
    const { hits } = (await ask(SearchMemories, { query: { text: query.get('text')! }, mode: 'HYBRID', threshold: 0, filter: Object.keys(filter).length ? filter : null, asOf })).searchMemories;
    return read(hits.map(({ memory }) => memory));
  }
  const { nodes, pageInfo } = (await ask(Memories, { first: AT_FIRST, filter, orderBy: { field: 'UPDATED_AT', direction: 'DESC' }, asOf })).memories;
  return { ...(await read(nodes)), truncated: pageInfo.hasNextPage };
}

export const INCLUDED = ['MESSAGES', 'SESSIONS', 'ACTORS', 'ENTITIES'];
const included = (query: URLSearchParams) => INCLUDED.filter((name) => query.get('with')?.includes(name));
