import type { ComponentType } from 'preact';
import { useErrorBoundary, useState } from 'preact/hooks';
import { asProblem, useLive } from './load.ts';
import { Trouble } from './show.tsx';

/** A component whose file is fetched when it is first shown. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let found: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    const [, draw] = useState(0);
    const [failed, setFailed] = useState<unknown>();
    const [broken, again] = useErrorBoundary();
    useLive('', async () => {
      if (found) return;
      found = await load();
      draw(1);
    }, setFailed);
    if (failed) return <Trouble error={asProblem(failed)} again={() => location.reload()} />;
    if (broken) return <Trouble error={asProblem(broken)} again={again} />;
    const Found = found;
    return Found ? <Found {...props} /> : <p class="soft wait">Loading…</p>;
  };
}
