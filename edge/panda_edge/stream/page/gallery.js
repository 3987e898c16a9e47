// Frames of the history as small pictures, and one of them at full size.
import { ask, byId, figure, kindOf, make, post, time } from "/words.js";

const MOST = 30;
const tiles = new Map();
const LABELS = ["normal", "defect", "unsure"];
let frames = [], skip = 0, seen = "", at = 0, plain = false, labels = false, decides = false, changes = -1;

const detail = (f) => f.verdict === "not judged" ? f.not_judged : `severity ${figure(f.severity)}`;
const said = (f) => f.joined ? "normal, in the bundle" : f.label;
const keyOf = (f) => `${f.id} ${f.picture} ${said(f)}`;

function tile(frame, number) {
  const known = tiles.get(keyOf(frame));
  if (known) { known.onclick = () => view(number); return known; }
  const button = make("button", null, kindOf(frame.verdict));
  button.type = "button"; tiles.set(keyOf(frame), button); button.classList.toggle("labelled", Boolean(frame.label));
  if (frame.picture) {
    const image = make("img");
    image.src = `/anomaly/${frame.id}/small.jpg`; image.loading = "lazy"; image.alt = "";
    button.append(image);
  } else button.append(make("span", "no picture kept", "none"));
  button.append(make("span", `${frame.verdict}, ${time(frame.captured)}, ${detail(frame)}`));
  if (frame.label) button.append(make("span", said(frame), "label"));
  button.onclick = () => view(number);
  return button;
}

function view(number) {
  at = number; plain = false; show();
  if (!byId("shown").open) byId("shown").showModal();
}

// What is there stays where it is: drawing it anew would cost the device.
export async function look() {
  const asked = new URLSearchParams({ most: MOST + 1, skip, order: byId("order").value });
  const only = byId("only").value, source = byId("only-source").value;
  if (source) asked.set("source", source);
  if (only.startsWith("label:")) asked.set("label", only.slice(6)); else if (only) asked.set("verdict", only);
  const answer = await ask(`/frames?${asked}`);
  if (answer.error) { byId("anomalies").replaceChildren(make("p", answer.error)); return; }
  const found = answer.done, more = found.length > MOST;
  byId("older").hidden = !more; byId("newer").hidden = !skip;
  const now = JSON.stringify(found.map(keyOf));
  if (now !== seen) {
    seen = now;
    if (!byId("shown").open) frames = found.slice(0, MOST);
    const before = new Map(tiles), wanted = found.slice(0, MOST).map(keyOf);
    for (const key of before.keys()) if (!wanted.includes(key)) tiles.delete(key);
    byId("anomalies").replaceChildren(...(found.length ? found.slice(0, MOST).map(tile) : [make("p", "none yet")]));
    if (byId("shown").open) seen = "";
  }
}

export function know(state) {
  labels = state.labels; decides = state.labels && state.may_decide;
  if (state.better && state.better.changes !== changes) { changes = state.better.changes; look(); }
  byId("by-label").hidden = !labels;
  const names = state.sources.map((s) => s.name), list = byId("only-source");
  if (list.options.length !== names.length + 1) list.append(...names.slice(list.options.length - 1).map((name) => { const o = make("option", name); o.value = name; return o; }));
  byId("only").disabled = !state.remembers && !labels;
  buttons();
}

function buttons() {
  const frame = frames[at];
  byId("labels").hidden = !decides || !frame || !frame.picture;
  for (const label of LABELS) {
    byId(`label-${label}`).setAttribute("aria-pressed", String(Boolean(frame) && frame.label === label));
    byId(`label-${label}`).disabled = Boolean(frame) && frame.joined;
  }
  byId("undo").disabled = !frame || !frame.label || frame.joined;
  byId("plain").hidden = !frame || !frame.picture;
  byId("before").disabled = at <= 0; byId("after").disabled = at >= frames.length - 1;
}

function show() {
  const frame = frames[at];
  if (!frame) return;
  byId("about").textContent = `${frame.verdict}: ${frame.source}, frame ${frame.frame}, ${time(frame.captured)}, ${detail(frame)}` +
    (frame.score === null ? "" : `, score ${figure(frame.score)}, threshold ${figure(frame.threshold)}`) +
    (frame.p_value === null ? "" : `, p = ${figure(frame.p_value)}`) + (frame.where ? `, ${frame.where}` : "");
  byId("said").textContent = !frame.picture ? "no picture of this frame was kept" : frame.label ? `labelled ${said(frame)}` : "";
  if (frame.picture) byId("picture").src = `/anomaly/${frame.id}.jpg${plain ? "?plain" : ""}`;
  else byId("picture").removeAttribute("src");
  byId("plain").textContent = plain ? "With heat map" : "Without heat map";
  buttons();
}

export function open(frame) {
  frames = [frame]; at = 0; plain = false; seen = "";
  show();
  if (!byId("shown").open) byId("shown").showModal();
}

export async function openById(identity) {
  const found = (await ask(`/frame/${identity}`)).done;
  if (found.length) open(found[0]);
}

const step = (by) => { const next = at + by; if (next >= 0 && next < frames.length) { at = next; plain = false; show(); } };

async function decide(label) {
  const frame = frames[at], answer = await post(label ? `/label/${frame.id}` : `/label/${frame.id}/undo`, label ? { label } : {});
  if (!answer.error) { frame.label = answer.done.label; seen = ""; }
  if (label && !answer.error && at < frames.length - 1) step(1);
  else show();
  byId("said").textContent = answer.error || (frame.label ? `${label && frames[at] !== frame ? "the one before is" : "now"} labelled ${frame.label}` : "the label is taken back");
}

const may = (id, label) => byId("labels").hidden || byId(id).disabled || decide(label);
const heat = () => { plain = !plain; show(); };

export function start() {
  for (const id of ["only", "only-source", "order"]) byId(id).onchange = () => { skip = 0; look(); };
  byId("older").onclick = () => { skip += MOST; look(); };
  byId("newer").onclick = () => { skip = Math.max(skip - MOST, 0); look(); };
  byId("plain").onclick = heat; byId("undo").onclick = () => decide(null);
  for (const label of LABELS) byId(`label-${label}`).onclick = () => decide(label);
  byId("before").onclick = () => step(-1); byId("after").onclick = () => step(1);
  byId("close").onclick = () => byId("shown").close();
  byId("shown").onkeydown = (event) => {
    const does = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), h: heat, n: () => may("label-normal", "normal"), d: () => may("label-defect", "defect"), s: () => may("label-unsure", "unsure"), u: () => may("undo", null) }[event.key];
    if (does && !event.ctrlKey && !event.metaKey) { event.preventDefault(); does(); }
  };
}
