// Glue between the kernel and the timelines of a run: deltas come in, Cancel goes out.
import { TraceStore, unpack } from "./trace.js";
import { Timeline } from "./timeline.js";
import { element } from "./page.js";

// By the model's key and, once it is known, by the trace's id: what an output of the cell shows finds its run here.
const live = (globalThis.__asyncmagic ??= new Map());

/** A run on this page: what is known of it, and a timeline wherever the page has a place for one. */
class Run {
  constructor(model) {
    this.store = new TraceStore();
    this.timelines = [];
    this.css = model.get("_css");
    this.cancel = (index) => model.send({ type: "cancel", index });
    this.end = () => {
      model.send({ type: "replaced" });
      this.end = () => {};
    };
    this.queue = Promise.resolve();
    this.take = (message) => {
      this.queue = this.queue.then(async () => {
        const isUnknown = !live.has(this.store.header.trace);
        if (this.store.apply(await unpack(message))) return model.send({ type: "resend" });
        this.store.received = { now: this.store.now, at: performance.now() };
        if (isUnknown) this.#meet(this.store.header.trace);
      }).catch((error) => console.error("asyncmagic:", error));
    };
  }

  /** A page that was opened during the run has places already. */
  #meet(trace) {
    live.set(trace, this);
    for (const place of document.querySelectorAll(`[data-asyncmagic="${trace}"]:not([data-taken])`)) this.mount(place);
  }

  /** Show the run in a place: with the timeline that an earlier output of it left, so that zoom and details stay. */
  mount(place) {
    place.dataset.taken = "1";
    let timeline = this.timelines.find(({ root }) => !root.isConnected);
    const host = timeline?.host ?? element("div");
    place.append(element("style", {}, this.css), host);
    if (timeline) return timeline.wasFocused?.focus({ preventScroll: true });
    timeline = new Timeline(host, this.store, { cancel: this.cancel, state: this.timelines[0]?.view });
    this.timelines.push(timeline);
    // Who types goes on typing: an element that changes its place loses the focus, and has it back a moment later.
    host.addEventListener("focusin", (event) => (timeline.wasFocused = event.target));
    host.addEventListener("focusout", () => queueMicrotask(() => host.contains(document.activeElement) || (timeline.wasFocused = null)));
  }
}

function runOf(model) {
  const key = model.get("key");
  if (!live.has(key)) live.set(key, new Run(model));
  return live.get(key);
}

export default {
  initialize({ model }) {
    const run = runOf(model);
    const onMessage = (content, buffers) => content?.type === "delta" && run.take(buffers[0]);
    const snapshot = model.get("snapshot");
    if (snapshot?.byteLength) run.take(snapshot);
    model.on("msg:custom", onMessage);
    // Deltas sent before this line are lost: ask for all.
    model.send({ type: "hello", isJupyter: "jpThemeLight" in document.body.dataset });
    return () => {
      model.off("msg:custom", onMessage);
      live.delete(model.get("key"));
      setTimeout(() => live.delete(run.store.header.trace), 60000);
    };
  },

  render({ model, el }) {
    const place = element("div");
    el.append(place);
    runOf(model).mount(place);
    return () => place.remove();
  },
};
