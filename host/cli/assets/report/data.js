// The sweep as the page computes with it: columns instead of rows, each axis as its distinct values. Draws nothing.

/** An axis: its distinct values in order, and for each point which of them it has. */
function readAxis({ name, type }, column, rows) {
  const keys = new Map();
  const found = [];
  const raw = new Uint32Array(rows.length);
  rows.forEach((row, at) => {
    const value = row[column];
    const key = typeof value === "object" ? JSON.stringify(value) : value;
    if (!keys.has(key)) {
      keys.set(key, found.length);
      found.push(value);
    }
    raw[at] = keys.get(key);
  });
  const isNumeric = found.length > 0 && found.every((it) => typeof it === "number" && Number.isFinite(it));
  const order = found.map((_, at) => at);
  if (isNumeric) order.sort((a, b) => found[a] - found[b]);
  // Times sort as text; other texts keep the order in which they were swept.
  if (type === "date" || type === "timestamp") order.sort((a, b) => (String(found[a]) < String(found[b]) ? -1 : 1));
  const rank = new Uint32Array(found.length);
  order.forEach((from, to) => { rank[from] = to; });
  const values = order.map((it) => found[it]);
  const labels = isNumeric ? distinctLabels(values) : values.map(exactText);
  const codes = raw.map((it) => rank[it]);
  return { name, column, values, labels, isNumeric, codes, scale: scaleOf(isNumeric ? values : [], isGeometric) };
}

/** Whether steps between ordered values are more even as factors than as differences. */
function isGeometric(values) {
  const unevenness = (of) => {
    const steps = values.slice(1).map((it, at) => of(it) - of(values[at]));
    const mean = steps.reduce((sum, it) => sum + it, 0) / steps.length;
    return Math.sqrt(steps.reduce((sum, it) => sum + (it - mean) ** 2, 0) / steps.length) / mean;
  };
  return values.length > 2 && unevenness(Math.log) < unevenness(Number);
}

/** Whether most of the values crowd at the low end of their range. */
function isSkewed(values) {
  const sorted = Float64Array.from(values).filter((it) => !Number.isNaN(it)).sort();
  const [low, high] = [sorted[0], sorted[sorted.length - 1]];
  return high / low > 100 && (quantile(sorted, 0.5) - low) / (high - low) < 0.1;
}

const BINS_MIN = 8;
const BINS_MAX = 32;

/** An axis of many values, such as drawn ones, as ranges of equal width on its scale. */
function binned(axis) {
  const count = Math.min(BINS_MAX, Math.max(BINS_MIN, Math.round(Math.sqrt(axis.codes.length) / 2)));
  const [low, high] = [toScale(axis.scale, axis.scale.low), toScale(axis.scale, axis.scale.high)];
  const edge = (at) => fromScale(axis.scale, low + ((high - low) * at) / count);
  const edges = distinctLabels(Array.from({ length: count + 1 }, (_, at) => edge(at)));
  const binOf = axis.values.map((it) => Math.min(count - 1, Math.floor(((toScale(axis.scale, it) - low) / (high - low)) * count)));
  const bins = Array.from({ length: count }, (_, at) => at);
  const values = bins.map((at) => edge(at + 0.5));
  const labels = bins.map((at) => `${edges[at]} – ${edges[at + 1]}`);
  return { ...axis, values, labels, codes: axis.codes.map((it) => binOf[it]), of: axis, binnedAsLog: axis.scale.isLog };
}

/** Whether only ranges of an axis can be compared: it has many values, and few points have each of them. */
function isDrawn(sweep, axis) {
  const count = axis.values.length;
  return !sweep.isGrid && axis.isNumeric && (count > 120 || (count > 12 && count > sweep.rows.length / 4));
}

/** What is no number (no value, or not finite) is NaN. */
function readMeasure({ name, source }, column, rows) {
  const values = Float64Array.from(rows, (row) => (typeof row[column] === "number" ? row[column] : NaN));
  return { name, source, column, values, format: columnFormat(values), scale: scaleOf(values, isSkewed) };
}

/** The bounds of some numbers; whether a logarithm can be taken, and whether it is, to begin with. */
function scaleOf(numbers, isLogarithmic) {
  let [low, high] = [Infinity, -Infinity];
  for (const it of numbers) {
    if (it < low) low = it;
    if (it > high) high = it;
  }
  const canBeLog = low > 0 && high / low >= 8;
  return { low, high, canBeLog, isLog: canBeLog && isLogarithmic(numbers) };
}

const toScale = (scale, number) => (scale.isLog ? Math.log10(number) : number);
const fromScale = (scale, number) => (scale.isLog ? 10 ** number : number);

/** Where ticks of a logarithmic scale stand, as exponents. */
function logTicks({ low, high }) {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const mantissas = to - from <= 2.2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let decade = Math.floor(from); decade <= Math.ceil(to); decade += 1) {
    for (const it of mantissas) ticks.push(decade + Math.log10(it));
  }
  const inside = ticks.filter((it) => it >= from - 1e-9 && it <= to + 1e-9);
  const step = Math.ceil(inside.length / 9);
  return inside.filter((_, at) => at % step === 0);
}

/** Integers that a double cannot hold stay as they are written. */
const exactly = (_, value, context) => (Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source) ? context.source : value);

function readSweep(text) {
  const data = JSON.parse(text, exactly);
  const rows = data.points || [];
  const axes = data.axes.map((it, column) => readAxis(it, column, rows));
  const measures = data.measures.map((it, index) => readMeasure(it, axes.length + index, rows));
  // By place: an axis or a measure may have one of these names too.
  const [state, error, duration, number] = [0, 1, 2, 3].map((it) => axes.length + measures.length + it);
  const goal = data.goal ? measures.findIndex((it) => it.name === data.goal.measure) : -1;
  for (const it of measures) it.isLowBest = it !== measures[goal] || data.goal.direction !== "maximize";
  return {
    data, rows, axes, measures,
    cells: axes.reduce((product, it) => product * it.values.length, 1),
    get isGrid() { return this.cells <= 2 * rows.length; },
    goal: goal < 0 ? null : measures[goal],
    numberOf: (point) => rows[point][number],
    stateOf: (point) => rows[point][state],
    errorOf: (point) => rows[point][error],
    // None of its own, where every node is shared with another point.
    secondsOf: (point) => rows[point][duration] / 1e3 || NaN,
    valueOf: (point, axis) => axis.values[axis.codes[point]],
    labelOf: (point, axis) => axis.labels[axis.codes[point]],
    succeeded: (point) => rows[point][state] === "computed" || rows[point][state] === "cached",
  };
}

/** Whether one value of a measure is better than another; what is no number is worse than anything. */
function isBetter(measure, value, than) {
  if (Number.isNaN(value)) return false;
  if (Number.isNaN(than)) return true;
  return measure.isLowBest ? value < than : value > than;
}

/** The point with the best value of a measure, or null. */
function bestPoint(measure, points) {
  let best = null;
  const look = (point) => {
    if (isBetter(measure, measure.values[point], best === null ? NaN : measure.values[best])) best = point;
  };
  if (points) points.forEach(look);
  else for (let point = 0; point < measure.values.length; point += 1) look(point);
  return best;
}

/** The value below which a share of sorted numbers lies. */
function quantile(sorted, share) {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return below + 1 < sorted.length ? sorted[below] + (sorted[below + 1] - sorted[below]) * (at - below) : sorted[below];
}

/** So many of a list, evenly spread, first and last among them. */
function spread(list, limit) {
  if (list.length <= limit) return list;
  return Array.from({ length: limit }, (_, at) => list[Math.round((at * (list.length - 1)) / (limit - 1))]);
}
