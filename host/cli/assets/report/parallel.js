// Parallel coordinates of all axes and measures. What is brushed here filters the table of points.

const PARALLEL_LINES_MAX = 2000;

function makeParallel(section, sweep, app) {
  const dimensions = [...sweep.axes.filter((it) => it.values.length > 1), ...sweep.measures.filter((it) => Number.isFinite(it.scale.low))];
  if (dimensions.length < 2) {
    section.hidden = true;
    return () => {};
  }
  const host = chartHost("parallel coordinates of all parameters and measures", 330);
  const remark = span("remark");
  const clear = element("button", { type: "button", className: "quiet-button", hidden: true }, "clear brushes");
  section.append(div("section-head", element("h2", { id: "parallel-title" }, "Parallel coordinates"), remark, clear), host);
  const isAxis = (it) => it.codes !== undefined;
  const isScale = (it) => !isAxis(it) || it.isNumeric;
  const valueOf = (it, point) => (!isAxis(it) ? toScale(it.scale, it.values[point])
    : it.isNumeric ? toScale(it.scale, it.values[it.codes[point]]) : it.codes[point]);
  const brushes = new Map();

  function brushed() {
    clear.hidden = brushes.size === 0;
    app.filterByBrush(brushes.size === 0 ? null : (point) => [...brushes].every(([dimension, intervals]) => {
      const value = valueOf(dimension, point);
      return intervals.some(([from, to]) => value >= from && value <= to);
    }));
  }
  function update() {
    const measure = app.measure();
    const colours = theme();
    const complete = [...sweep.rows.keys()].filter((point) => dimensions.every((it) => !Number.isNaN(valueOf(it, point)))
      && !Number.isNaN(measure.values[point]));
    // From the worst to the best, so that the best are drawn last and an even spread holds both.
    const sign = measure.isLowBest ? 1 : -1;
    complete.sort((a, b) => sign * (measure.values[b] - measure.values[a]));
    const shown = spread(complete, PARALLEL_LINES_MAX);
    const rank = new Map(shown.map((point, at) => [point, shown.length > 1 ? at / (shown.length - 1) : 1]));
    const best = shown[shown.length - 1];
    const opacity = shown.length > 1000 ? 0.25 : shown.length > 200 ? 0.4 : 0.6;
    remark.textContent = shown.length === 0 ? "no point has a value of every measure"
      : `${shown.length < complete.length ? `${formatCount(shown.length)} of ` : ""}${plural(complete.length, "point")} coloured by rank in ${measure.name}; drag along an axis to filter the table`;
    host.hidden = shown.length === 0;
    if (shown.length === 0) return;
    brushes.clear();
    brushed();
    const chart = draw(host, {
      parallel: { left: 60, right: 70, top: 34, bottom: 22, axisExpandable: false },
      parallelAxis: dimensions.map((it, dim) => parallelAxis(colours, it, dim, isScale(it), it === measure)),
      series: [{
        type: "parallel", smooth: false, progressive: 0, inactiveOpacity: 0.02, activeOpacity: Math.max(opacity, 0.7), lineStyle: { width: 1, opacity },
        emphasis: { disabled: true }, silent: true,
        data: shown.map((point) => ({ value: dimensions.map((it) => valueOf(it, point)),
          lineStyle: { color: viridisLine(rank.get(point)), width: point === best ? 3 : 1, opacity: point === best ? 1 : opacity } })),
      }],
    });
    chart.off("axisareaselected");
    chart.on("axisareaselected", () => {
      brushes.clear();
      dimensions.forEach((dimension, at) => {
        const intervals = chart.getModel().getComponent("parallelAxis", at).activeIntervals;
        if (intervals.length) brushes.set(dimension, intervals.map((it) => [...it]));
      });
      brushed();
    });
  }
  clear.onclick = update;
  return update;
}

function parallelAxis(colours, dimension, dim, isScale, isMeasure) {
  const option = {
    dim, name: dimension.name, nameLocation: "end", nameGap: 14, nameTextStyle: { color: isMeasure ? colours.text : colours.muted, fontSize: 12, fontWeight: isMeasure ? 600 : 400 },
    axisLine: { lineStyle: { color: colours.muted } }, axisTick: { show: false },
    axisLabel: { color: colours.text, fontSize: 11, hideOverlap: true, margin: 1, padding: [1, 3], backgroundColor: colours.panel },
    areaSelectStyle: { width: 16, color: colours.accent, borderColor: colours.accent, opacity: 0.25 },
  };
  if (!isScale) return { ...option, type: "category", data: dimension.labels };
  const base = axisOption(colours, "", dimension.scale, null);
  const [low, high] = [toScale(dimension.scale, dimension.scale.low), toScale(dimension.scale, dimension.scale.high)];
  const flat = high > low ? 0 : Math.abs(low) / 2 || 1;
  const scaled = { ...option, type: "value", min: low - flat, max: high + flat, splitNumber: 5,
    axisLabel: { ...option.axisLabel, formatter: dimension.scale.isLog ? base.axisLabel.formatter : (it) => formatNumber(it, 4), customValues: base.axisLabel.customValues } };
  return dimension.codes ? labelledAtValues(scaled, dimension) : scaled;
}
