// What the page knows of a trace: applies deltas, answers questions. Knows no DOM.
export const KINDS = ["cell", "task", "thread", "process", "invoke_agent", "execute_tool", "handoff", "chat",
  "embeddings", "http", "blocked", "span"];
export const OUTCOMES = ["open", "done", "failed", "cancelled"];
export const STATES = ["queued", "running", "waiting", "ready"];
export const FOLD_ABOVE = 24;
const MAGIC = 0x31544d41;
const [TASK, CHAT, EMBEDDINGS, HTTP, BLOCKED] = ["task", "chat", "embeddings", "http", "blocked"].map((k) => KINDS.indexOf(k));
const COLUMNS = { start: Float64Array, end: Float64Array, first: Float64Array, parent: Int32Array, name: Int32Array,
  row: Int32Array, sub: Int16Array, kind: Uint8Array, outcome: Uint8Array };

/** Return the bytes of a delta, inflated where the kernel compressed them. @param {DataView|ArrayBuffer} message */
export async function unpack(message) {
  const bytes = message.buffer ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength) : new Uint8Array(message);
  if (bytes.length < 4 || new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === MAGIC) return bytes.slice().buffer;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** One trace in columns, indexed by the span's number. Times are microseconds since the start of the run. */
export class TraceStore {
  constructor() {
    this.listeners = new Set();
    this.clear();
  }

  clear() {
    this.n = 0;
    for (const [name, Type] of Object.entries(COLUMNS)) this[name] = new Type(256);
    this.texts = [];
    this.rows = [];
    this.facts = new Map();
    this.places = new Map();
    this.states = new Map();
    this.attempts = new Map();
    this.bands = [];
    this.calls = [];
    this.handoffs = [];
    this.header = { headline: "", progress: "", running: true };
    this.now = 0;
    this.last = 0;
    this.sequence = -1;
    this.structure = 0;
    this.version = 0;
  }

  /** Take up a delta. @param {ArrayBuffer} buffer @return {boolean} whether deltas before it are missing */
  apply(buffer) {
    const view = new DataView(buffer);
    if (view.getUint32(0, true) !== MAGIC) throw new Error("this is no timeline of asyncmagic's");
    const [size, count, changes] = [4, 8, 12].map((offset) => view.getUint32(offset, true));
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 16, size)));
    if (head.all) this.clear();
    const isGap = !head.all && head.seq !== this.sequence + 1;
    if (isGap) return true;
    this.sequence = head.seq;
    for (const text of head.texts ?? []) this.texts.push(text);
    for (const [index, name, owner, parent, depth, group, lane] of head.rows ?? []) {
      this.rows[index] = { index, name: this.texts[name], owner, parent, depth, group: this.texts[group], lane };
      this.structure++;
    }
    let offset = 16 + size;
    const take = (Type, length) => {
      const column = new Type(buffer, offset, length);
      offset += column.byteLength;
      return column;
    };
    const [starts, lengths, firsts] = [0, 1, 2].map(() => take(Float64Array, count));
    const times = take(Float64Array, changes);
    const [ids, parents, names, rows] = [0, 1, 2, 3].map(() => take(Int32Array, count));
    const [owners, positions, details] = [0, 1, 2].map(() => take(Int32Array, changes));
    const subs = take(Int16Array, count);
    const [kinds, outcomes] = [0, 1].map(() => take(Uint8Array, count));
    const codes = take(Uint8Array, changes);
    for (let i = 0, id = 0, start = 0; i < count; i++) {
      id += ids[i];
      start += starts[i];
      const isNew = id >= this.n;
      if (isNew) this.#grow(id + 1);
      this.start[id] = start;
      this.end[id] = lengths[i] < 0 ? NaN : start + lengths[i];
      this.first[id] = firsts[i] < 0 ? NaN : start + firsts[i];
      this.parent[id] = id - parents[i];
      this.name[id] = names[i];
      this.row[id] = rows[i];
      this.sub[id] = subs[i];
      this.kind[id] = kinds[i];
      this.outcome[id] = outcomes[i];
      this.last = Math.max(this.last, lengths[i] < 0 ? start : start + lengths[i]);
      if (isNew) this.#note(id);
    }
    for (const [index, ...fact] of head.facts ?? []) this.facts.set(index, fact);
    for (let i = 0; i < changes; i++) {
      let states = this.states.get(owners[i]);
      if (!states) this.states.set(owners[i], (states = { time: [], code: [], detail: [] }));
      states.time.length = states.code.length = states.detail.length = positions[i];
      states.time.push(times[i]);
      states.code.push(codes[i]);
      states.detail.push(details[i]);
    }
    if (changes) this.structure++; // An agent that leaves the queue takes its lane.
    this.now = Math.max(head.now, this.last);
    for (const key of ["headline", "progress", "running", "trace", "name", "hidden", "path", "note", "cancel"]) {
      if (key in head) this.header[key] = head[key];
    }
    this.version++;
    for (const listener of this.listeners) listener();
    return false;
  }

  #grow(n) {
    let room = this.start.length;
    while (room < n) room *= 2;
    if (room > this.start.length) {
      for (const [name, Type] of Object.entries(COLUMNS)) {
        const column = new Type(room);
        column.set(this[name]);
        this[name] = column;
      }
    }
    this.n = n;
  }

  #note(id) {
    this.structure++;
    const kind = this.kind[id];
    const parentKind = id ? this.kind[this.parent[id]] : -1;
    if (kind === BLOCKED) this.bands.push(id);
    else if (kind === KINDS.indexOf("handoff")) this.handoffs.push(id);
    else if (isCall(kind) && !isCall(parentKind)) this.calls.push(id);
    else if (kind === HTTP && isCall(parentKind)) {
      const attempts = this.attempts.get(this.parent[id]);
      if (attempts) attempts.push(id);
      else this.attempts.set(this.parent[id], [id]);
    }
  }

  /** When a span ends, for one that still runs: now. */
  endOf(id) {
    const end = this.end[id];
    return end === end ? end : Math.max(this.now, this.start[id]);
  }

  isOpen(id) {
    return this.end[id] !== this.end[id];
  }

  nameOf(id) {
    return this.texts[this.name[id]];
  }

  /** Whether a span stands inside another one's bar: an HTTP attempt in its call. */
  isInside(id) {
    return this.kind[id] === HTTP && id > 0 && isCall(this.kind[this.parent[id]]);
  }

  /** The attributes of a span by name. @return {Object<string, any>} */
  attributes(id) {
    const fact = this.facts.get(id);
    if (!fact) return {};
    const keys = this.texts[fact[0]].split("\n");
    return Object.fromEntries(keys.map((key, i) => [key, fact[i + 1]]));
  }

  /** One attribute of a span, without making an object of all of them. */
  value(id, key) {
    const fact = this.facts.get(id);
    if (!fact) return undefined;
    let places = this.places.get(fact[0]);
    if (!places) this.places.set(fact[0], (places = new Map(this.texts[fact[0]].split("\n").map((name, i) => [name, i + 1]))));
    return fact[places.get(key)];
  }

  /** The states of a task: [start, end, state, detail], …. */
  statesOf(id) {
    const states = this.states.get(id);
    if (!states) return [];
    const end = this.endOf(id);
    return states.time.map((time, i) => [time, states.time[i + 1] ?? Math.max(end, time), STATES[states.code[i]],
      this.texts[states.detail[i]]]);
  }

  /** When an agent left the queue; NaN while it waits for its turn. */
  begun(id) {
    const states = this.states.get(id);
    if (!states || states.code[0] !== 0) return this.start[id];
    return states.time.length > 1 ? states.time[1] : this.end[id];
  }

  /** The spans below a span, in order. */
  children(id) {
    const found = [];
    for (let i = id + 1; i < this.n; i++) if (this.parent[i] === id) found.push(i);
    return found;
  }

  /** The spans as the saved file writes them. */
  toJSON() {
    const spans = [];
    for (let id = 0; id < this.n; id++) {
      const attributes = this.attributes(id);
      const span = { id: id + 1, parent: id ? this.parent[id] + 1 : null, name: this.nameOf(id), kind: KINDS[this.kind[id]],
        start: Math.round(this.start[id] * 1000), end: this.isOpen(id) ? null : Math.round(this.end[id] * 1000),
        status: this.outcome[id] > 1 ? "ERROR" : "UNSET" };
      if (attributes.message) span.message = attributes.message;
      if (attributes.links) span.links = attributes.links.map(([index, name]) => [index + 1, name]);
      const own = Object.entries(attributes).filter(([key]) => !["message", "links"].includes(key) && !key.startsWith("event "));
      if (own.length) span.attributes = Object.fromEntries(own);
      if (this.first[id] === this.first[id]) span.events = [[Math.round(this.first[id] * 1000), "gen_ai.first_chunk", {}]];
      const states = this.states.get(id);
      if (states) span.states = states.time.map((time, i) => [Math.round(time * 1000), STATES[states.code[i]], this.texts[states.detail[i]] || null]);
      spans.push(span);
    }
    return { format: "asyncmagic/1", name: this.header.name ?? "", trace_id: this.header.trace ?? "", time_origin: 0, dropped_spans: 0, spans };
  }
}

export function isCall(kind) {
  return kind === CHAT || kind === EMBEDDINGS;
}

export function isTask(kind) {
  return kind <= TASK;
}

/**
 * What is drawn together under one label: rows in the order of their start, called agents below callers, large groups
 * folded to the lanes that were in use. @param {TraceStore} store
 * @param {{folded?: Map<string, boolean>, keep?: (row) => boolean, order?: (a, b) => number}} options
 */
export function blocksOf(store, { folded = new Map(), keep = () => true, order = null } = {}) {
  const sizes = new Map();
  const deepest = new Int16Array(store.rows.length);
  for (let id = 0; id < store.n; id++) deepest[store.row[id]] = Math.max(deepest[store.row[id]], store.sub[id]);
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
    pending.push(...[...(below.get(row.index) ?? [])].reverse());
    const isFolded = row.group && (folded.get(keyOf(row)) ?? sizes.get(keyOf(row)) > FOLD_ABOVE);
    if (!row.index && !deepest[0] && store.rows.length > 1) continue;
    if (row.index && !keep(row)) continue;
    let block = isFolded ? ofGroup.get(keyOf(row)) : undefined;
    if (!block) {
      block = { name: isFolded ? row.group : row.name, depth: row.depth, rows: [], isFolded: !!isFolded, lines: [],
        group: row.group && keyOf(row), size: sizes.get(keyOf(row)) ?? 1 };
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
  for (const block of blocks) for (const layers of block.lines) for (const ids of layers) if (!isSorted(ids, store.start)) ids.sort(byStart);
  return blocks;
}

function isSorted(ids, start) {
  for (let i = 1; i < ids.length; i++) if (start[ids[i]] < start[ids[i - 1]]) return false;
  return true;
}

/** How many calls (agents where there is no call) were in flight over time. @return {{time: number[], count: number[], most: number}} */
export function inFlight(store) {
  const ids = (store.calls.length ? store.calls : store.rows.filter((row) => isTask(store.kind[row.owner]) && store.kind[row.owner]).map((row) => row.owner))
    .filter((id) => store.begun(id) === store.begun(id));
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
  return { time, count, most, ofCalls: store.calls.length > 0 };
}
