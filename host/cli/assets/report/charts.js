// What all charts share: colours, ECharts instances and their sizes, tooltips, axes.

/** Perceptually even, readable by the colour-blind, monotone in grey: viridis. */
const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
const isDark = matchMedia("(prefers-color-scheme: dark)");
let isPrinting = false;

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    dark: isDark.matches && !isPrinting,
    text: colour("text"), muted: colour("muted"), line: colour("line"), panel: colour("panel"), accent: colour("accent"),
    failed: colour("failed"), font: getComputedStyle(document.body).fontFamily,
  };
}

/** The colour at a share of the scale. */
function viridis(share) {
  const at = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const parts = (hex) => [1, 3, 5].map((it) => parseInt(hex.slice(it, it + 2), 16));
  const [a, b] = [parts(VIRIDIS[below]), parts(VIRIDIS[below + 1])];
  return `rgb(${a.map((it, i) => Math.round(it + (b[i] - it) * (at - below))).join(",")})`;
}

/** The same for thin lines, which must stand off the background. */
const viridisLine = (share) => viridis(theme().dark ? 0.2 + 0.8 * share : 0.86 * share);

const drawing = new Set();
let onDrawn = () => {};

function settled(host) {
  if (drawing.delete(host) && drawing.size === 0) onDrawn();
}

/** Draws into an element, which keeps its chart; `true` throws away what was there. */
function draw(host, option) {
  let chart = echarts.getInstanceByDom(host);
  if (!chart) {
    chart = echarts.init(host, null, { renderer: "canvas" });
    chart.on("finished", () => settled(host));
    new ResizeObserver(() => chart.resize()).observe(host);
  }
  drawing.add(host);
  const { font, text } = theme();
  chart.setOption({ animation: false, textStyle: { fontFamily: font, color: text }, ...option }, true);
  return chart;
}

const chartHost = (label, height) => element("div", {
  className: "chart", style: { height: `${height}px` }, attributes: { role: "img", "aria-label": label },
});

/** Every tooltip is an element made of text nodes: ECharts would take a string as markup. */
function tooltip(trigger, content) {
  return { trigger, confine: true, className: "tip", padding: 0, borderWidth: 0, backgroundColor: "transparent",
    extraCssText: "box-shadow:none", transitionDuration: 0, formatter: (it) => content(it) || element("span") };
}

/** What a tooltip says of a point: the measure that is looked at, all parameters, all other measures. */
function pointTip(sweep, point, measure, ...remarks) {
  const failed = !sweep.succeeded(point);
  const rows = [
    ...sweep.axes.map((it) => [it.name, sweep.labelOf(point, it)]),
    ...sweep.measures.filter((it) => it !== measure && !Number.isNaN(it.values[point])).map((it) => [it.name, formatNumber(it.values[point])]),
  ];
  return div("tip-box",
    failed ? span("tip-state", sweep.stateOf(point))
      : div("tip-head", span("tip-name", measure.name), span("tip-value", formatNumber(measure.values[point]))),
    failed && sweep.errorOf(point) ? div("tip-error", String(sweep.errorOf(point)).slice(0, 300)) : null,
    definitions(rows, "tip-pairs"),
    remarks.filter(Boolean).map((it) => div("tip-remark", it)));
}

/** Options of an axis of a cartesian chart that shows a scale, or the values of a category. */
function axisOption(colours, name, scale, labels) {
  const shared = {
    name, nameLocation: "middle", nameTextStyle: { color: colours.muted, fontSize: 12 }, nameGap: 26,
    axisLine: { show: true, lineStyle: { color: colours.line } },
    axisTick: { show: true, length: 4, lineStyle: { color: colours.line } },
    axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true },
    splitLine: { show: false },
  };
  if (labels) return { ...shared, type: "category", data: labels,
    axisLabel: { ...shared.axisLabel, width: 110, overflow: "truncate", interval: labels.length <= 12 ? 0 : "auto" } };
  const option = { ...shared, type: "value", scale: true, splitNumber: 5,
    axisLabel: { ...shared.axisLabel, formatter: (it) => formatNumber(fromScale(scale, it), 6) } };
  if (!scale.isLog) return option;
  const customValues = logTicks(scale);
  const write = scale.low < 1e-4 ? formatPower : formatNumber;
  option.axisLabel.formatter = (it) => write(Number((10 ** it).toPrecision(6)), 3);
  option.axisLabel.customValues = customValues;
  option.axisTick = { ...option.axisTick, customValues };
  return { ...option, min: Math.log10(scale.low), max: Math.log10(scale.high) };
}

/** A label at each value of an axis that has few, instead of at round numbers between them. */
function labelledAtValues(option, axis) {
  if (axis.of || axis.values.length > 10) return option;
  const customValues = axis.values.map((it) => toScale(axis.scale, it));
  const formatter = (at) => axis.labels[customValues.findIndex((it) => Math.abs(it - at) <= 1e-9 * Math.abs(it))] ?? "";
  return { ...option, axisTick: { ...option.axisTick, customValues }, axisLabel: { ...option.axisLabel, customValues, formatter, showMinLabel: true, showMaxLabel: true } };
}

/** Some air beside the outermost values of a scale. */
function withMargin(option, scale, share) {
  const [low, high] = [toScale(scale, scale.low), toScale(scale, scale.high)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return option;
  const margin = (high - low || Math.abs(high) || 1) * share;
  const axisLabel = { ...option.axisLabel, showMinLabel: false, showMaxLabel: false };
  return { ...option, min: low - margin, max: high + margin, axisLabel: scale.isLog ? option.axisLabel : axisLabel };
}
