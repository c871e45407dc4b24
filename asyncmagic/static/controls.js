// How a timeline is moved: pointer, fingers, wheel and keys.
import { AXIS } from "./rows.js";

/** What each key does, in the order in which it is told. */
export const HELP = [["← →", "previous and next span"], ["↑ ↓", "row above and below"], ["Shift ← →", "move in time"], ["+ −", "zoom"], ["0", "show all"],
  ["Home End", "to the start, to the end"], ["Enter", "details"], ["z", "zoom to the span"], ["/", "search"], ["n p", "next and previous match"],
  ["m", "measure from here, then to there"], ["o", "unfold or fold a group"], ["t", "table"], ["f", "follow the run"], ["c", "cancel the agent"], ["Escape", "close"]];
export const POINTER_HELP = [["drag", "move in time"], ["Shift drag", "measure"], ["Ctrl wheel", "zoom"], ["double click", "zoom to the span"]];

function onKey(timeline, event) {
  if (event.target !== timeline.box || event.altKey || event.ctrlKey || event.metaKey) return;
  const { view } = timeline;
  const page = timeline.height - AXIS;
  const across = view.to - view.from;
  const sideways = (by) => (event.shiftKey ? timeline.pan(by / 10) : timeline.walk(by));
  const actions = {
    ArrowLeft: () => sideways(-1), ArrowRight: () => sideways(1), ArrowUp: () => timeline.walkLines(-1), ArrowDown: () => timeline.walkLines(1),
    PageUp: () => timeline.scroll(view.top - page), PageDown: () => timeline.scroll(view.top + page),
    Home: () => timeline.show(0, across), End: () => timeline.show(timeline.full[1] - across, timeline.full[1]),
    "+": () => timeline.zoom(1 / 1.4), "=": () => timeline.zoom(1 / 1.4), "-": () => timeline.zoom(1.4), 0: () => timeline.fit(),
    f: () => timeline.setFollow(!view.follow), n: () => timeline.walk(1, true), p: () => timeline.walk(-1, true), z: () => view.selected >= 0 && timeline.zoomTo(view.selected),
    Enter: () => timeline.showDetails(true), c: () => timeline.cancelRow(view.selected), "/": () => timeline.search.focus(),
    m: () => timeline.markMeasure(), o: () => timeline.fold(timeline.blockOf(view.selected)), t: () => timeline.toggle("table"), "?": () => timeline.showKeys(),
    Escape: () => {
      timeline.measure = null;
      timeline.showDetails(false);
      timeline.select(-1);
    },
  };
  if (!actions[event.key]) return;
  actions[event.key]();
  event.preventDefault();
  event.stopPropagation();
}

/** Let a timeline be moved. */
export function listenTo(timeline) {
  const { canvas, strip, box } = timeline;
  box.addEventListener("keydown", (event) => onKey(timeline, event));
  box.addEventListener("pointerleave", () => timeline.hoverAt(-1, -1));
  // It may grow under a pointer that rests.
  canvas.addEventListener("pointerenter", (event) => event.pointerType === "touch" || timeline.hoverAt(...placeOf(canvas, event)));
  canvas.addEventListener("dblclick", (event) => {
    const id = timeline.hit(...placeOf(canvas, event));
    if (id >= 0) timeline.zoomTo(id);
  });
  box.addEventListener("wheel", (event) => {
    // An unmodified wheel scrolls the notebook.
    const { deltaX, deltaY } = event;
    if (event.ctrlKey || event.metaKey) timeline.zoom(Math.exp(Math.max(-80, Math.min(80, deltaY)) * 0.004), timeline.timeAt(placeOf(canvas, event)[0]));
    else if (event.shiftKey || Math.abs(deltaX) > Math.abs(deltaY)) timeline.pan((deltaX || deltaY) / timeline.plot);
    else return;
    event.preventDefault();
  }, { passive: false });
  listenToStrip(timeline, strip);
  listenToPointers(timeline, canvas);
}

function placeOf(canvas, event) {
  const { left, top } = canvas.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

/** A press on the strip of calls moves the part that is shown there. */
function listenToStrip(timeline, strip) {
  const brush = (event) => {
    const [start, end] = timeline.full;
    const time = start + ((placeOf(strip, event)[0] - timeline.gutter) / timeline.plot) * (end - start);
    const half = (timeline.view.to - timeline.view.from) / 2;
    if (half * 2 < (end - start) * 0.99) timeline.show(time - half, time + half);
  };
  strip.addEventListener("pointerdown", (event) => {
    strip.setPointerCapture(event.pointerId);
    brush(event);
  });
  strip.addEventListener("pointermove", (event) => event.buttons && brush(event));
}

/** A drag moves, with Shift it measures; two fingers zoom; a press selects. */
function listenToPointers(timeline, canvas) {
  const pointers = new Map();
  let drag = null;

  const pinch = () => {
    const [a, b] = [...pointers.values()].map(([x]) => x);
    return { middle: (a + b) / 2, spread: Math.max(20, Math.abs(a - b)) };
  };
  const begin = (x, y, measures = false) => {
    const { from, to, top } = timeline.view;
    drag = { x, y, from, to, top, moved: pointers.size > 1, measures, pinch: pointers.size === 2 ? pinch() : null };
  };

  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = placeOf(canvas, event);
    pointers.set(event.pointerId, [x, y]);
    canvas.setPointerCapture(event.pointerId);
    begin(x, y, event.shiftKey);
    timeline.measure = event.shiftKey ? [timeline.timeAt(x), timeline.timeAt(x)] : null;
    if (event.shiftKey) timeline.hoverAt(-1, -1);
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = placeOf(canvas, event);
    if (!drag) return event.pointerType === "touch" || timeline.hoverAt(x, y);
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, [x, y]);
    drag.moved ||= Math.abs(x - drag.x) + Math.abs(y - drag.y) > 4;
    const perPixel = (drag.to - drag.from) / timeline.plot;
    if (drag.pinch && pointers.size === 2) {
      const { middle, spread } = pinch();
      const factor = drag.pinch.spread / spread;
      // The time that was between the fingers stays between them.
      const held = drag.from + (drag.pinch.middle - timeline.gutter) * perPixel;
      const from = held - (middle - timeline.gutter) * perPixel * factor;
      timeline.show(from, from + (drag.to - drag.from) * factor);
    } else if (drag.measures) {
      timeline.measure[1] = timeline.timeAt(x);
      timeline.invalidate();
    } else if (drag.moved) {
      timeline.box.classList.add("am-dragging");
      timeline.hoverAt(-1, -1);
      const shift = (drag.x - x) * perPixel;
      if (Math.abs(x - drag.x) > 2) timeline.show(drag.from + shift, drag.to + shift);
      timeline.scroll(drag.top + drag.y - y);
    }
  });

  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const [x, y] = placeOf(canvas, event);
    const { moved } = drag;
    drag = null;
    // The finger that stays goes on moving from where it is.
    if (pointers.size) {
      begin(...pointers.values().next().value);
      drag.moved = true;
      return;
    }
    timeline.box.classList.remove("am-dragging");
    if (moved || event.type === "pointercancel") return;
    if (x < timeline.gutter) return timeline.fold(timeline.blockAt(y));
    timeline.hoverAt(-1, -1);
    timeline.select(timeline.hit(x, y), true);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
}
