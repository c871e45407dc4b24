// The page's memory of a trace: deltas in any order of growth, rows, calls in flight.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KINDS, TraceStore, unpack } from "../../asyncmagic/static/trace.js";
import { blocksOf, inFlight } from "../../asyncmagic/static/rows.js";
import { delta, task } from "./delta.mjs";

test("spans that were announced and then ended are one span", () => {
  const store = new TraceStore();
  assert.equal(store.apply(delta({ seq: 0, now: 500, texts: ["cell", "facts"], rows: [[0, 0, 0, -1, 0, 0, -1]] }, [task(0, 0, NaN)])), false);
  assert.deepEqual([store.n, store.isOpen(0), store.endOf(0)], [1, true, 500]);
  store.apply(delta({ seq: 1, now: 900 }, [task(0, 0, 800)]));
  assert.deepEqual([store.n, store.isOpen(0), store.endOf(0), store.nameOf(0)], [1, false, 800, "cell"]);
});

test("a delta that follows a lost one is refused until everything is sent", () => {
  const store = new TraceStore();
  store.apply(delta({ seq: 0, now: 1, texts: ["cell"] }, [task(0, 0, NaN)]));
  assert.equal(store.apply(delta({ seq: 2, now: 3 }, [task(1, 2, NaN)])), true);
  assert.equal(store.n, 1);
  assert.equal(store.apply(delta({ seq: 3, all: 1, now: 4, texts: ["cell"] }, [task(0, 0, 4), task(1, 2, 3)])), false);
  assert.equal(store.n, 2);
});

test("anything else than a delta is an error, not a picture", () => {
  assert.throws(() => new TraceStore().apply(new Uint8Array(64).buffer), /no timeline/);
});

test("compressed and plain messages unpack to the same bytes", async () => {
  const plain = delta({ seq: 0, now: 1, texts: ["cell"] }, [task(0, 0, 1)]);
  const stream = new Blob([plain]).stream().pipeThrough(new CompressionStream("deflate"));
  const squeezed = await new Response(stream).arrayBuffer();
  assert.deepEqual(await unpack(squeezed), plain);
  assert.deepEqual(await unpack(new DataView(plain)), plain);
});

test("more spans than were expected find room", () => {
  const store = new TraceStore();
  store.apply(delta({ seq: 0, now: 1e6, texts: ["x"], rows: [[0, 0, 0, -1, 0, 0, -1]] }, Array.from({ length: 5000 }, (_, i) => task(i, i * 10, i * 10 + 9))));
  assert.deepEqual([store.n, store.start[4999], store.end[4999]], [5000, 49990, 49999]);
});

test("states are cut where the kernel changed its mind, and a queued agent has not begun", () => {
  const store = new TraceStore();
  store.apply(delta({ seq: 0, now: 9, texts: ["cell", ""] }, [task(0, 0, NaN)], [[0, 0, 0, 0, 1]]));
  assert.ok(Number.isNaN(store.begun(0)));
  store.apply(delta({ seq: 1, now: 20 }, [], [[0, 1, 10, 1, 1], [0, 2, 15, 2, 1]]));
  store.apply(delta({ seq: 2, now: 30 }, [], [[0, 2, 17, 3, 1]]));
  assert.deepEqual(store.statesOf(0), [[0, 10, "queued", ""], [10, 17, "running", ""], [17, 30, "ready", ""]]);
  assert.equal(store.begun(0), 10);
});

test("a group of many is folded to its lanes, one of a few is not", () => {
  const build = (count) => {
    const store = new TraceStore();
    const spans = [task(0, 0, NaN), ...Array.from({ length: count }, (_, i) => ({ ...task(i + 1, i * 10, i * 10 + 9), row: i + 1 }))];
    const rows = [[0, 0, 0, -1, 0, 1, -1], ...Array.from({ length: count }, (_, i) => [i + 1, 2, i + 1, -1, 0, 3, i % 2])];
    store.apply(delta({ seq: 0, now: 1000, texts: ["cell", "", "a", "answers"], rows }, spans));
    return blocksOf(store);
  };
  assert.deepEqual(build(24).map((block) => block.lines.length), Array(24).fill(1));
  const [folded] = build(30);
  assert.deepEqual([folded.name, folded.isFolded, folded.rows.length, folded.lines.map(([ids]) => ids.length)], ["answers", true, 30, [15, 15]]);
});

test("calls in flight are counted at every change", () => {
  const chat = KINDS.indexOf("chat");
  const store = new TraceStore();
  const calls = [[0, 10], [5, 15], [10, 20]].map(([start, end], i) => ({ ...task(i + 1, start, end), kind: chat, sub: 1 }));
  store.apply(delta({ seq: 0, now: 20, texts: ["cell"] }, [task(0, 0, 20), ...calls]));
  assert.deepEqual(inFlight(store), { time: [0, 5, 10, 15, 20], count: [1, 2, 2, 1, 0], most: 2, ofCalls: true });
});
