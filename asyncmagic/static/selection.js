// Which span somebody means: the one at a place, the next one, the next that was searched for.
import { AXIS, boxOf, firstVisible } from "./rows.js";
import { duration } from "./words.js";
import { sentence } from "./describe.js";
import { Viewport } from "./viewport.js";

/** Finds and selects spans in what is drawn; brings what is selected into view. */
export class Selection extends Viewport {
  blockAt(y) {
    const at = y - AXIS + this.view.top;
    return y < AXIS ? undefined : this.geometry?.blocks.find((block) => at >= block.y && at < block.y + block.h);
  }

  blockOf(id) {
    return this.geometry.ofRow[this.store.row[id]];
  }

  /** The span at a place of the canvas, or -1. */
  hit(x, y) {
    if (y < AXIS || x < this.gutter || !this.geometry) return -1;
    const { store } = this;
    const time = this.timeAt(x);
    const slack = ((this.view.to - this.view.from) / this.plot) * 1.5;
    const at = y - AXIS + this.view.top;
    const line = this.geometry.lines.find((each) => at >= each.y - 1 && at < each.y + each.h + 1);
    for (const ids of line?.layers.toReversed() ?? []) {
      for (let i = firstVisible(store, ids, time - slack); i < ids.length && store.start[ids[i]] <= time + slack; i++) {
        const id = ids[i];
        if (line.isFolded && !(store.begun(id) <= time + slack)) continue;
        // The last attempt is the call itself; those before it failed and have their own story.
        return store.attempts.get(id)?.slice(0, -1).find((each) => store.start[each] <= time && store.endOf(each) >= time) ?? id;
      }
    }
    return store.bands.find((id) => store.start[id] - slack <= time && store.endOf(id) + slack >= time) ?? -1;
  }

  select(id, opens = false) {
    this.view.selected = id;
    if (id >= 0) {
      this.say(sentence(this.store, id));
      this.#reveal(id);
    }
    if (opens || !this.details.hidden) this.showDetails(id >= 0);
    this.invalidate();
  }

  #reveal(id) {
    const { store, view } = this;
    if (store.endOf(id) < view.from || store.start[id] > view.to) {
      const half = (view.to - view.from) / 2;
      const middle = (store.start[id] + store.endOf(id)) / 2;
      this.show(middle - half, middle + half);
    }
    const box = this.geometry && boxOf(this.scene(), (time) => time, id);
    if (box && (box.y < AXIS || box.y + box.h > this.height)) this.scroll(view.top + box.y - this.height / 2);
  }

  /** The drawn spans of each line. @return {number[][]} */
  get idsOfLines() {
    return this.geometry.lines.map(({ layers }) => layers.flat()).filter((ids) => ids.length);
  }

  /** Select the next span, or the next that was searched for; behind the last stands the first. */
  walk(by, isSearch = false) {
    const ids = this.idsOfLines.flat().filter((id) => !isSearch || !this.matches || this.matches[id]);
    if (!ids.length) return;
    const at = ids.indexOf(this.view.selected);
    const next = at < 0 && by < 0 ? ids.length - 1 : (at + by + ids.length) % ids.length;
    this.select(ids[next]);
    if (isSearch && this.matches) this.found.textContent = `${next + 1} of ${ids.length}`;
  }

  /** Select the span of the line above or below that stands where the selected one begins. */
  walkLines(by) {
    const lines = this.idsOfLines;
    if (!lines.length) return;
    const at = lines.findIndex((ids) => ids.includes(this.view.selected));
    const ids = lines[at < 0 ? 0 : Math.min(Math.max(at + by, 0), lines.length - 1)];
    const time = at < 0 ? this.view.from : this.store.start[this.view.selected];
    this.select(ids[Math.min(firstVisible(this.store, ids, time), ids.length - 1)]);
  }

  markMeasure() {
    const { store, view: { selected } } = this;
    if (selected < 0) return;
    this.measure = [this.measure?.[0] ?? store.start[selected], store.endOf(selected)];
    this.say(`${duration(Math.abs(this.measure[1] - this.measure[0]))} measured`);
    this.invalidate();
  }
}
