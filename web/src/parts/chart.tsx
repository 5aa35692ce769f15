export interface Bar {
  /** From 0 to 1 over the time that is shown. */
  at: number;
  /** By part, in the order of `parts`. */
  values: readonly number[];
}

interface Props {
  bars: readonly Bar[];
  parts: readonly string[];
  /** Of a bar, from 0 to 1. */
  width: number;
  /** Up to where it has happened. */
  until: number;
  label: string;
}

const [WIDTH, HEIGHT] = [1000, 160];

/** Counts over time as stacked bars; those after a time are dim. What it shows must be said beside it in words too. */
export function Chart({ bars, parts, width, until, label }: Props) {
  const most = Math.max(1, ...bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0)));
  return (
    <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {bars.map(({ at, values }, index) => {
        let top = HEIGHT;
        return (
          <g key={index} opacity={at > until ? 0.35 : 1}>
            {values.map((value, part) => {
              const height = (value / most) * (HEIGHT - 4);
              top -= height;
              return value > 0 && <rect key={part} class={`part ${parts[part]}`} x={at * WIDTH} y={top} width={Math.max(3, width * WIDTH * 0.85)} height={Math.max(2, height)} />;
            })}
          </g>
        );
      })}
      <line class="until" x1={until * WIDTH} x2={until * WIDTH} y1={0} y2={HEIGHT} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
