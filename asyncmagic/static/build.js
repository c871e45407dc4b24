// The elements of a timeline.
import { button, element, pairs, sign } from "./page.js";
import { suggestions } from "./query.js";
import { HELP, POINTER_HELP } from "./controls.js";

export const STRIP = 36;
const SORTS = ["start", "name", "longest", "failed first"];
const SEARCH = "a name, model:…, agent:…, kind:…, state:…, status:429, failed, >500ms, -not";

/** Make the elements of a timeline. @return {Object<string, HTMLElement>} by the names under which the timeline knows them */
export function build(timeline) {
  const made = { ...searchOf(timeline), ...buttonsOf(timeline), ...menuOf(timeline) };
  made.headline = element("span");
  made.progress = element("span", { className: "am-progress", hidden: true });
  made.tools = element("div", { className: "am-tools", role: "toolbar", "aria-label": "Timeline" }, made.search, made.hints, made.finding, made.found,
    element("span", { className: "am-space" }), sign("−", "Zoom out", () => timeline.zoom(1.6)), sign("+", "Zoom in", () => timeline.zoom(1 / 1.6)),
    button("Fit", () => timeline.fit()), made.followButton, made.pathButton, made.sort, made.tableButton, element("span", { className: "am-menu" }, made.more, made.menu));
  made.canvas = element("canvas", { "aria-hidden": "true" });
  made.strip = element("canvas", { "aria-hidden": "true" });
  made.frameBox = element("div", { className: "am-frame" });
  made.shade = element("div", { className: "am-shade", hidden: true, style: `height: ${STRIP - 1}px` }, made.frameBox);
  made.bar = element("div", { className: "am-bar", hidden: true });
  const keys = HELP.map(([key, what]) => `${key} ${what}`).join(", ");
  made.box = element("div", { className: "am-box", tabIndex: 0, role: "application", "aria-roledescription": "timeline", "aria-label": `Timeline. Keys: ${keys}` },
    made.strip, made.shade, made.canvas, made.bar, made.rowCancel);
  made.legend = element("div", { className: "am-legend", role: "group", "aria-label": "Legend: press to show or hide" });
  made.note = element("p", { className: "am-note", hidden: true });
  const close = sign("×", "Close", () => timeline.showKeys(), { className: "am-close am-square" });
  made.keys = element("section", { className: "am-keys", hidden: true, "aria-label": "Keys" }, close, pairs([...HELP, ...POINTER_HELP]));
  made.details = element("section", { className: "am-details", hidden: true, "aria-label": "Details of the selected span" });
  made.tableBox = element("div", { className: "am-table", hidden: true, tabIndex: 0, role: "region", "aria-label": "The run as a table" });
  made.said = element("div", { className: "am-said", "aria-live": "polite" });
  // In the top layer, where no notebook's cell can cut it off.
  made.card = element("div", { className: "am-card", hidden: true, "aria-hidden": "true", popover: "manual" });
  const head = element("div", { className: "am-head" }, element("div", { className: "am-headline" }, made.headline, made.progress), made.cancelButton);
  made.root = element("div", { className: "asyncmagic", "data-lm-suppress-shortcuts": "true" }, head, made.tools, made.box, made.legend, made.note, made.keys,
    made.details, made.tableBox, made.said, made.card);
  return made;
}

function searchOf(timeline) {
  const search = element("input", {
    type: "search", placeholder: "Search, e.g. failed >500ms", title: SEARCH, "aria-label": `Search spans: ${SEARCH}`,
    oninput: () => timeline.set({ query: search.value }),
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter") timeline.walk(event.shiftKey ? -1 : 1, true);
      if (event.key === "Escape") timeline.box.focus();
    } });
  const found = element("span", { className: "am-progress", role: "status" });
  const only = button("Filter", () => timeline.toggle("onlyMatches"), { title: "Show only the rows with a match" });
  const finding = element("span", { hidden: true }, sign("‹", "Previous match", () => timeline.walk(-1, true)), sign("›", "Next match", () => timeline.walk(1, true)), only);
  const title = element("option", { value: "" }, "Find …");
  const hints = element("select", {
    className: "am-hints", "aria-label": "Add to the search",
    onfocus: () => hints.replaceChildren(title, ...suggestions(timeline.store).map((value) => element("option", { value }, value))),
    onchange: () => {
      timeline.set({ query: `${timeline.view.query} ${hints.value}`.trim() });
      hints.value = "";
    } }, title);
  return { search, hints, found, only, finding };
}

function buttonsOf(timeline) {
  const sort = element("select", { "aria-label": "Order of rows", onchange: () => timeline.set({ sort: sort.value }) },
    ...SORTS.map((name) => element("option", { value: name }, `by ${name}`)));
  return {
    sort,
    followButton: button("Follow", () => timeline.setFollow(!timeline.view.follow), { title: "Keep the whole run in view" }),
    pathButton: button("Critical path", () => timeline.toggle("path"), { title: "What the end of the run waited for" }),
    tableButton: button("Table", () => timeline.toggle("table")),
    cancelButton: button("Cancel run", () => timeline.cancel?.(null), { className: "am-cancel" }),
    rowCancel: button("Cancel", () => timeline.cancelRow(), { className: "am-row-cancel am-cancel", hidden: true }),
  };
}

function menuOf(timeline) {
  const saveSvg = button("Save as SVG", () => timeline.save("svg"), { hidden: true });
  const menu = element("div", { hidden: true, onclick: () => timeline.openMenu(false) }, button("Copy as text", () => timeline.copy()), saveSvg,
    button("Save as PNG", () => timeline.save("png")), button("Save as JSON", () => timeline.save("json")), button("Keys", () => timeline.showKeys()));
  const more = sign("⋯", "Copy or save", () => timeline.openMenu(menu.hidden), { "aria-expanded": "false" });
  return { saveSvg, menu, more };
}
