// What the page knows of a trace: applies deltas, answers questions. Knows no DOM.
export const KINDS = ["cell", "task", "thread", "process", "invoke_agent", "execute_tool", "handoff", "chat",
  "embeddings", "http", "blocked", "span"];
export const OUTCOMES = ["open", "done", "failed", "cancelled"];
export const STATES = ["queued", "running", "waiting", "ready"];
const MAGIC = 0x31544d41;
const [TASK, CHAT, EMBEDDINGS, HTTP, BLOCKED] = ["task", "chat", "embeddings", "http", "blocked"].map((k) => KINDS.indexOf(k));
const COLUMNS = { start: Float64Array, end: Float64Array, first: Float64Array, parent: Int32Array, name: Int32Array,
  row: Int32Array, sub: Int16Array, kind: Uint8Array, outcome: Uint8Array, status: Uint16Array, wait: Float32Array };

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
    for (const [index, ...fact] of head.facts ?? []) {
      this.facts.set(index, fact);
      this.status[index] = this.value(index, "http.response.status_code") ?? 0;
      this.wait[index] = (this.value(index, "asyncmagic.connection_wait") ?? 0) * 1e6;
    }
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
    for (const key of ["headline", "progress", "running", "trace", "name", "hidden", "path", "note"]) {
      if (key in head) this.header[key] = head[key];
    }
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
