// Times, states and places in the words that people use.
import { KINDS, STATES } from "./trace.js";

/** Microseconds as people say them: `40 ms`, `0.25 s`, `2.1 s`, `1 min 20 s`. */
export function duration(us) {
  if (!(us >= 0)) return "–";
  if (us < 950) return `${Math.round(us)} µs`;
  if (us < 9950) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 99500) return `${Math.round(us / 1e3)} ms`;
  if (us < 950000) return `${(us / 1e6).toFixed(2)} s`;
  if (us < 59950000) return `${(us / 1e6).toFixed(1)} s`;
  const seconds = Math.round(us / 1e6);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A step for an axis that reads well: 1, 2 or 5 times a power of ten, at least `least`. */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-3)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999);
}

/** A place on the axis whose marks stand `step` apart. */
export function tickLabel(us, step) {
  if (Math.abs(us) < 1e-6) return "0";
  if (step >= 60e6) return duration(us);
  if (step >= 1e5) return `${(us / 1e6).toFixed(step >= 1e6 ? 0 : 1)} s`;
  if (us >= 1e6) return `${(us / 1e6).toFixed(Math.max(0, Math.ceil(6 - Math.log10(step))))} s`;
  if (step >= 1000 || us >= 1000) return `${(us / 1e3).toFixed(Math.max(0, Math.ceil(3 - Math.log10(step))))} ms`;
  return `${us.toFixed(step < 1 ? 2 : 0)} µs`;
}

/** The marks of an axis; none where it has no end. */
export function ticks(from, to, step) {
  const found = [];
  if (!(step > 0) || !Number.isFinite(from) || !Number.isFinite(to)) return found;
  for (let i = Math.ceil(Math.max(from, 0) / step); i * step <= to && found.length < 200; i++) found.push(i * step);
  return found;
}

/** What blocked the loop: `blocked 0.75 s · cell [2]:3`, `· line 3` of a cell unknown, or `· tools.py:3`. */
export function bandLabel(store, id) {
  const facts = store.attributes(id);
  const path = String(facts["code.file.path"] ?? "");
  const file = path.split(/[\\/]/).pop();
  const line = facts["code.line.number"];
  const isCell = !file || /<ipython-input|ipykernel_\d+|^<.*>$/.test(path);
  const cell = facts["asyncmagic.cell"];
  const place = !line ? "" : cell ? ` · ${cell}:${line}` : isCell ? ` · line ${line}` : ` · ${file}:${line}`;
  return `blocked ${duration(store.endOf(id) - store.start[id])}${place}`;
}

/** What an agent that has not ended does now. */
export function stateNow(store, id) {
  const states = store.states.get(id);
  return states ? STATES[states.code.at(-1)] : "running";
}

/** A span's name without the operation that its look tells already: `gpt-5`, not `chat gpt-5`. */
export function shortName(store, id) {
  const name = store.nameOf(id);
  const operation = `${KINDS[store.kind[id]]} `;
  return name.startsWith(operation) ? name.slice(operation.length) : name;
}
