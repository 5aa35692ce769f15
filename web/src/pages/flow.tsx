/** The states of a workflow as a graph: each stands as far to the right as it is steps away from the first. */
export interface State {
  name: string;
  transitions: readonly { to: string; name: string | null }[];
}

const BOX = { width: 130, height: 36 };
const STEP = { x: 230, y: 84 };
const MARGIN = { x: 4, y: 30 };

interface Place {
  x: number;
  y: number;
}

/** Where the box of each state begins. */
function placed(states: readonly State[]): Map<string, Place> {
  const byName = new Map(states.map((state) => [state.name, state]));
  const places = new Map<string, Place>();
  const heights: number[] = [];
  for (const first of states) {
    let wave = places.has(first.name) ? [] : [first.name]; // one that none leads to begins on the left again
    for (let rank = 0; wave.length; rank++) {
      for (const name of wave) {
        const above = (heights[rank] = (heights[rank] ?? -1) + 1);
        places.set(name, { x: MARGIN.x + rank * STEP.x, y: MARGIN.y + above * STEP.y });
      }
      wave = [...new Set(wave.flatMap((name) => byName.get(name)!.transitions.map(({ to }) => to)))].filter((name) => byName.has(name) && !places.has(name));
    }
  }
  return places;
}

/** The line from a box to another with its head, and where its name stands. */
function line(from: Place, to: Place): [string, Place] {
  const [right, middle, end] = [from.x + BOX.width, from.y + BOX.height / 2, to.y + BOX.height / 2];
  if (to.x > from.x) {
    const reach = (to.x - right) / 2;
    return [`M${right} ${middle}C${right + reach} ${middle} ${to.x - reach} ${end} ${to.x} ${end}m-7 -4l7 4l-7 4`, { x: (right + to.x) / 2, y: (middle + end) / 2 - 5 }];
  }
  if (to.x === from.x && to.y !== from.y) return [`M${right} ${middle}C${right + 40} ${middle} ${right + 40} ${end} ${right} ${end}m7 -4l-7 4l7 4`, { x: right + 36, y: (middle + end) / 2 }];
  const [bottom, under] = [from.y + BOX.height, to.y + BOX.height];
  const [out, back] = [from.x + BOX.width * 0.65, to.x + BOX.width * 0.35];
  const low = Math.max(bottom, under) + 34;
  return [`M${out} ${bottom}C${out} ${low} ${back} ${low} ${back} ${under}m-4 7l4 -7l4 7`, { x: (out + back) / 2, y: low - 4 }];
}

/** What a way from one state to another is known by. */
export const wayFrom = (from: string, to: string): string => JSON.stringify([from, to]);

/** now: the state it is in. been: those it was in; taken: the ways it took (`wayFrom`). */
export function Flow({ states, now, been, taken }: { states: readonly State[]; now: string | null; been: ReadonlySet<string | null>; taken: ReadonlySet<string> }) {
  const places = placed(states);
  const all = [...places.values()];
  const width = Math.max(...all.map(({ x }) => x)) + BOX.width + 90;
  const height = Math.max(...all.map(({ y }) => y)) + BOX.height + 44;
  return (
    <div class="scroll" tabIndex={0}>
      <svg class="flow" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${states.length} states and where each may lead; the list below it says the same`}>
        {states.map(({ name, transitions }) =>
          [...new Set(transitions.map(({ to }) => to))].map((to) => {
            const [from, target] = [places.get(name), places.get(to)];
            if (!from || !target) return null;
            const [path, at] = line(from, target);
            const names = transitions.flatMap((one) => (one.to === to && one.name ? [one.name] : [])).join(', ');
            return <g key={`${name} ${to}`} class={taken.has(wayFrom(name, to)) ? 'been' : ''}><path d={path} /><text class="soft" x={at.x} y={at.y}>{short(names, 16)}</text></g>;
          }),
        )}
        {states.map(({ name }) => {
          const { x, y } = places.get(name)!;
          return (
            <g key={name} class={name === now ? 'now' : been.has(name) ? 'been' : ''}>
              <title>{name}</title>
              <rect x={x} y={y} width={BOX.width} height={BOX.height} rx={8} />
              <text x={x + BOX.width / 2} y={y + BOX.height / 2 + 4}>{short(name, 18)}</text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

const short = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
