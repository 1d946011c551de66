// What needs no chart: the head, the card of a point, failures, what was shared, how to repeat it.

/** The command that computes one point alone. */
function commandOf(sweep, point) {
  const { file, window: bounds, parameters } = sweep.data;
  const sets = [
    ...Object.entries(parameters || {}),
    ...sweep.axes.map((it) => [it.name, sweep.valueOf(point, it)]),
  ].map(([name, value]) => `--set ${shellWord(`${name}=${exactText(value)}`)}`);
  const times = [["--start", "start"], ["--end", "end"], ["--as-of", "as_of"]]
    .filter(([, name]) => bounds && bounds[name]).map(([flag, name]) => `${flag} ${shellWord(bounds[name])}`);
  return ["tidemill run", shellWord(file || "."), ...sets, ...times].join(" ");
}

function windowText(bounds) {
  if (!bounds || (!bounds.start && !bounds.end)) return "all of the data";
  if (!bounds.end) return `from ${bounds.start}`;
  return bounds.start ? `${bounds.start} to ${bounds.end}` : `until ${bounds.end}`;
}

function tile(name, value, remark, className, target) {
  const content = [span("tile-name", name), span("tile-value", value), remark ? span("tile-remark", remark) : null];
  if (!target) return div(`tile ${className || ""}`, content);
  return element("button", { type: "button", className: `tile ${className || ""}`, onclick: () => byId(target).scrollIntoView() }, content);
}

function showHead(head, sweep) {
  const { data } = sweep;
  const counts = data.counts || {};
  document.title = `${data.pipeline} · sweep ${data.sweep}`;
  const facts = [
    ["sweep", data.sweep], ["began", formatTime(data.began_at)], ["window", windowText(data.window)],
    ["as of", data.window && data.window.as_of], ["tidemill", data.host_version],
  ].filter(([, it]) => it);
  const grid = sweep.cells === sweep.rows.length && sweep.axes.length > 1 ? sweep.axes.map((it) => it.values.length).join(" × ") : plural(sweep.axes.length, "parameter");
  const saved = counts.nodes ? 1 - counts.distinct / counts.nodes : 0;
  const reused = counts.reused ? `, ${formatCount(counts.reused)} from the lake` : "";
  head.append(
    div("title", element("h1", null, data.pipeline), data.summary ? element("p", { className: "summary" }, data.summary) : null),
    element("dl", { className: "facts" }, facts.map(([name, value]) => element("div", null, element("dt", null, name), element("dd", null, value)))),
    div("tiles",
      tile("points", formatCount(counts.points), grid),
      tile("computed", formatCount(counts.computed), ""),
      tile("cached", formatCount(counts.cached), ""),
      tile("failed", formatCount(counts.failed), counts.failed ? formatPercent(counts.failed / counts.points) : "none", counts.failed ? "bad" : "", counts.failed ? "failures" : null),
      counts.cancelled ? tile("not reached", formatCount(counts.cancelled), formatPercent(counts.cancelled / counts.points), "bad") : null,
      tile("elapsed", formatDuration(data.elapsed_s), data.elapsed_s > 0 ? `${formatNumber((counts.computed + counts.cached) / data.elapsed_s, 3)} points/s` : ""),
      tile("distinct nodes", div("shares", element("b", null, formatCount(counts.distinct)), ` of ${formatCount(counts.nodes)}`), `${formatPercent(saved)} saved${reused}`, "wide-tile", "shared"),
      bestTile(sweep)));
}

function bestTile(sweep) {
  const measure = sweep.goal || sweep.measures[0];
  const best = measure ? bestPoint(measure) : null;
  const name = measure ? `best point: ${measure.isLowBest ? "lowest" : "highest"} ${measure.name}${sweep.goal ? "" : " (no goal was named)"}` : "best point";
  if (best === null) return div("tile best", span("tile-name", name), span("tile-value", "–"), span("tile-remark", sweep.rows.length ? "no point has a value" : "there are no points"));
  const text = div("best-values", sweep.axes.map((it) => span("chip", span("quiet", it.name), " ", element("b", null, sweep.labelOf(best, it)))));
  const tileOfBest = div("tile best", span("tile-name", name), span("tile-value", formatNumber(measure.values[best])), text);
  tileOfBest.id = "best";
  Object.assign(tileOfBest.dataset, { point: String(sweep.numberOf(best)), value: String(measure.values[best]) });
  return tileOfBest;
}

/** The card of the selected point, or of the best. */
function showPoint(card, sweep, measure, selected, clear) {
  const best = measure ? bestPoint(measure) : null;
  const point = selected === null ? best : selected;
  if (point === null) {
    card.replaceChildren(element("h3", null, "No point has a value"), element("p", { className: "quiet" }, "Every point failed or was cancelled, or wrote no number."));
    return;
  }
  const state = sweep.stateOf(point);
  const values = sweep.succeeded(point) ? sweep.measures.map((it) => [it.name, element(it === measure ? "b" : "span", null, formatNumber(it.values[point], 6))]) : [];
  refill(card,
    div("panel-head", element("h3", null, point === best ? "Best point" : "Selected point"),
      selected !== null && selected !== best ? element("button", { type: "button", className: "quiet-button", onclick: clear }, "show the best") : span("remark", `point ${sweep.numberOf(point)}`)),
    definitions(sweep.axes.map((it) => [it.name, sweep.labelOf(point, it)])),
    values.length ? element("h4", null, "measures") : null, values.length ? definitions(values) : null,
    sweep.errorOf(point) ? element("pre", { className: "error" }, String(sweep.errorOf(point))) : null,
    element("p", { className: "quiet" }, span(`state-${state}`, state), sweep.secondsOf(point) > 0 ? ` in ${formatDuration(sweep.secondsOf(point))}` : ""),
    element("h4", null, "this point alone"), copyable(commandOf(sweep, point)));
}

/** The axes on which all points of a group stand at one place, though the sweep has others: where to look first. */
function commonOf(sweep, points) {
  return sweep.axes.filter((it) => it.values.length > 1 && points.every((point) => it.codes[point] === it.codes[points[0]]));
}

const POINTS_LISTED = 24;
const POINTS_LISTED_MAX = 1000;

/** Errors with their points, the most frequent first. */
function groupedErrors(sweep) {
  const groups = new Map();
  sweep.rows.forEach((_, point) => {
    if (sweep.stateOf(point) !== "failed") return;
    const error = String(sweep.errorOf(point) || "no error was recorded");
    // One mistake of a node is one error, whatever parameters the node had: ``node `fit[window=60]` `` is `fit`.
    const key = error.replace(/(node `[^`[]+)\[[^\n]*?\]`/, "$1`");
    if (!groups.has(key)) groups.set(key, { points: [], texts: new Set() });
    groups.get(key).points.push(point);
    groups.get(key).texts.add(error);
  });
  const told = [...groups].map(([key, { points, texts }]) => [texts.size === 1 ? [...texts][0] : key, points]);
  return told.sort(([, a], [, b]) => b.length - a.length);
}

function showFailures(section, sweep, app) {
  const errors = groupedErrors(sweep);
  const failed = errors.reduce((sum, [, points]) => sum + points.length, 0);
  section.append(sectionTitle("failures", "Failures", failed ? `${plural(failed, "point")}, ${plural(errors.length, "error")}` : ""));
  if (failed === 0) section.append(element("p", { className: "empty" }, "No point failed."));
  const list = (points, axes) => {
    const chip = (point) => element("button", { type: "button", className: "chip", onclick: () => app.select(point) },
      axes.map((it, at) => [at ? " · " : "", span("quiet", it.name), ` ${sweep.labelOf(point, it)}`]));
    const rest = points.slice(POINTS_LISTED, POINTS_LISTED_MAX);
    const more = rest.length ? element("details", null, element("summary", null, `${formatCount(points.length - POINTS_LISTED)} more`)) : null;
    // Made only when it is looked at.
    if (more) more.ontoggle = () => { if (more.children.length === 1) more.append(div("chips", rest.map(chip), points.length > POINTS_LISTED_MAX ? "… the table of points has all" : null)); };
    return [div("chips", points.slice(0, POINTS_LISTED).map(chip)), more];
  };
  for (const [error, points] of errors) {
    const common = points.length > 1 ? commonOf(sweep, points) : [];
    section.append(element("article", { className: "failure" },
      div("failure-count", formatCount(points.length), span("quiet", points.length === 1 ? "point" : "points")),
      div("", element("pre", { className: "error" }, error), common.length ? element("p", { className: "quiet" }, `all of them have ${common.map((it) => `${it.name} = ${sweep.labelOf(points[0], it)}`).join(", ")}`) : null,
        list(points, sweep.axes.filter((it) => !common.includes(it))))));
  }
}

function showShared(section, sweep) {
  const rows = sweep.data.shared || [];
  if (rows.length === 0) {
    section.hidden = true;
    return;
  }
  const bar = (uses, distinct) => {
    const filled = element("span", { className: "bar-filled", style: { width: `${uses ? Math.max(0.5, (100 * distinct) / uses) : 0}%` } });
    return element("span", { className: "bar", title: `${distinct} of ${uses}` }, filled);
  };
  const cells = ({ node, uses, distinct, reused }) => [node, formatCount(uses), formatCount(distinct), formatCount(reused),
    distinct ? `${formatNumber(uses / distinct, 3)}×` : "–", bar(uses, distinct), uses ? formatPercent(1 - distinct / uses) : "–"];
  const sum = (name) => rows.reduce((total, it) => total + it[name], 0);
  section.append(sectionTitle("shared", "What was shared", "a node that points need with the same parameters and inputs is computed once for all of them"),
    plainTable([{ name: "node", mono: true }, { name: "uses", right: true }, { name: "distinct", right: true }, { name: "from the lake", right: true },
      { name: "uses of each", right: true }, { name: "distinct of all uses" }, { name: "saved", right: true }],
    [...rows.map(cells), cells({ node: "all nodes", uses: sum("uses"), distinct: sum("distinct"), reused: sum("reused") })], "shared-table"));
}

function showRepeat(section, sweep) {
  const { data } = sweep;
  const card = (title, ...content) => div("repeat-part", element("h3", null, title), content);
  const times = [["window", windowText(data.window)], ["as of", (data.window && data.window.as_of) || "not limited"], ["host", `tidemill ${data.host_version}`], ["pipeline file", data.file || "–"]];
  const parameters = Object.entries(data.parameters || {});
  const swept = sweep.axes.map((it) => [it.name, `${plural(it.values.length, "value")}: ${shortList(it.labels)}`]);
  const measures = sweep.measures.filter((it) => it.source).map((it) => [it.name, element("code", null, it.source)]);
  const none = element("p", { className: "quiet" }, "none");
  section.append(sectionTitle("repeat", "How to repeat it", "the same code, data, window and parameters give the same tables, bit for bit"),
    data.command ? copyable(data.command) : null,
    div("repeat-grid",
      card("Swept", definitions(swept)),
      card("Not swept", parameters.length ? definitions(parameters.map(([name, value]) => [name, exactText(value)])) : none),
      card("Measures", measures.length ? definitions(measures) : none),
      card("Window and host", definitions(times))),
    card("Components", (data.components || []).length ? plainTable([{ name: "task", mono: true }, { name: "digest", mono: true }], data.components.map((it) => [it.task, it.digest])) : none),
    card("Sources", (data.sources || []).length ? plainTable([{ name: "node", mono: true }, { name: "file", mono: true }, { name: "digest", mono: true }], data.sources.map((it) => [it.node, it.path, it.digest])) : none));
}

function shortList(labels) {
  return labels.length <= 8 ? labels.join(", ") : `${labels.slice(0, 4).join(", ")}, … ${labels.slice(-2).join(", ")}`;
}
