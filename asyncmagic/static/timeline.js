// The timeline on a page: what of a TraceStore is shown, and when it is drawn. Knows no Jupyter.
import { AXIS } from "./rows.js";
import { paint, paintStrip } from "./paint.js";
import { Theme } from "./theme.js";
import { duration } from "./words.js";
import { copyText, download, onThemeChange, pageTheme } from "./page.js";
import { detailsOf, fillCard, legendOf, looksOf, placeCard, tableRows } from "./panels.js";
import { listenTo } from "./controls.js";
import { STRIP, build } from "./build.js";
import { fileOf, textOf } from "./files.js";
import { arrange } from "./arrange.js";
import { Selection } from "./selection.js";

const MOST_HEIGHT = 460;
const ONE_LINE = 640; // in which the tools have room

export class Timeline extends Selection {
  /** @param {HTMLElement} host @param {import("./trace.js").TraceStore} store @param {{cancel?: (id: number|null) => void, state?: object}} options */
  constructor(host, store, { cancel = null, state = {} } = {}) {
    super(store, state);
    Object.assign(this, { host, cancel, hover: -1, pointer: [-1, -1], measure: null, laidOut: -1 });
    Object.assign(this, build(this));
    this.root.timeline = this;
    host.replaceChildren(this.root);
    this.main = this.canvas.getContext("2d", { alpha: false });
    this.small = this.strip.getContext("2d", { alpha: false });
    listenTo(this);
    store.listeners.add(() => this.#onStore());
    this.#listenToPage(new WeakRef(this));
    this.#retheme();
    this.#resize();
    this.#onStore();
    this.set({});
  }

  /** The page outlives a timeline, whose cell may be run again and again: it must not keep it. @param {WeakRef<Timeline>} self */
  #listenToPage(self) {
    document.addEventListener("pointerdown", (event) => self.deref()?.menu.parentElement.contains(event.target) || self.deref()?.openMenu(false));
    onThemeChange(() => self.deref()?.#retheme());
    new ResizeObserver(() => self.deref()?.#resize()).observe(this.box);
    new IntersectionObserver((entries) => self.deref()?.#appear(entries.at(-1).isIntersecting)).observe(this.root);
  }

  #appear(isSeen) {
    this.isHidden = !isSeen;
    this.invalidate();
  }

  // -- what is shown

  /** Change what is shown of the run: the query, the order, what is folded, …. */
  set(change) {
    const { view } = this;
    Object.assign(view, change);
    for (const [each, name] of [[this.followButton, "follow"], [this.pathButton, "path"], [this.tableButton, "table"], [this.only, "onlyMatches"]]) {
      each.setAttribute("aria-pressed", String(view[name]));
    }
    if (this.search.value !== view.query) this.search.value = view.query;
    this.sort.value = view.sort;
    this.finding.hidden = !view.query;
    this.tableBox.hidden = !view.table;
    this.laidOut = -1;
    this.invalidate();
  }

  toggle(name) {
    this.set({ [name]: !this.view[name] });
  }

  fold(block) {
    if (!block?.group || block.size < 2) return;
    this.set({ folded: [...this.view.folded.filter(([group]) => group !== block.group), [block.group, !block.isFolded]] });
  }

  // -- under the pointer

  cancelRow(id = this.cancelTarget) {
    if (!(id >= 0) || !this.cancel || !this.store.header.running) return;
    this.cancel(this.store.rows[this.store.row[id]].owner);
    this.notify("Cancel was sent");
  }

  hoverAt(x, y) {
    this.pointer = [x, y];
    const id = this.hit(x, y);
    const block = this.blockAt(y);
    this.canvas.style.cursor = id >= 0 || (x < this.gutter && block?.group && block.size > 1) ? "pointer" : "default";
    const owner = block?.isFolded ? -1 : block?.rows[0].owner ?? -1;
    this.rowCancel.hidden = !(this.cancel && this.store.header.running && owner > 0 && this.store.isOpen(owner));
    if (!this.rowCancel.hidden) {
      this.cancelTarget = owner;
      this.rowCancel.setAttribute("aria-label", `Cancel ${block.name}`);
      Object.assign(this.rowCancel.style, { top: `${STRIP + AXIS + block.y - this.view.top + 4}px`, left: `${this.gutter - 58}px` });
    }
    if (id >= 0) {
      const { left, top } = this.canvas.getBoundingClientRect();
      placeCard(this.card, left + x, top + y);
    }
    if (id !== this.hover || (id >= 0 && this.store.isOpen(id))) this.showCard(id);
    if (id !== this.hover) this.invalidate();
    this.hover = id;
  }

  showCard(id) {
    if (id >= 0) fillCard(this.card, this.store, id);
    if (this.card.hidden === id < 0) return;
    this.card.hidden = id < 0;
    if (id < 0) this.card.hidePopover?.();
    else this.card.showPopover?.();
  }

  showDetails(isOpen) {
    const { details, view: { selected } } = this;
    const hadFocus = details.contains(document.activeElement);
    details.hidden = !isOpen || selected < 0;
    if (!details.hidden) details.replaceChildren(...detailsOf(this, selected));
    if (hadFocus) this.box.focus();
  }

  // -- words and files

  /** Say something to who listens. */
  say(text) {
    this.said.textContent = text;
  }

  /** Say something to all. */
  notify(text) {
    this.say(text);
    this.said.classList.add("am-shown");
    setTimeout(() => this.said.classList.remove("am-shown"), 2000);
  }

  showKeys() {
    this.keys.hidden = !this.keys.hidden;
  }

  openMenu(isOpen) {
    this.menu.hidden = !isOpen;
    this.saveSvg.hidden = !this.picture;
    this.more.setAttribute("aria-expanded", String(isOpen));
  }

  async write(text) {
    await copyText(text).then(() => this.notify("Copied"), () => this.notify("The browser does not allow to copy here"));
  }

  copy() {
    return this.write(textOf(this));
  }

  async save(what) {
    const name = (this.store.header.name || "timeline").replace(/[^\w-]+/g, "-").slice(0, 60);
    download(await fileOf(this, what), `${name}.${what}`);
  }

  // -- drawing

  #retheme() {
    this.root.dataset.theme = pageTheme();
    this.theme = null;
    this.laidOut = -1;
    this.invalidate();
  }

  #resize() {
    this.width = Math.max(200, Math.floor(this.box.clientWidth));
    this.root.classList.toggle("am-narrow", this.width < ONE_LINE);
    this.scale = devicePixelRatio || 1;
    this.theme = null;
    if (this.geometry) this.draw();
  }

  #size() {
    const height = Math.round(Math.min(MOST_HEIGHT, this.geometry.height + AXIS));
    const key = `${this.width} ${height} ${this.scale}`;
    if (this.sized === key) return;
    this.sized = key;
    this.height = height;
    for (const [canvas, h] of [[this.canvas, height], [this.strip, STRIP]]) {
      Object.assign(canvas, { width: Math.round(this.width * this.scale), height: Math.round(h * this.scale) });
      Object.assign(canvas.style, { width: `${this.width}px`, height: `${h}px` });
    }
    this.shade.style.left = `${this.gutter}px`;
    this.stripOf = null;
  }

  #onStore() {
    const { header } = this.store;
    this.cancelButton.hidden = !this.cancel || !header.running;
    this.followButton.hidden = !header.running;
    this.pathButton.hidden = !header.path?.length;
    const hidden = header.hidden ? `${header.hidden} spans beyond 200 at once in one row are not drawn` : "";
    this.note.textContent = [header.note, hidden].filter(Boolean).join(". ");
    this.note.hidden = !this.note.textContent;
    if (!header.running) this.rowCancel.hidden = true;
    if (this.wasRunning && !header.running) this.say(`The run has ended: ${header.headline}`);
    this.wasRunning = header.running;
    this.invalidate();
  }

  /** The headline's clock is the page's: the kernel says its words far more seldom. */
  #showWords(silence) {
    const { header, now } = this.store;
    const headline = header.running ? header.headline.replace(/[^· ][^·]* so far/, `${duration(now)} so far`) : header.headline;
    const silent = silence > 4000 ? `no news from the kernel for ${Math.round(silence / 1000)} s` : header.progress;
    const progress = header.running ? silent : "";
    if (this.headline.textContent !== headline) this.headline.textContent = headline;
    if (this.progress.textContent === progress) return;
    this.progress.textContent = progress;
    this.progress.hidden = !progress;
  }

  invalidate() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.isHidden) this.draw();
    });
  }

  #layOut() {
    const { store, view } = this;
    const isAnew = this.laidOut < 0;
    const began = performance.now();
    // A large run that grows is laid out anew as often as that is cheap.
    if (this.laidOut === store.structure || (!isAnew && store.header.running && began < this.laidAt + 10 * this.layoutTime)) return;
    this.laidOut = store.structure;
    Object.assign(this, arrange(store, view));
    if (isAnew) this.found.textContent = view.query ? `${this.count} found` : "";
    this.theme ??= new Theme(this.root, this.scale);
    const looks = looksOf(store, view.off);
    const key = [...looks, "off", ...view.off, this.root.dataset.theme, this.scale].join();
    if (this.legendKey !== key) this.legend.replaceChildren(...legendOf(this, looks));
    this.legendKey = key;
    if (view.table) this.tableBox.replaceChildren(...tableRows(store));
    this.laidAt = performance.now();
    this.layoutTime = this.laidAt - began;
  }

  /** All that a frame is drawn from. */
  scene() {
    const { store, geometry, theme, view, width, height, gutter, matches, hover, measure } = this;
    return { ...view, store, geometry, theme, width, height, gutter, matches, hover, measure, path: view.path && store.header.path };
  }

  draw() {
    const began = performance.now();
    const { store, view } = this;
    const { running } = store.header;
    const silence = running && store.received ? began - store.received.at : 0;
    if (silence) store.now = Math.max(store.last, store.received.now + Math.min(silence, 1500) * 1000);
    this.theme ??= new Theme(this.root, this.scale);
    this.#layOut();
    this.#size();
    const { full, geometry: { height } } = this;
    if (view.follow) [view.from, view.to] = full;
    view.top = Math.max(0, Math.min(view.top, height + AXIS - this.height));
    // Rows come and bars grow under a pointer that rests.
    if (running) this.hoverAt(...this.pointer);
    this.main.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    paint(this.main, this.scene());
    this.#drawStrip(full);
    const visible = this.height - AXIS;
    this.bar.hidden = height <= visible + 1;
    if (!this.bar.hidden) Object.assign(this.bar.style, { top: `${STRIP + AXIS + (view.top / height) * visible}px`, height: `${(visible / height) * visible}px` });
    this.#showWords(silence);
    this.drawTime = performance.now() - began;
    if (running) this.#keepMoving();
  }

  /** The strip is drawn when it changes; what the rows show of it is an element above it. */
  #drawStrip(full) {
    const { view, flight, theme, width, gutter } = this;
    if (this.stripOf?.flight !== flight || this.stripOf.theme !== theme || this.stripOf.end !== full[1]) {
      this.stripOf = { flight, theme, end: full[1] };
      this.small.setTransform(this.scale, 0, 0, this.scale, 0, 0);
      paintStrip(this.small, { theme, flight, full, width, gutter, height: STRIP });
    }
    const isAll = view.from <= full[0] + 1 && view.to >= full[1] - 1;
    this.shade.hidden = isAll;
    if (isAll) return;
    const x = (time) => Math.min(Math.max(((time - full[0]) / (full[1] - full[0])) * this.plot, 0), this.plot);
    const [from, to] = [x(view.from), x(view.to)];
    Object.assign(this.frameBox.style, { left: `${from}px`, width: `${Math.max(3, to - from)}px` });
  }

  #keepMoving() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.store.header.running && this.invalidate(), still ? 1000 : 50);
  }
}
