// How things look: colours read from the page's style, patterns for states, widths of letters.
import { KINDS } from "./trace.js";

const STYLE_OF_KIND = { cell: "span", task: "span", thread: "thread", process: "thread", invoke_agent: "agent",
  execute_tool: "tool", handoff: "agent", chat: "chat", embeddings: "chat", http: "http", blocked: "blocked", span: "span" };
const STYLES = KINDS.map((kind) => STYLE_OF_KIND[kind]);
/** Size, strength and strokes of a pattern's tile: the state can be told without its colour. */
const PATTERNS = {
  waiting: [9, 0.45, (n) => [[0, n, n, 0], [-1, 1, 1, -1], [n - 1, n + 1, n + 1, n - 1]]],
  ready: [4, 0.75, (n) => [[n / 2, 0, n / 2, n]]],
  queued: [5, 0.7, () => []],
  connect: [5, 0.7, () => []],
  cancelled: [6, 0.5, (n) => [[0, 0, n, n], [-1, n - 1, 1, n + 1], [n - 1, -1, n + 1, 1]]],
  failed: [7, 0.32, (n) => [[0, 0, n, n], [0, n, n, 0]]],
  blocked: [7, 0.32, (n) => [[0, 0, n, n], [0, n, n, 0]]],
  backoff: [5, 0.7, (n) => [[0, n, n, 0], [-1, 1, 1, -1], [n - 1, n + 1, n + 1, n - 1]]],
};
const GROUNDS = { backoff: "page", connect: "queued" };
const EDGES = { "chat-wait": "chat-edge", backoff: "failed-edge", connect: "chat-edge" };

/** Which look a span has: what it is, or how it ended where that matters more. */
export function styleOf(store, id) {
  const outcome = store.outcome[id];
  return outcome === 2 ? "failed" : outcome === 3 ? "cancelled" : STYLES[store.kind[id]];
}

/** The name of the colour around what has this look. */
export function edgeOf(style) {
  return (EDGES[style] ??= `${style}-edge`);
}

/** The colours of a page, read from its style; patterns are made when first drawn. */
export class Theme {
  constructor(element, scale = 1) {
    const style = getComputedStyle(element);
    this.read = (name) => style.getPropertyValue(`--am-${name}`).trim();
    this.scale = scale;
    this.fills = new Map();
    this.colours = new Map();
    this.font = this.read("font") || "sans-serif";
    this.page = this.colour("page");
    this.text = this.colour("text");
  }

  colour(name) {
    let colour = this.colours.get(name);
    if (colour === undefined) this.colours.set(name, (colour = this.read(name) || "#888"));
    return colour;
  }

  edge(style) {
    return this.colour(edgeOf(style));
  }

  /** A plain colour or, where a state has one, its pattern. */
  fill(g, style) {
    let made = this.fills.get(style);
    if (made) return made;
    made = this.colour(style);
    if (style in PATTERNS) {
      made = g.createPattern(tile(PATTERNS[style], this.colour(GROUNDS[style] ?? style), this.edge(style), this.scale), "repeat");
      made.setTransform(new DOMMatrix().scale(1 / this.scale));
    }
    this.fills.set(style, made);
    return made;
  }
}

function tile([size, strength, strokes], ground, ink, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round(size * scale);
  const g = canvas.getContext("2d");
  g.scale(canvas.width / size, canvas.height / size);
  g.fillStyle = ground;
  g.fillRect(0, 0, size, size);
  g.strokeStyle = g.fillStyle = ink;
  g.globalAlpha = strength;
  const lines = strokes(size);
  g.beginPath();
  for (const [a, b, c, d] of lines) {
    g.moveTo(a, b);
    g.lineTo(c, d);
  }
  g.stroke();
  if (!lines.length) g.fillRect(1.5, 1.5, 1.3, 1.3);
  return canvas;
}

/** Draw the little picture that stands for a look in the legend. */
export function paintSwatch(g, theme, style, width, height) {
  g.fillStyle = theme.edge(style);
  g.fillRect(0, 0, width, height);
  g.fillStyle = theme.fill(g, style);
  g.fillRect(1, 1, width - 2, height - 2);
}

// How wide a text is after each of its letters, by font: a name is measured once, however often it is drawn.
const widths = new Map();

function widthsOf(g, text) {
  let known = widths.get(g.font);
  if (!known) widths.set(g.font, (known = new Map()));
  let found = known.get(text);
  if (!found) {
    if (known.size > 3000) known.clear();
    found = Float32Array.from({ length: Math.min(text.length, 120) }, (_, i) => g.measureText(text.slice(0, i + 1)).width);
    known.set(text, found);
  }
  return found;
}

export function widthOf(g, text) {
  return text ? widthsOf(g, text).at(-1) : 0;
}

/** The text cut so that it fits, or nothing where not even three letters do. */
export function fitText(g, text, room) {
  if (room < 14 || !text) return "";
  const ends = widthsOf(g, text);
  if (text.length === ends.length && ends.at(-1) <= room) return text;
  let fits = ends.length;
  const left = room - widthOf(g, "…");
  while (fits && ends[fits - 1] > left) fits--;
  // Half of a pair of surrogates is no letter.
  if (text.charCodeAt(fits - 1) >> 10 === 0x36) fits--;
  return fits >= 3 ? `${text.slice(0, fits).trimEnd()}…` : "";
}
