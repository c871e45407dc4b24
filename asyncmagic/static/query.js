// What the search box understands. Pure: a text becomes a question to ask of each span.
import { KINDS, OUTCOMES } from "./trace.js";
import { stateNow } from "./words.js";

const UNITS = { us: 1, µs: 1, ms: 1e3, s: 1e6, min: 60e6 };

/**
 * `planner`, `model:gpt`, `agent:facts`, `kind:chat`, `state:waiting`, `status:429`, `failed`, `>500ms`, `<2s`; all must
 * hold; quotes keep words together; a minus in front turns one around.
 * @return {((store, id: number) => boolean)|null} nothing for an empty text
 */
export function parseQuery(text) {
  const words = text.match(/-?(?:\w+:)?"[^"]*"|\S+/g) ?? [];
  const tests = words.map(parseWord);
  return tests.length ? (store, id) => tests.every((test) => test(store, id)) : null;
}

function parseWord(word) {
  if (word.length > 1 && word[0] === "-") {
    const test = parseWord(word.slice(1));
    return (store, id) => !test(store, id);
  }
  const time = /^([<>])=?(\d+(?:\.\d+)?)(us|µs|ms|s|min)$/.exec(word);
  if (time) {
    const limit = time[2] * UNITS[time[3]];
    const sign = time[1] === ">" ? 1 : -1;
    return (store, id) => sign * (store.endOf(id) - store.start[id] - limit) >= 0;
  }
  const [, key, quoted] = /^(?:(\w+):)?(.*)$/s.exec(word);
  const value = quoted.replaceAll('"', "").toLowerCase();
  if (key === "kind") return (store, id) => KINDS[store.kind[id]].includes(value);
  if (key === "state") return (store, id) => OUTCOMES[store.outcome[id]] === value || (store.isOpen(id) && stateNow(store, id) === value);
  if (key === "agent") return (store, id) => store.rows[store.row[id]].name.toLowerCase().includes(value);
  if (key) return (store, id) => Object.entries(store.attributes(id)).some(([name, fact]) => name.toLowerCase().includes(key.toLowerCase()) && String(fact).toLowerCase().includes(value));
  if (OUTCOMES.includes(value) && value !== "open") return (store, id) => OUTCOMES[store.outcome[id]] === value;
  return (store, id) => store.nameOf(id).toLowerCase().includes(value);
}

/** What one may search for in this run: offered below the search box. @return {string[]} */
export function suggestions(store) {
  const kinds = new Set(store.kind.subarray(1, store.n));
  const models = new Set(store.calls.slice(0, 5000).map((id) => store.value(id, "gen_ai.request.model")).filter(Boolean));
  const agents = new Set(store.rows.slice(1, 200).map(({ name }) => name));
  const quote = (text) => (/\s/.test(text) ? `"${text}"` : text);
  return [...["failed", "cancelled", "state:waiting", "status:429", ">1s", "<100ms"], ...[...kinds].map((kind) => `kind:${KINDS[kind]}`),
    ...[...models].map((model) => `model:${quote(model)}`), ...[...agents].slice(0, 30).map((name) => `agent:${quote(name)}`)];
}
