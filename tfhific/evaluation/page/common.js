const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// An element with attributes and children; text only ever becomes text, never markup.
function make(name, attributes = {}, ...children) {
  const svg = SVG_NAMES.has(name);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}
const SVG_NAMES = new Set(["svg", "g", "path", "line", "rect", "text", "circle", "polyline"]);

const METRIC = Object.fromEntries(DATA.metrics.map((metric) => [metric.name, metric]));
const CODEC = Object.fromEntries(DATA.codecs.map((codec, index) => [codec.name, { ...codec, index }]));
const colour = (codec) => `var(--c${CODEC[codec].index % 8})`;

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
function fixed(value, digits) {
  if (!isNumber(value)) return value === "inf" ? "equal" : "–";
  return value.toFixed(digits).replace("-", "−");
}
const signed = (value, digits) => (value > 0 ? "+" : "") + fixed(value, digits);
const whole = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
const seconds = (value) => (isNumber(value) ? (value < 0.1 ? `${(1000 * value).toFixed(1)} ms` : `${value.toFixed(2)} s`) : "–");

function buttons(parent, items, chosen, choose) {
  const made = items.map(([value, label, title]) =>
    make("button", { type: "button", "aria-pressed": String(value === chosen), title,
      onclick: () => { press(value); choose(value); } }, label));
  const press = (value) => items.forEach(([own], i) => made[i].setAttribute("aria-pressed", String(own === value)));
  parent.replaceChildren(...made);
  return press;
}
