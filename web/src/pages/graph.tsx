/** The graph of memories: it begins with a memory, an owner or a search, and a click lets it grow. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Forecast, MemoryChanges, MemoryCursor, MemoryDetail, Owners, Paths, type MemoryChange } from '../documents.ts';
import { ask, follow, type Problem } from '../server.ts';
import { put, to } from '../route.ts';
import { asProblem, useCalm, useLive, useLoad } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Empty, Trouble } from '../parts/show.tsx';
import { Plane, type Node } from '../plane.ts';
import { AsOf } from '../parts/asof.tsx';
import { INCLUDED, NONE, around, begin, joined, known, mentioning, of, type Graph, type Known } from './growing.ts';
import { EntityShown } from './entity.tsx';
import { MemoryShown } from './memory.tsx';

const DECAY = 0.01; // a day, as decayMemories does where nothing else is said
const AT_ONCE = 100; // memories that are asked for when they have changed
const MOST = 2000; // nodes of a graph that grows by itself
const TYPES = ['EPISODIC', 'SEMANTIC', 'PROCEDURAL', 'WORKING'];
export function GraphView({ query }: { query: URLSearchParams }) {
  const asOf = query.get('asOf');
  const [turn, setTurn] = useState(0);
  const [after, setAfter] = useState<string>();
  const start = [turn, ...['start', 'owner', 'text', 'type', 'depth', 'limit', 'with', 'asOf'].map((name) => query.get(name) ?? '')].join('\n');
  const [graph, setGraph] = useState<Graph>(NONE);
  const [error, setError] = useState<Problem>();
  const [note, setNote] = useState('');
  const [weight, setWeight] = useState(0);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [path, setPath] = useState<readonly string[]>([]);
  const [from, setFrom] = useState<string>();
  const [listed, setListed] = useState(false);
  const [trail, setTrail] = useState<readonly string[]>([]);
  const host = useRef<HTMLDivElement>(null);
  const plane = useRef<Plane | undefined>(undefined);
  const selected = query.get('node');
  const failed = (problem: unknown) => setError(asProblem(problem));

  const click = useRef<(node: Node | undefined) => void>(() => undefined);
  useEffect(() => {
    plane.current = new Plane(host.current!, (node) => click.current(node));
    return () => plane.current?.close();
  }, []);

  useEffect(() => {
    let gone = false;
    setAfter(undefined);
    setPath([]);
    setTrail([]);
    const read = async () => {
      const after = asOf ? undefined : (await ask(MemoryCursor, {})).memoryCursor; // before the graph, so that no change is missed
      return { after, ...(await begin(query)) };
    };
    read().then(({ after, nodes, edges, truncated }) => {
      if (gone) return;
      setAfter(after);
      setError(undefined);
      setGraph(joined(NONE, nodes, edges));
      setNote(truncated ? 'There is more: click a memory to let it grow.' : '');
    }, failed);
    return () => {
      gone = true;
    };
  }, [start]);

  const oldest = useRef(Infinity); // also where a time is shown before the first of them
  for (const { createdAt } of graph.nodes.values()) if (createdAt) oldest.current = Math.min(oldest.current, createdAt);
  const nodes = useMemo(() => [...graph.nodes.values()].filter(({ kind }) => !hidden.has(kind)), [graph, hidden]);
  const link = query.get('link');
  const links = useMemo(() => [...new Set([...graph.edges.values()].map(({ kind }) => kind))].sort(), [graph]);
  const edges = useMemo(() => {
    const shown = new Set(nodes.map(({ id }) => id));
    return [...graph.edges.values()].filter((edge) => edge.weight >= weight && (!link || edge.kind === link) && shown.has(edge.source) && shown.has(edge.target));
  }, [graph, nodes, weight, link]);
  useEffect(() => plane.current?.show(nodes, edges), [nodes, edges]);
  const ahead = useCalm(asOf ? 0 : Number(query.get('ahead') ?? 0), 150);
  const [strengths, foreseen] = useStrengths(nodes, ahead, query.get('owner'));
  useEffect(() => {
    const near = edges.flatMap(({ source, target }) => (source === selected ? [target] : target === selected ? [source] : []));
    plane.current?.dress({ focus: new Set(path.length ? path : selected ? [selected, ...near] : []), selected, path, strengths });
  }, [selected, path, nodes, edges, strengths]);

  const grow = async (id: string) => {
    const found = id.startsWith('ent_') ? await mentioning(id, 60) : await around(id, 1, 60, query);
    setGraph((now) => {
      const fresh = found.nodes.filter((node) => !now.nodes.has(node.id));
      setNote(fresh.length ? `${fresh.length} more around it` : '');
      return joined(now, fresh, found.edges);
    });
  };
  const connect = async (one: string, other: string) => {
    const [found] = (await ask(Paths, { from: one, to: other })).memoryPaths;
    setFrom(undefined);
    if (!found) return setNote('No path of six links leads from one to the other.');
    setGraph((now) => joined(now, found.memories.filter(({ id }) => !now.nodes.has(id)).map((memory) => known({ __typename: 'Memory', ...memory })),
      found.links.flatMap(({ source, target, kind, weight }) => (source ? [{ source: source.id, target: target.id, kind: kind as 'RELATED', weight }] : []))));
    setPath(found.memories.map(({ id }) => id));
    setNote(`${found.length} ${found.length === 1 ? 'link' : 'links'} from one to the other`);
  };
  click.current = (node) => {
    setPath([]);
    if (!node) return put({ node: null });
    if (from && node.id !== from) return void connect(from, node.id).catch(failed);
    put({ node: node.id }, false);
    setTrail((now) => [...now.filter((id) => id !== node.id), node.id].slice(-6));
    if (node.kind === 'ENTITY' || TYPES.includes(node.kind)) void grow(node.id).catch(failed);
  };

  const told = useRef(new Set<string>());
  const changed = ({ kind, memoryId, memory, left, link }: MemoryChange) => {
    if (left || !memory) {
      setGraph((now) => {
        const rest = new Map(now.nodes);
        rest.delete(memoryId);
        return rest.size === now.nodes.size ? now : { ...now, nodes: rest };
      });
      return;
    }
    const ends = link ? [link.source?.id, link.target.id] : [memoryId];
    if (!told.current.size) setTimeout(() => void arrived(), 200);
    for (const id of ends) if (id) told.current.add(id);
    setNote(`${kind.toLowerCase()}: ${memory.text.slice(0, 60)}`);
  };
  const arrived = async () => {
    const ids = [...told.current].slice(0, AT_ONCE);
    for (const id of ids) told.current.delete(id);
    if (told.current.size) setTimeout(() => void arrived(), 200);
    const found = await of(ids).catch(() => undefined);
    if (!found) return;
    setGraph((now) => {
      if (now.nodes.size > MOST) {
        setNote('There is more than is shown: choose whose, or search.');
        return joined(now, found.nodes.filter(({ id }) => now.nodes.has(id)), found.edges);
      }
      const linked = (id: string) => found.edges.some(({ source, target }) => (source === id && now.nodes.has(target)) || (target === id && now.nodes.has(source)));
      const open = !query.get('start') && !query.get('text');
      return joined(now, found.nodes.filter(({ id }) => now.nodes.has(id) || open || linked(id)), found.edges);
    });
  };
  useLive(after === undefined ? undefined : `${start} ${after}`, (signal) => {
    const filter = query.get('owner') ? { owner: { id: query.get('owner')! } } : null;
    return follow(MemoryChanges, { filter, after }, (data) => data.memoryChanges, changed, signal);
  }, (problem) => (problem.code === 'CURSOR_EXPIRED' ? setTurn(turn + 1) : failed(problem)));

  useKeys([
    { key: 'Escape', does: 'Nothing selected', run: () => (setPath([]), setFrom(undefined), put({ node: null })) },
    { key: 'f', does: 'All in sight', run: () => plane.current?.fit() },
  ]);
  const chosen = selected ? graph.nodes.get(selected) : undefined;
  const flip = (kind: string) => {
    const next = new Set(hidden);
    next.delete(kind) || next.add(kind);
    setHidden(next);
  };
  return (
    <div class={selected ? 'split graph-page open' : 'split graph-page'}>
      <section class="pane" aria-label="Memory graph">
        <Controls query={query} />
        <div class="bar">
          {TYPES.map((kind) => <label key={kind}><input type="checkbox" checked={!hidden.has(kind)} onChange={() => flip(kind)} /> <Badge of={kind} /></label>)}
          {(link || links.length > 1) && (
            <select aria-label="Links" value={link ?? ''} onChange={(event) => put({ link: event.currentTarget.value })}>
              <option value="">all links</option>
              {[...new Set(link ? [link, ...links] : links)].map((kind) => <option key={kind} value={kind}>{kind.toLowerCase().replaceAll('_', ' ')}</option>)}
            </select>
          )}
          <label>weight from <input type="range" min={0} max={1} step={0.05} value={weight} onInput={(event) => setWeight(Number(event.currentTarget.value))} /> <span class="figure">{weight.toFixed(2)}</span></label>
          {!asOf && <label>ahead <input type="range" aria-label="Days ahead" min={0} max={AHEAD} value={query.get('ahead') ?? 0} onInput={(event) => put({ ahead: Number(event.currentTarget.value) ? event.currentTarget.value : null })} /> <span class="figure">{query.get('ahead') ? `${query.get('ahead')} days` : 'now'}</span></label>}
          <AsOf query={query} oldest={oldest.current} />
          {chosen && <button type="button" aria-pressed={from !== undefined} onClick={() => (setFrom(from ? undefined : selected!), setNote('Click where the path shall lead.'))}>Path to…</button>}
          <button type="button" class="quiet" onClick={() => plane.current?.fit()}>all in sight</button>
          <span class="soft" role="status">{nodes.length} nodes, {edges.length} edges{foreseen && ` · ${foreseen}`}{note && ` · ${note}`}</span>
        </div>
        {trail.length > 1 && (
          <nav class="bar trail" aria-label="Where you were">
            {trail.map((id) => <button key={id} type="button" class="quiet" onClick={() => (put({ node: id }), plane.current?.centre(id))}><bdi>{graph.nodes.get(id)?.label.slice(0, 28)}</bdi></button>)}
          </nav>
        )}
        {error && <Trouble error={error} />}
        <div class="plane" ref={host} role="img" aria-label={`A graph of ${nodes.length} nodes and ${edges.length} edges; the list below it says the same`} />
        {!nodes.length && !error && <Empty title="No memories to show"><p>Search for some above, or choose whose.</p></Empty>}
        <details class="as-list" onToggle={(event) => setListed(event.currentTarget.open)}>
          <summary>As a list</summary>
          {listed && <ul class="plain">{nodes.slice(0, 200).map((node) => <li key={node.id}><button type="button" class="quiet" onClick={() => click.current(node)}><Badge of={node.kind} /> <bdi>{node.label.slice(0, 120)}</bdi></button></li>)}</ul>}
        </details>
      </section>
      {selected && <Chosen key={selected} id={selected} node={chosen} asOf={asOf} />}
    </div>
  );
}

const AHEAD = 365; // days
const FADING: ReadonlySet<string> = new Set(['EPISODIC', 'SEMANTIC']);
const FLOOR = 0.1;
const DAY_MS = 86_400_000;

/** How fresh each memory will be in some days, 0 where it is gone, and that in words; nothing for now. */
function useStrengths(nodes: readonly Known[], days: number, owner: string | null): [ReadonlyMap<string, number>, string] {
  const { data } = useLoad(`${days} ${owner}`, async (signal) => {
    if (!days) return undefined;
    const at = new Date(Date.now() + days * DAY_MS).toISOString();
    const filter = owner ? { owner: { id: owner } } : null;
    return (await ask(Forecast, { at, filter, decayPerDay: DECAY, bucket: 'MONTH', zone: 'UTC' }, signal)).memoryForecast;
  });
  return useMemo(() => {
    if (!days || !data) return [new Map(), ''];
    const gone = new Set(data.fates.filter(({ cause }) => cause !== 'FADED').map(({ memory }) => memory.id));
    const found = new Map(nodes.filter(({ id }) => id.startsWith('mem_')).map(({ id, kind, strength }) => [id, gone.has(id) ? 0 : FADING.has(kind) ? Math.max(FLOOR, strength - DECAY * days) : strength]));
    return [found, `in ${days} days ${data.faded} faded, ${data.ended + data.expired + data.evicted} gone`];
  }, [nodes, days, data]);
}

function Chosen({ id, node, asOf }: { id: string; node: Known | undefined; asOf: string | null }) {
  const isMemory = id.startsWith('mem_');
  const { data, error } = useLoad(isMemory ? `${id} ${asOf}` : '', async (signal) => (isMemory ? (await ask(MemoryDetail, { id, asOf }, signal)).memory : null));
  const address = node?.kind === 'SESSION' ? to(['sessions', id]) : node?.kind === 'ACTOR' ? to(['memories'], { owner: id }) : undefined;
  return (
    <aside class="pane why" aria-label="Selected">
      <header class="line"><h2>{isMemory ? 'Memory' : (node?.kind.toLowerCase() ?? '')}</h2><button type="button" class="quiet" onClick={() => put({ node: null })} aria-label="Close">✕</button></header>
      {error && <Trouble error={error} />}
      {data && <><p class="line"><a href={to(['memories', id], asOf ? { asOf } : {})}>open</a> <a href={to(['memories'], { view: 'graph', start: id, ...(asOf ? { asOf } : {}) })}>begin here</a></p><MemoryShown memory={data} /></>}
      {node?.kind === 'ENTITY' && <EntityShown id={id} />}
      {!isMemory && node && node.kind !== 'ENTITY' && <p dir="auto">{address ? <a href={address}>{node.label}</a> : node.label}</p>}
    </aside>
  );
}

function Controls({ query }: { query: URLSearchParams }) {
  const { data } = useLoad('owners', (signal) => ask(Owners, {}, signal));
  const owners = [...(data?.users.nodes ?? []), ...(data?.agents.nodes ?? [])];
  const withs = query.get('with') ?? '';
  const [text, setText] = useState(query.get('text') ?? '');
  return (
    <form class="filters" role="search" onSubmit={(event) => (event.preventDefault(), put({ text, start: null, node: null }))}>
      <a class="button" href={to(['memories'], Object.fromEntries(['text', 'owner', 'type', 'asOf'].map((name) => [name, query.get(name) ?? ''])))}>List</a>
      <input type="search" aria-label="Begin with a search" placeholder="Begin with a search, and Enter" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <select aria-label="Owner" value={query.get('owner') ?? ''} onChange={(event) => put({ owner: event.currentTarget.value, start: null, node: null })}>
        <option value="">anyone's</option>
        {owners.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
      </select>
      {query.get('start') && (
        <>
          <select aria-label="Reach" value={query.get('depth') ?? '2'} onChange={(event) => put({ depth: event.currentTarget.value })}>
            {[1, 2, 3, 4, 6].map((depth) => <option key={depth} value={depth}>{depth} {depth === 1 ? 'link' : 'links'} far</option>)}
          </select>
          <select aria-label="How many" value={query.get('limit') ?? '150'} onChange={(event) => put({ limit: event.currentTarget.value })}>
            {[50, 150, 500, 1000].map((limit) => <option key={limit} value={limit}>up to {limit}</option>)}
          </select>
          {INCLUDED.map((name) => (
            <label key={name}><input type="checkbox" checked={withs.includes(name)} onChange={() => put({ with: withs.includes(name) ? withs.replace(name, '').replace(/^,|,$|,(?=,)/g, '') : [withs, name].filter(Boolean).join() })} /> {name.toLowerCase()}</label>
          ))}
        </>
      )}
    </form>
  );
}
