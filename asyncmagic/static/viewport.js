// The part of a run that is shown: from when to when, and how far the rows are scrolled.
import { AXIS } from "./rows.js";
import { GUTTER } from "./paint.js";

const NARROW = 520;
const START = { from: 0, to: 1, follow: true, top: 0, selected: -1, query: "", folded: [], off: [], onlyMatches: false, sort: "start", path: false, table: false };

/** Moves in time and over the rows; whoever draws says how large the picture is and draws it anew when asked to. */
export class Viewport {
  constructor(store, state) {
    this.store = store;
    this.view = { ...START, ...state };
  }

  get gutter() {
    return this.width < NARROW ? 96 : GUTTER;
  }

  get plot() {
    return Math.max(20, this.width - this.gutter);
  }

  /** From when to when the run goes, in µs, with a little room behind it. */
  get full() {
    return [0, Math.max(this.store.header.running ? this.store.now : this.store.last, 1000) * 1.015];
  }

  timeAt(x) {
    return this.view.from + ((x - this.gutter) / this.plot) * (this.view.to - this.view.from);
  }

  show(from, to) {
    const [start, end] = this.full;
    const width = Math.min(Math.max(to - from, 2), (end - start) * 1.5);
    const middle = Math.min(Math.max((from + to) / 2, start), end);
    Object.assign(this.view, { from: middle - width / 2, to: middle + width / 2 });
    if (this.view.follow) this.setFollow(false);
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
    const start = this.store.start[id];
    const width = Math.max(this.store.endOf(id) - start, 10);
    this.show(start - width * 0.1, start + width * 1.1);
  }

  fit() {
    this.view.top = 0;
    this.setFollow(true);
  }

  setFollow(follow) {
    this.view.follow = follow;
    this.followButton.setAttribute("aria-pressed", String(follow));
    this.invalidate();
  }

  scroll(top) {
    this.view.top = Math.max(0, Math.min(top, (this.geometry?.height ?? 0) + AXIS - this.height));
    this.invalidate();
  }
}
