// Writes deltas as asyncmagic/delta.py does, for tests that need no kernel.
export function task(id, start, end) {
  return { id, start, end, first: NaN, parent: id ? 0 : 0, name: 0, row: 0, sub: 0, kind: id ? 1 : 0, outcome: Number.isNaN(end) ? 0 : 1 };
}

/** @param {object} head @param {object[]} spans @param {number[][]} states [span, position, time, state, detail] */
export function delta(head, spans, states = []) {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const size = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(16 + size).fill(32);
  bytes.set(json, 16);
  new Uint32Array(bytes.buffer, 0, 4).set([0x31544d41, size, spans.length, states.length]);
  const before = (key) => spans.map((span, i) => span[key] - (i ? spans[i - 1][key] : 0));
  const columns = [Float64Array.from(before("start")), Float64Array.from(spans, (span) => (Number.isNaN(span.end) ? -1 : span.end - span.start)),
    Float64Array.from(spans, (span) => (Number.isNaN(span.first) ? -1 : span.first - span.start)), Float64Array.from(states, (state) => state[2]),
    Int32Array.from(before("id")), Int32Array.from(spans, (span) => span.id - span.parent), Int32Array.from(spans, (span) => span.name), Int32Array.from(spans, (span) => span.row),
    ...[0, 1, 4].map((field) => Int32Array.from(states, (state) => state[field])), Int16Array.from(spans, (span) => span.sub),
    Uint8Array.from(spans, (span) => span.kind), Uint8Array.from(spans, (span) => span.outcome), Uint8Array.from(states, (state) => state[3])];
  const parts = [bytes, ...columns.map((column) => new Uint8Array(column.buffer))];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((offset, part) => (whole.set(part, offset), offset + part.length), 0);
  return whole.buffer;
}
