// One frame: the rows with all that stands around and across them, and the strip of calls in flight.
import { OUTCOMES } from "./trace.js";
import { AXIS, boxOf } from "./rows.js";
import { Bars } from "./bars.js";
import { fitText, widthOf } from "./theme.js";
import { bandLabel, duration, niceStep, stateNow, tickLabel, ticks } from "./words.js";

export const GUTTER = 168;
const GLYPHS = { open: "•", done: "✓", failed: "✕", cancelled: "⊘" };

/**
 * Draw the rows.
 * @param {CanvasRenderingContext2D} g in CSS pixels
 * @param {{store, geometry, theme, from, to, top, width, height, gutter, matches, hover, selected, path, measure}} scene
 *   times from/to in µs
 */
export function paint(g, scene) {
  const { store, geometry: { blocks }, theme, from, to, top, width, height, gutter } = scene;
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
    if (i % 2 && y < height && y + block.h > AXIS) g.fillRect(gutter, y, width, block.h);
  });
  const step = niceStep((to - from) / Math.max(1, (width - gutter) / 90));
  g.fillStyle = theme.colour("grid");
  for (const time of ticks(from, to, step)) g.fillRect(Math.round(x(time)), AXIS, 1, height);
  const bars = new Bars(g, scene, x);
  bars.draw();
  paintBands(g, scene, x);
  bars.write();
  if (scene.path) paintPath(g, scene, x);
  if (store.handoffs.length) paintHandoffs(g, scene, x);
  if (scene.hover >= 0) outline(g, scene, x, scene.hover, theme.text, 1.5);
  if (scene.selected >= 0) outline(g, scene, x, scene.selected, theme.colour("accent"), 2.5);
  if (scene.measure) paintMeasure(g, scene, x);
  if (store.header.running) {
    g.fillStyle = theme.colour("accent");
    g.fillRect(Math.round(x(store.now)), AXIS, 1, height - AXIS);
  }
  g.restore();
  paintGutter(g, scene);
  paintAxis(g, scene, x, step);
}

/** Where the loop was blocked, across all rows of its run. What is narrower than a pixel is drawn once a pixel. */
function paintBands(g, { store, theme, geometry: { ofRow, runs, height: all }, from, to, top, gutter, width, height }, x) {
  const seen = [];
  const drawnTo = new Map();
  for (const id of store.bands) {
    const end = store.endOf(id);
    if (end < from || store.start[id] > to) continue;
    const run = ofRow[store.row[id]]?.run ?? 0;
    const a = Math.max(Math.round(x(store.start[id])), gutter);
    const w = Math.max(1.5, Math.min(x(end), width) - a);
    if (a + w <= drawnTo.get(run)) continue;
    drawnTo.set(run, a + w);
    const [above, below] = (runs.get(run) ?? [0, Math.max(all, top + height)]).map((y) => AXIS + y - top);
    g.globalAlpha = 0.4;
    g.fillStyle = theme.fill(g, "blocked");
    g.fillRect(a, above, w, below - above);
    g.globalAlpha = 1;
    g.fillStyle = theme.edge("blocked");
    g.fillRect(a, above, w, 3);
    g.fillRect(a, above, 1, below - above);
    g.fillRect(a + w - 1, above, 1, below - above);
    if (w > 3) seen.push({ id, a, y: Math.max(above, AXIS), time: end - store.start[id] });
  }
  paintBandLabels(g, { store, theme, gutter, width }, seen);
}

/** The longest bands are named first; a name that would stand over another one's is left out. */
function paintBandLabels(g, { store, theme, gutter, width }, bands) {
  g.font = `600 10px ${theme.font}`;
  g.textBaseline = "alphabetic";
  const taken = [];
  for (const { id, a, y } of bands.sort((one, other) => other.time - one.time).slice(0, 40)) {
    const text = fitText(g, bandLabel(store, id), Math.min(300, width - gutter));
    const wide = widthOf(g, text) + 8;
    const at = Math.max(gutter, Math.min(a, width - wide - 8));
    if (!text || taken.some(([from, to, row]) => row === y && at < to + 2 && at + wide > from - 2)) continue;
    taken.push([at, at + wide, y]);
    g.fillStyle = theme.edge("blocked");
    g.fillRect(at, y, wide, 16);
    g.fillStyle = theme.page;
    g.fillText(text, at + 4, y + 12);
  }
}

function outline(g, scene, x, id, colour, width) {
  const box = boxOf(scene, x, id);
  if (!box) return;
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.beginPath();
  g.roundRect(box.x - 1, box.y - 1, box.w + 1, box.h + 2, 3);
  g.stroke();
}

function paintPath(g, scene, x) {
  g.fillStyle = scene.theme.text;
  for (const [id, from, to] of scene.path) {
    if (to < scene.from || from > scene.to) continue;
    const box = boxOf(scene, x, id);
    if (box) g.fillRect(x(from), box.y + box.h, Math.max(1, x(to) - x(from)), 2);
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
      const [x0, y0, x1, y1] = [a.x + a.w, down ? a.y + a.h : a.y, b.x, down ? b.y : b.y + b.h];
      const bend = down ? 14 : -14;
      g.beginPath();
      g.moveTo(x0, y0);
      g.bezierCurveTo(x0, y0 + bend, x1, y1 - bend, x1, y1);
      g.stroke();
      g.beginPath();
      g.moveTo(x1, y1);
      g.lineTo(x1 - 4, y1 + (down ? -6 : 6));
      g.lineTo(x1 + 4, y1 + (down ? -6 : 6));
      g.fill();
    }
  }
}

function paintMeasure(g, { theme, measure, height, gutter, width }, x) {
  const [a, b] = [x(Math.min(...measure)), x(Math.max(...measure))];
  g.fillStyle = theme.colour("accent");
  g.globalAlpha = 0.14;
  g.fillRect(a, AXIS, b - a, height);
  g.globalAlpha = 1;
  g.fillRect(a, AXIS, 1, height);
  g.fillRect(b, AXIS, 1, height);
  g.font = `600 12px ${theme.font}`;
  g.textBaseline = "middle";
  const text = duration(Math.abs(measure[1] - measure[0]));
  const wide = widthOf(g, text) + 12;
  const at = Math.min(Math.max((a + b - wide) / 2, gutter), width - wide);
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
    const outcome = OUTCOMES[store.outcome[owner]];
    const middle = y + 14;
    const indent = 8 + Math.min(block.depth, 4) * 12;
    const took = outcome === "open" ? stateNow(store, owner) : duration(store.end[owner] - store.begun(owner));
    const note = gutter < GUTTER ? "" : block.isFolded ? `×${block.rows.length}` : took;
    g.font = `11px ${theme.font}`;
    const noteWidth = widthOf(g, note);
    g.fillStyle = outcome === "failed" && !block.isFolded ? theme.edge("failed") : theme.colour("muted");
    g.fillText(note, gutter - 10 - noteWidth, middle);
    g.fillText(block.isFolded ? "▸" : GLYPHS[outcome], indent, middle);
    g.font = `12px ${theme.font}`;
    g.fillStyle = theme.text;
    g.fillText(fitText(g, block.name, gutter - indent - 14 - noteWidth - (note ? 18 : 6)), indent + 14, middle);
  });
  g.restore();
  g.fillStyle = theme.colour("line");
  g.fillRect(gutter - 1, AXIS, 1, height);
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

/** Draw the strip of calls in flight over the whole run. */
export function paintStrip(g, { theme, flight, full: [start, end], width, height, gutter }) {
  g.fillStyle = theme.page;
  g.fillRect(0, 0, width, height);
  const scale = (width - gutter) / (end - start);
  // One column a pixel: the most that were in flight in it.
  const columns = new Uint32Array(Math.max(1, Math.ceil(width - gutter)));
  flight.time.forEach((time, i) => {
    const a = Math.max(0, Math.floor((time - start) * scale));
    const b = Math.min(columns.length - 1, Math.floor(((flight.time[i + 1] ?? time) - start) * scale));
    for (let at = a; at <= b; at++) columns[at] = Math.max(columns[at], flight.count[i]);
  });
  const base = height - 2.5;
  let y = base;
  g.beginPath();
  g.moveTo(gutter, base);
  columns.forEach((count, at) => {
    const x = gutter + at + 0.5;
    g.lineTo(x, y);
    y = base - Math.round((count / Math.max(1, flight.most)) * (height - 10));
    g.lineTo(x, y);
  });
  g.lineTo(width, y);
  g.lineTo(width, base);
  g.fillStyle = theme.colour("chat-wait");
  g.fill();
  g.strokeStyle = theme.edge("chat");
  g.lineWidth = 1;
  g.stroke();
  g.fillStyle = theme.colour("muted");
  g.font = `11px ${theme.font}`;
  g.textBaseline = "middle";
  const [whole, short] = flight.ofCalls ? ["calls in flight", "calls"] : ["agents at work", "agents"];
  const what = gutter < GUTTER ? short : whole;
  g.fillText(fitText(g, flight.most ? `${what} · most ${flight.most}` : what, gutter - 12), 8, height / 2);
  g.fillStyle = theme.colour("line");
  g.fillRect(0, height - 1, width, 1);
}
