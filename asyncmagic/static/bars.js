// The bars of the rows: from spans to rectangles by colour, then to labels. The hot path of a frame.
import { STATES, isCall, isTask } from "./trace.js";
import { AXIS, RIBBON, afterPixel, firstVisible, lowerBound } from "./rows.js";
import { edgeOf, fitText, styleOf, widthOf } from "./theme.js";
import { duration, shortName } from "./words.js";

/** Rectangles by style, so that each style is set once: the lists are kept from frame to frame. */
class Fills {
  constructor() {
    this.of = new Map();
  }

  add(style, x, y, w, h) {
    let list = this.of.get(style);
    if (!list) this.of.set(style, (list = []));
    list.push(x, y, w, h);
  }

  draw(g, theme) {
    for (const [style, list] of this.of) {
      if (!list.length) continue;
      g.fillStyle = theme.fill(g, style);
      // One by one: a path of thousands of rectangles takes far longer than thousands of rectangles.
      for (let i = 0; i < list.length; i += 4) g.fillRect(list[i], list[i + 1], list[i + 2], list[i + 3]);
      list.length = 0;
    }
  }
}

const marks = new Fills(); // of spans narrower than a pixel
const edges = new Fills();
const fills = new Fills();
const inner = new Fills(); // attempts, back-off, how a task ended, first tokens

/** Draws the bars of one frame. */
export class Bars {
  /** @param {object} scene see `paint` @param {(time: number) => number} x */
  constructor(g, scene, x) {
    Object.assign(this, { g, scene, x, store: scene.store, theme: scene.theme, labels: [] });
    this.pixel = 1 / scene.theme.scale;
    this.first = scene.gutter - 10;
    this.last = scene.width + 10;
  }

  draw() {
    const { g, scene: { geometry: { lines }, top, height }, theme } = this;
    const seen = lines.filter(({ y, h }) => AXIS + y - top <= height && AXIS + y - top + h >= AXIS);
    const depth = seen.reduce((most, { layers }) => Math.max(most, layers.length), 0);
    for (let layer = 0; layer < depth; layer++) {
      for (const line of seen) if (layer < line.layers.length) this.#layer(line, layer);
      g.globalAlpha = 0.75;
      marks.draw(g, theme);
      g.globalAlpha = 1;
      for (const each of [edges, fills, inner]) each.draw(g, theme);
    }
  }

  #snap(at) {
    return Math.round(at / this.pixel) * this.pixel;
  }

  #layer(line, layer) {
    const { store, x, scene: { from, to, top, matches, gutter, width } } = this;
    const ids = line.layers[layer];
    const { h } = line;
    const y = this.#snap(AXIS + line.y - top);
    const usPerPixel = (to - from) / (width - gutter);
    const isAgents = line.isFolded && !layer;
    let run = "";
    let runFrom = 0;
    let runTo = 0;
    for (let i = firstVisible(store, ids, from); i < ids.length;) {
      const id = ids[i];
      const start = isAgents ? store.begun(id) : store.start[id];
      if (!(start <= to)) break;
      const left = x(start);
      const right = x(store.endOf(id));
      const style = matches && !matches[id] ? "line" : styleOf(store, id);
      if (right - left < 1.5) {
        // All that ends within this pixel is one mark; marks beside each other are one rectangle.
        const at = Math.floor(left);
        if (run !== style || at > runTo) {
          if (run) marks.add(edgeOf(run), runFrom, y, runTo - runFrom, h);
          run = style;
          runFrom = at;
        }
        runTo = at + 1;
        i = afterPixel(store, ids, i, from + (at + 1 - gutter) * usPerPixel);
        continue;
      }
      i++;
      const a = this.#snap(Math.max(left, this.first));
      const wide = this.#snap(Math.min(right, this.last)) - a;
      const w = wide > 3 ? wide - this.pixel : Math.max(wide, 1);
      if (style === "line") edges.add("line", a, y, w, h);
      else this.#bar(id, style, a, y, w, h, line.isFolded, layer);
    }
    if (run) marks.add(edgeOf(run), runFrom, y, runTo - runFrom, h);
  }

  #bar(id, style, a, y, w, h, isFolded, layer) {
    const { store } = this;
    const kind = store.kind[id];
    const hasStates = isTask(kind) && store.states.has(id);
    const hasEdge = h > 6 && w >= 7;
    const rim = hasEdge ? 1 : 0;
    const [l, t, r, high] = [a + rim, y + rim, a + w - rim, h - 2 * rim];
    if (hasEdge) this.#frame(isTask(kind) && style === "span" ? (h <= RIBBON ? "waiting-edge" : "running-edge") : edgeOf(style), a, y, w, h);
    const first = store.first[id];
    const hasFirst = first === first;
    if (hasStates && w > 3) {
      this.#states(id, l, t, r, high, isFolded);
      if (store.outcome[id] > 1) inner.add(style, Math.max(l, r - 6), t, Math.min(6, r - l), high);
    } else if (isCall(kind) && style === "chat" && w > 6) {
      const split = hasFirst ? Math.min(Math.max(this.#snap(this.x(first)), l), r) : store.isOpen(id) ? r : l;
      if (split > l) fills.add("chat-wait", l, t, split - l, high);
      if (split < r) fills.add("chat", split, t, r - split, high);
    } else fills.add(style, l, t, r - l, high);
    let name = h < 12 || layer || w < 22 ? "" : shortName(store, id);
    let from = Math.max(a, this.scene.gutter);
    const to = Math.min(a + w, this.scene.width);
    if (isCall(kind) && w > 12) {
      const spoken = this.#attempts(id, l, t, r, high, name);
      from = Math.max(from, spoken);
      const status = store.status[store.attempts.get(id)?.at(-1) ?? id];
      if (status >= 400) name &&= `${status} ${name}`;
      if (hasFirst) {
        const split = this.#snap(this.x(first));
        if (split >= l && split <= r) inner.add("token", split - 1, t, 2, high);
        // Where it does not fit beside the first-token mark, the name stands behind it.
        if (split > from && split < to && split - from < name.length * 6 + 12 && to - split > split - from) from = split + 1;
      }
    }
    if (isFolded) name = this.#shortest(name, to - from);
    if (!name || to - from < 22) return;
    // How long it took stands at its end, if that is in view and far enough behind the first token.
    const hasRoom = !isFolded && !store.isOpen(id) && to === a + w && !(to - this.x(first) < 48);
    const took = hasRoom ? duration(store.end[id] - store.begun(id)) : "";
    this.labels.push({ text: name, took, x: from + 5, room: to - from - 10, y: y + h / 2 + 0.5, h, onState: hasStates });
  }

  /** A box with corners taken off: far cheaper than a round one, and as crisp as the rest. */
  #frame(style, x, y, w, h) {
    const cut = this.pixel < 1 ? 1 : 0.999;
    edges.add(style, x + 1, y, w - 2, h);
    if (this.pixel < 1) edges.add(style, x + 0.5, y + 0.5, w - 1, h - 1);
    edges.add(style, x, y + cut, w, h - 2 * cut);
  }

  /** In a folded lane an agent is its number, where there is room for it. */
  #shortest(name, room) {
    const [short] = /(\[.*\]|\d+)$/.exec(name) ?? [name];
    return short.length * 6 + 10 < room ? short : "";
  }

  #states(id, l, y, r, h, isFolded) {
    const { store, x, scene: { from, to, gutter, width } } = this;
    const { time, code } = store.states.get(id);
    const n = time.length;
    const usPerPixel = (to - from) / (width - gutter);
    const timeAt = (at) => time[at];
    let i = Math.max(0, lowerBound(timeAt, 0, n, from) - 1);
    if (i === 0 && time[0] > store.start[id] && !isFolded) fills.add("queued", l, y, Math.min(Math.max(0, this.#snap(x(time[0])) - l), r - l), h);
    while (i < n && time[i] <= to) {
      const left = Math.min(Math.max(x(time[i]), l), r);
      const right = Math.min(i + 1 < n ? x(time[i + 1]) : r, r);
      if (right - left < 0.7 && i + 1 < n) {
        const next = from + (Math.floor(left) + 1 - gutter) * usPerPixel;
        i = Math.max(i + 1, lowerBound(timeAt, i + 1, n, next) - 1);
        continue;
      }
      const style = STATES[code[i]];
      const at = this.#snap(left);
      if (!(isFolded && style === "queued")) fills.add(style, at, y, Math.max(this.pixel, this.#snap(right) - at), h);
      i++;
    }
  }

  /** Draw what came before the answer into a call's bar. @return {number} where there is room for its name */
  #attempts(id, l, y, r, h, hasName) {
    const { store, x } = this;
    const attempts = store.attempts.get(id);
    if (!attempts) return l;
    const clamp = (at) => this.#snap(Math.min(Math.max(x(at), l), r));
    let free = l;
    attempts.forEach((attempt, i) => {
      const left = clamp(store.start[attempt]);
      const right = clamp(store.endOf(attempt));
      const next = attempts[i + 1];
      const status = store.status[attempt];
      if (store.wait[attempt] > 1000) {
        free = clamp(store.start[attempt] + store.wait[attempt]);
        inner.add("connect", left, y, free - left, h);
      }
      if (store.outcome[attempt] === 2 || status >= 400) inner.add("failed", left, y, Math.max(1.5, right - left), h);
      if (next === undefined) return;
      free = clamp(store.start[next]);
      if (free > right) inner.add("backoff", right, y, free - right, h);
      // A refused attempt is short: its status may stand in the pause after it.
      if (status >= 400 && hasName) this.labels.push({ text: String(status), took: "", x: left + 3, room: free - left - 4, y: y + h / 2 + 0.5, h: 18, isRefused: true });
    });
    return free;
  }

  /** Write the labels: last, so that nothing stands over them. */
  write() {
    const { g, theme } = this;
    const ink = theme.colour("ink");
    g.textBaseline = "middle";
    for (const { text, took, x, room, y, h, onState, isRefused } of this.labels) {
      g.font = `${isRefused ? "600 " : ""}${h < 15 || isRefused ? 10 : 11}px ${theme.font}`;
      const shown = fitText(g, text, room);
      if (!shown || (isRefused && shown !== text)) continue;
      const width = widthOf(g, shown);
      if (isRefused) {
        g.fillStyle = theme.page;
        g.fillRect(x - 2, y - 6.5, width + 4, 12);
      } else if (onState) this.#halo(shown, x, y);
      g.fillStyle = isRefused ? theme.edge("failed") : ink;
      g.fillText(shown, x, y);
      const end = took && shown === text ? took.length * 6 : 0;
      if (end && end + width + 16 < room) {
        g.textAlign = "right";
        if (onState) this.#halo(took, x + room, y);
        g.globalAlpha = 0.75;
        g.fillText(took, x + room, y);
        g.globalAlpha = 1;
        g.textAlign = "left";
      }
    }
  }

  #halo(text, x, y) {
    const { g, theme } = this;
    g.lineWidth = 3;
    g.lineJoin = "round";
    g.strokeStyle = theme.page;
    g.globalAlpha = 0.85;
    g.strokeText(text, x, y);
    g.globalAlpha = 1;
  }
}
