// How things get into the page: elements and text nodes, never markup made of data.
"use strict";

const byId = (id) => document.getElementById(id);

/** An element; `properties` are its own (`className`, `onclick`, …), `attributes` go by setAttribute; null children are left out. */
function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  const { attributes, style, ...own } = properties || {};
  Object.assign(made, own);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  for (const [name, value] of Object.entries(style || {})) made.style.setProperty(name, value);
  made.append(...children.flat(2).filter((it) => it !== null && it !== undefined && it !== false));
  return made;
}

const span = (className, ...children) => element("span", { className }, ...children);
const div = (className, ...children) => element("div", { className }, ...children);

/** Replaces what an element holds; null children are left out. */
const refill = (host, ...children) => host.replaceChildren(...children.flat(2).filter((it) => it !== null && it !== undefined && it !== false));

/** Lets controls be made anew without the keyboard losing its place among them. */
function keepFocus(host, remake) {
  const all = () => [...host.querySelectorAll("button, select, a")];
  const at = all().indexOf(document.activeElement);
  remake();
  if (at >= 0) all()[at]?.focus();
}

/** The heading of a section, with a remark beside it. */
function sectionTitle(section, text, ...remarks) {
  return div("section-head", element("h2", { id: `${section}-title` }, text), span("remark", ...remarks));
}

/** A definition list of pairs; a value is a text or an element. */
function definitions(pairs, className) {
  return element("dl", { className: className || "pairs" }, pairs.map(([name, value]) =>
    div("pair", element("dt", null, name), element("dd", null, value))));
}

/** A plain table. Columns: { name, right, mono }; rows: arrays of texts or elements. */
function plainTable(columns, rows, className) {
  const classOf = (it) => [it.right && "right", it.mono && "mono"].filter(Boolean).join(" ");
  return element("table", { className: `plain ${className || ""}` },
    element("thead", null, element("tr", null, columns.map((it) => element("th", { className: classOf(it), scope: "col" }, it.name)))),
    element("tbody", null, rows.map((row) => element("tr", null, row.map((cell, at) =>
      element("td", { className: classOf(columns[at]) }, cell))))));
}

/** A drop-down with a label; options: [value, text]. */
function dropDown(label, options, value, onChange) {
  const select = element("select", { attributes: { "aria-label": label } }, options.map(([key, text]) =>
    element("option", { value: key, selected: String(key) === String(value) }, text)));
  select.onchange = () => onChange(select.value);
  return element("label", { className: "control" }, span("control-label", label), select);
}

/** Two or more buttons, one of them pressed; options: [value, text]. */
function segments(label, options, value, onChange) {
  return div("control", span("control-label", label), element("span", { className: "segments", attributes: { role: "group", "aria-label": label } },
    options.map(([key, text]) => element("button", {
      type: "button", onclick: () => onChange(key), attributes: { "aria-pressed": String(key === value) },
    }, text))));
}

/** A command with a button that copies it. */
function copyable(text) {
  const button = element("button", { type: "button", className: "copy" }, "copy");
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Some browsers lend no clipboard to a page opened from a file.
      const area = element("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1200);
  };
  // A flag and its value stay on one line where they fit; the text stays what is copied.
  const parts = text.split(/(?<= )(?=--)/);
  return div("command", element("pre", null, parts.map((it) => span("flag", it))), button);
}
