// From what somebody asks of a run to where its spans stand. Pure: what is searched for, turned off, folded, sorted.
import { KINDS } from "./trace.js";
import { blocksOf, geometry, inFlight } from "./rows.js";
import { styleOf } from "./theme.js";
import { parseQuery } from "./query.js";

const BANDS_ROOM = 15; // for the names of blocked bands above the first row

/** @return {{geometry: object, flight: object, matches: Uint8Array|null, count: number}} `matches` marks what is not faded, `count` of them were searched for */
export function arrange(store, view) {
  const matches = matchesOf(store, view);
  let keep;
  if (matches && view.onlyMatches) {
    const rows = new Set(store.row.subarray(0, store.n).filter((_, id) => matches[id]));
    keep = (row) => rows.has(row.index);
  }
  const blocks = blocksOf(store, { folded: new Map(view.folded), order: orderOf(store, view.sort), keep });
  const count = view.query ? blocks.flatMap(({ lines }) => lines.flat(2)).filter((id) => matches[id]).length : 0;
  return { geometry: geometry(blocks, store.bands.length ? BANDS_ROOM : 0, (line) => isMinor(store, line)), flight: inFlight(store), matches, count };
}

function matchesOf(store, { query, off }) {
  const test = parseQuery(query);
  if (!test && !off.length) return null;
  const isOff = (id) => off.includes(styleOf(store, id)) || (KINDS[store.kind[id]] === "blocked" && off.includes("blocked"));
  return Uint8Array.from({ length: store.n }, (_, id) => (!test || test(store, id)) && !isOff(id));
}

function orderOf(store, sort) {
  const time = ({ owner }) => store.endOf(owner) - store.begun(owner);
  const hasFailed = ({ owner }) => store.outcome[owner] === 2;
  return {
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
    longest: (a, b) => time(b) - time(a),
    "failed first": (a, b) => hasFailed(b) - hasFailed(a) || a.index - b.index,
  }[sort];
}

/** Whether all in a line is too short to deserve its height: under a fiftieth of the run. */
function isMinor(store, [ids]) {
  const least = Math.max(store.now, store.last) / 50;
  return ids.length < 50 && ids.every((id) => !store.isOpen(id) && store.end[id] - store.start[id] < least);
}
