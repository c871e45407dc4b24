// From spans to words and places: the parts of the picture that need no page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TraceStore } from "../../asyncmagic/static/trace.js";
import { afterPixel, blocksOf, firstVisible, geometry } from "../../asyncmagic/static/rows.js";
import { duration, niceStep, tickLabel, ticks } from "../../asyncmagic/static/words.js";
import { parseQuery, suggestions } from "../../asyncmagic/static/query.js";
import { asText, facts, sentence, tableOf } from "../../asyncmagic/static/describe.js";
import { delta, task } from "./delta.mjs";

function run() {
  const store = new TraceStore();
  const texts = ["cell", "", "facts", "chat gpt-5", "history", "gen_ai.request.model\ngen_ai.usage.input_tokens\ngen_ai.usage.output_tokens", "error.type\nmessage", "POST", "http.response.status_code"];
  const rows = [[0, 0, 0, -1, 0, 1, -1], [1, 2, 1, -1, 0, 1, -1], [2, 4, 2, -1, 0, 1, -1]];
  const spans = [task(0, 0, 2e6), { ...task(1, 0, 1e6), name: 2, row: 1 }, { ...task(2, 0, 2e6), name: 4, row: 2, outcome: 2 },
    { ...task(3, 1e5, 9e5), name: 3, row: 1, sub: 1, parent: 1, kind: 7, first: 3e5 },
    { ...task(4, 1e5, 2e5), name: 7, row: 1, sub: 1, parent: 3, kind: 9, outcome: 2 }, { ...task(5, 4e5, 9e5), name: 7, row: 1, sub: 1, parent: 3, kind: 9 }];
  store.apply(delta({ seq: 0, now: 2e6, running: false, texts, rows, facts: [[3, 5, "gpt-5", 1200, 80], [2, 6, "ValueError", "no"], [4, 8, 429], [5, 8, 200]] }, spans));
  return store;
}

const matching = (store, query) => Array.from({ length: store.n }, (_, id) => id).filter((id) => parseQuery(query)(store, id));

test("times read as people say them", () => {
  assert.deepEqual([0, 940, 1500, 45e3, 250e3, 2.1e6, 75e6, 3.72e9, NaN].map(duration), ["0 µs", "940 µs", "1.5 ms", "45 ms", "0.25 s", "2.1 s", "1 min 15 s", "1 h 2 min", "–"]);
});

test("axis steps are 1, 2 or 5 and their marks say no more than they must", () => {
  assert.deepEqual([0.001, 3, 70, 1e5, 1.5e6].map(niceStep), [0.001, 5, 100, 1e5, 2e6]);
  assert.deepEqual([[0, 1e5], [5e5, 5e5], [2e6, 1e6], [12e3, 2e3], [1234.5, 0.5], [1.002e6, 1e3]].map(([time, step]) => tickLabel(time, step)), ["0", "0.5 s", "2 s", "12 ms", "1.2345 ms", "1.002 s"]);
});

test("an axis without end or width has no marks and does not hang", () => {
  assert.deepEqual([ticks(-Infinity, 0, 1), ticks(0, NaN, 1), ticks(0, 10, 0)], [[], [], []]);
  assert.equal(ticks(0, 1e12, 1).length, 200);
});

test("an agent is a ribbon with what it does below it; attempts take no line", () => {
  const store = run();
  const { blocks, lines, height } = geometry(blocksOf(store));
  assert.deepEqual(blocks.map(({ name, y, h }) => [name, y, h]), [["facts", 0, 38], ["history", 38, 28]]);
  assert.deepEqual(lines.map(({ y, h, layers }) => [y, h, layers]), [[5, 8, [[1]]], [15, 18, [[3]]], [43, 18, [[2]]]]);
  assert.equal(height, 66);
});

test("what ended before the view is passed over", () => {
  const store = new TraceStore();
  store.apply(delta({ seq: 0, now: 1e4, texts: ["x"] }, Array.from({ length: 100 }, (_, i) => task(i, i * 10, i * 10 + 5))));
  const ids = Array.from({ length: 100 }, (_, i) => i);
  assert.deepEqual([0, 5, 6, 503, 506, 5000].map((time) => firstVisible(store, ids, time)), [0, 0, 1, 50, 51, 100]);
});

test("a long span that begins in the pixel of a short one is drawn", () => {
  const [starts, ends] = [[10, 10.2, 10.4, 60], [10.1, 10.3, 50, 70]];
  const store = { endOf: (id) => ends[id] };
  assert.deepEqual(starts.map((_, i) => afterPixel(store, [0, 1, 2, 3], i, 11)), [2, 2, 3, 4]);
});

test("a search asks for names, facts, states and times, and all must hold", () => {
  const store = run();
  assert.deepEqual(matching(store, "chat"), [3]);
  assert.deepEqual(matching(store, "model:gpt"), [3]);
  assert.deepEqual(matching(store, "failed"), [2, 4]);
  assert.deepEqual(matching(store, "status:429"), [4]);
  assert.deepEqual(matching(store, ">1s"), [0, 1, 2]);
  assert.deepEqual(matching(store, "agent:facts >=500ms -kind:http"), [1, 3]);
  assert.deepEqual(matching(store, '"chat gpt"'), [3]);
  assert.equal(parseQuery("  "), null);
});

test("a call is told with its first token, tokens and attempts", () => {
  const store = run();
  assert.deepEqual(facts(store, 3), [["state", "done"], ["time", "0.80 s (0.10 s – 0.90 s)"], ["first token", "0.20 s"], ["model", "gpt-5"], ["tokens", "1,200 in + 80 out"],
    ["speed", "133 tokens/s"], ["attempts", "2: 429 after 0.10 s, 200 after 0.50 s"]]);
  assert.match(asText(store, 3), /^chat gpt-5 \(model call\)\n {2}state: done\n/);
  assert.match(sentence(store, 2), /^history, task of history: failed, .*error ValueError: no$/);
});

test("a model is as fast as it was though a blocked loop read its answer late; a redirect says where it led", () => {
  const store = run();
  const said = store.attributes(3);
  store.attributes = () => ({ ...said, "asyncmagic.blocked_time": 0.1, "asyncmagic.blocked_time_to_end": 0.3, "asyncmagic.followed_by": "http://b/" });
  const told = new Map(facts(store, 3));
  assert.deepEqual(["first token", "speed", "led to"].map((name) => told.get(name)), ["0.10 s model + 0.10 s your loop", "200 tokens/s", "http://b/"]);
});

test("the table says of each agent what the picture says", () => {
  assert.deepEqual(tableOf(run()), [["facts", "done", "0 µs", "1.0 s", "1", "1,280", "0.20 s", "2", ""], ["history", "failed", "0 µs", "2.0 s", "", "", "", "", "ValueError: no"]]);
});

test("what may be searched for is offered, and everything offered can be asked", () => {
  const store = run();
  const offered = suggestions(store);
  assert.deepEqual(offered.slice(6), ["kind:task", "kind:chat", "kind:http", "model:gpt-5", "agent:facts", "agent:history"]);
  assert.deepEqual(matching(store, "model:gpt-5 agent:facts"), [3]);
});

test("of two runs in one picture each has its own rows", () => {
  const store = new TraceStore();
  const rows = [[0, 0, 0, -1, 0, 1, -1], [1, 0, 1, -1, 0, 1, -1], [2, 0, 2, 1, 1, 1, -1], [3, 0, 3, -1, 0, 1, -1]];
  const spans = [task(0, 0, 9), { ...task(1, 0, 9), row: 1, kind: 0 }, { ...task(2, 0, 9), row: 2, parent: 1 }, { ...task(3, 0, 9), row: 3, kind: 0 }];
  store.apply(delta({ seq: 0, now: 9, texts: ["x", ""], rows }, spans));
  assert.deepEqual([...geometry(blocksOf(store)).runs], [[1, [0, 56]], [3, [56, 84]]]);
});
