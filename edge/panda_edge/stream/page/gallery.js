// Frames of the history as small pictures, and one of them at full size.
import { ask, byId, figure, kindOf, make, post, time } from "/words.js";

const MOST = 30;
const tiles = new Map();
let frames = [], skip = 0, seen = "", at = 0, plain = false, kept = new Set(), collects = false;

const detail = (f) => f.verdict === "not judged" ? f.not_judged : `severity ${figure(f.severity)}`;

function tile(frame, number) {
  const known = tiles.get(`${frame.id} ${frame.picture}`);
  if (known) { known.onclick = () => view(number); return known; }
  const button = make("button", null, kindOf(frame.verdict));
  button.type = "button"; tiles.set(`${frame.id} ${frame.picture}`, button);
  if (frame.picture) {
    const image = make("img");
    image.src = `/anomaly/${frame.id}/small.jpg`; image.loading = "lazy"; image.alt = "";
    button.append(image);
  } else button.append(make("span", "no picture kept", "none"));
  button.append(make("span", `${frame.verdict}, ${time(frame.captured)}, ${detail(frame)}`));
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
  for (const [name, id] of [["verdict", "only"], ["source", "only-source"]]) if (byId(id).value) asked.set(name, byId(id).value);
  const answer = await ask(`/frames?${asked}`);
  if (answer.error) { byId("anomalies").replaceChildren(make("p", answer.error)); return; }
  const found = answer.done, more = found.length > MOST;
  byId("older").hidden = !more; byId("newer").hidden = !skip;
  const now = JSON.stringify(found.map((f) => [f.id, f.picture]));
  if (now !== seen) {
    seen = now;
    if (!byId("shown").open) frames = found.slice(0, MOST);
    const before = new Map(tiles), wanted = found.slice(0, MOST).map((f) => `${f.id} ${f.picture}`);
    for (const key of before.keys()) if (!wanted.includes(key)) tiles.delete(key);
    byId("anomalies").replaceChildren(...(found.length ? found.slice(0, MOST).map(tile) : [make("p", "none yet")]));
    if (byId("shown").open) seen = "";
  }
  mark();
}

function mark() {
  [...byId("anomalies").children].forEach((button, i) => button.classList.toggle("kept", Boolean(frames[i]) && kept.has(frames[i].id)));
}

export function know(state) {
  kept = new Set(state.kept); collects = state.collects && state.may_decide;
  const names = state.sources.map((s) => s.name), list = byId("only-source");
  if (list.options.length !== names.length + 1) list.append(...names.slice(list.options.length - 1).map((name) => { const o = make("option", name); o.value = name; return o; }));
  byId("only").disabled = !state.remembers;
  mark(); buttons();
}

function buttons() {
  const frame = frames[at];
  byId("normal").hidden = !collects || !frame || !frame.picture || kept.has(frame.id);
  byId("undo").hidden = !collects || !frame || !kept.has(frame.id);
  byId("plain").hidden = !frame || !frame.picture;
  byId("before").disabled = at <= 0; byId("after").disabled = at >= frames.length - 1;
}

function show() {
  const frame = frames[at];
  if (!frame) return;
  byId("about").textContent = `${frame.verdict}: ${frame.source}, frame ${frame.frame}, ${time(frame.captured)}, ${detail(frame)}` +
    (frame.score === null ? "" : `, score ${figure(frame.score)}, threshold ${figure(frame.threshold)}`) +
    (frame.p_value === null ? "" : `, p = ${figure(frame.p_value)}`) + (frame.where ? `, ${frame.where}` : "");
  byId("said").textContent = frame.picture ? "" : "no picture of this frame was kept";
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

const step = (by) => { const next = at + by; if (next >= 0 && next < frames.length) { at = next; plain = false; show(); } };

async function decide(path, words) {
  const frame = frames[at], answer = await post(path(frame.id));
  if (!answer.error) { if (path(frame.id).endsWith("undo")) kept.delete(frame.id); else kept.add(frame.id); }
  byId("said").textContent = answer.error || words(answer.done);
  mark(); buttons();
}

const normal = () => decide((id) => `/normal/${id}`, (file) => `kept as ${file}; it joins the bundle with \`panda-edge extend\` and a reload`);
const undo = () => decide((id) => `/normal/${id}/undo`, (file) => `taken back: ${file}`);
const heat = () => { plain = !plain; show(); };

export function start() {
  for (const id of ["only", "only-source", "order"]) byId(id).onchange = () => { skip = 0; look(); };
  byId("older").onclick = () => { skip += MOST; look(); };
  byId("newer").onclick = () => { skip = Math.max(skip - MOST, 0); look(); };
  byId("plain").onclick = heat; byId("normal").onclick = normal; byId("undo").onclick = undo;
  byId("before").onclick = () => step(-1); byId("after").onclick = () => step(1);
  byId("close").onclick = () => byId("shown").close();
  byId("shown").onkeydown = (event) => {
    const does = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), h: heat, n: () => byId("normal").hidden || normal(), u: () => byId("undo").hidden || undo() }[event.key];
    if (does && !event.ctrlKey && !event.metaKey) { event.preventDefault(); does(); }
  };
}
