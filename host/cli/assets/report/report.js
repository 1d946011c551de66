// Puts the page together: what is looked at, and who is told when that changes.

const sweep = readSweep(byId("data").textContent);
const view = { measure: sweep.goal || sweep.measures[0] || null, selected: null, cards: [] };
const updates = { charts: [], table: null };

const app = {
  measure: () => view.measure,
  selected: () => view.selected,
  onPoint: (card) => view.cards.push(card),
  select(point) {
    view.selected = point;
    showCards();
    for (const it of updates.marked) it();
    updates.table.refresh();
  },
  filterByBrush: (test) => updates.table && updates.table.brush(test),
};

function showCards() {
  for (const it of view.cards) showPoint(it, sweep, view.measure, view.selected, () => app.select(null));
}

function drawAll() {
  showCards();
  for (const it of updates.charts) it();
}

/** The measure, which way is better, and which scales are logarithmic. */
function showControls() {
  const { measure } = view;
  const scales = [...sweep.axes, ...(measure ? [measure] : [])].filter((it) => it.scale.canBeLog);
  const again = () => { showControls(); drawAll(); updates.table.update(); };
  const parts = [["surface", "Surface"], ["slices", sweep.axes.length === 1 ? "Measure" : "Slices"], ["parallel", "Parallel"], ["points", "Points"], ["failures", "Failures"], ["shared", "Shared"], ["repeat", "Repeat"]];
  const controls = byId("controls");
  keepFocus(controls, () => refill(controls, [
    sweep.measures.length > 1 ? dropDown("measure", sweep.measures.map((it, at) => [at, it === sweep.goal ? `${it.name} (goal)` : it.name]), sweep.measures.indexOf(measure),
      (at) => { view.measure = sweep.measures[at]; again(); }) : measure && div("control", span("control-label", "measure"), element("b", null, measure.name)),
    measure && segments("best is", [[true, "lowest"], [false, "highest"]], measure.isLowBest, (it) => { measure.isLowBest = it; again(); }),
    scales.length ? div("control", span("control-label", "log scale"), element("span", { className: "segments" }, scales.map((it) => element("button", {
      type: "button", attributes: { "aria-pressed": String(it.scale.isLog) }, onclick: () => { it.scale.isLog = !it.scale.isLog; again(); },
    }, it.name)))) : null,
    div("jumps", parts.filter(([id]) => !byId(id).hidden).map(([id, name]) => element("a", { href: `#${id}` }, name))),
  ]));
}

function start() {
  showHead(byId("head"), sweep);
  const hasValues = sweep.measures.some((it) => Number.isFinite(it.scale.low));
  updates.table = makeTable(byId("points"), sweep, app);
  if (hasValues) {
    const surface = makeSurface(byId("surface"), sweep, app);
    const slices = makeSlices(byId("slices"), sweep, app);
    updates.charts = [surface, slices, makeParallel(byId("parallel"), sweep, app)];
    updates.marked = [surface, slices];
  } else {
    updates.marked = [];
    byId("surface").append(element("p", { className: "empty" }, sweep.rows.length === 0 ? "This sweep has no points."
      : sweep.measures.length === 0 ? "This sweep measures nothing, so there is nothing to draw. Name a measure to see how it depends on the parameters."
        : "No point has a value to draw: see the failures below."));
    byId("slices").hidden = true;
    byId("parallel").hidden = true;
  }
  showFailures(byId("failures"), sweep, app);
  showShared(byId("shared"), sweep);
  showRepeat(byId("repeat"), sweep);
  byId("foot").append(`Made by tidemill ${sweep.data.host_version}. This file needs no network; its charts are drawn by Apache ECharts ${echarts.version}.`);
  showControls();
  onDrawn = () => { document.documentElement.dataset.ready = "true"; };
  drawAll();
  updates.table.update();
  if (drawing.size === 0) onDrawn();
}

/** Paper is light and has no scrolling. */
function print(isNow) {
  isPrinting = isNow;
  document.documentElement.classList.toggle("printing", isNow);
  drawAll();
  updates.table.refresh();
  for (const it of document.querySelectorAll(".chart")) {
    const chart = echarts.getInstanceByDom(it);
    if (!chart) continue;
    chart.resize();
    it.querySelector(".on-paper")?.remove();
    // A chart of several layers loses the lower ones on paper, and paper waits for no frame: a copy is drawn at once.
    if (isNow) it.append(Object.assign(chart.renderToCanvas({ pixelRatio: 2 }), { className: "on-paper" }));
  }
}

isDark.addEventListener("change", drawAll);
window.addEventListener("beforeprint", () => print(true));
window.addEventListener("afterprint", () => print(false));
start();
