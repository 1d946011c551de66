// All points: sorted, filtered, only the rows in view in the page; and the CSV of what is shown.

const ROW_PX = 26;
const ROWS_BEYOND = 12;
const ROWS_PRINTED = 60;

/** `name >= 5` and other words of a filter; all of them must hold. */
function readFilter(text, columns) {
  const words = text.trim().replace(/\s*(<=|>=|!=|=|<|>)\s*/g, "$1").split(/\s+/).filter(Boolean);
  return words.map((word) => {
    const [, name, sign, wanted] = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/.exec(word) || [];
    const column = columns.find((it) => it.name === name);
    if (!column) return { word, holds: (point) => columns.some((it) => it.text(point).toLowerCase().includes(word.toLowerCase())) };
    const number = Number(wanted);
    const compare = {
      "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
      "=": (a, b) => a === b, "!=": (a, b) => a !== b,
    }[sign];
    return { word, holds: (point) => {
      const value = column.key(point);
      if (typeof value === "number" && wanted !== "" && !Number.isNaN(number)) {
        return compare(value, number) || ((sign === "=" || sign === "<=" || sign === ">=") && column.text(point) === wanted);
      }
      return compare(String(value), wanted);
    } };
  });
}

/** What the table shows of a point, column by column: its text, and what it is sorted by. */
function tableColumns(sweep) {
  const hasErrors = sweep.rows.some((_, point) => sweep.errorOf(point));
  return [
    { name: "point", isNumber: true, key: sweep.numberOf, text: (it) => String(sweep.numberOf(it)) },
    ...sweep.axes.map((axis) => ({ name: axis.name, isNumber: axis.isNumeric, exact: true,
      key: axis.isNumeric ? (it) => sweep.valueOf(it, axis) : (it) => sweep.labelOf(it, axis), order: (it) => axis.codes[it], text: (it) => sweep.labelOf(it, axis) })),
    ...sweep.measures.map((it) => ({ name: it.name, isNumber: true, key: (point) => it.values[point], text: (point) => it.format(it.values[point]), measure: it })),
    { name: "state", key: sweep.stateOf, text: sweep.stateOf, isState: true },
    { name: "own time", isNumber: true, key: sweep.secondsOf, text: (it) => formatDuration(sweep.secondsOf(it)) },
    ...(hasErrors ? [{ name: "error", key: (it) => sweep.errorOf(it) || "", text: (it) => String(sweep.errorOf(it) || ""), isLong: true }] : []),
  ];
}

function csvOf(sweep, points) {
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : exactText(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
  };
  const lines = [sweep.data.columns.map(quoted).join(",")];
  for (const point of points) lines.push(sweep.rows[point].map(quoted).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function widthOf(sweep, column) {
  if (column.isLong) return "auto";
  let longest = column.name.length + 2;
  for (const point of spread([...sweep.rows.keys()], 500)) longest = Math.max(longest, column.text(point).length);
  return `calc(${Math.min(longest, 32)}ch + 30px)`;
}

function makeTable(section, sweep, app) {
  const columns = tableColumns(sweep);
  const view = { sort: null, descending: false, text: "", state: "all", brush: null, shown: [] };
  const remark = span("remark");
  const filter = element("input", { type: "search", placeholder: `filter: ${exampleFilter(sweep)}`, attributes: { "aria-label": "filter the points", spellcheck: "false" } });
  const states = [...new Set(sweep.rows.map((_, point) => sweep.stateOf(point)))];
  const stateOptions = [["all", "all states"], ...states.map((it) => [it, it])];
  const csv = element("button", { type: "button" }, "download CSV");
  const head = element("tr", null, columns.map((it) => element("th", { scope: "col", className: it.isNumber ? "right" : "" },
    element("button", { type: "button", onclick: () => sortBy(it) }, it.isNumber ? [span("arrow"), it.name] : [it.name, span("arrow")]))));
  const body = element("tbody");
  const widths = columns.map((it) => widthOf(sweep, it));
  const isNarrow = !columns[columns.length - 1].isLong;
  const table = element("table", { className: "points-table", style: isNarrow ? { width: `calc(${widths.join(" + ")})` } : {} },
    element("colgroup", null, widths.map((it) => element("col", { style: { width: it } }))), element("thead", null, head), body);
  const scroller = element("div", { className: "scroller", tabIndex: 0, attributes: { role: "region", "aria-label": "points; arrow keys select" } }, table);
  if (isNarrow) scroller.classList.add("narrow");
  section.append(div("section-head", element("h2", { id: "points-title" }, "Points"), remark),
    div("section-controls", filter, states.length > 1 ? dropDown("state", stateOptions, "all", (it) => { view.state = it; select(); }) : null, csv), scroller);

  function sortBy(column) {
    if (view.sort === column) view.descending = !view.descending;
    else [view.sort, view.descending] = [column, column.measure ? !column.measure.isLowBest : false];
    select();
  }
  function select() {
    const tests = readFilter(view.text, columns);
    if (view.state !== "all") tests.push({ holds: (point) => sweep.stateOf(point) === view.state });
    if (view.brush) tests.push({ holds: view.brush });
    const shown = [];
    for (let point = 0; point < sweep.rows.length; point += 1) if (tests.every((it) => it.holds(point))) shown.push(point);
    if (view.sort) sortPoints(shown, view.sort, view.descending);
    view.shown = shown;
    const count = sweep.rows.length;
    remark.textContent = shown.length === count ? plural(count, "point") : `${formatCount(shown.length)} of ${plural(count, "point")}${view.brush ? ", brushed above" : ""}`;
    columns.forEach((it, at) => {
      const cell = head.children[at];
      const isSorted = it === view.sort;
      if (isSorted) cell.setAttribute("aria-sort", view.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
      cell.querySelector(".arrow").textContent = isSorted ? (view.descending ? "↓" : "↑") : "";
    });
    scroller.scrollTop = 0;
    // Of all points: what stands below must not jump when some are filtered out.
    scroller.style.height = `${Math.min(562, Math.max(3, count) * ROW_PX + 36)}px`;
    table.setAttribute("aria-rowcount", String(shown.length + 1));
    show();
  }
  function row(point) {
    const chosen = point === app.selected();
    return element("tr", { className: [chosen && "chosen", !sweep.succeeded(point) && "without"].filter(Boolean).join(" "), onclick: () => app.select(point) },
      columns.map((it) => {
        const text = it.text(point);
        const exact = it.exact ? exactText(sweep.valueOf(point, sweep.axes.find((axis) => axis.name === it.name))) : it.measure ? String(it.measure.values[point]) : text;
        return element("td", { className: [it.isNumber && "right", it.isState && `state-${text}`].filter(Boolean).join(" "), title: exact.length > 12 ? exact : "" }, text);
      }));
  }
  const filler = (rows) => element("tr", { className: "filler", style: { height: `${rows * ROW_PX}px` } });
  function show() {
    if (isPrinting) {
      body.replaceChildren(...view.shown.slice(0, ROWS_PRINTED).map(row));
      if (view.shown.length > ROWS_PRINTED) body.append(element("tr", null, element("td", { colSpan: columns.length }, `… and ${plural(view.shown.length - ROWS_PRINTED, "more point", "more points")}`)));
      return;
    }
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_PX) - ROWS_BEYOND);
    const last = Math.min(view.shown.length, first + Math.ceil(600 / ROW_PX) + 2 * ROWS_BEYOND);
    if (view.shown.length === 0) body.replaceChildren(element("tr", null, element("td", { colSpan: columns.length, className: "empty" }, sweep.rows.length ? "no point passes the filter" : "this sweep has no points")));
    else body.replaceChildren(filler(first), ...view.shown.slice(first, last).map(row), filler(view.shown.length - last));
  }
  let waiting = false;
  scroller.onscroll = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; show(); });
  };
  scroller.onkeydown = (event) => {
    const at = view.shown.indexOf(app.selected());
    const last = view.shown.length - 1;
    const to = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
    if (to === undefined || last < 0 || event.target !== scroller) return;
    event.preventDefault();
    app.select(view.shown[to]);
    const top = to * ROW_PX;
    const room = scroller.clientHeight - 36 - ROW_PX;
    scroller.scrollTop = Math.min(top, Math.max(scroller.scrollTop, top - room));
  };
  let typed = 0;
  filter.oninput = () => {
    clearTimeout(typed);
    typed = setTimeout(() => { view.text = filter.value; select(); }, sweep.rows.length > 5000 ? 200 : 0);
  };
  csv.onclick = () => download(`${sweep.data.pipeline}-sweep-${sweep.data.sweep}.csv`, csvOf(sweep, view.shown));
  return {
    /** Best first by the measure that is looked at. */
    update() {
      const measure = app.measure();
      if (measure) [view.sort, view.descending] = [columns.find((it) => it.measure === measure), !measure.isLowBest];
      select();
    },
    refresh: show,
    brush(test) { view.brush = test; select(); },
  };
}

/** An example of a filter that works on this sweep. */
function exampleFilter(sweep) {
  const numeric = sweep.axes.find((it) => it.isNumeric && it.values.length > 2);
  return [numeric && `${numeric.name}>=${numeric.labels[numeric.values.length >> 1]}`, "state=failed"].filter(Boolean).join(" ");
}

/** Rows without a value come last in either direction; equal rows keep the order of the sweep. */
function sortPoints(points, column, descending) {
  const key = column.order || column.key;
  const sign = descending ? -1 : 1;
  const keys = new Map(points.map((it) => [it, key(it)]));
  points.sort((a, b) => {
    const [left, right] = [keys.get(a), keys.get(b)];
    if (typeof left === "number") {
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right) || a - b;
      return sign * (left - right) || a - b;
    }
    return sign * String(left).localeCompare(String(right), undefined, { numeric: true }) || a - b;
  });
}
