// Numbers, times and names as people read them.

const groups = new Intl.NumberFormat("en-US");
const formatCount = (number) => groups.format(number);
const plural = (number, one, many) => `${formatCount(number)} ${number === 1 ? one : many || `${one}s`}`;
const formatPercent = (share) => share === 0 ? "0 %" : share >= 0.995 && share < 1 ? "> 99 %"
  : share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`;

/** With so many significant digits; very small and very large numbers as powers of ten. */
function formatNumber(number, digits = 5) {
  if (!Number.isFinite(number)) return "–";
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size < 1e-4 || size >= 1e7) return formatPower(number, digits);
  const rounded = Number(number.toPrecision(Math.max(digits, Math.floor(Math.log10(size)) + 1)));
  return size >= 1e5 ? groups.format(rounded) : String(rounded);
}

/** One format for a whole column, so that the decimal points stand under each other. */
function columnFormat(values) {
  const sizes = Array.from(values).filter((it) => Number.isFinite(it) && it !== 0).map(Math.abs).sort((a, b) => a - b);
  if (sizes.length === 0) return (it) => formatNumber(it);
  const [low, middle, high] = [sizes[Math.floor(sizes.length * 0.02)], sizes[sizes.length >> 1], sizes[sizes.length - 1]];
  if (high >= 1e9 || low < 1e-6 || high / low > 1e6) {
    return (it) => Number.isFinite(it) ? it.toExponential(3).replace("e+", "e") : "–";
  }
  const decimals = sizes.every(Number.isInteger) ? 0 : Math.min(9, Math.max(0, 4 - Math.floor(Math.log10(middle))));
  const format = new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return (it) => Number.isFinite(it) ? format.format(it) : "–";
}

/** The fewest digits, at least three, that keep distinct numbers distinct; if one is a power of ten, all are. Of very
    many numbers, which are drawn ones, some may look alike. */
function distinctLabels(numbers) {
  const digitsMax = numbers.length > 120 ? 5 : 17;
  const labelsOf = (digits) => numbers.map((it) => formatNumber(it, digits));
  let digits = 3;
  while (digits < digitsMax && new Set(labelsOf(digits)).size < numbers.length) digits += 1;
  const labels = labelsOf(digits);
  const isMixed = labels.some((it) => it.includes("e")) && numbers.every((it) => it > 0 && it < 1);
  return isMixed ? numbers.map((it) => formatPower(it, digits)) : labels;
}

const formatPower = (number, digits) => Number(number.toPrecision(digits)).toExponential().replace("e+", "e");

/** Short, for places that are read against each other: as many decimals as tell a hundredth of the range. */
function shortFormat(values, { low, high }) {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const decimals = high > low ? Math.max(0, 2 - Math.floor(Math.log10(high - low) + 0.3)) : 3;
  if (values.every((it) => Number.isInteger(it) || Number.isNaN(it)) || decimals > 6 || size >= 1e6 || (low > 0 && high / low > 1000)) return (it) => formatNumber(it, 3);
  return (it) => (Number.isFinite(it) ? it.toFixed(decimals) : "–");
}

function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.1) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (it) => String(it).padStart(2, "0");
  return whole < 3600 ? `${Math.floor(whole / 60)}m${two(whole % 60)}s`
    : `${Math.floor(whole / 3600)}h${two(Math.floor(whole / 60) % 60)}m`;
}

/** `2026-11-21 15:27:00 UTC`; what is no time stays as it is. */
function formatTime(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? String(text) : `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A parameter's value as one would type it after `--set NAME=`. */
const exactText = (value) => typeof value === "string" ? value : JSON.stringify(value);

/** Quoted for a shell only where it has to be. */
const shellWord = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
