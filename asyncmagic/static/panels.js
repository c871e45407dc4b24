// What stands around the picture: the card under the pointer, details, legend, table.
import { STATES } from "./trace.js";
import { TABLE_HEAD, asText, facts, kindWord, tableOf, title } from "./describe.js";
import { button, element, pairs, sign } from "./page.js";
import { paintSwatch, styleOf } from "./theme.js";

const LEGEND = { running: "running", waiting: "waiting", ready: "ready, loop busy", queued: "queued", "chat-wait": "to first token", chat: "model answers",
  tool: "tool", agent: "agent", thread: "thread", http: "HTTP", connect: "waits for a connection", backoff: "back-off", failed: "failed", cancelled: "cancelled",
  blocked: "loop blocked" };
const MOST_TABLE_ROWS = 1000;

const place = (store, id) => `${kindWord(store, id)} · ${store.rows[store.row[id]].name}`;

/** Fill the card with a span. */
export function fillCard(card, store, id) {
  card.replaceChildren(element("strong", {}, title(store, id)), place(store, id), pairs(facts(store, id)));
}

/** Put the card beside the pointer, on the sides where the window has more room: its size need not be known. */
export function placeCard(card, x, y) {
  const [isRight, isLow] = [x > innerWidth / 2, y > innerHeight / 2];
  Object.assign(card.style, { left: isRight ? "" : `${x + 16}px`, right: isRight ? `${innerWidth - x + 12}px` : "",
    top: isLow ? "" : `${y + 18}px`, bottom: isLow ? `${innerHeight - y + 12}px` : "" });
}

/** Everything about a span. */
export function detailsOf(timeline, id) {
  const { store } = timeline;
  const rest = Object.entries(store.attributes(id)).filter(([name]) => !["message", "links"].includes(name));
  const parent = id > 0 ? store.parent[id] : -1;
  const spell = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const tools = [button("Copy", () => timeline.write(asText(store, id))), button("Zoom to it", () => timeline.zoomTo(id))];
  if (parent >= 0) tools.push(button(`Up: ${store.nameOf(parent).slice(0, 40)}`, () => timeline.select(parent)));
  return [
    sign("×", "Close", () => timeline.showDetails(false), { className: "am-close am-square" }),
    element("h3", {}, title(store, id)), element("div", { className: "am-note" }, place(store, id)), pairs(facts(store, id)),
    element("details", { hidden: !rest.length }, element("summary", {}, `Everything known (${rest.length})`), pairs(rest.map(([name, value]) => [name, spell(value)]))),
    element("div", { className: "am-tools" }, ...tools)];
}

export function tableRows(store) {
  const cells = (tag, list) => list.map((text) => element(tag, tag === "th" ? { scope: "col" } : {}, text));
  const rows = tableOf(store);
  const body = rows.slice(0, MOST_TABLE_ROWS).map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), ...cells("td", rest)));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...cells("th", TABLE_HEAD))), element("tbody", {}, ...body));
  const more = rows.length - MOST_TABLE_ROWS;
  return more > 0 ? [table, element("p", { className: "am-note" }, `… ${more.toLocaleString("en-US")} more`)] : [table];
}

/** A button for each of these looks; a press turns it off. @param {string[]} looks */
export function legendOf(timeline, looks) {
  const { theme, scale, view: { off } } = timeline;
  return looks.map((style) => {
    const swatch = element("canvas", { width: 18 * scale, height: 12 * scale });
    const g = swatch.getContext("2d");
    g.scale(scale, scale);
    paintSwatch(g, theme, style, 18, 12);
    const isOff = off.includes(style);
    const flip = () => timeline.set({ off: isOff ? off.filter((each) => each !== style) : [...off, style] });
    return button([swatch, LEGEND[style]], flip, { "aria-pressed": String(!isOff), title: isOff ? "Show again" : "Fade out" });
  });
}

/** The looks that this run has, in the order of the legend. @return {string[]} */
export function looksOf(store, off) {
  const seen = new Set(off);
  for (let id = 0; id < store.n; id++) {
    const style = styleOf(store, id);
    if (style !== "span" && !store.isInside(id)) seen.add(style);
    if (style === "chat" && store.first[id] === store.first[id]) seen.add("chat-wait");
    if (store.wait[id] > 1000 && store.isInside(id)) seen.add("connect");
  }
  if ([...store.attempts.values()].some(({ length }) => length > 1)) seen.add("backoff");
  for (const { code } of store.states.values()) for (const each of code) seen.add(STATES[each]);
  return Object.keys(LEGEND).filter((style) => seen.has(style));
}
