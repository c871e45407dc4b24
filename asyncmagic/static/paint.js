// From a trace to pixels: scales, geometry, and one function that draws. Knows a canvas, no page around it.
import { KINDS, STATES, isCall, isTask } from "./trace.js";

export const GUTTER = 168;
export const AXIS = 24;
const BAR = 18;
const RIBBON = 8;
const MINOR = 5;
const GAP = 2;
const PAD = 5;
const RADIUS = 3;
const STYLE_OF_KIND = { cell: "span", task: "span", thread: "thread", process: "thread", invoke_agent: "agent",
  execute_tool: "tool", handoff: "agent", chat: "chat", embeddings: "chat", http: "http", blocked: "blocked", span: "span" };
const PATTERNS = { waiting: "sparse", ready: "bars", queued: "dots", cancelled: "back", failed: "cross", blocked: "cross", backoff: "hatch", connect: "dots" };
export const GLYPHS = { open: "•", done: "✓", failed: "✕", cancelled: "⊘" };

/** A step for an axis that reads well: 1, 2 or 5 times a power of ten, at least `least`. */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-3)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999);
}

/** Microseconds as people say them: `40 ms`, `0.25 s`, `2.1 s`, `1 min 20 s`. */
export function duration(us) {
  if (!(us >= 0)) return "–";
  if (us < 950) return `${Math.round(us)} µs`;
  if (us < 9950) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 99500) return `${Math.round(us / 1e3)} ms`;
  if (us < 950000) return `${(us / 1e6).toFixed(2)} s`;
  if (us < 59950000) return `${(us / 1e6).toFixed(1)} s`;
  const seconds = Math.round(us / 1e6);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A place on the axis whose marks stand `step` apart. */
export function tickLabel(us, step) {
  if (Math.abs(us) < 1e-6) return "0";
  if (step >= 60e6) return duration(us);
  if (step >= 1e5) return `${(us / 1e6).toFixed(step >= 1e6 ? 0 : 1)} s`;
  if (us >= 1e6) return `${(us / 1e6).toFixed(Math.max(0, Math.ceil(6 - Math.log10(step))))} s`;
  if (step >= 1000 || us >= 1000) return `${(us / 1e3).toFixed(Math.max(0, Math.ceil(3 - Math.log10(step))))} ms`;
  return `${us.toFixed(step < 1 ? 2 : 0)} µs`;
}

/** Where the blocks and their lines stand, in pixels from the top, below `room` for what is written there; minor lines are low. @return {{blocks: object[], lines: object[], height: number}} */
export function geometry(blocks, room = 0, isMinor = () => false) {
  const lines = [];
  let y = room;
  const placed = blocks.map((block) => {
    const top = y;
    y += PAD;
    const n = block.lines.length;
    if (block.isFolded) {
      const h = n <= 12 ? 14 : n <= 30 ? 9 : Math.max(2, Math.min(6, Math.round(320 / n)));
      for (const layers of block.lines) {
        lines.push({ block, y, h, layers, isFolded: true });
        y += h + (h > 5 ? 2 : 1);
      }
    } else {
      block.lines.forEach((layers, sub) => {
        const h = sub === 0 && n > 1 ? RIBBON : sub > 1 && isMinor(layers) ? MINOR : BAR;
        lines.push({ block, y, h, layers, isFolded: false });
        y += h + GAP;
      });
    }
    y = Math.max(y - GAP + PAD, top + 28);
    return { ...block, y: top, h: y - top };
  });
  return { blocks: placed, lines, height: y };
}

/** The first position in `ids`, spans in order that never overlap, whose span ends after `time`. */
export function firstVisible(store, ids, time) {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (store.endOf(ids[middle]) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first position from `from` on whose value is at least `time`. */
function lowerBound(value, from, to, time) {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value(middle) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first position behind `i` whose span is not over before `time`: a long one may begin in the pixel of a short one. */
export function afterPixel(store, ids, i, time) {
  return lowerBound((at) => store.endOf(ids[at]), i + 1, ids.length, time);
}

/** Which look a span has: what it is, or how it ended where that matters more. */
export function styleOf(store, id) {
  const outcome = store.outcome[id];
  if (outcome === 2) return "failed";
  if (outcome === 3) return "cancelled";
  return STYLE_OF_KIND[KINDS[store.kind[id]]];
}

/** The colours of a page, read from its style; patterns are made when first drawn. */
export class Theme {
  constructor(element, scale = 1) {
    const style = getComputedStyle(element);
    this.read = (name) => style.getPropertyValue(`--am-${name}`).trim();
    this.scale = scale;
    this.cache = new Map();
    this.font = this.read("font") || "sans-serif";
    this.page = this.read("page") || "#fff";
    this.text = this.read("text") || "#000";
  }

  colour(name) {
    let colour = this.cache.get(name);
    if (colour === undefined) this.cache.set(name, (colour = this.read(name) || "#888"));
    return colour;
  }

  edge(style) {
    return this.colour(`${style.replace("chat-wait", "chat").replace("backoff", "failed").replace("connect", "queued")}-edge`);
  }

  /** A plain colour or, where a state has one, its pattern. */
  fill(g, style) {
    const pattern = PATTERNS[style];
    if (!pattern) return this.colour(style);
    const key = `pattern ${style}`;
    let made = this.cache.get(key);
    if (!made) {
      const base = { backoff: "page", connect: "queued" }[style] ?? style;
      made = g.createPattern(tile(pattern, base === "page" ? this.page : this.colour(base), this.edge(style), this.scale), "repeat");
      made.setTransform?.(new DOMMatrix().scale(1 / this.scale));
      this.cache.set(key, made);
    }
    return made;
  }
}

function tile(pattern, ground, ink, scale) {
  const size = { sparse: 9, bars: 4, dots: 5, back: 6, cross: 7, hatch: 5 }[pattern];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round(size * scale);
  const g = canvas.getContext("2d");
  g.scale(canvas.width / size, canvas.height / size);
  g.fillStyle = ground;
  g.fillRect(0, 0, size, size);
  g.strokeStyle = g.fillStyle = ink;
  g.globalAlpha = { sparse: 0.45, bars: 0.75, dots: 0.7, back: 0.5, cross: 0.32, hatch: 0.7 }[pattern];
  g.lineWidth = { bars: 1.4, sparse: 1 }[pattern] ?? 1;
  g.beginPath();
  const lines = { sparse: [[0, size, size, 0], [-1, 1, 1, -1], [size - 1, size + 1, size + 1, size - 1]],
    hatch: [[0, size, size, 0], [-1, 1, 1, -1], [size - 1, size + 1, size + 1, size - 1]],
    back: [[0, 0, size, size], [-1, size - 1, 1, size + 1], [size - 1, -1, size + 1, 1]],
    cross: [[0, 0, size, size], [0, size, size, 0]], bars: [[size / 2, 0, size / 2, size]], dots: [] }[pattern];
  for (const [a, b, c, d] of lines) {
    g.moveTo(a, b);
    g.lineTo(c, d);
  }
  g.stroke();
  if (pattern === "dots") g.fillRect(1.5, 1.5, 1.3, 1.3);
  return canvas;
}

/** Rectangles by style, so that each style is set once a frame. */
class Buckets {
  constructor() {
    this.of = new Map();
  }

  add(style, x, y, w, h, left = 0, right = 0) {
    let bucket = this.of.get(style);
    if (!bucket) this.of.set(style, (bucket = []));
    bucket.push(x, y, w, h, left, right);
  }

  draw(g, theme) {
    for (const [style, list] of this.of) {
      const isEdge = style.startsWith("edge ");
      const isDense = style.startsWith("dense ");
      g.globalAlpha = isDense ? 0.75 : 1;
      if (isEdge) {
        g.strokeStyle = theme.edge(style.slice(5));
        g.lineWidth = style === "edge failed" ? 1.5 : 1;
      } else g.fillStyle = isDense ? theme.edge(style.slice(6)) : style === "dim" ? theme.colour("line") : style === "token" ? theme.colour("token") : theme.fill(g, style);
      for (let i = 0; i < list.length; i += 6) {
        const [x, y, w, h, left, right] = [list[i], list[i + 1], list[i + 2], list[i + 3], list[i + 4], list[i + 5]];
        // One by one: a path of thousands of rectangles takes far longer than thousands of rectangles.
        if (!isEdge && !(left > 0) && !(right > 0)) g.fillRect(x, y, w, h);
        else {
          g.beginPath();
          g.roundRect(x, y, w, h, [left, right, right, left]);
          if (isEdge) g.stroke();
          else g.fill();
        }
      }
      g.globalAlpha = 1;
    }
    this.of.clear();
  }
}

const widths = new Map();
function widthOf(g, text) {
  const key = g.font + text;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > 5000) widths.clear();
    widths.set(key, (width = g.measureText(text).width));
  }
  return width;
}

/** The text cut so that it fits, or nothing where not even three letters do. */
export function fitText(g, text, room) {
  if (room < 14) return "";
  if (text.length > 200) text = text.slice(0, 200);
  if (widthOf(g, text) <= room) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (g.measureText(text.slice(0, middle) + "…").width <= room) low = middle;
    else high = middle - 1;
  }
  return low >= 3 ? text.slice(0, low).trimEnd() + "…" : "";
}

/**
 * Draw the rows.
 * @param {CanvasRenderingContext2D} g in CSS pixels
 * @param {{store, geometry, theme, from, to, top, width, height, gutter, matches, hover, selected, path, measure}} scene times from/to in µs
 * @return {number} how many bars were drawn
 */
export function paint(g, scene) {
  const { store, geometry: { blocks, lines }, theme, from, to, top, width, height, gutter } = scene;
  const scale = (width - gutter) / (to - from);
  const x = (time) => gutter + (time - from) * scale;
  g.fillStyle = theme.page;
  g.fillRect(0, 0, width, height);
  g.save();
  g.beginPath();
  g.rect(0, AXIS, width, height - AXIS);
  g.clip();
  g.fillStyle = theme.colour("stripe");
  blocks.forEach((block, i) => {
    const y = AXIS + block.y - top;
    if (i % 2 && y < height && y + block.h > AXIS) g.fillRect(0, y, width, block.h);
  });
  const step = niceStep((to - from) / Math.max(1, (width - gutter) / 90));
  g.strokeStyle = theme.colour("line");
  g.lineWidth = 1;
  g.beginPath();
  for (const time of ticks(from, to, step)) {
    const at = Math.round(x(time)) + 0.5;
    g.moveTo(at, AXIS);
    g.lineTo(at, height);
  }
  g.stroke();

  const under = new Buckets();
  const over = new Buckets();
  const edges = new Buckets();
  const labels = [];
  let drawn = 0;
  for (const line of lines) {
    const y = AXIS + line.y - top;
    if (y > height || y + line.h < AXIS) continue;
    line.layers.forEach((ids, layer) => {
      drawn += paintLayer(scene, { ids, layer, y, h: line.h, isFolded: line.isFolded, x, scale, labels },
        layer ? over : under, over, edges);
    });
  }
  under.draw(g, theme);
  over.draw(g, theme);
  edges.draw(g, theme);
  paintBands(g, scene, x);
  paintLabels(g, theme, labels);
  if (scene.path) paintPath(g, scene, x);
  paintHandoffs(g, scene, x);
  for (const [id, isSelected] of [[scene.hover, false], [scene.selected, true]]) if (id >= 0) outline(g, scene, x, id, isSelected);
  if (scene.measure) paintMeasure(g, scene, x);
  if (store.header.running) {
    g.fillStyle = theme.colour("accent");
    g.fillRect(Math.round(x(store.now)), AXIS, 1, height - AXIS);
  }
  g.restore();
  paintGutter(g, scene);
  paintAxis(g, scene, x, step);
  return drawn;
}

export function ticks(from, to, step) {
  const found = [];
  if (!(step > 0) || !Number.isFinite(from) || !Number.isFinite(to)) return found;
  for (let i = Math.ceil(Math.max(from, 0) / step); i * step <= to && found.length < 200; i++) found.push(i * step);
  return found;
}

function paintLayer(scene, line, under, over, edges) {
  const { store, from, to, width, gutter, matches } = scene;
  const { ids, layer, y, h, x, scale } = line;
  const startOf = line.isFolded && !layer ? (id) => store.begun(id) : (id) => store.start[id];
  let drawn = 0;
  let run = null;
  const endRun = () => {
    if (run) under.add(run.style, run.x, y, run.to - run.x, h);
    run = null;
  };
  for (let i = firstVisible(store, ids, from); i < ids.length;) {
    const id = ids[i];
    const start = startOf(id);
    if (!(start <= to)) break;
    const left = x(start);
    const right = x(store.endOf(id));
    const isDim = matches && !matches[id];
    drawn++;
    if (right - left < 1.5) {
      // All that ends within this pixel is one mark; marks beside each other are one rectangle.
      const pixel = Math.floor(left);
      const next = from + (pixel + 1 - gutter) / scale;
      const style = isDim ? "dim" : `dense ${styleOf(store, id)}`;
      if (run && run.style === style && pixel <= run.to) run.to = pixel + 1;
      else {
        endRun();
        run = { style, x: pixel, to: pixel + 1 };
      }
      i = afterPixel(store, ids, i, next);
      continue;
    }
    endRun();
    const a = Math.max(left, gutter - 10);
    const b = Math.min(right, width + 10);
    if (isDim) under.add("dim", a, y, Math.max(1, b - a - 0.5), h, RADIUS, RADIUS);
    else paintBar(scene, { ...line, id, a, b, left, right }, under, over, edges);
    i++;
  }
  endRun();
  return drawn;
}

function paintBar(scene, bar, under, over, edges) {
  const { store, width } = scene;
  const { id, a, b, y, h, x, left, right, layer } = bar;
  const w = Math.max(1, b - a - 0.5);
  const radius = w < 8 ? 0 : Math.min(RADIUS, h / 2);
  const kind = store.kind[id];
  const style = styleOf(store, id);
  const first = store.first[id];
  if (isTask(kind) && store.states.has(id) && w > 3) {
    paintStates(scene, bar, under, radius);
    if (store.outcome[id] > 1) over.add(style, Math.max(a, b - 6.5), y, Math.min(6, w), h, 0, radius);
  } else if (isCall(kind) && style === "chat" && w > 6) {
    const split = first === first ? Math.min(Math.max(x(first), a), b) : store.isOpen(id) ? b : a;
    if (split > a) under.add("chat-wait", a, y, split - a, h, radius, split < b - 1 ? 0 : radius);
    if (split < b - 0.5) under.add("chat", split, y, b - split - 0.5, h, split > a + 1 ? 0 : radius, radius);
  } else under.add(style, a, y, w, h, radius, radius);
  if (isCall(kind) && w > 12) paintAttempts(scene, bar, over);
  if (first === first && right - left > 12) over.add("token", Math.round(x(first)) - 1, y, 2, h);
  if (h > 6 && w >= 7) edges.add(`edge ${isTask(kind) && style === "span" ? (h <= RIBBON ? "waiting" : "running") : style}`, a + 0.5, y + 0.5, w - 1, h - 1, radius, radius);
  // In a folded lane the agent's name stands over what it does.
  if (h < 12 || layer) return;
  const took = store.isOpen(id) ? "" : duration(store.end[id] - store.begun(id));
  const onState = isTask(kind) && store.states.has(id);
  for (const label of labelsOf(scene, bar, first)) bar.labels.push({ took, onState, y: y + h / 2 + 0.5, h, ...label });
}

/** What a bar says, and where: the name beside the first-token mark, failed attempts by their status. */
function labelsOf({ store, gutter, width }, bar, first) {
  const { id, a, b, x } = bar;
  const labels = [];
  let from = Math.max(a, gutter);
  const to = Math.min(b, width);
  // Its look tells the operation already.
  let name = store.nameOf(id).replace(new RegExp(`^${KINDS[store.kind[id]]} `), "");
  if (bar.isFolded) {
    const [short] = /(\[.*\]|\d+)$/.exec(name) ?? [name];
    return short.length * 6 + 10 < to - from ? [{ text: short, x: from + 5, room: to - from - 8, took: "" }] : [];
  }
  if (isCall(store.kind[id])) {
    const attempts = store.attempts.get(id) ?? [];
    for (const attempt of attempts) {
      const status = store.value(attempt, "http.response.status_code");
      const [left, right] = [Math.max(x(store.start[attempt]), from), Math.min(x(store.endOf(attempt)), to)];
      if (status >= 400 && attempt !== attempts.at(-1)) labels.push({ text: String(status), took: "", x: left + 4, room: right - left - 6, isStrong: true });
      else if (status >= 400) name = `${status} ${name}`;
    }
    if (attempts.length > 1) from = Math.max(from, x(store.start[attempts.at(-1)]));
    const wait = store.value(attempts.at(-1) ?? id, "asyncmagic.connection_wait") * 1e6;
    if (wait > 1000) from = Math.max(from, x(store.start[attempts.at(-1)] + wait));
    const split = x(first);
    if (split > from && split < to && split - from < name.length * 6 + 12 && to - split > split - from) from = split + 1;
  }
  if (to - from >= 22) labels.push({ text: name, x: from + 5, room: to - from - 10 });
  return labels;
}

function paintStates(scene, bar, under, radius) {
  const { store, from, to, width, gutter } = scene;
  const { id, a, b, y, h, x, scale } = bar;
  const states = store.states.get(id);
  const n = states.time.length;
  const skipQueued = bar.isFolded;
  let i = Math.max(0, lowerBound((at) => states.time[at], 0, n, from) - 1);
  if (i === 0 && states.time[0] > store.start[id]) under.add("queued", a, y, Math.max(0, x(states.time[0]) - a), h);
  while (i < n && states.time[i] <= to) {
    const left = Math.max(x(states.time[i]), a);
    const right = Math.min(i + 1 < n ? x(states.time[i + 1]) : b, b);
    const style = STATES[states.code[i]];
    if (right - left < 0.7 && i + 1 < n) {
      const next = from + (Math.floor(left) + 1 - gutter) / scale;
      i = Math.max(i + 1, lowerBound((at) => states.time[at], i + 1, n, next) - 1);
      continue;
    }
    if (!(skipQueued && style === "queued")) under.add(style, left, y, Math.max(0.7, right - left - (right >= b ? 0.5 : 0)), h, left <= a ? radius : 0, right >= b ? radius : 0);
    i++;
  }
  return width;
}

function paintAttempts(scene, bar, over) {
  const { store } = scene;
  const { id, y, h, a, b, x } = bar;
  const attempts = store.attempts.get(id);
  if (!attempts) return;
  const clamp = (at) => Math.min(Math.max(at, a), b - 0.5);
  attempts.forEach((attempt, i) => {
    const left = clamp(x(store.start[attempt]));
    const right = clamp(x(store.endOf(attempt)));
    const wait = store.value(attempt, "asyncmagic.connection_wait") * 1e6;
    if (wait > 1000) over.add("connect", left, y + 1, clamp(x(store.start[attempt] + wait)) - left, h - 2);
    if (store.outcome[attempt] === 2 || store.value(attempt, "http.response.status_code") >= 400) {
      over.add("failed", left, y + 1, Math.max(1.5, right - left), h - 2);
    }
    const next = attempts[i + 1];
    const until = next === undefined ? NaN : clamp(x(store.start[next]));
    if (until - right > 1) over.add("backoff", right, y + 1, until - right, h - 2);
  });
}

function paintLabels(g, theme, labels) {
  g.textBaseline = "middle";
  for (const { text, took, x, room, y, onState, isStrong, h } of labels) {
    g.font = `${isStrong ? "600 " : ""}${h < 15 ? 10 : 11}px ${theme.font}`;
    const shown = fitText(g, text, room);
    if (!shown) continue;
    const width = widthOf(g, shown);
    if (onState) {
      g.lineWidth = 3;
      g.lineJoin = "round";
      g.strokeStyle = theme.page;
      g.globalAlpha = 0.85;
      g.strokeText(shown, x, y);
      g.globalAlpha = 1;
    }
    g.fillStyle = theme.colour("ink");
    g.fillText(shown, x, y);
    if (took && shown === text && widthOf(g, took) + width + 16 < room) {
      g.globalAlpha = 0.75;
      g.fillText(took, x + room - widthOf(g, took), y);
      g.globalAlpha = 1;
    }
  }
}

function paintBands(g, { store, theme, from, to, gutter, width, height }, x) {
  g.font = `600 10px ${theme.font}`;
  g.textBaseline = "alphabetic";
  for (const id of store.bands) {
    if (store.endOf(id) < from || store.start[id] > to) continue;
    const a = Math.max(x(store.start[id]), gutter);
    const w = Math.max(1.5, Math.min(x(store.endOf(id)), width) - a);
    g.globalAlpha = 0.4;
    g.fillStyle = theme.fill(g, "blocked");
    g.fillRect(a, AXIS, w, height - AXIS);
    g.globalAlpha = 1;
    g.fillStyle = theme.edge("blocked");
    g.fillRect(a, AXIS, w, 3);
    g.fillRect(a, AXIS, 1, height);
    g.fillRect(a + w - 1, AXIS, 1, height);
    const text = w > 3 ? fitText(g, bandLabel(store, id), Math.min(300, width - gutter)) : "";
    if (!text) continue;
    const wide = widthOf(g, text) + 8;
    const at = Math.max(gutter, Math.min(a, width - wide));
    g.fillRect(at, AXIS, wide, 16);
    g.fillStyle = theme.page;
    g.fillText(text, at + 4, AXIS + 12);
  }
}

/** What blocked the loop: `blocked 0.75 s · line 3` of the cell, or `· tools.py:3`. */
export function bandLabel(store, id) {
  const facts = store.attributes(id);
  const path = String(facts["code.file.path"] ?? "");
  const file = path.split(/[\\/]/).pop();
  const line = facts["code.line.number"];
  const isCell = !file || /<ipython-input|ipykernel_\d+|^<.*>$/.test(path);
  const place = !line ? "" : isCell ? ` · line ${line}` : ` · ${file}:${line}`;
  return `blocked ${duration(store.endOf(id) - store.start[id])}${place}`;
}

/** Where a span stands. @return {{x: number, y: number, w: number, h: number}|null} */
export function boxOf({ store, geometry: { lines }, top }, x, id) {
  const row = store.rows[store.row[id]];
  const anchor = store.isInside(id) ? store.parent[id] : id;
  const line = lines.find(({ block, layers, isFolded }) => block.rows.includes(row) &&
    (isFolded ? block.lines[row.lane] === layers : block.lines[store.sub[anchor]] === layers));
  if (!line) return null;
  const start = line.isFolded && row.owner === id ? store.begun(id) : store.start[id];
  return { x: x(start), y: AXIS + line.y - top, w: Math.max(2, x(store.endOf(id)) - x(start)), h: line.h };
}

function outline(g, scene, x, id, isSelected) {
  const box = boxOf(scene, x, id);
  if (!box) return;
  g.strokeStyle = isSelected ? scene.theme.colour("accent") : scene.theme.text;
  g.lineWidth = isSelected ? 2.5 : 1.5;
  g.beginPath();
  g.roundRect(box.x - 1, box.y - 1, box.w + 2, box.h + 2, RADIUS + 1);
  g.stroke();
}

function paintPath(g, scene, x) {
  g.strokeStyle = scene.theme.colour("blocked-edge");
  g.lineWidth = 2;
  for (const [id, from, to] of scene.path) {
    const box = boxOf(scene, x, id);
    if (!box) continue;
    g.beginPath();
    g.moveTo(x(from), box.y + box.h + 1);
    g.lineTo(Math.max(x(to), x(from) + 1), box.y + box.h + 1);
    g.stroke();
  }
}

function paintHandoffs(g, scene, x) {
  const { store, theme } = scene;
  g.strokeStyle = g.fillStyle = theme.edge("agent");
  g.lineWidth = 1.5;
  for (const id of store.handoffs) {
    for (const [target] of store.attributes(id).links ?? []) {
      const a = boxOf(scene, x, id);
      const b = boxOf(scene, x, target);
      if (!a || !b) continue;
      const down = b.y > a.y;
      const [x0, y0, x1, y1] = [a.x + a.w, a.y + a.h / 2, b.x, down ? b.y : b.y + b.h];
      g.beginPath();
      g.moveTo(x0, y0);
      g.bezierCurveTo(x0 + 16, y0, x1, y1 + (down ? -24 : 24), x1, y1);
      g.stroke();
      g.beginPath();
      g.moveTo(x1, y1);
      g.lineTo(x1 - 4, y1 + (down ? -6 : 6));
      g.lineTo(x1 + 4, y1 + (down ? -6 : 6));
      g.fill();
    }
  }
}

function paintMeasure(g, { theme, measure, height }, x) {
  const [a, b] = [Math.min(...measure), Math.max(...measure)];
  g.fillStyle = theme.colour("accent");
  g.globalAlpha = 0.14;
  g.fillRect(x(a), AXIS, x(b) - x(a), height);
  g.globalAlpha = 1;
  g.fillRect(x(a), AXIS, 1, height);
  g.fillRect(x(b), AXIS, 1, height);
  g.font = `600 12px ${theme.font}`;
  g.textBaseline = "middle";
  const text = duration(b - a);
  const wide = widthOf(g, text) + 12;
  const at = Math.max(x(a), x((a + b) / 2) - wide / 2);
  g.beginPath();
  g.roundRect(at, height - 26, wide, 20, 4);
  g.fill();
  g.fillStyle = theme.page;
  g.fillText(text, at + 6, height - 15.5);
}

function paintGutter(g, { store, geometry: { blocks }, theme, top, height, gutter }) {
  g.save();
  g.beginPath();
  g.rect(0, AXIS, gutter - 1, height - AXIS);
  g.clip();
  g.textBaseline = "middle";
  blocks.forEach((block, i) => {
    const y = AXIS + block.y - top;
    if (y > height || y + block.h < AXIS) return;
    g.fillStyle = i % 2 ? theme.colour("stripe") : theme.page;
    g.fillRect(0, y, gutter - 1, block.h);
    const owner = block.rows[0].owner;
    const outcome = ["open", "done", "failed", "cancelled"][store.outcome[owner]];
    const middle = y + 14;
    const indent = 8 + Math.min(block.depth, 4) * 12;
    g.font = `11px ${theme.font}`;
    let note;
    if (block.isFolded) note = `×${block.rows.length}`;
    else if (outcome === "open") note = stateNow(store, owner);
    else note = duration(store.end[owner] - store.begun(owner));
    if (gutter < GUTTER) note = "";
    const noteWidth = widthOf(g, note);
    g.fillStyle = outcome === "failed" ? theme.edge("failed") : theme.colour("muted");
    g.fillText(note, gutter - 10 - noteWidth, middle);
    g.fillText(block.isFolded ? "▸" : GLYPHS[outcome], indent, middle);
    g.font = `12px ${theme.font}`;
    g.fillStyle = theme.text;
    g.fillText(fitText(g, block.name, gutter - indent - 14 - noteWidth - 18), indent + 14, middle);
  });
  g.restore();
  g.fillStyle = theme.colour("line");
  g.fillRect(gutter - 1, AXIS, 1, height);
}

/** What an agent that has not ended does now. */
export function stateNow(store, id) {
  const states = store.states.get(id);
  return states ? STATES[states.code[states.code.length - 1]] : "running";
}

function paintAxis(g, { theme, from, to, gutter, width }, x, step) {
  g.fillStyle = theme.page;
  g.fillRect(0, 0, width, AXIS);
  g.fillStyle = theme.colour("line");
  g.fillRect(0, AXIS - 1, width, 1);
  g.save();
  g.beginPath();
  g.rect(gutter - 1, 0, width - gutter + 1, AXIS);
  g.clip();
  g.font = `11px ${theme.font}`;
  g.textBaseline = "middle";
  for (const time of ticks(from, to, step)) {
    const at = Math.round(x(time));
    g.fillStyle = theme.colour("line");
    g.fillRect(at, AXIS - 6, 1, 6);
    g.fillStyle = theme.colour("muted");
    const label = tickLabel(time, step);
    if (at + 8 + widthOf(g, label) < width) g.fillText(label, at + 4, AXIS / 2);
  }
  g.restore();
}

/** Draw the strip of calls in flight over the whole run, with the part that the rows show framed. */
export function paintStrip(g, { store, theme, flight, from, to, full, width, height, gutter }) {
  g.fillStyle = theme.page;
  g.fillRect(0, 0, width, height);
  const [start, end] = full;
  const x = (time) => gutter + ((time - start) / (end - start)) * (width - gutter);
  const y = (count) => height - 3 - (count / Math.max(1, flight.most)) * (height - 10);
  // One column a pixel: the most that were in flight in it.
  const columns = new Uint32Array(Math.max(1, Math.ceil(width - gutter)));
  flight.time.forEach((time, i) => {
    const a = Math.max(0, Math.floor(x(time) - gutter));
    const b = Math.min(columns.length - 1, Math.floor(x(flight.time[i + 1] ?? time) - gutter));
    for (let at = a; at <= b; at++) columns[at] = Math.max(columns[at], flight.count[i]);
  });
  g.beginPath();
  g.moveTo(gutter, height - 3);
  columns.forEach((count, at) => {
    g.lineTo(gutter + at, y(count));
    g.lineTo(gutter + at + 1, y(count));
  });
  g.lineTo(width, height - 3);
  g.closePath();
  g.fillStyle = theme.colour("chat-wait");
  g.fill();
  g.strokeStyle = theme.edge("chat");
  g.lineWidth = 1;
  g.stroke();
  g.fillStyle = theme.colour("muted");
  g.font = `11px ${theme.font}`;
  g.textBaseline = "middle";
  const what = flight.ofCalls ? "calls in flight" : "agents at work";
  g.fillText(fitText(g, flight.most ? `${what} · most ${flight.most}` : what, gutter - 16), 8, height / 2);
  g.fillStyle = theme.colour("line");
  g.fillRect(0, height - 1, width, 1);
  if (from > start + 1 || to < end - 1) {
    const [a, b] = [Math.max(x(from), gutter), Math.min(x(to), width)];
    g.fillStyle = theme.page;
    g.globalAlpha = 0.65;
    g.fillRect(gutter, 0, a - gutter, height - 1);
    g.fillRect(b, 0, width - b, height - 1);
    g.globalAlpha = 1;
    g.strokeStyle = theme.colour("accent");
    g.lineWidth = 1.5;
    g.strokeRect(a + 0.75, 0.75, Math.max(3, b - a - 1.5), height - 2.5);
  }
}

/** Draw the little picture that stands for a look in the legend. */
export function paintSwatch(g, theme, style, width, height) {
  const buckets = new Buckets();
  buckets.add(style, 0.5, 0.5, width - 1, height - 1, 2, 2);
  buckets.draw(g, theme);
  buckets.add(`edge ${style}`, 0.5, 0.5, width - 1, height - 1, 2, 2);
  buckets.draw(g, theme);
}
