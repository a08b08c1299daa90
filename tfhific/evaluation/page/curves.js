// The chart: measured curves with intervals, published ones beside them, values on hover or by keys.
const chart = { metric: null, hidden: new Set(), width: 0, marks: [], current: -1 };
const MARKS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`,
  (r) => `M${-r},${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (r) => `M0,${-1.3 * r}L${1.25 * r},${r}H${-1.25 * r}z`,
  (r) => `M0,${-1.4 * r}L${1.4 * r},0L0,${1.4 * r}L${-1.4 * r},0z`,
];
const DASHES = ["7 4", "2 3", "10 3 2 3", "4 4", "12 4", "1 4", "8 2 2 2 2 2", "5 2", "3 6"];

// MS-SSIM is drawn in dB, on which its differences near 1 can be told apart.
const shownValue = (metric, value) => (metric === "ms_ssim" ? -10 * Math.log10(Math.max(1 - value, 1e-12)) : value);
const axisTitle = (metric) => (metric === "ms_ssim" ? "MS-SSIM in dB, −10 log₁₀(1 − x)" : METRIC[metric].title);

function series(metric) {
  const measured = DATA.curves.map((curve) => ({
    id: `m:${curve.codec}`, codec: curve.codec, label: curve.codec,
    points: curve.points.filter((p) => isNumber(p.means[metric])).map((p) => ({
      x: p.bpp, y: shownValue(metric, p.means[metric]), source: p,
      low: p.intervals[metric][0], high: p.intervals[metric][1],
    })),
  }));
  const published = DATA.references.filter((curve) => curve.metric === metric).map((curve) => ({
    id: `r:${curve.codec}`, label: curve.codec, reference: true,
    points: curve.points.map(([x, y]) => ({ x, y: shownValue(metric, y), value: y })),
  }));
  return { measured, published };
}

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) || 10 * power;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (String(step / power).includes(".") ? 1 : 0));
  const found = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + 1e-9 * step; t += step) found.push(t);
  return { found, digits: Math.min(digits, 5) };
}

function drawChart() {
  const metric = chart.metric;
  const width = Math.max(300, Math.round(byId("chart").clientWidth || 900));
  chart.width = width;
  const height = Math.round(Math.min(520, Math.max(300, width * 0.52)));
  const box = { left: 54, right: width - 18, top: 30, bottom: height - 44 };
  const { measured, published } = series(metric);
  const shown = measured.filter((s) => s.points.length && !chart.hidden.has(s.id));
  const beside = published.filter((s) => !chart.hidden.has(s.id));
  const every = (shown.length ? shown : measured).flatMap((s) => s.points);
  if (!every.length) return;
  const xHigh = Math.max(...every.map((p) => p.x)) * 1.06;
  const inView = beside.flatMap((s) => s.points).filter((p) => p.x <= xHigh);
  let yLow = Math.min(...every.map((p) => p.y)), yHigh = Math.max(...every.map((p) => p.y));
  for (const p of inView) if (p.x >= Math.min(...every.map((e) => e.x))) { yLow = Math.min(yLow, p.y); yHigh = Math.max(yHigh, p.y); }
  const room = (yHigh - yLow || Math.abs(yHigh) || 1) * 0.06;
  yLow -= room; yHigh += room;
  if (metric === "lpips") yLow = Math.max(0, yLow);
  const x = (v) => box.left + (v / xHigh) * (box.right - box.left);
  const y = (v) => box.bottom - ((v - yLow) / (yHigh - yLow)) * (box.bottom - box.top);
  const clip = (p) => p.x <= xHigh && p.y >= yLow && p.y <= yHigh;

  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, tabindex: "0", role: "img",
    "aria-label": `${axisTitle(metric)} against bits per pixel. Left and right arrow keys read the points of a curve, up and down change the curve.` });
  const xt = ticks(0, xHigh, width < 520 ? 4 : 8), yt = ticks(yLow, yHigh, 6);
  for (const t of yt.found) svg.append(
    make("line", { class: "grid", x1: box.left, x2: box.right, y1: y(t), y2: y(t) }),
    make("text", { x: box.left - 8, y: y(t) + 4, "text-anchor": "end" }, fixed(t, yt.digits)));
  for (const t of xt.found) svg.append(
    make("line", { class: "grid", y1: box.top, y2: box.bottom, x1: x(t), x2: x(t) }),
    make("text", { x: x(t), y: box.bottom + 18, "text-anchor": "middle" }, fixed(t, xt.digits)));
  svg.append(
    make("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    make("text", { x: box.right, y: height - 9, "text-anchor": "end" }, "bits per pixel, whole files"),
    make("text", { x: 14, y: 18 }, axisTitle(metric)));

  const line = (points) => points.map((p, i) => `${i ? "L" : "M"}${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join("");
  chart.marks = [];
  for (const s of beside) {
    const kept = s.points.filter(clip);
    svg.append(make("path", { class: "reference", d: line(kept), "stroke-dasharray": DASHES[published.indexOf(s) % DASHES.length] }));
    for (const p of kept) chart.marks.push({ series: s, point: p, px: x(p.x), py: y(p.y) });
  }
  for (const s of shown) {
    const stroke = colour(s.codec), shape = MARKS[CODEC[s.codec].index % MARKS.length];
    for (const p of s.points) if (isNumber(p.low)) svg.append(make("line", { class: "whisker", stroke, x1: x(p.x), x2: x(p.x),
      y1: y(Math.max(yLow, Math.min(yHigh, shownValue(metric, p.low)))), y2: y(Math.max(yLow, Math.min(yHigh, shownValue(metric, p.high)))) }));
    svg.append(make("path", { class: "curve", stroke, d: line(s.points) }));
    for (const p of s.points) {
      svg.append(make("path", { class: "mark", fill: stroke, d: shape(4.6), transform: `translate(${x(p.x)},${y(p.y)})` }));
      chart.marks.push({ series: s, point: p, px: x(p.x), py: y(p.y) });
    }
  }
  const focus = make("g", { visibility: "hidden" });
  svg.append(focus);
  const tip = make("div", { class: "tip", id: "tip", hidden: true });
  byId("chart").replaceChildren(svg, tip);

  const show = (index) => {
    chart.current = index;
    const mark = chart.marks[index];
    focus.setAttribute("visibility", mark ? "visible" : "hidden");
    tip.hidden = !mark;
    if (!mark) { byId("chart-values").textContent = ""; return; }
    focus.replaceChildren(
      make("line", { class: "cross", x1: mark.px, x2: mark.px, y1: mark.py, y2: box.bottom }),
      make("line", { class: "cross", x1: box.left, x2: mark.px, y1: mark.py, y2: mark.py }),
      make("circle", { class: "halo", cx: mark.px, cy: mark.py, r: 8 }));
    const lines = describe(mark, metric);
    tip.replaceChildren(make("b", {}, lines[0]), ...lines.slice(1).map((text) => make("span", {}, text)));
    const scale = svg.getBoundingClientRect().width / width;
    const right = mark.px * scale > (width * scale) / 2;
    tip.style.left = right ? "auto" : `${mark.px * scale + 14}px`;
    tip.style.right = right ? `${(width - mark.px) * scale + 14}px` : "auto";
    tip.style.top = `${Math.max(6, Math.min(mark.py * scale - 20, svg.getBoundingClientRect().height - tip.offsetHeight - 6))}px`;
    byId("chart-values").textContent = lines.join(" · ");
  };
  const nearest = (event) => {
    const frame = svg.getBoundingClientRect();
    const px = ((event.clientX - frame.left) / frame.width) * width, py = ((event.clientY - frame.top) / frame.height) * height;
    let best = -1, least = 44 ** 2;
    chart.marks.forEach((mark, i) => {
      const distance = (mark.px - px) ** 2 + (mark.py - py) ** 2 + (mark.series.reference ? 60 : 0);
      if (distance < least) { least = distance; best = i; }
    });
    return best;
  };
  svg.addEventListener("pointermove", (event) => show(nearest(event)));
  svg.addEventListener("pointerdown", (event) => show(nearest(event)));
  svg.addEventListener("pointerleave", () => { if (document.activeElement !== svg) show(-1); });
  svg.addEventListener("blur", () => show(-1));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") show(-1);
    if (!step) return;
    event.preventDefault();
    show(neighbour(step));
  });
}

function neighbour([along, across]) {
  const lines = [...new Set(chart.marks.map((mark) => mark.series))].sort((a, b) => !!a.reference - !!b.reference);
  const mark = chart.marks[chart.current];
  if (!mark) return chart.marks.findIndex((m) => m.series === lines[0]);
  const own = chart.marks.filter((m) => m.series === mark.series);
  if (along) {
    const to = own[Math.max(0, Math.min(own.length - 1, own.indexOf(mark) + along))];
    return chart.marks.indexOf(to);
  }
  const line = lines[(lines.indexOf(mark.series) + across + lines.length) % lines.length];
  const others = chart.marks.filter((m) => m.series === line);
  const to = others.reduce((a, b) => (Math.abs(b.px - mark.px) < Math.abs(a.px - mark.px) ? b : a));
  return chart.marks.indexOf(to);
}

function describe({ series: own, point }, metric) {
  const { title, digits } = METRIC[metric];
  const name = title.split(",")[0], unit = title.includes("dB") ? " dB" : "";
  if (own.reference) return [own.label, "published", `${fixed(point.x, 3)} bpp`, `${name} ${fixed(point.value, digits)}${unit}`];
  const p = point.source, [low, high] = p.intervals[metric];
  const lines = [`${own.label}, ${p.point}`, `${fixed(p.bpp, 3)} bpp`, `${name} ${fixed(p.means[metric], digits)}${unit}`];
  if (isNumber(low)) lines.push(`95 %: ${fixed(low, digits)} to ${fixed(high, digits)}`);
  if (p.missed) lines.push(`${p.missed} missed the target`);
  return lines;
}

function drawLegend() {
  const { measured, published } = series(chart.metric);
  const entry = (s) => {
    const sample = make("svg", { viewBox: "0 0 28 14", "aria-hidden": "true" });
    if (s.reference) sample.append(make("line", { x1: 1, x2: 27, y1: 7, y2: 7, stroke: "currentColor", "stroke-width": 1.4, "stroke-dasharray": DASHES[published.indexOf(s) % DASHES.length] }));
    else sample.append(make("line", { x1: 1, x2: 27, y1: 7, y2: 7, stroke: colour(s.codec), "stroke-width": 2 }),
      make("path", { d: MARKS[CODEC[s.codec].index % MARKS.length](4), fill: colour(s.codec), transform: "translate(14,7)" }));
    return make("button", { type: "button", "aria-pressed": String(!chart.hidden.has(s.id)), onclick: () => {
      if (!chart.hidden.delete(s.id)) chart.hidden.add(s.id);
      drawLegend(); drawChart();
      byId("legend").querySelectorAll("button")[[...measured, ...published].indexOf(s)].focus();
    } }, sample, s.label);
  };
  byId("legend").replaceChildren(...measured.map(entry), ...(published.length ? [make("span", { class: "break" })] : []), ...published.map(entry));
}

function startCurves() {
  const there = DATA.metrics.filter((metric) => DATA.curves.some((curve) => curve.points.some((p) => isNumber(p.means[metric.name]))));
  if (!there.length) { byId("curves").hidden = true; return; }
  chart.metric = there[0].name;
  for (const curve of DATA.references) if (!DATA.shown_references.includes(curve.codec)) chart.hidden.add(`r:${curve.codec}`);
  buttons(byId("metric-buttons"), there.map((metric) => [metric.name, metric.title.split(",")[0]]), chart.metric, (metric) => {
    chart.metric = metric; chart.current = -1; byId("chart-values").textContent = ""; drawLegend(); drawChart();
  });
  byId("chart-note").textContent = DATA.curve_note;
  drawLegend(); drawChart();
  new ResizeObserver(() => { if (Math.abs(byId("chart").clientWidth - chart.width) > 1) drawChart(); }).observe(byId("chart"));
}
