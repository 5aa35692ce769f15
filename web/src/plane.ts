/** A graph on a 2D canvas: it stays under 33 ms a frame without a GPU, and asks for none. */
import layoutWorker from './layout.worker.ts?worker&url';
import type { Start } from './layout.worker.ts';

export interface Node {
  id: string;
  /** Its class, which says its colour. */
  kind: string;
  label: string;
  /** Of its circle, in pixels. */
  size: number;
  /** From 1 down to 0.1. */
  strength: number;
  x: number;
  y: number;
}

export interface Edge {
  source: string;
  target: string;
  kind: string;
  weight: number;
}

export interface Look {
  /** What is in focus; all else is dimmed. Empty: nothing is. */
  focus: ReadonlySet<string>;
  selected: string | null;
  path: readonly string[];
  /** Strengths other than a node's own; 0 is gone. */
  strengths: ReadonlyMap<string, number>;
}

const COLOURS: Record<string, string> = { EPISODIC: '--accent', SEMANTIC: '--blue', PROCEDURAL: '--orange', WORKING: '--warn', MESSAGE: '--soft', SESSION: '--violet', ACTOR: '--bad', ENTITY: '--text' };
const NEAR = 6; // pixels beside a node that still mean it
const SLOW_MS = 13; // of a picture while it moves: then fewer lines are drawn until it rests
const QUICK_MS = 7;
const FEWEST = 4; // one line of so many

interface Line {
  from: Node;
  to: Node;
}

type Style = 'dim' | 'clear' | 'against' | 'path';

export class Plane {
  readonly canvas = document.createElement('canvas');
  settled = false;
  private readonly ink = this.canvas.getContext('2d', { alpha: false, willReadFrequently: true })!; // drawn by the processor
  private readonly worker = new Worker(trusted(layoutWorker) as unknown as URL, { type: 'module' });
  private readonly watch = new ResizeObserver(() => this.resize());
  private nodes: Node[] = [];
  private byId = new Map<string, Node>();
  private edges: Edge[] = [];
  /** Each edge with its ends, by how it is drawn; undefined until it is asked for again. */
  private lines: Record<Style, Line[]> | undefined;
  /** Of every so many lines one is drawn while it moves. */
  private stride = 1;
  /** On a dense screen that is too slow: drawn with a pixel for each of CSS while it moves. */
  private coarse = false;
  private drawnAt = 0;
  private look: Look = { focus: new Set(), selected: null, path: [], strengths: new Map() };
  private hovered: Node | undefined;
  private turn = 0;
  private asked = false;
  private zoom = 1;
  private left = 0;
  private top = 0;
  private moved = false;
  private inks: Record<string, string> = {};

  constructor(
    private readonly place: HTMLElement,
    onClick: (node: Node | undefined) => void,
  ) {
    place.append(this.canvas);
    this.watch.observe(place);
    this.worker.onmessage = ({ data }) => this.placed(data as { turn: number; places: Float32Array; settled: boolean });
    this.listen(onClick);
  }

  close(): void {
    this.worker.terminate();
    this.watch.disconnect();
    this.canvas.remove();
  }

  /** What is shown from now on; nodes keep their places, new ones begin beside what they are linked to. */
  show(nodes: readonly Node[], edges: readonly Edge[]): void {
    const before = this.byId;
    const grew = nodes.filter(({ id }) => !before.has(id)).length;
    this.nodes = [...nodes];
    this.byId = new Map(nodes.map((node) => [node.id, node]));
    this.edges = edges.filter(({ source, target }) => this.byId.has(source) && this.byId.has(target));
    this.lines = undefined;
    for (const node of nodes) {
      const known = before.get(node.id);
      if (known) [node.x, node.y] = [known.x, known.y];
    }
    for (const { source, target } of this.edges) {
      const [a, b] = [this.byId.get(source)!, this.byId.get(target)!];
      for (const [fresh, old] of [[a, b], [b, a]] as const) {
        if (Number.isNaN(fresh.x) && !Number.isNaN(old.x)) [fresh.x, fresh.y] = [old.x + Math.random() * 20 - 10, old.y + Math.random() * 20 - 10];
      }
    }
    if (!before.size) this.moved = false;
    this.settle(before.size && grew < nodes.length / 2 ? 0.3 : 1);
  }

  dress(look: Look): void {
    this.look = look;
    this.lines = undefined;
    this.changed();
  }

  /** Brings a node into the middle. */
  centre(id: string): void {
    const node = this.byId.get(id);
    if (!node || Number.isNaN(node.x)) return;
    this.left = this.place.clientWidth / 2 - node.x * this.zoom;
    this.top = this.place.clientHeight / 2 - node.y * this.zoom;
    this.moved = true;
    this.changed();
  }

  fit(): void {
    this.moved = false;
    this.changed();
  }

  private settle(alpha: number): void {
    const { nodes, edges } = this;
    const index = new Map(nodes.map(({ id }, at) => [id, at]));
    const start: Start = {
      places: Float32Array.from(nodes.flatMap(({ x, y }) => [x, y])),
      sizes: Float32Array.from(nodes.map(({ size }) => size)),
      edges: Float32Array.from(edges.flatMap(({ source, target, weight }) => [index.get(source)!, index.get(target)!, weight])),
      alpha,
    };
    this.settled = !nodes.length;
    if (this.settled) return delete this.place.dataset['settled'], this.changed();
    this.place.dataset['settled'] = 'false';
    if (edges.length > 1000) this.stride = FEWEST; // until it is known what a picture takes
    this.turn++; // as the worker counts what it is sent
    this.worker.postMessage(start);
  }

  private placed({ turn, places, settled }: { turn: number; places: Float32Array; settled: boolean }): void {
    if (turn !== this.turn) return;
    this.nodes.forEach((node, index) => {
      if (node === this.dragged) return;
      node.x = places[index * 2]!;
      node.y = places[index * 2 + 1]!;
    });
    this.settled = settled;
    this.place.dataset['settled'] = String(settled);
    if (settled && this.coarse) this.sharpen(false);
    this.changed();
    if (!settled) requestAnimationFrame(() => setTimeout(() => this.pace()));
  }

  private dragged: Node | undefined;

  private listen(onClick: (node: Node | undefined) => void): void {
    const { canvas } = this;
    let from: { x: number; y: number } | undefined;
    let far = false;
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      const by = Math.exp(-event.deltaY / 500);
      this.left = event.offsetX - (event.offsetX - this.left) * by;
      this.top = event.offsetY - (event.offsetY - this.top) * by;
      this.zoom *= by;
      this.moved = true;
      this.changed();
    }, { passive: false });
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      from = { x: event.offsetX, y: event.offsetY };
      far = false;
      this.dragged = this.at(event.offsetX, event.offsetY);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!from) {
        const hovered = this.at(event.offsetX, event.offsetY);
        if (hovered !== this.hovered) {
          this.hovered = hovered;
          canvas.style.cursor = hovered ? 'pointer' : 'grab';
          this.changed();
        }
        return;
      }
      if (Math.hypot(event.offsetX - from.x, event.offsetY - from.y) > 4) far = true;
      if (!far) return;
      if (this.dragged) {
        this.dragged.x = (event.offsetX - this.left) / this.zoom;
        this.dragged.y = (event.offsetY - this.top) / this.zoom;
      } else {
        this.left += event.movementX;
        this.top += event.movementY;
      }
      this.moved = true;
      this.changed();
    });
    canvas.addEventListener('pointerup', (event) => {
      if (!far) onClick(this.at(event.offsetX, event.offsetY));
      this.dragged = from = undefined;
    });
  }

  private at(x: number, y: number): Node | undefined {
    let best: Node | undefined;
    let nearest = Infinity;
    for (const node of this.nodes) {
      const away = Math.hypot(node.x * this.zoom + this.left - x, node.y * this.zoom + this.top - y) - this.radius(node);
      if (away < NEAR && away < nearest) [best, nearest] = [node, away];
    }
    return best;
  }

  private radius({ size }: Node): number {
    return size * Math.max(0.5, Math.min(1.6, this.zoom));
  }

  private sharpen(coarse: boolean): void {
    this.coarse = coarse;
    this.resize();
  }

  private resize(): void {
    const ratio = this.coarse ? 1 : Math.min(devicePixelRatio, 2);
    this.canvas.width = Math.max(1, this.place.clientWidth * ratio);
    this.canvas.height = Math.max(1, this.place.clientHeight * ratio);
    this.canvas.style.width = `${this.place.clientWidth}px`;
    this.canvas.style.height = `${this.place.clientHeight}px`;
    this.changed();
  }

  /** Draws once before the next frame. */
  private changed(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  private fitted(): void {
    let [west, east, north, south] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { x, y } of this.nodes) {
      if (Number.isNaN(x)) continue;
      west = Math.min(west, x);
      east = Math.max(east, x);
      north = Math.min(north, y);
      south = Math.max(south, y);
    }
    if (west > east) return;
    const { clientWidth: width, clientHeight: height } = this.place;
    this.zoom = Math.min(2, (0.86 * width) / (east - west || 1), (0.86 * height) / (south - north || 1));
    this.left = width / 2 - (this.zoom * (west + east)) / 2;
    this.top = height / 2 - (this.zoom * (north + south)) / 2;
  }

  private colour(name: string): string {
    const probe = this.place;
    return (this.inks[name + probe.dataset['look']!] ??= ((probe.style.color = `var(${name})`), getComputedStyle(probe).color));
  }

  private draw(): void {
    const { ink, place, look } = this;
    if (!this.moved) this.fitted();
    const { zoom, left, top } = this;
    const ratio = this.canvas.width / Math.max(1, place.clientWidth);
    place.dataset['look'] = `${document.documentElement.dataset['theme']} ${matchMedia('(prefers-color-scheme: dark)').matches}`;
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.fillStyle = this.colour('--back');
    ink.fillRect(0, 0, place.clientWidth, place.clientHeight);
    const isDim = (id: string) => look.focus.size > 0 && !look.focus.has(id);
    const lines = (this.lines ??= this.styled(isDim));
    const stride = this.settled ? 1 : Math.ceil(this.stride);
    this.drawnAt = performance.now();
    const stroke = (line: Path2D, colour: string, width: number, alpha: number) => {
      ink.strokeStyle = this.colour(colour);
      ink.lineWidth = width;
      ink.globalAlpha = alpha;
      ink.stroke(line);
    };
    const draw = (style: Style, colour: string, width: number, alpha: number, each = 1) => {
      const path = new Path2D();
      for (let at = 0; at < lines[style].length; at += each) {
        const { from, to } = lines[style][at]!;
        path.moveTo(from.x * zoom + left, from.y * zoom + top);
        path.lineTo(to.x * zoom + left, to.y * zoom + top);
      }
      stroke(path, colour, width, alpha);
    };
    const thin = this.settled ? 1 : 1 / ratio; // one pixel of the screen is drawn several times as fast as two
    draw('dim', '--line', thin, 0.4, stride);
    draw('clear', '--soft', thin, this.edges.length > 1000 ? 0.25 : 0.5, stride);
    draw('against', '--bad', 1.5, 0.8);
    draw('path', '--accent', 4, 1);
    const circles = new Map<string, Path2D>();
    for (const node of this.nodes) {
      if (Number.isNaN(node.x)) continue;
      const strength = this.look.strengths.get(node.id) ?? node.strength;
      const alpha = (isDim(node.id) ? 0.18 : 1) * (strength ? 0.35 + 0.65 * Math.round(strength * 4) / 4 : 0.1);
      const key = `${COLOURS[node.kind] ?? '--soft'} ${alpha}`;
      const path = circles.get(key) ?? circles.set(key, new Path2D()).get(key)!;
      const [x, y] = [node.x * zoom + left, node.y * zoom + top];
      path.moveTo(x + this.radius(node), y);
      path.arc(x, y, this.radius(node), 0, 7);
    }
    for (const [key, path] of circles) {
      const [colour, alpha] = key.split(' ');
      ink.globalAlpha = Number(alpha);
      ink.fillStyle = this.colour(colour!);
      ink.fill(path);
    }
    ink.globalAlpha = 1;
    const chosen = look.selected === null ? undefined : this.byId.get(look.selected);
    if (chosen) {
      const ring = new Path2D();
      ring.arc(chosen.x * zoom + left, chosen.y * zoom + top, this.radius(chosen) + 4, 0, 7);
      stroke(ring, '--text', 2, 1);
    }
    this.names(isDim, chosen);
  }

  private styled(isDim: (id: string) => boolean): Record<Style, Line[]> {
    const { path } = this.look;
    const steps = new Set(path.slice(1).flatMap((id, index) => [`${path[index]!} ${id}`, `${id} ${path[index]!}`]));
    const lines: Record<Style, Line[]> = { dim: [], clear: [], against: [], path: [] };
    for (const { source, target, kind } of this.edges) {
      const style = steps.has(`${source} ${target}`) ? 'path' : isDim(source) || isDim(target) ? 'dim' : kind === 'CONTRADICTS' ? 'against' : 'clear';
      lines[style].push({ from: this.byId.get(source)!, to: this.byId.get(target)! });
    }
    return lines;
  }

  /** How many lines the next picture has, by what this one took until it was on the screen. */
  private pace(): void {
    const took = performance.now() - this.drawnAt;
    if (took > SLOW_MS && this.stride === FEWEST && devicePixelRatio > 1 && !this.coarse) this.sharpen(true);
    if (took > SLOW_MS) this.stride = Math.min(FEWEST, this.stride + 1);
    else if (took < QUICK_MS) this.stride = Math.max(1, this.stride - 0.125);
    this.worker.postMessage('next');
  }

  /** Labels that do not overlap, of what is hovered and chosen first, then of the largest. */
  private names(isDim: (id: string) => boolean, chosen: Node | undefined): void {
    const { ink, place, zoom, left, top } = this;
    const taken: [number, number, number][] = [];
    ink.font = '12px system-ui, sans-serif';
    ink.fillStyle = this.colour('--text');
    const inView = !this.settled && this.nodes.length > 300 ? [] : this.nodes.filter(({ id, x, y }) => !isDim(id) && x * zoom + left > 0 && y * zoom + top > 0 && x * zoom + left < place.clientWidth && y * zoom + top < place.clientHeight);
    const first = [this.hovered, chosen].filter((node) => node !== undefined);
    const most = inView.length > 300 ? 12 : 60;
    for (const node of [...first, ...inView.sort((a, b) => b.size - a.size).slice(0, most)]) {
      const isFirst = first.includes(node);
      const text = node.label.length > (isFirst ? 90 : 30) ? `${node.label.slice(0, isFirst ? 88 : 28)}…` : node.label;
      const width = ink.measureText(text).width;
      const beside = node.x * zoom + left + this.radius(node) + 4;
      const x = isFirst ? Math.max(4, Math.min(beside, place.clientWidth - width - 6)) : beside;
      const y = node.y * zoom + top + (x === beside ? 4 : this.radius(node) + 18);
      if (taken.some(([tx, ty, tw]) => Math.abs(ty - y) < 14 && x < tx + tw && tx < x + width)) continue;
      taken.push([x, y, width]);
      if (isFirst) {
        ink.fillStyle = this.colour('--card');
        ink.fillRect(x - 3, y - 13, width + 6, 18);
        ink.fillStyle = this.colour('--text');
      }
      ink.fillText(text, x, y);
    }
  }
}

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(text: string): string }): { createScriptURL(text: string): string };
}

let policy: ReturnType<Policies['createPolicy']> | undefined;

/** The one address of a script that is made at run time; the policy's name stands in the Content-Security-Policy. */
function trusted(address: string): string {
  const types = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  policy ??= types?.createPolicy('recollect-worker', { createScriptURL: (text) => text });
  return policy?.createScriptURL(address) ?? address;
}
