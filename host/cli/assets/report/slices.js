// The measure against each axis: through the best or the selected point, and what all points make of it.

const LINES_MAX = 40;
const SCATTER_MAX = 3000;

/** For each combination of the other axes the point at each value of this one, and statistics at each value. */
function sliceOf(sweep, whole, measure, pivot) {
  const axis = isDrawn(sweep, whole) ? binned(whole) : whole;
  const others = sweep.axes.filter((it) => it !== whole);
  const keyOf = (point) => others.reduce((sum, it) => sum * it.values.length + it.codes[point], 0);
  const lines = new Map();
  const at = axis.values.map(() => []);
  for (let point = 0; point < sweep.rows.length; point += 1) {
    const key = keyOf(point);
    const line = lines.get(key);
    if (line) line.push(point);
    else lines.set(key, [point]);
    if (!Number.isNaN(measure.values[point])) at[axis.codes[point]].push(point);
  }
  const stats = at.map((points) => {
    const sorted = Float64Array.from(points, (it) => measure.values[it]).sort();
    return { best: bestPoint(measure, points), count: points.length, median: sorted.length ? quantile(sorted, 0.5) : NaN };
  });
  for (const line of lines.values()) line.sort((a, b) => whole.codes[a] - whole.codes[b]);
  const keys = [...lines.keys()].sort((a, b) => a - b);
  const isLines = lines.size === 1 || lines.size < 0.7 * sweep.rows.length;
  return {
    axis, whole, others, stats, isLines, lines: keys.map((it) => lines.get(it)),
    through: isLines && pivot !== null ? lines.get(keyOf(pivot)) : null,
  };
}

/** Where points and statistics stand in the chart of a slice. */
function slicePlaces({ axis, whole }, measure) {
  const x = (it, code) => (it.isNumeric ? toScale(it.scale, it.values[code]) : code);
  const y = (value) => (Number.isNaN(value) ? null : toScale(measure.scale, value));
  return { at: (code) => x(axis, code), y, dot: (point) => [x(whole, whole.codes[point]), y(measure.values[point])] };
}

function sliceSeries(sweep, measure, slice, marks, colours) {
  const { at, y, dot } = slicePlaces(slice, measure);
  const single = slice.lines.length === 1;
  const other = slice.others.length === 1 ? slice.others[0] : null;
  const colourOf = (line) => (other ? viridisLine(other.codes[line[0]] / Math.max(1, other.values.length - 1)) : colours.muted);
  const symbols = slice.axis.values.length <= 60;
  const line = (name, data, z, style, showSymbol) => ({ type: "line", name, data, z, showSymbol, symbol: "circle", symbolSize: 5, silent: true,
    lineStyle: style, itemStyle: { color: style.color } });
  const lines = single || !slice.isLines ? [] : spread(slice.lines.filter((it) => it !== slice.through), LINES_MAX).map((it) =>
    line("others", it.map(dot), 2, { width: 1, color: colourOf(it), opacity: other ? 0.75 : 0.3 }, it.length === 1));
  const cloud = slice.isLines ? [] : [{ type: "scatter", name: "points", symbolSize: 4, silent: true, itemStyle: { color: colours.muted, opacity: sweep.rows.length > 1000 ? 0.25 : 0.5 },
    data: spread([...measure.values.keys()].filter((it) => !Number.isNaN(measure.values[it])), SCATTER_MAX).map(dot) }];
  const stats = (of) => slice.stats.flatMap((it, code) => (it.count ? [[at(code), y(of(it))]] : []));
  const best = stats((it) => measure.values[it.best]);
  const envelope = single ? [] : [
    line("median", stats((it) => it.median), 4, { width: 1.5, type: [4, 3], color: colours.text, opacity: 0.8 }, false),
    slice.isLines ? line("best", best, 3, { width: 1.2, color: colours.text, opacity: 0.7 }, false)
      : line("best", best, 5, { width: 2.2, color: colours.accent }, symbols)];
  const through = slice.through ? [line("through", slice.through.map(dot), 5, { width: 2.4, color: colours.accent }, symbols)] : [];
  const ring = ([point, borderType]) => ({ type: "scatter", name: "mark", data: [dot(point)], symbolSize: 13, symbol: "circle", silent: true, z: 6,
    itemStyle: { color: "transparent", borderColor: colours.text, borderWidth: 1.6, borderType } });
  return [...lines, ...cloud, ...envelope, ...through, ...marks.filter(([point]) => point !== null && !Number.isNaN(measure.values[point])).map(ring)];
}

function sliceOption(sweep, measure, slice, selected) {
  const { axis } = slice;
  const colours = theme();
  const winner = bestPoint(measure);
  const marks = selected === null || selected === winner ? [[winner, "solid"]] : [[winner, "solid"], [selected, "dashed"]];
  const { at } = slicePlaces(slice, measure);
  const codeAt = (value) => axis.values.reduce((near, _, code) => (Math.abs(at(code) - value) < Math.abs(at(near) - value) ? code : near), 0);
  const xOption = axisOption(colours, axis.name, axis.scale, axis.isNumeric ? null : axis.labels);
  const yOption = withMargin(axisOption(colours, "", measure.scale, null), measure.scale, 0.06);
  return {
    grid: { left: 8, right: 18, top: 12, bottom: 28, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: axis.isNumeric ? labelledAtValues(withMargin(xOption, axis.scale, 0.015), axis) : xOption,
    yAxis: { ...yOption, splitLine: { show: true, lineStyle: { color: colours.line, opacity: 0.6 } } },
    tooltip: { ...tooltip("axis", (items) => {
      if (!items.length) return null;
      return sliceTip(sweep, measure, slice, axis.isNumeric ? codeAt(items[0].axisValue) : Number(items[0].value[0]));
    }), axisPointer: { type: "line", snap: true, label: { show: false }, lineStyle: { color: colours.muted, type: "solid", width: 1 } } },
    series: sliceSeries(sweep, measure, slice, marks, colours),
  };
}

function sliceTip(sweep, measure, slice, code) {
  const { axis } = slice;
  const { best, count, median } = slice.stats[code];
  const through = slice.through && slice.lines.length > 1 ? slice.through.find((it) => axis.codes[it] === code) : undefined;
  const others = best === null ? [] : slice.others.map((it) => [it.name, sweep.labelOf(best, it)]);
  return div("tip-box",
    div("tip-head", span("tip-name", axis.name), span("tip-value", axis.labels[code])),
    best === null ? div("tip-remark", "no point here has a value") : definitions([
      ...(through === undefined ? [] : [["here", formatNumber(measure.values[through])]]),
      [count > 1 ? `best ${measure.name}` : measure.name, formatNumber(measure.values[best])],
      ...(count > 1 ? [["median", formatNumber(median)], ["points", formatCount(count)]] : []),
      ...others.map(([name, value]) => [count > 1 ? `${name} of the best` : name, value]),
    ], "tip-pairs"));
}

/** What the axis is worth: the best at each of its values, from the best to the worst of them. */
function marginal(measure, { axis, stats }) {
  const bests = stats.filter((it) => it.best !== null).map((it) => ({ code: axis.codes[it.best], value: measure.values[it.best] }));
  if (bests.length < 2) return null;
  bests.sort((a, b) => (measure.isLowBest ? a.value - b.value : b.value - a.value));
  const [first, last] = [bests[0], bests[bests.length - 1]];
  return `best ${formatNumber(first.value, 4)} at ${axis.labels[first.code]}, ${formatNumber(last.value, 4)} at ${axis.labels[last.code]}`;
}

function makeSlices(section, sweep, app) {
  if (sweep.axes.length === 0) {
    section.hidden = true;
    return () => {};
  }
  const panels = sweep.axes.map((axis) => {
    const host = chartHost(`the measure against ${axis.name}`, sweep.axes.length === 1 ? 380 : 270);
    const note = span("remark");
    const legend = element("p", { className: "legend" });
    return { axis, host, note, legend, panel: div("panel", div("panel-head", element("h3", null, axis.name), note), host, legend) };
  });
  const title = sweep.axes.length === 1 ? "Measure by parameter" : "Slices";
  const remark = span("remark");
  section.append(div("section-head", element("h2", { id: "slices-title" }, title), remark),
    div(`panels of-${sweep.axes.length}`, panels.map((it) => it.panel)));
  if (sweep.axes.length === 1) {
    const card = div("card point-card");
    section.lastChild.className = "beside";
    section.lastChild.append(card);
    app.onPoint(card);
  }
  return () => {
    const measure = app.measure();
    const selected = app.selected();
    const isThroughSelected = selected !== null && !Number.isNaN(measure.values[selected]);
    const pivot = isThroughSelected ? selected : bestPoint(measure);
    remark.textContent = sweep.axes.length === 1 ? measure.name
      : `${measure.name} against each parameter, through the ${isThroughSelected ? "selected" : "best"} point and over all others`;
    for (const { axis, host, note, legend } of panels) {
      const slice = sliceOf(sweep, axis, measure, pivot);
      draw(host, sliceOption(sweep, measure, slice, selected));
      note.textContent = marginal(measure, slice) || "";
      refill(legend, sliceLegend(slice, isThroughSelected ? "through the selected point" : "through the best point"));
    }
  };
}

function sliceLegend(slice, through) {
  if (slice.lines.length === 1) return [];
  const median = [span("key line-median"), "median  "];
  if (!slice.isLines) return [span("key line-best"), "best  ", median, span("key dot"), "points"];
  const keys = [slice.through ? [span("key line-best"), `${through}  `] : null, span("key line-envelope"), "best of all  ", median].flat();
  const count = slice.lines.length > LINES_MAX + 1 ? `${LINES_MAX} of ${formatCount(slice.lines.length)}` : formatCount(slice.lines.length);
  if (slice.others.length > 1) return [...keys, span("key line-other"), `${count} combinations of the others`];
  const [other] = slice.others;
  const strip = span("strip");
  strip.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(viridisLine).join(",")})`;
  return [...keys, `${other.name} `, span("quiet", other.labels[0]), strip, span("quiet", other.labels[other.labels.length - 1])];
}
