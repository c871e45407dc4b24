// What can be taken away from a timeline: text, picture, data.
import { AXIS } from "./rows.js";
import { paint, paintStrip } from "./paint.js";
import { Theme } from "./theme.js";
import { TABLE_HEAD, asText, tableOf } from "./describe.js";
import { element } from "./page.js";
import { STRIP } from "./build.js";

const TALLEST = 4000;

/** The selected span in words, or the whole run as a table. */
export function textOf({ store, view: { selected } }) {
  if (selected >= 0) return asText(store, selected);
  return [store.header.headline, TABLE_HEAD.join("\t"), ...tableOf(store).map((row) => row.join("\t"))].join("\n");
}

/** @param {"svg"|"png"|"json"} what @return {Promise<Blob>} */
export async function fileOf(timeline, what) {
  if (what === "json") return new Blob([JSON.stringify(timeline.store.toJSON())], { type: "application/json" });
  if (what === "svg") return new Blob([timeline.picture ?? ""], { type: "image/svg+xml" });
  return new Promise((done) => wholePicture(timeline).toBlob(done));
}

/** All rows, also those that the page has scrolled away. */
function wholePicture(timeline) {
  const { width, flight, full, geometry, root } = timeline;
  const scale = Math.max(2, timeline.scale);
  const height = AXIS + Math.min(geometry.height, TALLEST);
  const canvas = element("canvas", { width: width * scale, height: (STRIP + height) * scale });
  const g = canvas.getContext("2d");
  const scene = { ...timeline.scene(), theme: new Theme(root, scale), height, top: 0, hover: -1 };
  g.scale(scale, scale);
  paintStrip(g, { ...scene, flight, full, height: STRIP });
  g.translate(0, STRIP);
  paint(g, scene);
  return canvas;
}
