// The timeline on a page: canvas, tools, pointer and keys around a TraceStore. Knows no Jupyter.
import { KINDS, blocksOf, inFlight } from "./trace.js";
import { AXIS, GUTTER, Theme, boxOf, duration, firstVisible, geometry, paint, paintStrip, paintSwatch, styleOf } from "./paint.js";
import { parseQuery } from "./query.js";
import { TABLE_HEAD, asText, facts, kindWord, sentence, tableOf, title } from "./describe.js";

const STRIP = 36;
const MOST_HEIGHT = 460;
const LEGEND = [["running", "running"], ["waiting", "waiting"], ["ready", "ready, loop busy"], ["queued", "queued"], ["chat-wait", "to first token"],
  ["chat", "model answers"], ["tool", "tool"], ["agent", "agent"], ["thread", "thread"], ["http", "HTTP"], ["connect", "waits for a connection"], ["backoff", "back-off"], ["failed", "failed"], ["cancelled", "cancelled"], ["blocked", "loop blocked"]];
const HELP = "Arrow keys move between spans, Shift with left and right pans, plus and minus zoom, 0 fits, f follows, n and p step through what was found, " +
  "Enter shows details, c cancels the selected agent, m marks a measure, slash searches, Escape closes.";

/** Make an element; strings become text, never markup. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Light or dark: what Jupyter, VS Code or Colab says, else what the system does. */
export function pageTheme() {
  const { body, documentElement: root } = document;
  const said = body.dataset.jpThemeLight ?? (root.dataset.theme || root.getAttribute("theme") || body.dataset.vscodeThemeKind || "");
  if (said === "false" || /dark|high-contrast$/.test(said)) return "dark";
  if (said === "true" || /light/.test(said)) return "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export class Timeline {
  /** @param {HTMLElement} host @param {import("./trace.js").TraceStore} store @param {{cancel?: (id: number|null) => void, state?: object}} options */
  constructor(host, store, { cancel = null, state = {} } = {}) {
    Object.assign(this, { host, store, cancel });
    this.view = { from: 0, to: 1, follow: true, top: 0, selected: -1, query: "", folded: [], off: [], onlyMatches: false, sort: "start", path: false, table: false, ...state };
    this.hover = -1;
    this.measure = null;
    this.stop = new AbortController();
    this.#build();
    store.listeners.add(this.onStore = () => this.#onStore());
    this.observers = [new ResizeObserver(() => this.#resize()), new IntersectionObserver((entries) => {
      this.isHidden = !entries.at(-1).isIntersecting;
      this.invalidate();
    })];
    for (const observer of this.observers) observer.observe(this.box);
    const themes = new MutationObserver(() => this.#retheme());
    themes.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind"] });
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["theme", "data-theme", "class"] });
    this.observers.push(themes);
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"]) this.#on(matchMedia(query), "change", () => this.#retheme());
    this.#retheme();
    this.#resize();
    this.#onStore();
  }

  destroy() {
    this.stop.abort();
    for (const observer of this.observers) observer.disconnect();
    this.store.listeners.delete(this.onStore);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.host.replaceChildren();
    this.isGone = true;
  }

  #on(target, name, handler, options = {}) {
    target.addEventListener(name, handler, { signal: this.stop.signal, ...options });
  }

  #build() {
    const button = (label, what, extra = {}) => element("button", { type: "button", onclick: what, ...extra }, label);
    const square = (label, name, what) => button(label, what, { className: "am-square", "aria-label": name, title: name });
    this.headline = element("span");
    this.progress = element("span", { className: "am-progress" });
    this.search = element("input", { type: "search", placeholder: "Search, e.g. failed >500ms", title: "A name, model:…, agent:…, kind:…, state:…, status:429, failed, >500ms, -not", "aria-label": "Search spans: a name, model:, agent:, kind:, state:, status:, failed, >500ms",
      oninput: () => this.setQuery(this.search.value), onkeydown: (event) => {
        event.stopPropagation();
        if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
        if (event.key === "Escape") this.box.focus();
      } });
    this.found = element("span", { className: "am-progress", role: "status" });
    this.only = button("Filter", () => this.toggle("onlyMatches"), { title: "Show only the rows with a match" });
    this.followButton = button("Follow", () => this.setFollow(!this.view.follow));
    this.pathButton = button("Critical path", () => this.toggle("path"));
    this.tableButton = button("Table", () => this.toggle("table"));
    this.sort = element("select", { "aria-label": "Order of rows", onchange: () => this.set({ sort: this.sort.value }) },
      ...["start", "name", "longest", "failed first"].map((name) => element("option", { value: name }, `by ${name}`)));
    this.cancelButton = button("Cancel run", () => this.cancel?.(null), { className: "am-cancel" });
    const menu = element("div", { hidden: true }, button("Copy as text", () => this.copy()), this.saveSvg = button("Save as SVG", () => this.save("svg"), { hidden: true }), button("Save as PNG", () => this.save("png")), button("Save as JSON", () => this.save("json")));
    const more = button("⋯", () => {
      menu.hidden = !menu.hidden;
      this.saveSvg.hidden = !this.picture;
      more.setAttribute("aria-expanded", String(!menu.hidden));
    }, { className: "am-square", "aria-label": "Copy or save", "aria-expanded": "false" });
    this.#on(document, "pointerdown", (event) => menu.parentElement?.contains(event.target) || (menu.hidden = true));
    this.#on(menu, "click", () => (menu.hidden = true));
    this.menu = menu;
    this.finding = element("span", { hidden: true }, square("‹", "Previous match", () => this.step(-1)), square("›", "Next match", () => this.step(1)), this.only);
    this.tools = element("div", { className: "am-tools", role: "toolbar", "aria-label": "Timeline" }, this.search, this.finding, this.found, element("span", { className: "am-space" }),
      square("−", "Zoom out", () => this.zoom(1.6)), square("+", "Zoom in", () => this.zoom(1 / 1.6)), button("Fit", () => this.fit()), this.followButton,
      this.pathButton, this.sort, this.tableButton, element("span", { className: "am-menu" }, more, menu));
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.strip = element("canvas", { "aria-hidden": "true" });
    this.bar = element("div", { className: "am-bar", hidden: true });
    // In the top layer, where no notebook's cell can cut it off.
    this.card = element("div", { className: "am-card", hidden: true, "aria-hidden": "true", popover: "manual" });
    this.rowCancel = button("Cancel", () => this.#cancelRow(), { className: "am-row-cancel am-cancel", hidden: true });
    this.box = element("div", { className: "am-box", tabIndex: 0, role: "application", "aria-roledescription": "timeline", "aria-label": `Timeline. ${HELP}` }, this.strip, this.canvas, this.bar, this.rowCancel);
    this.details = element("section", { className: "am-details", hidden: true, "aria-label": "Details of the selected span" });
    this.legend = element("div", { className: "am-legend", role: "group", "aria-label": "Legend: press to show or hide" });
    this.note = element("p", { className: "am-note", hidden: true });
    this.tableBox = element("div", { className: "am-table", hidden: true, tabIndex: 0, role: "region", "aria-label": "The run as a table" });
    this.said = element("div", { className: "am-seen-by-ear", "aria-live": "polite" });
    this.root = element("div", { className: "asyncmagic", "data-lm-suppress-shortcuts": "true" },
      element("div", { className: "am-head" }, element("div", { className: "am-headline" }, this.headline, this.progress), this.cancelButton), this.tools,
      this.box, this.legend, this.note, this.details, this.tableBox, this.said, this.card);
    this.root.timeline = this;
    this.host.replaceChildren(this.root);
    this.main = this.canvas.getContext("2d", { alpha: false });
    this.small = this.strip.getContext("2d", { alpha: false });
    this.#listen();
  }

  #listen() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const pointers = new Map();
    this.#on(this.canvas, "pointerdown", (event) => {
      const [x, y] = at(event);
      pointers.set(event.pointerId, [x, y]);
      this.canvas.setPointerCapture(event.pointerId);
      const { from, to, top } = this.view;
      this.drag = { x, y, from, to, top, moved: false, measures: event.shiftKey, pinch: pointers.size === 2 ? spread(pointers) : 0 };
      if (event.shiftKey) this.#showCard(-1);
      if (event.shiftKey) this.measure = [this.timeAt(x), this.timeAt(x)];
      else this.measure = null;
    });
    this.#on(this.canvas, "pointermove", (event) => {
      const [x, y] = at(event);
      if (!this.drag) return this.#hoverAt(x, y);
      pointers.set(event.pointerId, [x, y]);
      const { drag } = this;
      drag.moved ||= Math.abs(x - drag.x) + Math.abs(y - drag.y) > 4;
      if (drag.pinch && pointers.size === 2) {
        const factor = drag.pinch / Math.max(10, spread(pointers));
        const middle = drag.from + ((x - GUTTER) / this.plot) * (drag.to - drag.from);
        this.show(middle + (drag.from - middle) * factor, middle + (drag.to - middle) * factor);
      } else if (drag.measures) {
        this.measure[1] = this.timeAt(x);
        this.invalidate();
      } else if (drag.moved) {
        this.box.classList.add("am-dragging");
        this.#showCard(-1);
        const shift = ((drag.x - x) / this.plot) * (drag.to - drag.from);
        if (Math.abs(x - drag.x) > 2) this.show(drag.from + shift, drag.to + shift);
        this.scroll(drag.top + drag.y - y);
      }
    });
    const release = (event) => {
      pointers.delete(event.pointerId);
      this.box.classList.remove("am-dragging");
      const { drag } = this;
      this.drag = null;
      if (!drag || drag.moved || event.type === "pointercancel") return;
      const [x, y] = at(event);
      if (x < this.gutter) return this.#toggleFold(y);
      this.#showCard(-1);
      this.select(this.hit(x, y), true);
    };
    this.#on(this.canvas, "pointerup", release);
    this.#on(this.canvas, "pointercancel", release);
    this.#on(this.canvas, "dblclick", (event) => {
      const id = this.hit(...at(event));
      if (id >= 0) this.zoomTo(id);
    });
    this.#on(this.box, "pointerleave", () => this.#hoverAt(-1, -1));
    const brush = (event) => {
      const box = this.strip.getBoundingClientRect();
      const [start, end] = this.#full();
      const time = start + ((event.clientX - box.left - this.gutter) / this.plot) * (end - start);
      const half = (this.view.to - this.view.from) / 2;
      if (half * 2 < (end - start) * 0.99) this.show(time - half, time + half);
    };
    this.#on(this.strip, "pointerdown", (event) => {
      this.strip.setPointerCapture(event.pointerId);
      brush(event);
    });
    this.#on(this.strip, "pointermove", (event) => event.buttons && brush(event));
    this.#on(this.box, "wheel", (event) => {
      // An unmodified wheel scrolls the notebook.
      if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(Math.max(-80, Math.min(80, event.deltaY)) * 0.004), this.timeAt(at(event)[0]));
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(((event.deltaX || event.deltaY) / this.plot));
      else return;
      event.preventDefault();
    }, { passive: false });
    this.#on(this.box, "keydown", (event) => this.#onKey(event));
  }

  #onKey(event) {
    if (event.target !== this.box || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = this.height - AXIS;
    const keys = {
      ArrowLeft: () => (event.shiftKey ? this.pan(-0.1) : this.#walk(-1)), ArrowRight: () => (event.shiftKey ? this.pan(0.1) : this.#walk(1)),
      ArrowUp: () => this.#walkLines(-1), ArrowDown: () => this.#walkLines(1), PageUp: () => this.scroll(this.view.top - page), PageDown: () => this.scroll(this.view.top + page),
      Home: () => this.show(0, this.view.to - this.view.from), End: () => this.show(this.#full()[1] - (this.view.to - this.view.from), this.#full()[1]),
      "+": () => this.zoom(1 / 1.4), "=": () => this.zoom(1 / 1.4), "-": () => this.zoom(1.4), 0: () => this.fit(), f: () => this.setFollow(!this.view.follow),
      n: () => this.step(1), p: () => this.step(-1), z: () => this.view.selected >= 0 && this.zoomTo(this.view.selected), Enter: () => this.showDetails(true),
      c: () => this.#cancelRow(this.view.selected), "/": () => this.search.focus(), m: () => this.#markMeasure(), t: () => this.toggle("table"),
      Escape: () => {
        this.measure = null;
        this.showDetails(false);
        this.select(-1);
      },
    };
    const action = keys[event.key];
    if (!action) return;
    action();
    event.preventDefault();
    event.stopPropagation();
  }

  // -- what is shown

  get gutter() {
    return this.width < 520 ? 96 : GUTTER;
  }

  get plot() {
    return Math.max(20, this.width - this.gutter);
  }

  timeAt(x) {
    return this.view.from + ((x - this.gutter) / this.plot) * (this.view.to - this.view.from);
  }

  #full() {
    return [0, Math.max(this.store.header.running ? this.store.now : this.store.last, 1000) * 1.015];
  }

  show(from, to) {
    const [start, end] = this.#full();
    const width = Math.min(Math.max(to - from, 2), (end - start) * 1.5);
    const middle = Math.min(Math.max((from + to) / 2, start), end);
    Object.assign(this.view, { follow: false, from: middle - width / 2, to: middle + width / 2 });
    this.invalidate();
  }

  pan(share) {
    const width = this.view.to - this.view.from;
    this.show(this.view.from + width * share, this.view.to + width * share);
  }

  zoom(factor, around = (this.view.from + this.view.to) / 2) {
    const { from, to } = this.view;
    this.show(around + (from - around) * factor, around + (to - around) * factor);
  }

  zoomTo(id) {
    const width = Math.max(this.store.endOf(id) - this.store.start[id], 10);
    this.show(this.store.start[id] - width * 0.1, this.store.start[id] + width * 1.1);
  }

  fit() {
    Object.assign(this.view, { follow: true, top: 0 });
    this.invalidate();
  }

  setFollow(follow) {
    this.view.follow = follow;
    this.invalidate();
  }

  scroll(top) {
    this.view.top = Math.max(0, Math.min(top, (this.geometry?.height ?? 0) + AXIS - this.height));
    this.invalidate();
  }

  set(change) {
    Object.assign(this.view, change);
    this.laidOut = -1;
    this.invalidate();
  }

  toggle(name) {
    this.set({ [name]: !this.view[name] });
  }

  setQuery(query) {
    this.set({ query });
  }

  #toggleFold(y) {
    const block = this.geometry.blocks.find((each) => y >= AXIS + each.y - this.view.top && y < AXIS + each.y + each.h - this.view.top);
    if (!block?.group || block.size < 2) return;
    this.set({ folded: [...this.view.folded.filter(([group]) => group !== block.group), [block.group, !block.isFolded]] });
  }

  // -- spans

  /** The span at a place of the canvas, or -1. */
  hit(x, y) {
    if (y < AXIS || x < this.gutter || !this.geometry) return -1;
    const time = this.timeAt(x);
    const slack = ((this.view.to - this.view.from) / this.plot) * 1.5;
    const { store } = this;
    const line = this.geometry.lines.find((each) => y - AXIS + this.view.top >= each.y - 1 && y - AXIS + this.view.top < each.y + each.h + 1);
    if (line) {
      for (const ids of [...line.layers].reverse()) {
        for (let i = firstVisible(store, ids, time - slack); i < ids.length && store.start[ids[i]] <= time + slack; i++) {
          const id = ids[i];
          if (line.isFolded && !(store.begun(id) <= time + slack)) continue;
          // The last attempt is the call itself; those before it failed and have their own story.
          return store.attempts.get(id)?.slice(0, -1).find((each) => store.start[each] <= time && store.endOf(each) >= time) ?? id;
        }
      }
    }
    return store.bands.find((id) => store.start[id] - slack <= time && store.endOf(id) + slack >= time) ?? -1;
  }

  select(id, opens = false) {
    this.view.selected = id;
    if (id >= 0) {
      this.said.textContent = sentence(this.store, id);
      this.#reveal(id);
    }
    if (opens) this.showDetails(id >= 0);
    else if (!this.details.hidden) this.showDetails(id >= 0);
    this.invalidate();
  }

  #reveal(id) {
    const { store, view } = this;
    if (store.endOf(id) < view.from || store.start[id] > view.to) {
      const half = (view.to - view.from) / 2;
      const middle = (store.start[id] + store.endOf(id)) / 2;
      this.show(middle - half, middle + half);
    }
    const box = this.geometry && boxOf(this.#scene(), (time) => time, id);
    if (box && (box.y < AXIS || box.y + box.h > this.height)) this.scroll(view.top + box.y - this.height / 2);
  }

  #order() {
    const ids = [];
    for (const line of this.geometry.lines) for (const layer of line.layers) ids.push(...layer);
    return ids;
  }

  #walk(by) {
    const ids = this.#order();
    const at = ids.indexOf(this.view.selected);
    const next = at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(Math.max(at + by, 0), ids.length - 1);
    if (ids.length) this.select(ids[next]);
  }

  #walkLines(by) {
    const lines = this.geometry.lines.filter(({ layers }) => layers.some((ids) => ids.length));
    if (!lines.length) return;
    const at = lines.findIndex(({ layers }) => layers.some((ids) => ids.includes(this.view.selected)));
    const ids = lines[at < 0 ? 0 : Math.min(Math.max(at + by, 0), lines.length - 1)].layers.flat();
    const time = at < 0 ? this.view.from : this.store.start[this.view.selected];
    this.select(ids[Math.min(firstVisible(this.store, ids, time), ids.length - 1)]);
  }

  /** Select the next span that was searched for. */
  step(by) {
    const ids = this.#order().filter((id) => !this.matches || this.matches[id]);
    if (!ids.length) return;
    const at = ids.indexOf(this.view.selected);
    const next = ids[(at + by + ids.length) % ids.length] ?? ids[0];
    this.select(next);
    if (this.matches) this.found.textContent = `${ids.indexOf(next) + 1} of ${ids.length}`;
  }

  #markMeasure() {
    const { selected } = this.view;
    if (selected < 0) return;
    const { store } = this;
    const [from, to] = [this.measure?.[0] ?? store.start[selected], store.endOf(selected)];
    this.measure = [from, to];
    this.said.textContent = `${duration(Math.abs(to - from))} measured`;
    this.invalidate();
  }

  #cancelRow(id = this.cancelTarget) {
    if (id === undefined || id < 0 || !this.cancel || !this.store.header.running) return;
    this.cancel(this.store.rows[this.store.row[id]].owner);
    this.said.textContent = "Cancel was sent";
  }

  #hoverAt(x, y) {
    const id = x < 0 ? -1 : this.hit(x, y);
    const block = x < 0 || !this.geometry ? null : this.geometry.blocks.find((each) => y >= AXIS + each.y - this.view.top && y < AXIS + each.y + each.h - this.view.top);
    this.canvas.style.cursor = x < this.gutter && block?.group && block.size > 1 ? "pointer" : id >= 0 ? "pointer" : "default";
    const owner = block?.rows[0]?.owner ?? -1;
    const canCancel = this.cancel && this.store.header.running && block && !block.isFolded && owner > 0 && this.store.isOpen(owner);
    this.rowCancel.hidden = !canCancel;
    if (canCancel) {
      this.cancelTarget = owner;
      this.rowCancel.setAttribute("aria-label", `Cancel ${block.name}`);
      Object.assign(this.rowCancel.style, { top: `${STRIP + AXIS + block.y - this.view.top + 4}px`, left: `${this.gutter - 58}px` });
    }
    if (id === this.hover && id < 0) return;
    this.hover = id;
    this.#showCard(id, x, y);
    this.invalidate();
  }

  #showCard(id, x, y) {
    const { card, store } = this;
    card.hidden = id < 0;
    if (card.hidden) return card.hidePopover?.();
    card.replaceChildren(element("strong", {}, title(store, id)), `${kindWord(store, id)} · ${store.rows[store.row[id]].name}`, pairs(facts(store, id)));
    card.showPopover?.();
    const box = this.canvas.getBoundingClientRect();
    const left = box.left + x + 18 + card.offsetWidth > innerWidth ? box.left + x - card.offsetWidth - 12 : box.left + x + 16;
    const top = box.top + y + 20 + card.offsetHeight > innerHeight ? box.top + y - card.offsetHeight - 12 : box.top + y + 18;
    Object.assign(card.style, { left: `${Math.max(4, left)}px`, top: `${Math.max(4, top)}px` });
  }

  showDetails(isOpen) {
    const id = this.view.selected;
    const wasOpen = !this.details.hidden;
    this.details.hidden = !isOpen || id < 0;
    if (this.details.hidden) {
      if (wasOpen && this.details.contains(document.activeElement)) this.box.focus();
      return;
    }
    const { store } = this;
    const attributes = store.attributes(id);
    const rest = Object.entries(attributes).filter(([name]) => !["message", "links"].includes(name));
    const parent = id > 0 ? store.parent[id] : -1;
    const copy = element("button", { type: "button", onclick: () => this.#write(asText(store, id)) }, "Copy");
    this.details.replaceChildren(
      element("button", { type: "button", className: "am-close am-square", "aria-label": "Close", onclick: () => this.showDetails(false) }, "×"),
      element("h3", {}, title(store, id)), element("div", { className: "am-note" }, `${kindWord(store, id)} · ${store.rows[store.row[id]].name}`), pairs(facts(store, id)),
      element("details", {}, element("summary", {}, `Everything known (${rest.length})`), pairs(rest.map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]))),
      element("div", { className: "am-tools" }, copy, element("button", { type: "button", onclick: () => this.zoomTo(id) }, "Zoom to it"),
        ...(parent >= 0 ? [element("button", { type: "button", onclick: () => this.select(parent) }, `Up: ${store.nameOf(parent).slice(0, 40)}`)] : [])));
  }

  // -- taking away

  async #write(text) {
    await navigator.clipboard?.writeText(text);
    this.said.textContent = "Copied";
  }

  copy() {
    const { store } = this;
    if (this.view.selected >= 0) return this.#write(asText(store, this.view.selected));
    return this.#write([store.header.headline, TABLE_HEAD.join("\t"), ...tableOf(store).map((row) => row.join("\t"))].join("\n"));
  }

  async save(what) {
    const blob = what === "json" ? new Blob([JSON.stringify(this.store.toJSON())], { type: "application/json" })
      : what === "svg" ? new Blob([this.picture ?? ""], { type: "image/svg+xml" }) : await new Promise((done) => this.#wholePicture().toBlob(done));
    const link = element("a", { href: URL.createObjectURL(blob), download: `timeline.${what}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  #wholePicture() {
    const scale = Math.max(2, this.scale);
    const height = STRIP + AXIS + Math.min(this.geometry.height, 4000);
    const canvas = element("canvas", { width: this.width * scale, height: height * scale });
    const g = canvas.getContext("2d");
    const scene = { ...this.#scene(), theme: new Theme(this.root, scale), height: height - STRIP, top: 0, hover: -1 };
    g.scale(scale, scale);
    paintStrip(g, { ...scene, flight: this.flight, full: this.#full(), height: STRIP });
    g.translate(0, STRIP);
    paint(g, scene);
    return canvas;
  }

  // -- drawing

  #retheme() {
    this.root.dataset.theme = pageTheme();
    this.theme = null;
    this.invalidate();
  }

  #resize() {
    this.width = Math.max(200, Math.floor(this.box.clientWidth));
    this.scale = devicePixelRatio || 1;
    this.theme = null;
    this.sized = "";
    if (!this.isGone && this.geometry) this.draw();
  }

  #size() {
    const height = Math.round(Math.min(MOST_HEIGHT, (this.geometry?.height ?? 40) + AXIS));
    const key = `${this.width} ${height} ${this.scale}`;
    if (this.sized === key) return;
    this.sized = key;
    this.height = height;
    for (const [canvas, h] of [[this.canvas, height], [this.strip, STRIP]]) {
      Object.assign(canvas, { width: Math.round(this.width * this.scale), height: Math.round(h * this.scale) });
      Object.assign(canvas.style, { width: `${this.width}px`, height: `${h}px` });
    }
  }

  #onStore() {
    const { header } = this.store;
    if (this.headline.textContent !== header.headline) this.headline.textContent = header.headline;
    const progress = header.running ? header.progress : "";
    if (this.progress.textContent !== progress) this.progress.textContent = progress;
    this.progress.hidden = !progress;
    this.cancelButton.hidden = !this.cancel || !header.running;
    this.followButton.hidden = !header.running;
    this.pathButton.hidden = !header.path?.length;
    const note = [header.note, header.hidden ? `${header.hidden} spans beyond 200 at once in one row are not drawn` : ""].filter(Boolean).join(". ");
    this.note.textContent = note;
    this.note.hidden = !note;
    if (!header.running) this.rowCancel.hidden = true;
    this.invalidate();
  }

  invalidate() {
    if (this.frame || this.isGone) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.isHidden) this.draw();
    });
  }

  #layOut() {
    const { store, view } = this;
    const now = performance.now();
    // A run that grows fast is laid out anew a few times a second.
    if (this.laidOut === store.structure || (this.geometry && this.laidOut >= 0 && store.n > 20000 && now - this.laidAt < 250)) return;
    const isAnew = this.laidOut < 0;
    this.laidOut = store.structure;
    this.laidAt = now;
    const test = parseQuery(view.query);
    const off = new Set(view.off);
    this.matches = null;
    if (test || off.size) {
      this.matches = new Uint8Array(store.n);
      for (let id = 0; id < store.n; id++) this.matches[id] = (!test || test(store, id)) && !(off.size && this.#isOff(id, off)) ? 1 : 0;
    }
    const rows = new Set();
    let count = 0;
    if (this.matches) for (let id = 0; id < store.n; id++) if (this.matches[id]) rows.add(store.row[id]) && count++;
    if (isAnew) this.found.textContent = test ? `${count} found` : "";
    const owner = (row) => row.owner;
    const order = { name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }), longest: (a, b) => store.endOf(owner(b)) - store.begun(owner(b)) - (store.endOf(owner(a)) - store.begun(owner(a))),
      "failed first": (a, b) => (store.outcome[owner(b)] === 2) - (store.outcome[owner(a)] === 2) || a.index - b.index }[view.sort];
    const blocks = blocksOf(store, { folded: new Map(view.folded), order, keep: view.onlyMatches && this.matches ? (row) => rows.has(row.index) : undefined });
    this.geometry = geometry(blocks, store.bands.length ? 15 : 0, (line) => isMinor(store, line));
    this.flight = inFlight(store);
    this.#drawLegend(off);
    if (view.table) this.#fillTable();
  }

  #isOff(id, off) {
    const style = styleOf(this.store, id);
    return off.has(style) || (KINDS[this.store.kind[id]] === "blocked" && off.has("blocked"));
  }

  #scene() {
    const { store, theme, view, width, height, gutter, matches, hover, measure } = this;
    return { store, geometry: this.geometry, theme, from: view.from, to: view.to, top: view.top, width, height, gutter, matches, hover, selected: view.selected,
      measure, path: view.path ? store.header.path : null };
  }

  draw() {
    const began = performance.now();
    const { store, view } = this;
    if (store.header.running && store.received) store.now = Math.max(store.last, store.received.now + Math.min(began - store.received.at, 1500) * 1000);
    this.#layOut();
    this.theme ??= new Theme(this.root, this.scale);
    this.#size();
    const full = this.#full();
    if (view.follow) [view.from, view.to] = full;
    view.top = Math.max(0, Math.min(view.top, this.geometry.height + AXIS - this.height));
    for (const g of [this.main, this.small]) g.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    const scene = this.#scene();
    this.drawn = paint(this.main, scene);
    paintStrip(this.small, { ...scene, flight: this.flight, full, height: STRIP });
    const visible = this.height - AXIS;
    this.bar.hidden = this.geometry.height <= visible + 1;
    Object.assign(this.bar.style, { top: `${STRIP + AXIS + (view.top / this.geometry.height) * visible}px`, height: `${(visible / this.geometry.height) * visible}px` });
    for (const [button, name] of [[this.followButton, "follow"], [this.pathButton, "path"], [this.tableButton, "table"], [this.only, "onlyMatches"]]) button.setAttribute("aria-pressed", String(!!view[name]));
    if (this.search.value !== view.query && document.activeElement !== this.search) this.search.value = view.query;
    this.sort.value = view.sort;
    this.finding.hidden = !view.query;
    this.tableBox.hidden = !view.table;
    const silence = store.header.running && store.received ? began - store.received.at : 0;
    if (silence > 4000) this.progress.textContent = `no news from the kernel for ${Math.round(silence / 1000)} s`;
    this.progress.hidden = !this.progress.textContent;
    this.drawTime = performance.now() - began;
    if (store.header.running && !this.isGone) this.#keepMoving();
  }

  #keepMoving() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.store.header.running && this.invalidate(), still ? 1000 : 50);
  }

  #drawLegend(off) {
    const { store } = this;
    const seen = new Set(off);
    for (let id = 0; id < store.n; id++) {
      const style = styleOf(store, id);
      if (style !== "span" && !store.isInside(id)) seen.add(style);
      if (style === "chat" && store.first[id] === store.first[id]) seen.add("chat-wait");
      const attempts = store.attempts.get(id) ?? [];
      if (attempts.length > 1) seen.add("backoff");
      if (attempts.some((each) => store.value(each, "asyncmagic.connection_wait") > 0.001)) seen.add("connect");
    }
    for (const states of store.states.values()) for (const code of states.code) seen.add(["queued", "running", "waiting", "ready"][code]);
    const shown = LEGEND.filter(([style]) => seen.has(style));
    const key = shown.map(([style]) => style + off.has(style)).join() + this.root.dataset.theme + this.scale;
    if (this.legendKey === key) return;
    this.legendKey = key;
    this.theme ??= new Theme(this.root, this.scale);
    this.legend.replaceChildren(...shown.map(([style, word]) => {
      const swatch = element("canvas", { width: 18 * this.scale, height: 12 * this.scale });
      const g = swatch.getContext("2d");
      g.scale(this.scale, this.scale);
      paintSwatch(g, this.theme, style, 18, 12);
      const flip = () => this.set({ off: off.has(style) ? this.view.off.filter((each) => each !== style) : [...this.view.off, style] });
      return element("button", { type: "button", "aria-pressed": String(!off.has(style)), onclick: flip }, swatch, word);
    }));
  }

  #fillTable() {
    this.tableBox.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...TABLE_HEAD.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...tableOf(this.store).slice(0, 1000).map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((cell) => element("td", {}, cell)))))));
  }
}

/** Whether all in a line is too short to deserve its height: under a fiftieth of the run. */
function isMinor(store, [ids]) {
  const least = Math.max(store.now, store.last) / 50;
  return ids.length < 50 && ids.every((id) => !store.isOpen(id) && store.end[id] - store.start[id] < least);
}

function pairs(list) {
  return element("dl", { className: "am-pairs" }, ...list.flatMap(([name, value]) => [element("dt", {}, name), element("dd", { className: name === "error" ? "am-error" : "" }, value)]));
}

function spread(pointers) {
  const [a, b] = [...pointers.values()];
  return Math.abs(a[0] - b[0]) || 1;
}
