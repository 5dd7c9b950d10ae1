// Draws each <div class="chart" data-chart='{"names": [...], "unit": "/s", "data": [[seconds, ...], [...], ...]}'>
// by uPlot; `hx-morph-skip-children` on it keeps the drawing while frames replace the attribute.
const drawn = new WeakMap();
const HEIGHT = 160;

function local() {
  try { return localStorage.zone === "local"; } catch { return false; }
}

// A canvas knows neither variables nor light-dark(): the browser says which colour comes of them.
function colours(box) {
  return (name) => {
    box.style.color = `var(--${name})`;
    const found = getComputedStyle(box).color;
    box.style.color = "";
    return found;
  };
}

function draw() {
  for (const box of document.querySelectorAll("[data-chart]")) {
    const had = drawn.get(box);
    const text = box.dataset.chart;
    if (had?.text === text) continue;
    const { names, unit = "", data } = JSON.parse(text);
    if (had) {
      had.plot.setData(data);
      had.text = text;
      continue;
    }
    const colour = colours(box);
    const told = (_plot, value) => value == null ? "–" : value + unit;
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: box.clientWidth,
      height: HEIGHT,
      tzDate: (at) => local() ? new Date(at * 1e3) : uPlot.tzDate(new Date(at * 1e3), "UTC"),
      // From zero, and not to a hundred where all is zero.
      scales: { y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
      axes: [{ ...axis, values: "{HH}:{mm}" }, { ...axis, size: 60 }],
      series: [{ value: "{HH}:{mm}:{ss}" }, ...names.map((label, n) => ({
        label, value: told, stroke: colour(`series-${n + 1}`), width: 1.5, points: { show: false },
      }))],
    }, data, box);
    drawn.set(box, { plot, text });
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);
  }
}

// Colours and zone are those of the moment of drawing.
function again() {
  for (const box of document.querySelectorAll("[data-chart]")) {
    drawn.get(box)?.plot.destroy();
    drawn.delete(box);
  }
  draw();
}

document.addEventListener("htmx:after:swap", draw);
document.addEventListener("console:zone", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
draw();
