export interface Sample<Value> {
  at: number;
  value: Value;
}

const MOST = 90;
const WIDTH = 270;
const HEIGHT = 36;

/** Figures over time as small bars, the latest at the right. */
export function Figures({ values, label }: { values: readonly number[]; label: string }) {
  const most = Math.max(...values, 1e-9);
  const step = WIDTH / MOST;
  return (
    <svg class="figures" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${label}: now ${(values.at(-1) ?? 0).toPrecision(3)}, at most ${most.toPrecision(3)}`}>
      {values.slice(-MOST).map((value, index, all) => {
        const height = Math.max(0.5, (value / most) * HEIGHT);
        return <rect key={index} x={(MOST - all.length + index) * step} y={HEIGHT - height} width={step * 0.8} height={height} />;
      })}
    </svg>
  );
}
