// What the timeline needs of a page: elements, its theme, the clipboard, files.

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

/** @param {string|(string|Node)[]} label */
export function button(label, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, ...[label].flat());
}

/** A button that shows a sign; what it does is said and stands in its title. */
export function sign(label, name, onclick, properties = {}) {
  return button(label, onclick, { className: "am-square", "aria-label": name, title: name, ...properties });
}

/** Names and values below each other. @param {[string, string][]} list */
export function pairs(list) {
  const rows = list.map(([name, value]) => [element("dt", {}, name), element("dd", { className: name === "error" ? "am-error" : "" }, value)]);
  return element("dl", { className: "am-pairs" }, ...rows.flat());
}

/** Light or dark: what Jupyter, VS Code or Colab says, else what the system does. */
export function pageTheme() {
  const { body, documentElement: root } = document;
  const said = body.dataset.jpThemeLight ?? (root.dataset.theme || root.getAttribute("theme") || body.dataset.vscodeThemeKind || "");
  if (said === "false" || /dark|high-contrast$/.test(said)) return "dark";
  if (said === "true" || /light/.test(said)) return "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Call back whenever the page may look different. */
export function onThemeChange(changed) {
  const observer = new MutationObserver(changed);
  const attributeFilter = ["class", "theme", "data-theme", "data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind"];
  for (const place of [document.body, document.documentElement]) observer.observe(place, { attributeFilter });
  for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", changed);
}

export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // A page that is served without encryption has no clipboard but this.
  const area = element("textarea", { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
