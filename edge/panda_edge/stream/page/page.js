"use strict";
// Asks twice a second for what is new; pictures are asked for only while the page is looked at.
const byId = (id) => document.getElementById(id);
const make = (tag, text, name) => { const e = document.createElement(tag); if (text) e.textContent = text; if (name) e.className = name; return e; };
let seen = 0, points = [], shownId = null, plain = false, known = "", rateTouched = false;
const figures = new Map(), buttons = new Map();
const CHANGES = { higher: "higher scores", lower: "lower scores", more: "more anomalies" };

function caption(latest) {
  if (!latest) return ["no picture yet", "odd"];
  if (latest.not_judged) return [`not judged, ${latest.not_judged}`, "odd"];
  const p = latest.p_value === null ? "" : `, p = ${latest.p_value.toPrecision(2)}`;
  if (latest.anomalous === null) return [`score ${latest.score.toPrecision(4)}`, ""];
  return latest.anomalous ? [`ANOMALOUS${p}`, "alarm"] : [`normal${p}`, ""];
}

function showSources(sources) {
  const rows = sources.map((s) => {
    const row = make("tr");
    const state = s.up ? "up" : s.ended ? "ended" : s.error || "waiting";
    const drift = !s.drift ? "" : s.drift.since ? `${CHANGES[s.drift.change]} since ${s.drift.since}` : "none";
    for (const text of [s.name, state, s.frames, s.dropped, s.losses]) row.append(make("td", String(text)));
    row.append(make("td", drift, s.drift && s.drift.since ? "alarm" : ""));
    return row;
  });
  byId("sources").replaceChildren(...rows);
  sources.forEach((s, i) => {
    if (!figures.has(s.name)) {
      const figure = make("figure"), image = make("img"), words = make("figcaption");
      image.alt = `live picture of ${s.name}`;
      figure.append(image, words); byId("live").append(figure);
      figures.set(s.name, { image, words, frame: 0 });
    }
    const f = figures.get(s.name), [text, kind] = caption(s.latest);
    f.words.textContent = `${s.name}: ${text}`; f.words.className = kind;
    if (s.latest && s.latest.frame !== f.frame && !document.hidden) { f.frame = s.latest.frame; f.image.src = `/live/${i}.jpg?${s.latest.id}`; }
  });
}

function showChart() {
  const canvas = byId("chart"), width = canvas.width = canvas.clientWidth, height = canvas.height, draw = canvas.getContext("2d");
  const scored = points.filter((p) => p.score !== null);
  if (!scored.length) return;
  const top = 1.1 * Math.max(...scored.map((p) => Math.max(p.score, p.threshold || 0)), 1e-9);
  const x = (i) => (i + 0.5) * width / points.length, y = (v) => height * (1 - Math.max(v, 0) / top);
  const threshold = scored[scored.length - 1].threshold;
  if (threshold !== null) { draw.strokeStyle = "#d55e00"; draw.beginPath(); draw.moveTo(0, y(threshold)); draw.lineTo(width, y(threshold)); draw.stroke(); }
  points.forEach((p, i) => {
    draw.fillStyle = p.score === null ? "#999" : p.anomalous ? "#d55e00" : "#0072b2";
    draw.fillRect(x(i) - 1, p.score === null ? height - 4 : y(p.score) - 1, 2.5, p.score === null ? 4 : 2.5);
  });
}

function anomalyButton(a) {
  const button = make("button"), image = make("img");
  image.src = `/anomaly/${a.id}/small.jpg`; image.loading = "lazy"; image.alt = "";
  button.type = "button"; button.append(image, `${a.frame}, p = ${a.p_value.toPrecision(2)}`);
  button.onclick = () => { shownId = a.id; plain = false; byId("about").textContent = `${a.source}, frame ${a.frame}, ${a.captured}, p = ${a.p_value.toPrecision(3)}`; showPicture(); byId("shown").showModal(); };
  return button;
}

// A picture that is there stays where it is: drawing it anew would cost the device.
function showAnomalies(anomalies, collects) {
  byId("normal").hidden = !collects;
  const now = anomalies.map((a) => a.id).join(), list = byId("anomalies");
  for (const a of anomalies) {
    if (!buttons.has(a.id)) buttons.set(a.id, anomalyButton(a));
    buttons.get(a.id).className = a.kept ? "kept" : "";
  }
  if (now === known && list.hasChildNodes()) return;
  known = now;
  const there = new Set(anomalies.map((a) => a.id));
  for (const [id, button] of buttons) if (!there.has(id)) { button.remove(); buttons.delete(id); }
  if (!anomalies.length) { list.replaceChildren(make("p", "none yet")); return; }
  for (const other of [...list.children]) if (other.tagName !== "BUTTON") other.remove();
  anomalies.forEach((a, i) => { const button = buttons.get(a.id); if (list.children[i] !== button) list.insertBefore(button, list.children[i] || null); });
}

function showPicture() {
  byId("picture").src = `/anomaly/${shownId}.jpg${plain ? "?plain" : ""}`;
  byId("plain").textContent = plain ? "With heat map" : "Without heat map";
}

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "X-Panda-Edge": "1", "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
}

async function look() {
  try {
    const answer = await fetch(`/state?since=${seen}`);
    if (!answer.ok) throw new Error(await answer.text());
    const state = await answer.json();
    if (state.seen < seen) points = [];  // the device began anew
    seen = state.seen; points = points.concat(state.points).slice(-600);
    showSources(state.sources); showChart(); showAnomalies(state.anomalies, state.collects);
    if (state.fpr !== null && !rateTouched) byId("fpr").value = state.fpr.toPrecision(3);
    byId("notices").replaceChildren(...state.notices.slice(0, 8).map((n) => make("li", `${n.at} ${n.source || ""} ${n.text}`)));
    byId("status").textContent = `${seen} frames`;
  } catch (error) { byId("status").textContent = `the device does not answer (${error.message})`; }
  setTimeout(look, document.hidden ? 3000 : 500);
}

byId("fpr").oninput = () => { rateTouched = true; };
byId("rate").onsubmit = async (event) => {
  event.preventDefault();
  const answer = await post("/fpr", { fpr: Number(byId("fpr").value) });
  byId("status").textContent = answer.error || "rate set"; rateTouched = false;
};
byId("plain").onclick = () => { plain = !plain; showPicture(); };
byId("close").onclick = () => byId("shown").close();
byId("normal").onclick = async () => {
  const answer = await post(`/normal/${shownId}`, {});
  byId("about").textContent = answer.error || `kept as ${answer.done}`;
};
look();
