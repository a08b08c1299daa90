const heading = (...cells) => make("thead", {}, make("tr", {}, cells.map((cell) => make("th", { scope: "col" }, ...[cell].flat()))));
const dot = (codec) => make("span", { class: "dot", style: `background:${colour(codec)}`, "aria-hidden": "true" });
const small = (text) => make("small", {}, text);

function startTables() {
  // One row a codec, two columns a metric: bits at equal quality, quality at equal bits.
  const metrics = DATA.metrics.filter((metric) => DATA.comparisons.some((c) => c.metric === metric.name));
  byId("differences").hidden = !metrics.length;
  byId("differences-note").textContent = DATA.difference_note;
  const title = (metric) => metric.title.split(",")[0];
  const head = make("thead", {},
    make("tr", {}, make("th", { scope: "col", rowspan: "2" }, "Codec"), metrics.map((metric) => make("th", { scope: "colgroup", colspan: "2", class: "group" }, title(metric)))),
    make("tr", {}, metrics.flatMap((metric) => [
      make("th", { scope: "col", class: "sub left-edge", title: `Bits at equal ${title(metric)}` }, "bits"),
      make("th", { scope: "col", class: "sub", title: `${title(metric)} at equal bits` }, "quality")])));
  const rows = DATA.codecs.filter((codec) => DATA.comparisons.some((c) => c.codec === codec.name)).map((codec) =>
    make("tr", {}, make("th", { scope: "row" }, dot(codec.name), codec.name), metrics.flatMap((metric) => {
      const found = DATA.comparisons.find((c) => c.codec === codec.name && c.metric === metric.name);
      if (!found || found.rate === null) return [make("td", { class: "none left-edge", colspan: "2" }, found ? found.reason : "not measured")];
      const digits = metric.name === "lpips" ? 4 : 2, unit = metric.name === "lpips" ? "" : " dB";
      const sign = metric.name === "lpips" ? -1 : 1; // a better LPIPS is a smaller one
      const span = (interval, scale, d) => (isNumber(interval[0])
        ? [small(`${signed(Math.min(scale * interval[0], scale * interval[1]), d)} to ${signed(Math.max(scale * interval[0], scale * interval[1]), d)}`)] : []);
      return [
        make("td", { class: "left-edge" }, `${signed(found.rate, 1)} %`, ...span(found.rate_interval, 1, 1)),
        make("td", {}, `${signed(sign * found.quality, digits)}${unit}`, ...span(found.quality_interval, sign, digits)),
      ];
    })));
  byId("differences-table").replaceChildren(head, make("tbody", {}, rows));

  const all = DATA.metrics.filter((metric) => DATA.curves.some((curve) => curve.points.some((p) => p.means[metric.name] !== null)));
  const body = DATA.curves.flatMap((curve) => curve.points.map((p, i) =>
    make("tr", { class: i ? null : "first" },
      make("th", { scope: "row" }, dot(curve.codec), curve.codec), make("td", {}, p.point + (p.missed ? ` (${p.missed} missed)` : "")),
      make("td", {}, fixed(p.bpp, 4)), all.map((metric) => make("td", {}, fixed(p.means[metric.name], metric.digits))),
      make("td", {}, seconds(p.encode_seconds)), make("td", {}, seconds(p.decode_seconds)),
      make("td", {}, isNumber(curve.peak_memory_mib) ? `${whole(curve.peak_memory_mib)} MiB` : "–"))));
  byId("points-table").replaceChildren(
    heading("Codec", "Setting", "Bits per pixel", ...all.map((metric) => metric.title), "Encode", "Decode", "Peak memory"), make("tbody", {}, body));
  byId("points-note").textContent = DATA.points_note;

  byId("sets").hidden = !DATA.distances.length;
  if (DATA.distances.length) {
    byId("sets-note").textContent = DATA.distance_note;
    byId("sets-table").replaceChildren(heading("Codec", "Setting", "Bits per pixel", "Frechet distance", "KID × 1000", "Patches"),
      make("tbody", {}, DATA.distances.map((d) => make("tr", {}, make("th", { scope: "row" }, dot(d.codec), d.codec), make("td", {}, d.point),
        make("td", {}, fixed(d.bpp, 4)), make("td", {}, fixed(d.frechet, 3)), make("td", {}, fixed(1000 * d.kid, 3)), make("td", {}, whole(d.samples))))));
  }
  byId("lead").textContent = DATA.lead;
  byId("about-list").replaceChildren(...DATA.about.flatMap(([term, text, warn]) =>
    [make("dt", {}, term), make("dd", { class: warn ? "warn" : null }, text)]));
}
