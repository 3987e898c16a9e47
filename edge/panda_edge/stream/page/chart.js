// Scores of one source over time: live, frame by frame, or from the history, the highest of each minute.
import { ask, byId, make } from "/words.js";

const SPANS = [["live", 0], ["1 h", 3600], ["8 h", 28800], ["24 h", 86400], ["7 d", 604800]];
const MOST = 2000;  // points that are kept of a source
let span = 0, source = 0, names = [], plot = null, zoomed = false, shown = [], asked = 0;
const points = new Map();
let open = () => {};

export const onPoint = (what) => { open = what; };

export function add(sources, fresh, remembers, anew) {
  if (anew) points.clear();
  for (const point of fresh) {
    if (!points.has(point.source)) points.set(point.source, []);
    const list = points.get(point.source);
    list.push(point);
    if (list.length > MOST) list.splice(0, list.length - MOST);
  }
  const now = sources.map((s) => s.name);
  if (now.join("\n") !== names.join("\n")) {
    names = now;
    byId("chart-source").replaceChildren(...names.map((name, i) => { const option = make("option", name); option.value = i; return option; }));
  }
  for (const button of byId("spans").children) button.hidden = !remembers && button.value !== "0";
  if (span === 0) show((points.get(names[source]) || []).map((p) => ({ at: p.at, score: p.score, threshold: p.threshold, kind: p.score === null ? "odd" : p.anomalous ? "ng" : "ok", id: p.id })));
  else if (Date.now() - asked > 10000) look();
}

async function look() {
  asked = Date.now();
  const until = Date.now() / 1000, answer = await ask(`/minutes?source=${source}&since=${Math.round(until - span)}`);
  show((answer.done || []).map((m) => ({ at: m.at, score: m.highest, threshold: m.threshold, kind: m.highest === null ? "odd" : m.ng ? "ng" : "ok", minute: m.at })));
}

function show(list) {
  if (zoomed) return;
  // Where nothing came for long, the threshold's line is broken.
  const pauses = list.slice(1).map((p, i) => p.at - list[i].at).sort((a, b) => a - b);
  const usual = Math.max(5 * (pauses[pauses.length >> 1] || 0), span ? 150 : 2);
  shown = [];
  for (const point of list) {
    const last = shown[shown.length - 1];
    if (last && point.at - last.at > usual) shown.push({ at: last.at + usual / 2, gap: true });
    shown.push(point);
  }
  const pick = (kind) => shown.map((p) => p.kind === kind ? (kind === "odd" ? 0 : p.score) : null);
  const data = [shown.map((p) => p.at), pick("ok"), pick("ng"), pick("odd"), shown.map((p) => p.gap ? null : p.threshold ?? null)];
  if (!plot) plot = new uPlot(options(), data, byId("chart"));
  else plot.setData(data);
}

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function marks(name, size) {
  const ink = () => colour(name);
  return { stroke: ink, paths: () => null, points: { show: true, size, fill: ink, stroke: ink } };
}

// From a while ago until now, and of the live one at least ten seconds; of a zoomed one what was chosen.
function reach(u, low, high) {
  if (zoomed) return [low, high];
  const now = Date.now() / 1000;
  return span ? [now - span, now] : [Math.min(low ?? now, (high ?? now) - 10), high ?? now];
}

function clock(seconds) {
  const at = new Date(1000 * seconds), [low, high] = plot ? [plot.scales.x.min, plot.scales.x.max] : [0, 0];
  if (high - low > 90000) return at.toLocaleDateString([], { month: "short", day: "numeric", hour: "2-digit" });
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(high - low < 600 ? { second: "2-digit" } : {}) });
}

function options() {
  const ink = () => getComputedStyle(document.body).color, grid = { stroke: () => colour("--line"), width: 1 };
  const top = (u, low, high) => [0, 1.1 * Math.max(high || 0, 1e-9)];
  return {
    width: byId("chart").clientWidth, height: 260,
    scales: { x: { time: true, range: reach }, y: { range: top } },
    axes: [{ stroke: ink, grid, ticks: grid, values: (u, splits) => splits.map(clock), space: 90 }, { stroke: ink, grid, ticks: grid, label: "score", size: 64 }],
    series: [{}, marks("--ok", 4), marks("--ng", 7), marks("--odd", 6), { stroke: () => colour("--ng"), width: 2, points: { show: false }, spanGaps: false }],
    cursor: { drag: { x: true, y: false }, bind: { dblclick: (u, target, handle) => (event) => { zoomed = false; handle(event); } } },
    hooks: {
      setSelect: [(u) => { if (u.select.width > 0) zoomed = true; }],
      ready: [(u) => { u.over.addEventListener("click", () => { const point = shown[u.cursor.idx]; if (point && !point.gap) open(point, names[source]); }); }],
    },
  };
}

export function start() {
  byId("spans").append(...SPANS.map(([text, seconds]) => {
    const button = make("button", text);
    button.type = "button"; button.value = seconds; button.setAttribute("aria-pressed", String(seconds === span));
    button.onclick = () => {
      span = seconds; zoomed = false; asked = 0;
      for (const other of byId("spans").children) other.setAttribute("aria-pressed", String(other === button));
      if (span) look();
    };
    return button;
  }));
  byId("chart-source").onchange = () => { source = Number(byId("chart-source").value); zoomed = false; asked = 0; if (span) look(); };
  matchMedia("(prefers-color-scheme: dark)").onchange = () => { if (plot) plot.redraw(false, true); };
  new ResizeObserver(() => { if (plot) plot.setSize({ width: byId("chart").clientWidth, height: 260 }); }).observe(byId("chart"));
}
