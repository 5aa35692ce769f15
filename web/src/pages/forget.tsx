/** What is to be forgotten: by age, of somebody, or a little of everything. Each is counted before it can be done. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Decay, EraseAgent, EraseSession, EraseUser, Owners, Retain, type Report, type RetentionPolicy } from '../documents.ts';
import { ask } from '../server.ts';
import { asProblem, useLoad } from '../parts/load.ts';
import { Time, bytes, count } from '../parts/show.tsx';

const ID = /^[a-z]{2,4}_[0-9a-f]{32}$/;

export const Forget = () => (
  <div class="body" tabIndex={0}>
    <p class="soft">Each tells what it would do before it can be done. What your role may not do is refused.</p>
    <Retention />
    <Erasure />
    <Fading />
  </div>
);

interface Answer<Told> {
  told: Told | null;
  errors: readonly { message: string }[];
}

interface JobProps<Told> {
  title: string;
  /** What is given, in a text: another one, and what was counted holds no longer. */
  given: string;
  /** Why it cannot be counted yet. */
  lacks?: string | undefined;
  run: (dryRun: boolean) => Promise<Answer<Told>>;
  /** How many things it is about. */
  size: (told: Told) => number;
  draw: (told: Told) => ComponentChildren;
  /** On the button that does it, after the number. */
  does: (size: number) => string;
  children: ComponentChildren;
}

/** A form that is counted by a dry run, and done only after that, with just the same inputs. */
function Job<Told>({ title, given, lacks, run, size, draw, does, children }: JobProps<Told>) {
  const [state, setState] = useState<{ given: string; dryRun: boolean; told?: Told; wrong?: string }>();
  const [busy, setBusy] = useState(false);
  const start = async (dryRun: boolean) => {
    setBusy(true);
    try {
      const { told, errors } = await run(dryRun);
      setState(told ? { given, dryRun, told } : { given, dryRun, wrong: errors[0]?.message ?? 'Nothing was told.' });
    } catch (problem) {
      setState({ given, dryRun, wrong: asProblem(problem).message });
    }
    setBusy(false);
  };
  const shown = state?.given === given ? state : undefined;
  const amount = shown?.told === undefined ? 0 : size(shown.told);
  return (
    <section class="card job" aria-label={title} aria-busy={busy}>
      <h2>{title}</h2>
      <form class="line" onSubmit={(event) => (event.preventDefault(), void start(true))}>
        {children}
        <button type="submit" disabled={busy || lacks !== undefined} title={lacks}>Dry run</button>
      </form>
      {shown?.wrong && <p class="bad" role="alert">{shown.wrong}</p>}
      {shown?.told !== undefined && (
        <div role="status" class="scroll" tabIndex={0}>
          <p>{shown.dryRun ? (amount ? 'Nothing is done yet. It would be:' : 'Nothing would be done.') : 'Done:'}</p>
          {draw(shown.told)}
        </div>
      )}
      {shown?.told !== undefined && shown.dryRun && amount > 0 && (
        <p><button type="button" class="danger" disabled={busy} onClick={() => confirm(`${does(amount)}? It cannot be undone.`) && void start(false)}>{does(amount)}</button></p>
      )}
    </section>
  );
}

const KINDS = {
  SESSIONS: 'sessions, by their last activity',
  MESSAGES: 'messages',
  MEMORIES: 'memories',
  CONTEXTS: 'earlier contexts of sessions',
  TRACES: 'traces, by their start',
  BLOBS: 'files that nothing shows',
  AUDIT: 'entries of the audit log',
} as const;

function Retention() {
  const [kind, setKind] = useState<keyof typeof KINDS | ''>('');
  const [days, setDays] = useState('');
  const [most, setMost] = useState('');
  const [size, setSize] = useState('');
  const policy: RetentionPolicy | undefined = kind ? { kind, days: days ? Number(days) : null, count: most ? Number(most) : null, bytes: size ? Number(size) * 1_048_576 : null } : undefined;
  return (
    <Job title="Retention" given={JSON.stringify(policy ?? null)} lacks={policy && !days && !most && !size ? 'Say how many days, how many, or how much.' : undefined}
      run={async (dryRun) => {
        const { applyRetention } = await ask(Retain, { policies: policy ? [policy] : null, dryRun });
        return { told: applyRetention.removed, errors: applyRetention.errors };
      }}
      size={(removed) => removed.reduce((sum, one) => sum + one.count, 0)}
      does={(size) => `Delete ${size.toLocaleString()} for good`}
      draw={(removed) => removed.length ? (
        <table class="totals">
          <thead><tr><th scope="col">kind</th><th scope="col">deleted</th><th scope="col">size</th><th scope="col">oldest</th><th scope="col">latest</th></tr></thead>
          <tbody>{removed.map((one) => <tr key={one.kind}><th scope="row">{one.kind.toLowerCase()}</th><td>{one.count.toLocaleString()}</td><td>{one.bytes == null ? '' : bytes(one.bytes)}</td><td>{one.oldest && <Time at={one.oldest} />}</td><td>{one.latest && <Time at={one.latest} />}</td></tr>)}</tbody>
        </table>
      ) : <p class="soft">The settings name no policy.</p>}>
      <label>Of <select value={kind} onChange={(event) => setKind(event.currentTarget.value as keyof typeof KINDS)}>
        <option value="">all that the settings say</option>
        {Object.entries(KINDS).map(([key, text]) => <option key={key} value={key}>{text}</option>)}
      </select></label>
      {kind && <label>keep <input type="number" min={0} step="any" aria-label="Days that are kept" value={days} onInput={(event) => setDays(event.currentTarget.value)} /> days</label>}
      {kind && <label>and at most <input type="number" min={0} step={1} aria-label="How many are kept" value={most} onInput={(event) => setMost(event.currentTarget.value)} /></label>}
      {kind && <label>of <input type="number" min={0} step="any" aria-label="Megabytes that are kept" value={size} onInput={(event) => setSize(event.currentTarget.value)} /> MB</label>}
    </Job>
  );
}

const WHOM = { user: EraseUser, agent: EraseAgent, session: EraseSession } as const;

function Erasure() {
  const [kind, setKind] = useState<keyof typeof WHOM>('user');
  const [whom, setWhom] = useState('');
  const { data } = useLoad('owners', (signal) => ask(Owners, {}, signal));
  const known = kind === 'user' ? data?.users.nodes : kind === 'agent' ? data?.agents.nodes : [];
  const name = whom.trim();
  return (
    <Job<Report> title="Erasure" given={`${kind} ${name}`} lacks={name ? undefined : 'Say whom.'}
      run={async (dryRun) => {
        const { erased } = await ask(WHOM[kind], { whom: ID.test(name) ? { id: name } : { externalId: name }, dryRun });
        return { told: erased?.report ?? null, errors: erased?.errors ?? [] };
      }}
      size={(report) => report.stores.reduce((sum, store) => sum + numbers(store.removed) + numbers(store.blanked), 0)}
      does={() => `Erase the ${kind} for good`}
      draw={(report) => (
        <>
          <table class="totals">
            <thead><tr><th scope="col">store</th><th scope="col">gone</th><th scope="col">blanked</th>{!report.dryRun && <th scope="col">left</th>}</tr></thead>
            <tbody>{report.stores.map((store) => <tr key={store.store}><th scope="row">{store.store}</th><td>{told(store.removed)}</td><td>{told(store.blanked)}</td>{!report.dryRun && <td>{store.found}</td>}</tr>)}</tbody>
          </table>
          <p class="soft">{report.dryRun ? `Each store is then searched for ${count(report.searchedFor)} texts.` : `Each store was searched for ${count(report.searchedFor)} texts: ${report.found} are left, and ${report.elsewhere} that others have too.`}</p>
        </>
      )}>
      <label>Of <select value={kind} onChange={(event) => setKind(event.currentTarget.value as keyof typeof WHOM)}>{Object.keys(WHOM).map((one) => <option key={one} value={one}>{one}</option>)}</select></label>
      <input type="text" class="id" list="erasable" autocomplete="off" aria-label="Its id or external id" placeholder="id or external id" value={whom} onInput={(event) => setWhom(event.currentTarget.value)} />
      <datalist id="erasable">{known?.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}</datalist>
    </Job>
  );
}

const members = (value: unknown): [string, number][] => Object.entries((value ?? {}) as Record<string, number>).filter(([, one]) => one > 0);
const numbers = (value: unknown): number => members(value).reduce((sum, [, one]) => sum + one, 0);
const told = (value: unknown) => members(value).map(([name, one]) => <div key={name}>{name}: {one.toLocaleString()}</div>);

const ALL = ['USER', 'AGENT', 'GLOBAL'] as const; // a filter that leaves nobody out is refused, as it may be a mistake

function Fading() {
  const [owner, setOwner] = useState('');
  const [rate, setRate] = useState('0.01');
  const { data } = useLoad('owners', (signal) => ask(Owners, {}, signal));
  return (
    <Job title="Decay" given={`${owner} ${rate}`} lacks={Number(rate) > 0 ? undefined : 'Say by how much.'}
      run={async (dryRun) => {
        const { decayMemories } = await ask(Decay, { filter: owner ? { owner: { id: owner } } : { scopes: [...ALL] }, rate: Number(rate), dryRun });
        return { told: decayMemories.count === null ? null : { memories: decayMemories.count }, errors: decayMemories.errors };
      }}
      size={({ memories }) => memories}
      does={(size) => `Lower the freshness of ${size.toLocaleString()}`}
      draw={({ memories }) => <p>{memories.toLocaleString()} active {memories === 1 ? 'memory is' : 'memories are'} less fresh by {rate}, none below 0.1. Working and procedural ones stay.</p>}>
      <label>Of <select value={owner} onChange={(event) => setOwner(event.currentTarget.value)}>
        <option value="">everyone</option>
        {[...(data?.users.nodes ?? []), ...(data?.agents.nodes ?? [])].map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
      </select></label>
      <label>by <input type="number" min={0} max={1} step="any" aria-label="How much less fresh" value={rate} onInput={(event) => setRate(event.currentTarget.value)} /></label>
    </Job>
  );
}
