/** Where the nodes of a graph are, reckoned beside the page; each step waits until the last picture was drawn. */
import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY, type SimulationNodeDatum } from 'd3-force';

export interface Start {
  /** x and y of each node; NaN where it has no place yet. */
  places: Float32Array;
  sizes: Float32Array;
  /** Source, target and weight of each edge. */
  edges: Float32Array;
  alpha: number;
}

const STEP_MS = 10; // of work for a picture

let step: () => void = () => undefined;
let last = 0;

const post = (message: object, transfer: Transferable[]) => (self as unknown as { postMessage(message: object, transfer: Transferable[]): void }).postMessage(message, transfer);

self.onmessage = ({ data }: MessageEvent<Start | 'next'>) => {
  if (data === 'next') return step();
  const turn = ++last;
  const { places, sizes, edges } = data;
  const nodes: SimulationNodeDatum[] = Array.from(sizes, (_, index) => {
    const x = places[index * 2]!;
    return Number.isNaN(x) ? {} : { x, y: places[index * 2 + 1]! };
  });
  const links = Array.from({ length: edges.length / 3 }, (_, index) => ({ source: edges[index * 3]!, target: edges[index * 3 + 1]!, weight: edges[index * 3 + 2]! }));
  const many = nodes.length > 300;
  const simulation = forceSimulation(nodes)
    .force('charge', forceManyBody().strength(many ? -40 : -160).theta(1).distanceMax(many ? 500 : 900))
    .force('link', forceLink<SimulationNodeDatum, (typeof links)[number]>(links).distance(many ? 30 : 70).strength((link) => 0.1 + 0.4 * Math.min(1, Math.max(0, link.weight))))
    .force('x', forceX().strength(0.04))
    .force('y', forceY().strength(0.05))
    .force('collide', many ? null : forceCollide<SimulationNodeDatum>((_, index) => sizes[index]! + 4))
    .alpha(data.alpha)
    .alphaDecay(many ? 0.03 : 0.022)
    .stop();
  step = () => {
    if (turn !== last) return;
    const until = performance.now() + STEP_MS;
    do simulation.tick();
    while (performance.now() < until && simulation.alpha() > simulation.alphaMin());
    const out = new Float32Array(nodes.length * 2);
    nodes.forEach(({ x = 0, y = 0 }, index) => {
      out[index * 2] = x;
      out[index * 2 + 1] = y;
    });
    post({ turn, places: out, settled: simulation.alpha() <= simulation.alphaMin() }, [out.buffer]);
  };
  step();
};
