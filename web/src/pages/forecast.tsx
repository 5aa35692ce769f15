/** What will be forgotten by when, and why: a time is chosen by a slider below the chart. */
import { Forecast, Owners, type Forecast as Told } from '../documents.ts';
import { ask } from '../server.ts';
import { put, to } from '../route.ts';
import { Chart } from '../parts/chart.tsx';
import { useLoad } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Empty, Time, Trouble } from '../parts/show.tsx';

const DAY_MS = 86_400_000;
const REACHES: Record<string, string> = { 7: 'a week', 30: 'a month', 90: 'three months', 365: 'a year', 3650: 'ten years' };
const RATES: Record<string, string> = { 0: 'nothing fades', '0.005': '0.005 a day', '0.01': '0.01 a day', '0.02': '0.02 a day', '0.05': '0.05 a day' };
const PARTS = ['faded', 'ended', 'expired', 'evicted'] as const;
const MEANING: Record<(typeof PARTS)[number], string> = {
  faded: 'as faint as a memory gets',
  ended: 'the fact holds no longer',
  expired: 'their time to live is over',
  evicted: 'archived, as their owner has too many',
};
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function ForecastView({ query }: { query: URLSearchParams }) {
  const reach = Number(Object.keys(REACHES).find((days) => days === query.get('reach')) ?? 90);
  const rate = Object.keys(RATES).find((one) => one === query.get('rate')) ?? '0.01';
  const day = Number(query.get('day') ?? NaN);
  const owner = query.get('owner') ?? '';
  const owners = useLoad('owners', (signal) => ask(Owners, {}, signal)).data;
  const { data, error, busy, again } = useLoad(`${reach} ${rate} ${owner}`, async (signal) => {
    const now = Date.now();
    const at = new Date(now + reach * DAY_MS).toISOString();
    const filter = owner ? { owner: { id: owner } } : null;
    const { memoryForecast } = await ask(Forecast, { at, filter, decayPerDay: Number(rate), bucket: reach > 400 ? 'MONTH' : 'DAY', zone }, signal);
    return { now, reach, told: memoryForecast };
  });
  useKeys([{ key: 'Escape', does: 'To the memories', run: () => put({ view: null, reach: null, rate: null, day: null }, false) }]);
  const select = (name: string, label: string, value: string, options: Record<string, string>) => (
    <select aria-label={label} value={value} onChange={(event) => put({ [name]: event.currentTarget.value, day: null })}>
      {Object.entries(options).map(([key, text]) => <option key={key} value={key}>{text}</option>)}
    </select>
  );
  return (
    <section class="pane" aria-label="Forecast of forgetting">
      <div class="filters">
        <a class="button" href={to(['memories'], { owner })}>List</a>
        <a class="button" href={to(['memories'], { view: 'graph', owner })}>Graph</a>
        {select('owner', 'Owner', owner, { '': "anyone's", ...Object.fromEntries([...(owners?.users.nodes ?? []), ...(owners?.agents.nodes ?? [])].map(({ id, name }) => [id, name])) })}
        {select('reach', 'How far', String(reach), REACHES)}
        {select('rate', 'How fast they fade', rate, RATES)}
      </div>
      {error && <Trouble error={error} again={again} />}
      {!data && !error && <p class="soft wait">Foreseeing…</p>}
      {data && <Shown told={data.told} now={data.now} reach={data.reach} day={day >= 0 ? Math.min(data.reach, day) : data.reach} busy={busy} />}
    </section>
  );
}

interface ShownProps {
  told: Told;
  now: number;
  reach: number;
  day: number;
  busy: boolean;
}

function Shown({ told, now, reach, day, busy }: ShownProps) {
  const time = now + day * DAY_MS;
  const end = now + reach * DAY_MS;
  const date = new Date(time).toLocaleDateString(undefined, { dateStyle: 'medium' });
  const bars = told.buckets.map((bucket) => ({ at: Math.max(0, (Date.parse(bucket.startsAt) - now) / (end - now)), values: PARTS.map((part) => bucket[part]) }));
  const by = (part: (typeof PARTS)[number]) => (day >= reach ? told[part] : told.buckets.reduce((sum, bucket) => sum + (Date.parse(bucket.startsAt) <= time ? bucket[part] : 0), 0));
  const fates = told.fates.filter((fate) => Date.parse(fate.time) <= time);
  const total = PARTS.reduce((sum, part) => sum + by(part), 0);
  const words = PARTS.map((part) => `${by(part)} ${part}`).join(', ');
  return (
    <div class="body forecast" tabIndex={0} aria-busy={busy}>
      <h1 tabIndex={-1}>What is forgotten by {date}</h1>
      <p class="soft">Of {told.active.toLocaleString()} active memories, if they fade at that rate each day and as many come as in the {reach} days before now. Nothing is changed by looking.</p>
      <dl class="facts">
        {PARTS.map((part) => <div key={part} title={MEANING[part]}><dt><span class={`dot part ${part}`} /> {part}</dt><dd class="big">{by(part).toLocaleString()}</dd></div>)}
      </dl>
      <Chart bars={bars} parts={PARTS} width={reach > 400 ? 30 / reach : 1 / reach} until={day / reach} label={`By ${date}: ${words}`} />
      <input type="range" class="wide" aria-label="By when" aria-valuetext={`${date}: ${words}`} min={0} max={reach} step={1} value={day} onInput={(event) => put({ day: event.currentTarget.value })} />
      <p class="line ends soft"><span>now</span><span role="status">{date}: {words}</span><span>{new Date(end).toLocaleDateString(undefined, { dateStyle: 'medium' })}</span></p>
      {!total && <Empty title="Nothing is forgotten by then"><p>Look further ahead, or let them fade faster.</p></Empty>}
      <ul class="plain fates" aria-label="What is forgotten">
        {fates.map(({ memory, cause, time: when }) => (
          <li key={memory.id + cause} class="second"><Time at={when} /> <span class={`dot part ${cause.toLowerCase()}`} /><Badge of={cause} /> <a class="cut" href={to(['memories', memory.id])}><bdi>{memory.text}</bdi></a> {memory.owner && <span class="soft"><bdi>{memory.owner.name}</bdi></span>}</li>
        ))}
        {total > fates.length && <li class="soft">and {(total - fates.length).toLocaleString()} more</li>}
      </ul>
    </div>
  );
}
