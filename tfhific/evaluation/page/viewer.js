// The viewer: two pictures of one size in one place, swiped, flipped or subtracted.
const ZOOMS = [1, 2, 4, 8];
const view = { picture: 0, level: 0, left: "", right: "", mode: "swipe", zoom: 0, gain: 4, split: 0.5, x: 0, y: 0 };
let pressLevel, pressMode;

const picture = () => DATA.pictures[view.picture];
const shot = (codec) => picture().levels[view.level].find((s) => s.codec === codec);
const source = (key) => byId(key).textContent.trim();

function chooseImage() {
  const own = picture();
  for (const side of ["left", "right"]) {
    const found = view[side] === "" ? null : shot(view[side]);
    const image = byId(`image-${side}`), key = found ? found.key : own.original;
    if (image.dataset.key !== key) { image.dataset.key = key; image.src = source(key); }
    image.width = own.shown[0]; image.height = own.shown[1];
    image.alt = found ? `${own.name} by ${found.codec}` : `${own.name}, original`;
    byId(`tag-${side}`).textContent = found ? `${found.codec} ${found.setting}: ${whole(found.bytes)} bytes, ${fixed(found.bpp, 3)} bpp` : "original";
    byId(side).value = view[side];
  }
  byId("picture").value = String(view.picture);
  byId("strip").childNodes.forEach((button, i) => button.setAttribute("aria-pressed", String(i === view.picture)));
  pressLevel(view.level);
  filesTable();
  place();
}

// A picture is never enlarged to fit: what is shown are its own pixels, or fewer.
function frame() {
  const [width, height] = picture().shown;
  const space = byId("stage").parentElement.clientWidth;
  const most = Math.max(240, window.innerHeight * (space < 600 ? 0.62 : 0.8)); // a thumb needs room beside it to scroll
  const fit = Math.min(space / width, most / height, 1);
  const scale = view.zoom ? ZOOMS[view.zoom - 1] : fit;
  const room = Math.round(Math.min(space, Math.max(width * scale, Math.min(space, 320))));
  const stageHeight = Math.round(Math.min(most, Math.max(height * scale, Math.min(most, 200))));
  return { width, height, room, fit, scale, stageHeight };
}

function place() {
  const stage = byId("stage");
  const { width, height, room, fit, scale, stageHeight } = frame();
  stage.style.width = `${room}px`;
  stage.style.height = `${stageHeight}px`;
  const clamp = (offset, size, space) => (size * scale <= space ? (space - size * scale) / 2 : Math.min(0, Math.max(space - size * scale, offset)));
  view.x = clamp(view.x, width, room);
  view.y = clamp(view.y, height, stageHeight);
  for (const side of ["left", "right"]) byId(`image-${side}`).style.transform = `translate(${view.x}px,${view.y}px) scale(${scale})`;
  const at = view.split * room, swipe = view.mode === "swipe";
  const layer = byId("layer-right");
  layer.style.clipPath = swipe ? `inset(0 0 0 ${at}px)` : "none";
  layer.style.mixBlendMode = view.mode === "difference" ? "difference" : "normal";
  layer.style.visibility = view.mode === "left" ? "hidden" : "visible";
  byId("blend").style.filter = view.mode === "difference" ? `brightness(${view.gain})` : "none";
  byId("handle").hidden = !swipe;
  byId("handle").style.left = `${at}px`;
  byId("handle").setAttribute("aria-valuenow", String(Math.round(100 * view.split)));
  byId("handle").setAttribute("aria-valuetext", `${Math.round(100 * view.split)} % left`);
  byId("tag-left").hidden = view.mode === "right"; byId("tag-right").hidden = view.mode === "left";
  byId("gain-field").hidden = view.mode !== "difference";
  byId("zoom").textContent = view.zoom ? `${100 * scale} %` : `fit ${Math.round(100 * fit)} %`;
  stage.classList.toggle("wide", width * scale > room + 1 || height * scale > stageHeight + 1);
  stage.classList.toggle("big", scale >= 2);
  pressMode(view.mode);
}

function zoomBy(step, px, py) {
  const { room, fit, scale: before, stageHeight } = frame();
  // From the fitted size to the next whole step in that direction.
  let next = view.zoom + step;
  if (!view.zoom) next = step > 0 ? ZOOMS.findIndex((z) => z > fit * 1.01) + 1 : 0;
  else if (next > 0 && ZOOMS[next - 1] <= fit * 1.01) next = 0;
  if (next < 0 || next > ZOOMS.length || (step > 0 && next === 0)) return;
  view.zoom = next;
  const after = frame();
  // The point under the pointer stays, or the middle does.
  const cx = px ?? room / 2, cy = py ?? stageHeight / 2;
  const tx = px ?? after.room / 2, ty = py ?? after.stageHeight / 2;
  view.x = tx - ((cx - view.x) * after.scale) / before;
  view.y = ty - ((cy - view.y) * after.scale) / before;
  place();
}

const swipeTo = (split) => { view.split = Math.min(1, Math.max(0, split)); place(); };
const pan = (dx, dy) => { view.x += dx; view.y += dy; place(); };
const setMode = (mode) => { view.mode = mode; place(); };
function setPicture(index) {
  view.picture = (index + DATA.pictures.length) % DATA.pictures.length;
  view.level = Math.min(view.level, picture().levels.length - 1);
  view.zoom = 0; view.x = view.y = 0;
  chooseImage();
  byId("strip").childNodes[view.picture].scrollIntoView({ block: "nearest", inline: "nearest" });
}
function setLevel(level) {
  if (level < 0 || level >= picture().levels.length) return;
  view.level = level; chooseImage();
}
function setSide(side, codec) { view[side] = codec; chooseImage(); }

function filesTable() {
  const shots = picture().levels[view.level];
  const metrics = DATA.metrics.filter((metric) => DATA.curves.some((c) => c.points.some((p) => p.means[metric.name] !== null)));
  byId("files-table").replaceChildren(
    heading("Codec", "Setting", "Bytes", "Bits per pixel", ...metrics.map((metric) => metric.title)),
    make("tbody", {}, shots.map((s) => make("tr", { class: s.codec === view.right || s.codec === view.left ? "chosen" : null },
      make("th", { scope: "row" }, dot(s.codec), s.codec), make("td", {}, s.setting + (s.reached ? "" : " (missed)")),
      make("td", {}, whole(s.bytes)), make("td", {}, fixed(s.bpp, 4)), metrics.map((metric) => make("td", {}, fixed(s[metric.name], metric.digits)))))));
}

function viewerKeys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  let used = true;
  if (arrows && event.shiftKey) pan(48 * arrows[0], 48 * arrows[1]);
  else if (arrows && arrows[0] && view.mode === "swipe") swipeTo(view.split - 0.02 * arrows[0]);
  else if (event.key === "Home" && view.mode === "swipe") swipeTo(0);
  else if (event.key === "End" && view.mode === "swipe") swipeTo(1);
  else if (event.key === "+" || event.key === "=") zoomBy(1);
  else if (event.key === "-" || event.key === "_") zoomBy(-1);
  else if (event.key === "PageDown") setPicture(view.picture + 1);
  else if (event.key === "PageUp") setPicture(view.picture - 1);
  else if (event.key === "[") setLevel(view.level - 1);
  else if (event.key === "]") setLevel(view.level + 1);
  else if (event.key.toLowerCase() === "d") setMode(view.mode === "difference" ? "swipe" : "difference");
  else if (event.key.toLowerCase() === "f") setMode(view.mode === "left" ? "right" : "left");
  else if (/^[1-9]$/.test(event.key) && picture().levels[view.level][Number(event.key) - 1]) setSide("right", picture().levels[view.level][Number(event.key) - 1].codec);
  else used = false;
  if (used) event.preventDefault();
}

function startViewer() {
  byId("look").hidden = !DATA.pictures.length;
  if (!DATA.pictures.length) return;
  const stage = byId("stage");
  byId("embedded-note").textContent = DATA.embedded_note;
  byId("strip").replaceChildren(...DATA.pictures.map((own, i) => make("button", { type: "button", title: own.name, "aria-label": own.name, onclick: () => setPicture(i) },
    make("img", { src: own.thumb, alt: "" }))));
  byId("picture").replaceChildren(...DATA.pictures.map((own, i) => make("option", { value: String(i) }, own.name)));
  byId("picture").addEventListener("change", (event) => setPicture(Number(event.target.value)));
  byId("previous").addEventListener("click", () => setPicture(view.picture - 1));
  byId("next").addEventListener("click", () => setPicture(view.picture + 1));
  const names = picture().levels[0].map((s) => s.codec);
  for (const side of ["left", "right"]) {
    byId(side).replaceChildren(make("option", { value: "" }, "original"), ...names.map((name) => make("option", { value: name }, name)));
    byId(side).addEventListener("change", (event) => setSide(side, event.target.value));
  }
  view.right = names[0]; view.level = Math.floor((picture().levels.length - 1) / 2);
  pressLevel = buttons(byId("levels"), DATA.levels.map((label, i) => [i, label]), view.level, setLevel);
  pressMode = buttons(byId("modes"), [["swipe", "Swipe"], ["difference", "Difference"], ["left", "Left only"], ["right", "Right only"]], view.mode, setMode);
  buttons(byId("gains"), [[1, "1"], [4, "4"], [16, "16"]], view.gain, (gain) => { view.gain = gain; place(); });
  byId("zoom-in").addEventListener("click", () => zoomBy(1));
  byId("zoom-out").addEventListener("click", () => zoomBy(-1));

  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const handle = byId("handle").contains(event.target);
    const wide = stage.classList.contains("wide") && !handle;
    if (!wide && view.mode !== "swipe") return;
    drag = { pan: wide, x: event.clientX, y: event.clientY };
    stage.setPointerCapture(event.pointerId);
    stage.classList.toggle("dragging", wide);
    if (!wide) swipeTo((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (drag.pan) { pan(event.clientX - drag.x, event.clientY - drag.y); drag.x = event.clientX; drag.y = event.clientY; }
    else swipeTo((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) stage.addEventListener(name, () => { drag = null; stage.classList.remove("dragging"); });
  stage.addEventListener("dblclick", (event) => { const box = stage.getBoundingClientRect(); zoomBy(event.shiftKey ? -1 : 1, event.clientX - box.left, event.clientY - box.top); });
  stage.addEventListener("keydown", viewerKeys);
  new ResizeObserver(place).observe(stage.parentElement);
  window.addEventListener("resize", place);
  chooseImage();
}

startTables();
startCurves();
startViewer();
