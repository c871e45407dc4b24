// Which spans stand on which line, and where the lines stand. Pure: from a TraceStore to numbers.
import { isTask } from "./trace.js";

export const AXIS = 24;
export const RIBBON = 8;
const FOLD_ABOVE = 24;
const BAR = 18;
const MINOR = 5;
const GAP = 2;
const PAD = 5;
const LEAST = 28;

/**
 * What is drawn together under one label: rows in the order of their start, called agents below callers, large groups
 * folded to the lanes that were in use. @param {TraceStore} store
 * @param {{folded?: Map<string, boolean>, keep?: (row) => boolean, order?: (a, b) => number}} options
 */
export function blocksOf(store, { folded = new Map(), keep = () => true, order = null } = {}) {
  const sizes = new Map();
  // The run itself has a row only where something else than its agents stands below it.
  const isBare = store.rows.length > 1 && !store.sub.subarray(0, store.n).some((sub, id) => sub > 0 && !store.row[id]);
  const keyOf = (row) => `${row.parent} ${row.group}`;
  for (const row of store.rows) if (row.group) sizes.set(keyOf(row), (sizes.get(keyOf(row)) ?? 0) + 1);
  const below = new Map();
  for (const row of store.rows) {
    if (!below.has(row.parent)) below.set(row.parent, []);
    below.get(row.parent).push(row);
  }
  const pending = [...(below.get(-1) ?? [])];
  if (order) pending.sort((a, b) => (a.index && b.index ? order(a, b) : a.index - b.index));
  pending.reverse();
  const blocks = [];
  const ofRow = new Array(store.rows.length);
  const ofGroup = new Map();
  while (pending.length) {
    const row = pending.pop();
    pending.push(...(below.get(row.index) ?? []).toReversed());
    const isFolded = row.group && (folded.get(keyOf(row)) ?? sizes.get(keyOf(row)) > FOLD_ABOVE);
    if (row.index ? !keep(row) : isBare) continue;
    let block = isFolded ? ofGroup.get(keyOf(row)) : undefined;
    if (!block) {
      block = { name: isFolded ? row.group : row.name, depth: row.depth, rows: [], isFolded: !!isFolded, lines: [],
        group: row.group && keyOf(row), size: sizes.get(keyOf(row)) ?? 1, run: isRun(store, row) ? row.index : ofRow[row.parent]?.run ?? 0 };
      blocks.push(block);
      if (isFolded) ofGroup.set(keyOf(row), block);
    }
    block.rows.push(row);
    ofRow[row.index] = block;
  }
  // Each line is a list of layers; the spans of one layer never overlap, so that a binary search finds them.
  for (let id = 0; id < store.n; id++) {
    const block = ofRow[store.row[id]];
    const sub = store.sub[id];
    if (!block || sub < 0 || store.isInside(id)) continue;
    const line = block.isFolded ? store.rows[store.row[id]].lane : sub;
    if (line < 0) continue;
    while (block.lines.length <= line) block.lines.push([]);
    const layers = block.lines[line];
    const layer = block.isFolded ? sub : 0;
    while (layers.length <= layer) layers.push([]);
    layers[layer].push(id);
  }
  const byStart = (a, b) => store.start[a] - store.start[b] || a - b;
  for (const ids of blocks.flatMap((block) => block.lines.flat())) if (!isSorted(ids, store.start)) ids.sort(byStart);
  return blocks;
}

/** Whether a row is one of several runs in one picture. */
function isRun(store, row) {
  return row.index > 0 && store.kind[row.owner] === 0;
}

function isSorted(ids, start) {
  for (let i = 1; i < ids.length; i++) if (start[ids[i]] < start[ids[i - 1]]) return false;
  return true;
}

/**
 * How many calls (agents where there is no call) were in flight over time.
 * @return {{time: number[], count: number[], most: number, ofCalls: boolean}}
 */
export function inFlight(store) {
  const ofCalls = store.calls.length > 0;
  const owners = () => store.rows.map((row) => row.owner).filter((id) => id && isTask(store.kind[id]));
  const ids = (ofCalls ? store.calls : owners()).filter((id) => store.begun(id) === store.begun(id));
  // Sorted apart, starts and ends need no pairs: typed arrays sort fast.
  const starts = Float64Array.from(ids, (id) => store.begun(id)).sort();
  const ends = Float64Array.from(ids, (id) => store.endOf(id)).sort();
  // Of very many changes only the most at once in each of some thousand steps is kept: the strip has no more pixels.
  const step = ids.length > 5000 ? (ends[ends.length - 1] - starts[0]) / 4000 : 0;
  const time = [0];
  const count = [0];
  let most = 0;
  for (let i = 0, j = 0; j < ends.length;) {
    const when = i < starts.length && starts[i] < ends[j] ? starts[i++] : ends[j++];
    const now = i - j;
    most = Math.max(most, now);
    const at = time.length - 1;
    if (time[at] === when) count[at] = now;
    else if (when - time[at] < step && j < ends.length) count[at] = Math.max(count[at], now);
    else {
      time.push(when);
      count.push(now);
    }
  }
  return { time, count, most, ofCalls };
}

/**
 * Where the blocks and their lines stand, in pixels from the top, below `room` for what is written there.
 * @return {{blocks: object[], lines: object[], ofRow: object[], runs: Map<number, number[]>, height: number}} of several runs from where to where they go
 */
export function geometry(blocks, room = 0, isMinor = () => false) {
  const lines = [];
  const ofRow = [];
  const runs = new Map();
  let y = room;
  const placed = blocks.map((block) => {
    const top = y;
    const n = block.lines.length;
    const { isFolded } = block;
    const at = block.lines.map((layers, sub) => ({ layers, isFolded, y: 0, h: heightOf(layers, sub, n, isFolded, isMinor) }));
    y += PAD;
    for (const line of at) {
      line.y = y;
      y += line.h + (isFolded && line.h <= 5 ? 1 : GAP);
    }
    lines.push(...at);
    y = Math.max(y - GAP + PAD, top + LEAST);
    const made = { ...block, at, y: top, h: y - top };
    for (const row of block.rows) ofRow[row.index] = made;
    if (block.run) runs.set(block.run, [runs.get(block.run)?.[0] ?? top, y]);
    return made;
  });
  return { blocks: placed, lines, ofRow, runs, height: y };
}

function heightOf(layers, sub, n, isFolded, isMinor) {
  if (isFolded) return n <= 12 ? 14 : n <= 30 ? 9 : Math.max(2, Math.min(6, Math.round(320 / n)));
  return sub === 0 && n > 1 ? RIBBON : sub > 1 && isMinor(layers) ? MINOR : BAR;
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
export function lowerBound(value, from, to, time) {
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

/** Where a span stands. @return {{x: number, y: number, w: number, h: number}|null} */
export function boxOf({ store, geometry: { ofRow }, top }, x, id) {
  const row = store.rows[store.row[id]];
  const block = ofRow[row.index];
  const line = block?.at[block.isFolded ? row.lane : store.sub[store.isInside(id) ? store.parent[id] : id]];
  if (!line) return null;
  const start = line.isFolded && row.owner === id ? store.begun(id) : store.start[id];
  return { x: x(start), y: AXIS + line.y - top, w: Math.max(2, x(store.endOf(id)) - x(start)), h: line.h };
}
