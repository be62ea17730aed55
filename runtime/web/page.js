"use strict";
// The page: five tabs over the addresses of openapi.json. No library, no outside address.

const $ = (id) => document.getElementById(id);
const percent = (share) => `${Math.min(Math.round(100 * share), 99)} %`;
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// --- asking the server ---

class Refused extends Error {
  constructor(status, reason) { super(reason); this.status = status; }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  const values = await answer.json().catch(() => ({}));
  if (answer.status === 401) $("sign-in").hidden = false;
  if (!answer.ok) throw new Refused(answer.status, values.error || `The server answered ${answer.status}.`);
  return values;
}

const post = (path, values) => ask(path, { method: "POST", body: JSON.stringify(values), headers: { "Content-Type": "application/json" } });

// The picture of a canvas as a file. `toBlob` would wait for the page to be idle: a third of a second while somebody draws.
function encoded(canvas, ...kind) {
  const bytes = atob(canvas.toDataURL(...kind).split(",")[1]);
  return new Blob([Uint8Array.from(bytes, (character) => character.charCodeAt(0))]);
}

const read = (blob, query = "") => ask(`/api/recognize${query}`, { method: "POST", body: blob });

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await post("/api/token", { token: $("token").value });
    location.reload();
  } catch (error) {
    say(error.message);
  }
});

// --- tabs ---

const tabs = [...document.querySelectorAll("[role=tab]")];
const shown = () => tabs.find((tab) => tab.getAttribute("aria-selected") === "true").getAttribute("aria-controls");

function select(tab, focus) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", String(chosen));
    each.tabIndex = chosen ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  history.replaceState(null, "", `#${shown()}`);
  say("");
  look();
  if (shown() === "draw") resize();
  if (shown() === "correct") showCrops();
  if (shown() !== "camera") stopCamera();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) select(tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length], true);
  });
}

function showNumbers(list, numbers) {
  const text = JSON.stringify(numbers.map((number) => [number.text, percent(number.confidence)]));
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...numbers.map((number) => element("li", {}, number.text, element("small", { textContent: percent(number.confidence) }))));
}

// --- live ---

let streaming = false;

function look() {
  const wanted = shown() === "live" && document.visibilityState === "visible" && $("sign-in").hidden;
  if (wanted === streaming) return;
  streaming = wanted;
  // Without an address the connection ends, and nobody draws or encodes for nobody.
  if (wanted) $("stream").src = `/stream.mjpg?${Date.now()}`;
  else $("stream").removeAttribute("src");
}

document.addEventListener("visibilitychange", look);
$("stream").addEventListener("error", () => {
  streaming = false;
  $("stream").hidden = true;
  $("no-stream").hidden = false;
});

const STATES = { connected: "Camera connected", playing: "Playing", waiting: "Waiting for a camera", frozen: "Camera frozen", reconnecting: "Camera gone, reconnecting" };

async function watch() {
  for (;;) {
    try {
      const state = await ask("/api/state");
      const good = state.state === "connected" || state.state === "playing";
      $("state").textContent = STATES[state.state];
      $("state").className = `pill ${good ? "good" : "bad"}`;
      $("state").title = state.trouble;
      const latest = good ? state.latest : null;
      $("no-stream").hidden = Boolean(latest);
      $("no-stream").textContent = state.trouble || "No picture yet.";
      $("stream").hidden = !latest;
      if (latest && !streaming) look();
      showNumbers($("numbers"), latest ? latest.numbers : []);
      $("live-hint").textContent = !latest ? "" : latest.numbers.length ? "" : latest.hint ? `Nothing read: ${latest.hint}.` : "Nothing read.";
      $("fps").textContent = latest ? state.fps.toFixed(1) : "–";
      $("latency").textContent = latest ? `${latest.milliseconds.total.toFixed(1)} ms` : "–";
      const least = latest && latest.readings.length ? Math.min(...latest.readings.map((reading) => reading.confidence)) : null;
      $("confidence").textContent = least === null ? "–" : percent(least);
      $("source").textContent = state.source;
      $("model").textContent = `${state.model.name} (${state.model.artifact})`;
      showCorrections(state);
      if (shown() === "correct" && state.unsure !== cropsShown) showCrops();
    } catch (error) {
      $("state").textContent = error.status === 401 ? "Signed out" : "Server does not answer";
      $("state").className = "pill bad";
      if (error.status === 401) { look(); return; }
    }
    await wait(document.visibilityState === "visible" ? (shown() === "live" ? 250 : 1000) : 5000);
  }
}

// --- draw ---

const pad = $("pad");
const strokes = []; // of { width, points: [[x, y], …] } in shares of the pad's width
let stroke = null;
let cursor = null; // of the keyboard
let asking = false;
let hurry = () => {}; // ends the pause between two answers: what a lifted pen leaves is read at once
let changed = null; // when the pad last did, for as long as that was not sent

function resize() {
  const box = pad.getBoundingClientRect();
  if (!box.width) return;
  const scale = Math.min(devicePixelRatio, 2);
  pad.width = Math.round(box.width * scale);
  pad.height = Math.round(box.height * scale);
  paint();
}

function paintStrokes(context, unit) {
  context.fillStyle = "#fff";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.strokeStyle = "#10151b";
  context.lineCap = context.lineJoin = "round";
  for (const { width, points } of strokes) {
    context.lineWidth = width * unit;
    context.beginPath();
    const [first, ...others] = points;
    context.moveTo(first[0] * unit, first[1] * unit);
    if (!others.length) context.lineTo(first[0] * unit + 0.1, first[1] * unit);
    for (const [x, y] of others) context.lineTo(x * unit, y * unit);
    context.stroke();
  }
}

function paint() {
  const context = pad.getContext("2d");
  paintStrokes(context, pad.width);
  if (cursor && document.activeElement === pad) {
    context.strokeStyle = stroke ? "#c2410c" : "#0b62a8";
    context.lineWidth = 2;
    context.strokeRect(cursor[0] * pad.width - 8, cursor[1] * pad.width - 8, 16, 16);
  }
}

function penWidth() {
  return Number($("width").value) / pad.getBoundingClientRect().width;
}

function place(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.width];
}

function begin(point) {
  stroke = { width: penWidth(), points: [point] };
  strokes.push(stroke);
  drawn();
}

function extend(point) {
  stroke.points.push(point);
  drawn();
}

function drawn() {
  $("undo").disabled = $("clear").disabled = !strokes.length;
  paint();
  changed = performance.now();
  pad.setAttribute("aria-busy", "true");
  readPad();
}

async function readPad() {
  if (asking) return;
  asking = true;
  while (changed !== null) {
    const since = changed;
    changed = null;
    if (!strokes.length) {
      showDrawn({ numbers: [], readings: [], unsure: [], others: [], hint: "" });
      break;
    }
    const picture = element("canvas", { width: 640, height: Math.round((640 * pad.height) / pad.width) });
    paintStrokes(picture.getContext("2d", { alpha: false }), 640);
    const started = performance.now();
    try {
      const values = await read(encoded(picture), "?explain");
      if (strokes.length) showDrawn(values);
      say("");
      const took = performance.now() - since;
      $("draw-time").textContent = `${took.toFixed(0)} ms from pen to answer`;
      pad.dataset.milliseconds = took.toFixed(2);
      await Promise.race([wait(started + 80 - performance.now()), new Promise((done) => { hurry = done; })]); // at most twelve a second
    } catch (error) {
      if (error.status === 429) {
        changed ??= since;
        await wait(1000);
      } else {
        say(error.message);
      }
    }
  }
  asking = false;
  pad.setAttribute("aria-busy", "false");
}

function showDrawn(values) {
  $("drawn").textContent = values.numbers.map((number) => number.text).join("  ") || "–";
  const unsure = values.unsure.length ? `${values.unsure.length} unsure` : "";
  $("draw-hint").textContent = strokes.length ? unsure || (values.readings.length ? "" : values.hint || "Not read as a digit.") : "Draw one digit or several.";
  if ($("digits").contains(document.activeElement)) return; // somebody is correcting
  $("digits").replaceChildren(...[...values.readings, ...values.unsure, ...values.others].map((reading) => digitCard(reading, !values.readings.includes(reading))));
}

function digitCard(reading, unsure) {
  const title = reading.label === "none" ? "Not a digit" : `${reading.label}${unsure ? "?" : ""}`;
  const bars = Object.entries(reading.probabilities).map(([label, share]) => {
    const bar = element("i");
    bar.style.width = `${100 * share}%`;
    return element("div", { title: `${(100 * share).toFixed(1)} %` }, element("span", { textContent: label }), element("b", {}, bar));
  });
  const likely = Object.entries(reading.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 3);
  const spoken = likely.map(([label, share]) => `${label} ${percent(share)}`).join(", ");
  const field = element("input", { name: "label", maxLength: 4, placeholder: "0–9, n", autocomplete: "off", ariaLabel: `what ${title.toLowerCase()} really is` });
  const form = element("form", {}, element("span", { textContent: "Wrong? It is" }), field, element("button", { textContent: "Keep" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = labelOf(field.value);
    if (!label) return say("Type a digit, or n for not a digit.");
    if (await keep(reading.crop, label)) form.replaceChildren(`Kept as ${label === "none" ? "not a digit" : label}.`);
  });
  return element("article", { className: "digit" },
    element("h3", { textContent: `${title}, ${percent(reading.confidence)}` }),
    element("img", { className: "crop", src: reading.input, alt: `The 28 by 28 pixels that the model saw of ${title.toLowerCase()}`, width: 84, height: 84 }),
    element("div", { className: "bars", role: "img", ariaLabel: `Probabilities: ${spoken}` }, ...bars), form);
}

pad.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pad.setPointerCapture(event.pointerId);
  cursor = null;
  begin(place(event));
});
pad.addEventListener("pointermove", (event) => {
  if (!stroke || !pad.hasPointerCapture(event.pointerId)) return;
  for (const each of event.getCoalescedEvents?.() || [event]) stroke.points.push(place(each));
  drawn();
});
for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, () => { stroke = null; hurry(); });

function undo() {
  stroke = null;
  strokes.pop();
  drawn();
  hurry();
}

function clear() {
  stroke = null;
  strokes.length = 0;
  $("draw-time").textContent = "";
  drawn();
  hurry();
}

pad.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const height = pad.height / pad.width;
  if (step) {
    event.preventDefault();
    cursor ||= [0.5, height / 2];
    cursor = [Math.min(Math.max(cursor[0] + 0.02 * step[0], 0), 1), Math.min(Math.max(cursor[1] + 0.02 * step[1], 0), height)];
    if (stroke) extend([...cursor]);
    else paint();
  } else if (event.key === " ") {
    event.preventDefault();
    cursor ||= [0.5, height / 2];
    if (stroke) { stroke = null; paint(); } else begin([...cursor]);
  }
});
pad.addEventListener("blur", () => { stroke = null; paint(); });
document.addEventListener("keydown", (event) => {
  if (shown() !== "draw" || event.target.matches("input:not([type=range])")) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); undo(); }
  if (event.key === "Escape" || event.key === "Delete") clear();
});
$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
addEventListener("resize", () => { if (shown() === "draw") resize(); });

// --- boxes over a picture ---

function paintBoxes(context, values, scale) {
  const unit = Math.max(context.canvas.width / 480, 1);
  const mark = (reading, color, text, dashes) => {
    const [x, y, width, height] = reading.box.map((value) => value * scale);
    context.setLineDash(dashes.map((dash) => dash * unit));
    for (const [style, line] of [["#fff", 4], [color, 2]]) {
      context.strokeStyle = style;
      context.lineWidth = line * unit;
      context.strokeRect(x - 2 * unit, y - 2 * unit, width + 4 * unit, height + 4 * unit);
    }
    context.font = `bold ${13 * unit}px system-ui, sans-serif`;
    const room = context.measureText(text).width + 8 * unit;
    const top = y > 22 * unit ? y - 20 * unit : y + height + 3 * unit;
    context.fillStyle = color;
    context.fillRect(x - 3 * unit, top, room, 17 * unit);
    context.fillStyle = "#fff";
    context.fillText(text, x + unit, top + 13 * unit);
  };
  values.unsure.forEach((reading) => mark(reading, "#686e76", `${reading.label}?`, [4, 3]));
  values.readings.forEach((reading) => mark(reading, "#0072b2", reading.label, []));
  context.setLineDash([]);
}

// --- photo ---

const LONGEST = 2000;
let photo = null;

async function openPhoto(file) {
  if (!file) return;
  say("");
  $("photo-hint").textContent = "Reading …";
  try {
    const picture = await createImageBitmap(file).catch(() => { throw new Refused(0, "This browser cannot open that file as a picture."); });
    const scale = Math.min(LONGEST / Math.max(picture.width, picture.height), 1);
    const view = $("photo-view");
    view.width = Math.round(picture.width * scale);
    view.height = Math.round(picture.height * scale);
    const context = view.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, view.width, view.height);
    context.drawImage(picture, 0, 0, view.width, view.height);
    const values = await read(encoded(view, "image/jpeg", 0.92), "?explain&ask");
    paintBoxes(context, values, 1);
    view.hidden = false;
    $("photo-empty").hidden = true;
    showNumbers($("photo-numbers"), values.numbers);
    const count = (list, word) => `${list.length} ${word}${list.length === 1 ? "" : "s"}`;
    $("photo-hint").textContent = values.readings.length || values.unsure.length
      ? `${count(values.readings, "digit")}, ${values.unsure.length} unsure, read in ${values.milliseconds.total.toFixed(0)} ms.`
      : `Nothing read${values.hint ? `: ${values.hint}` : ""}.`;
    for (const reading of [...values.readings, ...values.unsure]) for (const key of ["probabilities", "input", "crop"]) delete reading[key];
    delete values.others;
    photo = { ...values, file: file.name || "picture" };
    $("photo-json").disabled = $("photo-csv").disabled = false;
  } catch (error) {
    $("photo-hint").textContent = "";
    say(error.message);
  }
}

function save(text, type, name) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

$("file").addEventListener("change", (event) => { openPhoto(event.target.files[0]); event.target.value = ""; });
$("photo-json").addEventListener("click", () => save(`${JSON.stringify(photo)}\n`, "application/json", "readings.json"));
$("photo-csv").addEventListener("click", () => {
  const rows = photo.readings.map((reading) => [reading.label, reading.confidence, ...reading.box].join(","));
  save(["label,confidence,x,y,width,height", ...rows, ""].join("\n"), "text/csv", "readings.csv");
});
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (!file) return;
  if (shown() !== "photo") select($("tab-photo"));
  openPhoto(file);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name !== "drop" || !event.dataTransfer.files.length) return;
    if (shown() !== "photo") select($("tab-photo"));
    openPhoto(event.dataTransfer.files[0]);
  });
}

// --- the browser's camera ---

let camera = null;

async function startCamera() {
  say("");
  if (!navigator.mediaDevices) {
    $("camera-hint").textContent = "The browser gives its camera only to pages from https:// or from localhost. Open this page on the device itself, tunnel it (ssh -L 8080:localhost:8080 device), or put it behind HTTPS.";
    return;
  }
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 640 } } });
  } catch (error) {
    $("camera-hint").textContent = error.name === "NotAllowedError" ? "The browser refused its camera: allow it for this page." : "The browser found no camera that it can use.";
    return;
  }
  const video = $("video");
  video.srcObject = camera;
  await video.play();
  $("camera-start").disabled = true;
  $("camera-stop").disabled = false;
  $("camera-empty").hidden = true;
  const mine = camera;
  const view = $("camera-view");
  const picture = element("canvas");
  while (camera === mine) {
    const scale = Math.min(640 / Math.max(video.videoWidth, video.videoHeight, 1), 1);
    picture.width = Math.max(Math.round(video.videoWidth * scale), 1);
    picture.height = Math.max(Math.round(video.videoHeight * scale), 1);
    picture.getContext("2d").drawImage(video, 0, 0, picture.width, picture.height);
    const started = performance.now();
    try {
      const values = await read(encoded(picture, "image/jpeg", 0.85));
      if (camera !== mine) break;
      // Only now: setting its size empties a canvas, and the one before is to stay while the device reads.
      [view.width, view.height] = [picture.width, picture.height];
      const context = view.getContext("2d");
      context.drawImage(picture, 0, 0);
      paintBoxes(context, values, 1);
      view.hidden = false;
      showNumbers($("camera-numbers"), values.numbers);
      const took = performance.now() - started;
      $("camera-hint").textContent = `${took.toFixed(0)} ms from frame to answer`;
      await wait(Math.max(100 - took, 0));
    } catch (error) {
      if (error.status !== 429) { say(error.message); stopCamera(); } else await wait(1000);
    }
  }
}

function stopCamera() {
  if (!camera) return;
  camera.getTracks().forEach((track) => track.stop());
  camera = null;
  $("video").srcObject = null;
  $("camera-start").disabled = false;
  $("camera-stop").disabled = true;
}

$("camera-start").addEventListener("click", startCamera);
$("camera-stop").addEventListener("click", stopCamera);

// --- correct ---

let cropsShown = -1;

function labelOf(text) {
  const typed = text.trim().toLowerCase();
  return /^[0-9]$/.test(typed) ? typed : typed === "n" || typed === "none" ? "none" : "";
}

async function keep(crop, label) {
  try {
    showCorrections(await post("/api/corrections", { crop, label }));
    say("");
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

function showCorrections(state) {
  const counts = Object.entries(state.corrections);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  $("corrected").textContent = total ? `${total} (${counts.map(([label, count]) => `${label}: ${count}`).join(", ")})` : "0";
  $("download").hidden = !total;
  if (state.corrections_folder) $("corrected-folder").textContent = total ? ` in ${state.corrections_folder} on the device` : "";
  if (state.unsure !== undefined) {
    $("unsure-count").textContent = state.unsure;
    $("unsure-count").hidden = !state.unsure;
  }
}

async function showCrops() {
  let crops;
  try {
    ({ crops } = await ask("/api/crops"));
  } catch (error) {
    return say(error.message);
  }
  cropsShown = crops.length;
  if ($("crops").contains(document.activeElement)) return; // not while somebody types
  $("no-crops").hidden = crops.length > 0;
  $("crops").replaceChildren(...crops.map(cropButton));
}

function cropButton(crop) {
  const answer = element("span", { className: "hint", textContent: `${crop.label}? ${percent(crop.confidence)}` });
  const button = element("button", { type: "button" }, element("img", { className: "crop", src: crop.image, alt: "crop, perhaps", width: 84, height: 84 }), answer);
  button.addEventListener("keydown", async (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const label = event.key.length === 1 ? labelOf(event.key) : "";
    if (label && await keep(crop.crop, label)) settle(button, answer, label);
  });
  button.addEventListener("click", async () => {
    if (!matchMedia("(pointer: coarse)").matches) return; // with keys, a click selects
    const label = labelOf(prompt("Which digit is it? n: not a digit") || "");
    if (label && await keep(crop.crop, label)) settle(button, answer, label);
  });
  return button;
}

function settle(button, answer, label) {
  answer.textContent = label === "none" ? "not a digit" : `is a ${label}`;
  button.classList.add("done");
  button.nextElementSibling?.focus();
}

$("bundle").addEventListener("change", async (event) => {
  const file = event.target.files[0];
  event.target.value = "";
  if (!file) return;
  $("bundle-result").textContent = "Verifying …";
  try {
    const { model } = await ask("/api/model", { method: "POST", body: file });
    $("bundle-result").textContent = `Proven and in use: ${model.artifact}. To start with it next time: --model ${model.name}`;
  } catch (error) {
    $("bundle-result").textContent = "";
    say(error.message);
  }
});

// --- begin ---

const asked = tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
if (asked) select(asked);
look();
watch();
