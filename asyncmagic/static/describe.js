// A span in words: for the card under the pointer, the details, the clipboard, the table and the screen reader.
import { KINDS, OUTCOMES } from "./trace.js";
import { bandLabel, duration, stateNow } from "./words.js";

const KIND_WORDS = { cell: "cell", task: "task", thread: "thread", process: "process", invoke_agent: "agent", execute_tool: "tool call",
  handoff: "handoff", chat: "model call", embeddings: "embeddings call", http: "HTTP request", blocked: "blocked loop", span: "span" };
const number = (value) => Number(value).toLocaleString("en-US");

/** How a span stands: `done`, or what an open one does now. */
export function stateOf(store, id) {
  return store.isOpen(id) ? (store.header.running ? stateNow(store, id) : "still open") : OUTCOMES[store.outcome[id]];
}

/** The facts that matter of a span, in the order in which people ask. @return {[string, string][]} */
export function facts(store, id) {
  const a = store.attributes(id);
  const pairs = [];
  const add = (name, value) => value !== undefined && value !== null && value !== "" && pairs.push([name, String(value)]);
  const end = store.endOf(id);
  add("state", stateOf(store, id));
  add("time", `${duration(end - store.start[id])} (${duration(store.start[id])} – ${store.isOpen(id) ? "now" : duration(end)})`);
  add("states", stateTimes(store, id));
  add("first token", store.first[id] === store.first[id] ? firstToken(store, id, a) : "");
  add("model", a["gen_ai.response.model"] ?? a["gen_ai.request.model"]);
  add("tokens", tokens(a));
  const output = a["gen_ai.usage.output_tokens"];
  // From the first token to the last, without what a blocked loop added between them.
  const answering = (end - store.first[id]) / 1e6 - (a["asyncmagic.blocked_time_to_end"] ?? 0) + (a["asyncmagic.blocked_time"] ?? 0);
  if (output && answering > 0) add("speed", `${Math.round(output / answering)} tokens/s`);
  add("cost", a["asyncmagic.cost"] !== undefined ? `$${Number(a["asyncmagic.cost"]).toPrecision(2)}` : "");
  add("status", a["http.response.status_code"]);
  add("led to", a["asyncmagic.followed_by"]);
  const attempts = store.attempts.get(id) ?? [];
  if (attempts.length) add("attempts", attemptWords(store, attempts));
  const wait = a["asyncmagic.connection_wait"];
  if (wait > 0.001) add("waited for a connection", duration(wait * 1e6));
  add("retry after", a["asyncmagic.retry_after"] !== undefined ? `${a["asyncmagic.retry_after"]} s` : "");
  add("finish", a["gen_ai.response.finish_reasons"]);
  add("request id", a["asyncmagic.request_id"]);
  const detail = store.statesOf(id).at(-1);
  if (store.isOpen(id) && detail?.[3]) add("waits for", detail[3]);
  if (a["code.line.number"]) add("started at", `${a["code.file.path"] ? `${String(a["code.file.path"]).split(/[\\/]/).pop()}:` : "line "}${a["code.line.number"]}`);
  add("cancelled by", a["asyncmagic.cancelled_by"]);
  add("error", store.outcome[id] > 1 ? [a["error.type"], a.message].filter(Boolean).join(": ") : "");
  return pairs;
}

function stateTimes(store, id) {
  const sums = new Map();
  for (const [start, end, state] of store.statesOf(id)) sums.set(state, (sums.get(state) ?? 0) + end - start);
  return [...sums].map(([state, time]) => `${state} ${duration(time)}`).join(", ");
}

function firstToken(store, id, a) {
  const whole = store.first[id] - store.start[id];
  const blocked = (a["asyncmagic.blocked_time"] ?? 0) * 1e6;
  return blocked > 1e4 ? `${duration(whole - blocked)} model + ${duration(blocked)} your loop` : duration(whole);
}

function tokens(a) {
  const [input, output, cached, reasoning] = ["input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens"].map((name) => a[`gen_ai.usage.${name}`]);
  if (input === undefined && output === undefined) return "";
  const parts = [`${number(input ?? 0)} in${cached ? ` (${number(cached)} cached)` : ""}`, `${number(output ?? 0)} out${reasoning ? ` (${number(reasoning)} reasoning)` : ""}`];
  return parts.join(" + ");
}

function attemptWords(store, attempts) {
  const words = attempts.map((id) => {
    const a = store.attributes(id);
    return `${a["http.response.status_code"] ?? a["error.type"] ?? stateOf(store, id)} after ${duration(store.endOf(id) - store.start[id])}`;
  });
  return attempts.length === 1 ? `1 (${words[0]})` : `${attempts.length}: ${words.join(", ")}`;
}

export function title(store, id) {
  return KINDS[store.kind[id]] === "blocked" ? bandLabel(store, id) : store.nameOf(id);
}

export function kindWord(store, id) {
  return KIND_WORDS[KINDS[store.kind[id]]];
}

/** A span as one sentence. */
export function sentence(store, id) {
  const where = store.rows[store.row[id]].name;
  return `${title(store, id)}, ${kindWord(store, id)} of ${where}: ${facts(store, id).map(([name, value]) => (name === "state" ? value : `${name} ${value}`)).join(", ")}`;
}

/** A span as lines of text. */
export function asText(store, id) {
  return [`${title(store, id)} (${kindWord(store, id)})`, ...facts(store, id).map(([name, value]) => `  ${name}: ${value}`)].join("\n");
}

export const TABLE_HEAD = ["agent", "state", "start", "time", "calls", "tokens", "first token", "attempts", "error"];

/** The agents as rows of a table: what the picture says, for those who read it. @return {string[][]} */
export function tableOf(store) {
  const sums = store.rows.map(() => ({ calls: 0, tokens: 0, first: NaN, attempts: 0 }));
  for (const id of store.calls) {
    const a = store.attributes(id);
    const first = store.first[id] - store.start[id];
    for (let row = store.row[id]; row >= 0; row = store.rows[row].parent) {
      const sum = sums[row];
      sum.calls++;
      sum.tokens += (a["gen_ai.usage.input_tokens"] ?? 0) + (a["gen_ai.usage.output_tokens"] ?? 0);
      sum.attempts += store.attempts.get(id)?.length ?? 1;
      if (!(first <= sum.first)) sum.first = first === first ? Math.max(first, sum.first || 0) : sum.first;
    }
  }
  const shown = store.rows.filter((row) => row.index || store.rows.length === 1);
  return shown.map((row) => {
    const { calls, tokens: all, first, attempts } = sums[row.index];
    const owner = row.owner;
    const a = store.attributes(owner);
    return ["  ".repeat(row.depth) + row.name, stateOf(store, owner), duration(store.start[owner]), duration(store.endOf(owner) - store.start[owner]),
      calls ? number(calls) : "", all ? number(all) : "", first === first ? duration(first) : "", attempts ? number(attempts) : "",
      store.outcome[owner] > 1 ? [a["error.type"], a.message].filter(Boolean).join(": ").slice(0, 300) : ""];
  });
}
