// The heat map of two axes. Of more axes, a cell tells the best, the middle or the worst of its points, or of those
// with a chosen value of another axis.

const LABELLED_CELLS_MAX = 400;

/** For each cell of x and y: the value it tells, the point that has it, and how many points have none. */
function surfaceCells(sweep, view, measure) {
  const cells = new Map();
  for (let point = 0; point < sweep.rows.length; point += 1) {
    if ([...view.fixed].some(([axis, code]) => axis.codes[point] !== code)) continue;
    const [x, y] = [view.x.codes[point], view.y.codes[point]];
    const key = y * view.x.values.length + x;
    let cell = cells.get(key);
    if (!cell) cells.set(key, (cell = { x, y, points: [], without: 0, point: null, value: NaN }));
    if (!Number.isNaN(measure.values[point])) {
      cell.points.push(point);
      continue;
    }
    cell.without += 1;
    // Until a point with a value is found the cell stands for one without; rather for one that failed.
    if (cell.point === null || sweep.stateOf(point) === "failed") cell.point = point;
  }
  for (const cell of cells.values()) {
    if (cell.points.length === 0) continue;
    const sign = measure.isLowBest ? 1 : -1;
    cell.points.sort((a, b) => sign * (measure.values[a] - measure.values[b]));
    const values = cell.points.map((it) => measure.values[it]);
    const middle = (cell.points.length - 1) >> 1;
    cell.point = cell.points[{ best: 0, median: middle, worst: cell.points.length - 1 }[view.tells]];
    cell.value = view.tells === "median" ? quantile(values, 0.5) : measure.values[cell.point];
  }
  return [...cells.values()];
}

const hasValue = (cell) => cell.points.length > 0;

/** The share of the colours at which a value stands, and back, for the legend. */
function colourScale(view, measure, values) {
  const sorted = Float64Array.from(values).sort();
  const last = sorted.length - 1;
  if (view.colour === "rank") {
    const share = new Map();
    // Equal values have one rank, the middle one of theirs.
    for (let from = 0, to = 0; from <= last; from = to) {
      while (to <= last && sorted[to] === sorted[from]) to += 1;
      share.set(sorted[from], last > 0 ? (from + to - 1) / 2 / last : 0);
    }
    return { shareOf: (value) => share.get(value), valueOf: (at) => quantile(sorted, at), isClipped: false };
  }
  const bounds = colourBounds(sorted);
  const [low, high] = [toScale(measure.scale, bounds.low), toScale(measure.scale, bounds.high)];
  return {
    shareOf: (value) => (high > low ? Math.min(1, Math.max(0, (toScale(measure.scale, value) - low) / (high - low))) : 0),
    valueOf: (at) => fromScale(measure.scale, low + (high - low) * at),
    isClipped: sorted[0] < bounds.low || sorted[last] > bounds.high,
  };
}

/** All values, or without the far ends where a few would leave one colour for the rest. */
function colourBounds(sorted) {
  const [first, last] = [sorted[0], sorted[sorted.length - 1]];
  const [low, high] = [quantile(sorted, 0.02), quantile(sorted, 0.98)];
  const far = 1.5 * (high - low);
  return { low: first < low - far ? low : first, high: last > high + far ? high : last };
}

/** Grey with slanted lines, which stays readable without colours. */
function hatch(colours) {
  const size = 7 * devicePixelRatio;
  const canvas = element("canvas", { width: size, height: size });
  const pen = canvas.getContext("2d");
  pen.fillStyle = colours.line;
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = colours.failed;
  pen.lineWidth = 1.1 * devicePixelRatio;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return { image: canvas, repeat: "repeat", scaleX: 1 / devicePixelRatio, scaleY: 1 / devicePixelRatio };
}

/** A series that draws one shape over each of its cells. */
function cellShapes(name, cells, shape) {
  return { type: "custom", name, progressive: 0, data: cells.map((it) => [it.x, it.y, 0, it.point]), encode: { x: 0, y: 1 }, clip: false, z: 5,
    silent: name === "marks",
    renderItem: (params, api) => {
      const [x, y] = api.coord([api.value(0), api.value(1)]);
      const [width, height] = api.size([1, 1]);
      return shape({ x: x - width / 2, y: y - height / 2, width, height }, cells[params.dataIndex]);
    } };
}

/** A frame of two colours, so that it stands out on any cell; tiny cells get a ring around them. */
function frame(box, colours, dash) {
  const grown = { x: box.x - 0.5, y: box.y - 0.5, width: box.width + 1, height: box.height + 1 };
  const small = Math.min(box.width, box.height) < 9;
  const shape = small ? { cx: box.x + box.width / 2, cy: box.y + box.height / 2, r: 8 } : { ...grown, r: 2 };
  const stroke = (color, lineWidth, lineDash) => ({ type: small ? "circle" : "rect", shape,
    style: { fill: "none", stroke: color, lineWidth, lineDash } });
  return { type: "group", children: [stroke(colours.panel, 4.5), stroke(colours.text, 2, dash)] };
}

function surfaceTip(sweep, view, measure, cell) {
  const count = cell.points.length + cell.without;
  const ranges = [view.x, view.y].filter((it) => it.of).map((it) => `${it.name} ${it.labels[it === view.x ? cell.x : cell.y]}`);
  return pointTip(sweep, cell.point, measure,
    ranges.join(", "),
    view.tells === "median" && cell.points.length > 1 && `median ${formatNumber(cell.value)} of ${plural(cell.points.length, "point")}; this one is nearest`,
    view.tells !== "median" && cell.points.length > 1 && `${view.tells} of ${plural(count, "point")} here, the median is ${formatNumber(quantile(cell.points.map((it) => measure.values[it]), 0.5))}`,
    cell.without > 0 && count > 1 && `${formatCount(cell.without)} of them without a value`);
}

function surfaceOption(sweep, view, measure, cells, selected) {
  const colours = theme();
  const good = cells.filter(hasValue);
  const scale = colourScale(view, measure, good.map((it) => it.value));
  const labelled = good.length <= LABELLED_CELLS_MAX && view.x.values.length <= 13 && view.y.values.length <= 24;
  const best = bestPoint(measure, good.map((it) => it.points[0]));
  const marks = [[best, undefined], [selected === best ? null : selected, [3, 2]]].filter(([point]) => point !== null)
    .filter(([point]) => [...view.fixed].every(([axis, code]) => axis.codes[point] === code))
    .map(([point, dash]) => ({ x: view.x.codes[point], y: view.y.codes[point], point, dash }));
  const ofPoint = new Map(cells.map((it) => [it.point, it]));
  const data = good.map((it) => {
    const share = scale.shareOf(it.value);
    const bright = measure.isLowBest ? 1 - share : share;
    return { value: [it.x, it.y, share, it.point], label: labelled ? { color: bright > 0.55 ? "#111" : "#fff" } : undefined };
  });
  const short = shortFormat(measure.values, measure.scale);
  const longest = Math.max(...view.y.labels.map((it) => it.length), 2);
  const left = Math.min(110, longest * 6.4 + 8) + 34;
  const axes = { splitArea: { show: false }, axisTick: { show: false }, axisLine: { show: false } };
  const gap = good.length > 4000 ? 0 : 1;
  return {
    tooltip: tooltip("item", ({ data: it, seriesName }) => {
      const cell = ofPoint.get((it.value || it)[3]);
      return seriesName === "marks" || !cell ? null : surfaceTip(sweep, view, measure, cell);
    }),
    grid: { left, right: 96, top: 10, bottom: 52 },
    xAxis: { ...axisOption(colours, view.x.name, null, view.x.labels), ...axes, nameGap: 30 },
    yAxis: { ...axisOption(colours, view.y.name, null, view.y.labels), ...axes, nameGap: left - 22 },
    visualMap: good.length === 0 ? undefined : {
      type: "continuous", seriesIndex: 0, dimension: 2, min: 0, max: 1, calculable: true, precision: 12,
      orient: "vertical", right: 4, top: "middle", itemHeight: 180, itemWidth: 13, align: "left",
      formatter: (at) => formatNumber(scale.valueOf(at), 4),
      inRange: { color: measure.isLowBest ? [...VIRIDIS].reverse() : VIRIDIS }, outOfRange: { color: [colours.line] },
      textStyle: { color: colours.muted, fontSize: 11 }, handleStyle: { borderColor: colours.muted, color: colours.panel },
    },
    series: [
      { type: "heatmap", name: "cells", data, progressive: 0,
        label: { show: labelled, fontSize: 11, formatter: ({ value }) => short(ofPoint.get(value[3]).value) },
        itemStyle: { borderWidth: gap, borderColor: colours.panel }, emphasis: { itemStyle: { borderColor: colours.text, borderWidth: 1.5 } } },
      cellShapes("without", cells.filter((it) => !hasValue(it)), (box, cell) => ({
        type: "rect", shape: { x: box.x + gap / 2, y: box.y + gap / 2, width: Math.max(1, box.width - gap), height: Math.max(1, box.height - gap) },
        style: { fill: sweep.stateOf(cell.point) === "failed" ? hatch(colours) : colours.line } })),
      cellShapes("marks", marks, (box, mark) => frame(box, colours, mark.dash)),
    ],
    isClipped: scale.isClipped,
  };
}

/** The nearest cell in the direction of an arrow key, for those who do not point. */
function neighbour(cells, from, key) {
  const [right, up] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
  const ahead = cells.map((it) => ({ it, along: (it.x - from.x) * right + (it.y - from.y) * up, aside: Math.abs((it.x - from.x) * up + (it.y - from.y) * right) }))
    .filter(({ along }) => along > 0);
  ahead.sort((a, b) => a.along + 3 * a.aside - (b.along + 3 * b.aside));
  return ahead.length ? ahead[0].it : null;
}

function surfaceLegend(sweep, cells, selected, isClipped) {
  const without = cells.filter((it) => !hasValue(it));
  const isFailed = (it) => sweep.stateOf(it.point) === "failed";
  return [span("key best"), "best  ",
    selected === null ? null : [span("key chosen"), "selected  "],
    without.some(isFailed) ? [span("key hatched"), "failed  "] : null,
    without.some((it) => !isFailed(it)) ? [span("key without"), "no value  "] : null,
    span("quiet", `brighter is better${isClipped ? "; colours end at the 2nd and 98th percentile" : ""}; a click or an arrow key selects a point`)].flat();
}

/** Controls and the empty chart, once; what is drawn changes with the view. */
function makeSurface(section, sweep, app) {
  if (sweep.axes.length < 2) {
    section.hidden = true;
    return () => {};
  }
  const axisAt = sweep.axes.map((it) => (isDrawn(sweep, it) ? binned(it) : it));
  const bySize = [...axisAt].sort((a, b) => (b.of || b).values.length - (a.of || a).values.length);
  const view = { x: bySize[0], y: bySize[1], fixed: new Map(), tells: "best", colour: "value" };
  let cells = [];
  const controls = div("section-controls");
  const note = element("p", { className: "legend" });
  const host = chartHost("", 300);
  host.tabIndex = 0;
  const card = div("card point-card");
  section.append(sectionTitle("surface", "Surface"), controls, div("beside", div("wide", host, note), card));
  app.onPoint(card);
  const choose = (side, other) => (at) => {
    const axis = axisAt[at];
    if (view[other] === axis) view[other] = view[side];
    view[side] = axis;
    update();
  };
  const set = (name) => (value) => {
    view[name] = value;
    update();
  };
  function showControls() {
    const others = axisAt.filter((it) => it !== view.x && it !== view.y);
    for (const it of [...view.fixed.keys()]) if (!others.includes(it)) view.fixed.delete(it);
    const names = axisAt.map((it, at) => [at, it.name]);
    const isOpen = others.some((it) => !view.fixed.has(it)) || view.x.of || view.y.of;
    keepFocus(controls, () => refill(controls,
      dropDown("across", names, axisAt.indexOf(view.x), choose("x", "y")),
      dropDown("upwards", names, axisAt.indexOf(view.y), choose("y", "x")),
      others.map((axis) => dropDown(axis.name, [["any", "any"], ...axis.labels.map((it, at) => [at, it])],
        view.fixed.has(axis) ? view.fixed.get(axis) : "any", (it) => {
          if (it === "any") view.fixed.delete(axis);
          else view.fixed.set(axis, Number(it));
          update();
        })),
      isOpen ? segments("each cell tells the", ["best", "median", "worst"].map((it) => [it, it]), view.tells, set("tells")) : null,
      segments("colour by", [["value", "value"], ["rank", "rank"]], view.colour, set("colour"))));
  }
  /** Ranges are of equal width on the axis's scale, which may have been changed. */
  function binAgain() {
    axisAt.forEach((old, at) => {
      if (!old.of || old.binnedAsLog === old.scale.isLog) return;
      axisAt[at] = binned(old.of);
      if (view.x === old) view.x = axisAt[at];
      if (view.y === old) view.y = axisAt[at];
    });
  }
  function update() {
    binAgain();
    showControls();
    const measure = app.measure();
    cells = surfaceCells(sweep, view, measure);
    const { isClipped, ...option } = surfaceOption(sweep, view, measure, cells, app.selected());
    host.style.height = `${Math.min(640, Math.max(300, view.y.values.length * 24 + 64))}px`;
    host.setAttribute("aria-label", `heat map of ${measure.name} over ${view.x.name} and ${view.y.name}: ${cells.filter(hasValue).length} cells with a value, ${cells.filter((it) => !hasValue(it)).length} without`);
    const chart = draw(host, option);
    chart.resize();
    chart.off("click");
    chart.on("click", ({ data: it }) => app.select((it.value || it)[3]));
    refill(note, surfaceLegend(sweep, cells, app.selected(), isClipped));
  }
  host.onkeydown = (event) => {
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const point = app.selected() === null ? bestPoint(app.measure()) : app.selected();
    const next = point !== null && neighbour(cells, { x: view.x.codes[point], y: view.y.codes[point] }, event.key);
    if (next) app.select(next.point);
  };
  return update;
}
