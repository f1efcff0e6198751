// Draws the figures with Vega-Lite once they are near, and folds out their data as tables.

const PANEL = { least: 150, most: 300, alone: 760, padding: 22, axis: 46, labels: 225 };

/** The charting library, unpacked once. */
const charting = (() => {
  let loading = null;
  return () => {
    loading ??= (async () => {
      const packed = document.getElementById("charting-library").textContent;
      const script = make("script");
      script.textContent = new TextDecoder().decode(await unpackBytes(packed));
      document.head.append(script);
      return window.vegaEmbed;
    })();
    return loading;
  };
})();

const drawn = new Map();

/** Rows of a figure's data, which is stored column by column. */
function figureRows(id) {
  const { data } = JSON.parse(document.getElementById(id).textContent);
  const names = Object.keys(data);
  const length = names.length ? data[names[0]].length : 0;
  return Array.from({ length }, (_, n) => Object.fromEntries(names.map((name) => [name, data[name][n]])));
}

/** How much larger the text of the page is than on a laptop. */
function fontScale() {
  return Math.max(1, parseFloat(getComputedStyle(document.documentElement).fontSize) / 15);
}

/** Colours of text and nulls, as the style sheet has them for the current scheme. */
function figureConfig(width) {
  const narrow = width < 560;
  const style = getComputedStyle(document.documentElement);
  const scale = fontScale();
  const colour = (name) => style.getPropertyValue(name).trim();
  const text = { labelColor: colour("--text"), titleColor: colour("--text") };
  return {
    background: null,
    font: style.fontFamily || "sans-serif",
    axis: {
      ...text, titleFontWeight: "normal", labelFontSize: 11.5 * scale, titleFontSize: 12 * scale, labelLimit: PANEL.labels * scale,
      gridColor: colour("--line"), domainColor: colour("--muted"), tickColor: colour("--muted"),
      gridOpacity: 0.6,
    },
    header: { ...text, labelFontSize: 12 * scale },
    legend: { ...text, labelFontSize: 12 * scale, labelLimit: 280 * scale, columns: narrow ? 1 : 0 },
    axisTop: { labelAngle: narrow ? -50 : 0 },
    view: { stroke: null },
    bar: { color: colour("--null"), opacity: 0.6 }, // bars and areas without a series are nulls
    area: { color: colour("--null") },
    rule: { color: colour("--text") },
  };
}

/** Pixels that the labels of the rows take: of numbers, or of words. */
function rowLabels(spec, rows) {
  const y = (spec.encoding ?? spec.layer.at(-1).encoding).y;
  if (y.type !== "nominal") return PANEL.axis * fontScale();
  const longest = Math.max(0, ...rows.map((row) => String(row[y.field] ?? "").length));
  return Math.min(PANEL.labels, 6.5 * longest + 20) * fontScale();
}

/** A copy of the specification with data, and with panels that fit the width. */
function fitted(spec, rows, width) {
  const sized = structuredClone(spec);
  sized.data = { values: rows };
  if (!sized.facet) {
    const legend = sized.encoding?.x ? 90 : 0; // a grid of numbers has its colours beside it
    const room = width - rowLabels(sized, rows) - legend - 20;
    sized.width = Math.max(120, Math.min(room, PANEL.alone * fontScale()));
    return heightened(sized);
  }
  const field = sized.facet.field;
  const panels = new Set(rows.map((row) => row[field])).size;
  const room = Math.max(width - rowLabels(sized.spec, rows), PANEL.least);
  const most = Math.max(1, Math.floor(room / (PANEL.least + PANEL.padding)));
  let columns = Math.min(most, sized.columns, panels);
  // Rows of panels of equal length: four, or two and two, not three and one.
  while (columns > 1 && panels % columns && panels / columns < 3) columns--;
  sized.columns = columns;
  sized.spec.width = Math.min(PANEL.most * fontScale(), Math.floor(room / columns) - PANEL.padding);
  heightened(sized.spec);
  return sized;
}

/** Heights for the size of the text; steps of rows too. */
function heightened(spec) {
  const scale = fontScale();
  if (typeof spec.height === "number") spec.height *= scale;
  else spec.height.step *= scale;
  return spec;
}

async function draw(chart) {
  const id = chart.dataset.figure;
  const embed = await charting();
  const { spec } = JSON.parse(document.getElementById(id).textContent);
  const width = chart.clientWidth;
  if (!width) return;
  drawn.get(id)?.finalize();
  const result = await embed(chart, fitted(spec, figureRows(id), width), {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    config: figureConfig(width), tooltip: { disableDefaultStyle: true },
  });
  chart.querySelector("svg").setAttribute("aria-hidden", "true"); // the chart has a label and a table
  result.width = width;
  drawn.set(id, result);
  chart.dataset.drawn = "yes";
}

/** The data of a figure as a table, made when it folds out. */
function tabulate(details) {
  if (details.querySelector("table")) return;
  const id = details.dataset.figure;
  const rows = figureRows(id);
  const names = rows.length ? Object.keys(rows[0]) : [];
  const title = document.getElementById(`${id}-title`).textContent;
  const table = make("table");
  table.append(make("caption", {}, `Data: ${title}`));
  const head = table.createTHead().insertRow();
  for (const name of names) head.append(make("th", { scope: "col" }, name.replaceAll("_", " ")));
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    names.forEach((name, n) => {
      const value = row[name];
      const words = value === null ? "-" : String(value);
      const attributes = typeof value === "number" ? { class: "numeric" } : { dir: "auto" };
      line.append(n ? make("td", attributes, words) : make("th", { scope: "row" }, words));
    });
  }
  const region = make("div", { class: "scroll", role: "region", "aria-label": `Data: ${title}`, tabindex: "0" });
  region.append(table);
  details.append(region);
}

const charts = [...document.querySelectorAll(".chart")];
const visible = (chart) => chart.clientWidth > 0;

function drawAll() {
  return Promise.all(charts.filter((chart) => visible(chart) && !chart.dataset.drawn).map(draw));
}

function redraw() {
  for (const chart of charts) {
    if (chart.dataset.drawn && visible(chart)) draw(chart);
  }
}

afterPaint(() => {
  whenNear(charts, draw);
  // What is not near is drawn when there is time, so that printing finds all of it.
  const next = () => {
    const chart = charts.find((one) => visible(one) && !one.dataset.drawn);
    if (chart) draw(chart).then(() => requestIdleCallback(next));
  };
  (window.requestIdleCallback ?? setTimeout)(next, { timeout: 4000 });
  openAround(location.hash.slice(1));
});
for (const details of document.querySelectorAll("details")) {
  details.addEventListener("toggle", () => {
    if (details.classList.contains("data") && details.open) tabulate(details);
  });
}
// Paper is light: what was drawn for the dark is drawn again.
const dark = matchMedia("(prefers-color-scheme: dark)");
addEventListener("beforeprint", () => {
  document.documentElement.dataset.printing = "yes";
  if (dark.matches) redraw();
  drawAll();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.printing;
  if (dark.matches) redraw();
});
dark.addEventListener("change", redraw);
let resizing = 0;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const chart of charts) {
      const result = drawn.get(chart.dataset.figure);
      if (result && visible(chart) && result.width !== chart.clientWidth) draw(chart);
    }
  }, 150);
});
