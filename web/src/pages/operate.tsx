/** How the server is: its stores, its figures, who did what, and who may. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { AuditLog, CreateKey, Health, Keys, RevokeKey, Tools, type AuditRow } from '../documents.ts';
import { put } from '../route.ts';
import { ask, fetched } from '../server.ts';
import { List } from '../parts/list.tsx';
import { addressOf } from '../parts/palette.tsx';
import { asProblem, useCalm, useLive, useLoad } from '../parts/load.ts';
import { useRows } from '../parts/rows.ts';
import { Badge, Copy, Empty, Time, Trouble, count, span } from '../parts/show.tsx';
import { Figures, type Sample } from '../parts/figures.tsx';
import { go } from '../route.ts';
import type { PageProps } from '../shell.tsx';
import { Forget } from './forget.tsx';

const TABS: Record<string, string> = { '': 'Health', figures: 'Figures', tools: 'Tools', audit: 'Audit', keys: 'Keys', forget: 'Forget' };
const EVERY_MS = 2000;
const KEPT = 90; // samples: three minutes

export default function OperatePage({ query }: PageProps) {
  const tab = query.get('tab') ?? '';
  return (
    <div class="pane operate">
      <header class="head">
        <h1>Operate</h1>
        <div class="tabs" role="tablist" aria-label="Operate">
          {Object.entries(TABS).map(([key, text]) => <button key={key} type="button" role="tab" aria-selected={key === tab} onClick={() => put({ tab: key })}>{text}</button>)}
        </div>
      </header>
      {tab === '' && <Stores />}
      {tab === 'figures' && <Metrics />}
      {tab === 'tools' && <ToolTable />}
      {tab === 'audit' && <Audit query={query} />}
      {tab === 'keys' && <KeyTable />}
      {tab === 'forget' && <Forget />}
    </div>
  );
}

/** What `read` gives, again and again; the latest samples are kept. */
function useSamples<Value>(read: (signal: AbortSignal) => Promise<Value>) {
  const [samples, setSamples] = useState<Sample<Value>[]>([]);
  const [error, setError] = useState<ReturnType<typeof asProblem>>();
  useLive('', async (signal) => {
    while (!signal.aborted) {
      try {
        const value = await read(signal);
        if (signal.aborted) return;
        setSamples((now) => [...now, { at: Date.now(), value }].slice(-KEPT));
        setError(undefined);
      } catch (problem) {
        if (!signal.aborted) setError(asProblem(problem));
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  });
  return { samples, error };
}

function Stores() {
  const { samples, error } = useSamples(async (signal) => (await ask(Health, {}, signal)).health);
  const now = samples.at(-1)?.value;
  return (
    <div class="body" tabIndex={0}>
      {error && <Trouble error={error} />}
      {!now && !error && <p class="soft">Asking…</p>}
      {now && <p class="line"><span>The server is</span> <Badge of={now.status} /></p>}
      <ul class="cards">
        {now?.stores.map((store) => (
          <li key={store.name} class="card">
            <p class="line"><strong>{store.name}</strong> <Badge of={store.status} /> {store.circuit && store.circuit !== 'closed' && <Badge of={store.circuit} />}</p>
            <Figures values={samples.map(({ value }) => value.stores.find(({ name }) => name === store.name)?.latencyMs ?? 0)} label={`Latency of ${store.name}`} />
            <p class="figure">{span(store.latencyMs)}{store.backlog > 0 && <span class="bad"> · {count(store.backlog)} changes wait</span>}</p>
            {store.reason && <p class="bad">{store.reason}</p>}
          </li>
        ))}
      </ul>
    </div>
  );
}


interface Family {
  help: string;
  type: string;
  value: number;
}

/** Prometheus' text, summed over labels. */
function parsed(text: string): Map<string, Family> {
  const found = new Map<string, Family>();
  for (const line of text.split('\n')) {
    const told = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (told) {
      const family = found.get(told[2]!) ?? { help: '', type: '', value: 0 };
      told[1] === 'HELP' ? (family.help = told[3]!) : (family.type = told[3]!);
      found.set(told[2]!, family);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)$/.exec(line);
    const family = sample && (found.get(sample[1]!) ?? found.get(sample[1]!.replace(/_(total|count)$/, '')));
    if (family) family.value += Number(sample[2]);
  }
  return found;
}

function Metrics() {
  const { samples, error } = useSamples(async (signal) => parsed(await fetched('metrics', signal)));
  const now = samples.at(-1)?.value;
  const names = [...(now?.keys() ?? [])].filter((name) => !/_created$/.test(name));
  return (
    <div class="body" tabIndex={0}>
      {error && <Trouble error={error} />}
      {!now && !error && <p class="soft">Asking…</p>}
      <p class="soft">Of the last three minutes, since this page was opened; counters as rates a second. All of it, by label, is at <code>/metrics</code>.</p>
      <ul class="cards">
        {names.map((name) => {
          const { help, type } = now!.get(name)!;
          const isRate = type === 'counter' || type === 'histogram' || type === 'summary';
          const values = samples.map(({ value }) => value.get(name)?.value ?? 0);
          const shown = isRate ? values.slice(1).map((value, index) => Math.max(0, (value - values[index]!) / ((samples[index + 1]!.at - samples[index]!.at) / 1000))) : values;
          const last = shown.at(-1);
          return (
            <li key={name} class="card">
              <p class="line"><code>{name}</code></p>
              <Figures values={shown} label={name} />
              <p class="figure">{last === undefined ? '…' : isRate ? `${last.toFixed(1)} a second` : count(last)}</p>
              <p class="soft">{help}</p>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function ToolTable() {
  const { data, error } = useLoad('tools', async (signal) => (await ask(Tools, {}, signal)).toolStats);
  if (error) return <Trouble error={error} />;
  if (data && !data.length) return <Empty title="No tool ran yet"><p>Runs come by <code>startToolExecution</code> and by spans of tools.</p></Empty>;
  const ms = (value: number | null) => (value === null ? '' : span(value));
  return (
    <div class="body scroll" tabIndex={0}>
      <table>
        <thead><tr><th>Tool</th><th>Runs</th><th>Pending</th><th>OK</th><th>Failed</th><th>Timed out</th><th>Half within</th><th>95 of 100 within</th><th>Longest</th></tr></thead>
        <tbody>
          {data?.map((tool) => (
            <tr key={tool.tool}>
              <td><bdi>{tool.tool}</bdi></td><td>{count(tool.count)}</td><td>{tool.pending || ''}</td><td>{tool.ok || ''}</td>
              <td class={tool.error ? 'bad' : ''}>{tool.error || ''}</td><td class={tool.timeout ? 'bad' : ''}>{tool.timeout || ''}</td>
              <td>{ms(tool.p50Ms)}</td><td>{ms(tool.p95Ms)}</td><td>{ms(tool.maxMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Audit({ query }: { query: URLSearchParams }) {
  const action = query.get('action') ?? '';
  const outcome = query.get('outcome') ?? '';
  const key = useCalm(`${action}/${outcome}`);
  const filter = { ...(action ? { actions: [action] } : {}), ...(outcome ? { outcomes: [outcome] } : {}) };
  const list = useRows<AuditRow>(key, { page: async (after, signal) => [(await ask(AuditLog, { first: 100, after, filter }, signal)).auditLog] });
  const open = (row: AuditRow) => row.targets[0] && void addressOf(row.targets[0]).then((address) => address && go(address));
  return (
    <>
      <div class="filters">
        <input type="search" aria-label="Action" placeholder="Action, such as createMemory" value={action} onInput={(event) => put({ action: event.currentTarget.value })} />
        <input type="text" aria-label="Outcome" placeholder="outcome" value={outcome} onInput={(event) => put({ outcome: event.currentTarget.value })} />
      </div>
      {list.error && <Trouble error={list.error} again={list.again} />}
      {!list.busy && !list.error && !list.rows.length && <Empty title="Nothing was written down"><p>Each mutation has an entry here, and each export.</p></Empty>}
      {list.rows.length > 0 && (
        <div class="grow" onClick={(event) => {
          const row = list.rows[Number((event.target as Element).closest<HTMLElement>('[data-index]')?.dataset['index'])];
          if (row) (event.preventDefault(), open(row));
        }}>
          <List rows={list.rows} label="Audit log" height={38} id={({ id }) => id} address={() => `${location.pathname}${location.search}`} hasMore={list.hasMore} onMore={list.more}
            draw={(row) => (
              <span class="second">
                <Time at={row.time} /> <strong><bdi>{row.action}</bdi></strong> <Badge of={row.outcome === 'OK' ? 'OK' : 'ERROR'} title={row.outcome} />
                <span class="soft cut"><bdi>{row.callerName}</bdi></span> <span class="soft cut">{row.outcome === 'OK' ? row.targets.join(' ') : row.outcome}</span>
              </span>
            )} />
        </div>
      )}
    </>
  );
}

function KeyTable() {
  const { data, error, again } = useLoad('keys', async (signal) => (await ask(Keys, {}, signal)).apiKeys);
  const [secret, setSecret] = useState('');
  const [wrong, setWrong] = useState('');
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => () => setSecret(''), []);
  const create = async (event: Event) => {
    event.preventDefault();
    const given = new FormData(form.current!);
    try {
      const { createApiKey } = await ask(CreateKey, { input: { name: String(given.get('name')), role: String(given.get('role')) as 'READ' } });
      setWrong(createApiKey.errors[0]?.message ?? '');
      setSecret(createApiKey.secret ?? '');
      form.current!.reset();
      again();
    } catch (problem) {
      setWrong(asProblem(problem).message);
    }
  };
  const revoke = async (id: string, name: string) => {
    if (!confirm(`Revoke the key ${name}? Who uses it is refused within seconds.`)) return;
    const { revokeApiKey } = await ask(RevokeKey, { id });
    setWrong(revokeApiKey.errors[0]?.message ?? '');
    again();
  };
  if (error) return <Trouble error={error} again={again} />;
  return (
    <div class="body" tabIndex={0}>
      <form class="filters" ref={form} onSubmit={(event) => void create(event)}>
        <input type="text" name="name" required aria-label="What the key is for" placeholder="What the key is for" />
        <select name="role" aria-label="Role"><option value="READ">read</option><option value="WRITE">write</option><option value="ADMIN">admin</option></select>
        <button type="submit" class="main">Make a key</button>
      </form>
      {wrong && <p class="bad" role="alert">{wrong}</p>}
      {secret && <p class="card" role="status">The key, which is shown only now: <code>{secret}</code> <Copy text={secret} what="key" /></p>}
      {data && !data.length && <Empty title="No keys"><p>Without any, who uses this machine may do all. The first key closes the server at its next start.</p></Empty>}
      {data && data.length > 0 && (
        <div class="scroll" tabIndex={0}>
          <table>
            <thead><tr><th>Name</th><th>Role</th><th>Made</th><th>Good until</th><th></th></tr></thead>
            <tbody>
              {data.map(({ id, name, role, createdAt, expiresAt, revokedAt }) => (
                <tr key={id}>
                  <td><bdi>{name}</bdi></td><td>{role.toLowerCase()}</td><td><Time at={createdAt} /></td>
                  <td>{revokedAt ? <>revoked <Time at={revokedAt} /></> : expiresAt ? <Time at={expiresAt} /> : 'it is revoked'}</td>
                  <td>{!revokedAt && <button type="button" onClick={() => void revoke(id, name)}>Revoke</button>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
