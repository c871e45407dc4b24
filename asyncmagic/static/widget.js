// Glue between the kernel and the timeline: deltas come in, Cancel goes out.
import { TraceStore, unpack } from "./trace.js";
import { Timeline, element } from "./timeline.js";

const keyOf = (model) => model.get("key");
// The picture that replaces this widget at the end takes the store and the zoom over from here.
const live = (globalThis.__asyncmagic ??= new Map());

function storeOf(model) {
  let entry = live.get(keyOf(model));
  if (entry) return entry;
  entry = { store: new TraceStore(), state: {} };
  live.set(keyOf(model), entry);
  return entry;
}

export default {
  initialize({ model }) {
    const entry = storeOf(model);
    const { store } = entry;
    let queue = Promise.resolve();
    const take = (message) => {
      queue = queue.then(async () => {
        const buffer = await unpack(message);
        if (store.apply(buffer)) model.send({ type: "resend" });
        else {
          store.received = { now: store.now, at: performance.now() };
          live.set(store.header.trace, entry);
        }
      }).catch((error) => console.error("asyncmagic:", error));
    };
    const onMessage = (content, buffers) => content?.type === "delta" && take(buffers[0]);
    const snapshot = model.get("snapshot");
    if (snapshot?.byteLength) take(snapshot);
    model.on("msg:custom", onMessage);
    // Deltas sent before this line are lost: ask for all.
    model.send({ type: "hello" });
    return () => {
      model.off("msg:custom", onMessage);
      live.delete(keyOf(model));
      setTimeout(() => live.delete(store.header.trace), 60000);
    };
  },

  render({ model, el }) {
    const entry = storeOf(model);
    const host = element("div");
    el.append(host);
    const cancel = (index) => model.send({ type: "cancel", index });
    const timeline = new Timeline(host, entry.store, { cancel, state: entry.state });
    entry.state = timeline.view;
    return () => timeline.destroy();
  },
};
