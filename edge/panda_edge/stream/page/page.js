// Asks twice a second for what is new; pictures are asked for only while the page is looked at.
import * as better from "/better.js";
import * as chart from "/chart.js";
import * as gallery from "/gallery.js";
import { ask, byId, figure, kindOf, make, percent, post, shape, time, verdictOf } from "/words.js";

const CHANGES = { higher: "higher scores", lower: "lower scores", more: "more anomalies" };
const figures = new Map();
let seen = 0, odd = -1, looked = 0, rateTouched = false, doubts = "";

function card(name) {
  const element = make("figure"), image = make("img"), none = make("div", "no picture yet", "none"), verdict = make("div", null, "verdict");
  const caption = make("figcaption"), counts = make("div", null, "counts");
  image.alt = `live picture of ${name}`; image.hidden = true;
  image.onload = () => { image.hidden = false; none.hidden = true; };
  caption.append(make("div", name, "name"), counts);
  element.append(verdict, image, none, caption); byId("live").append(element);
  return { image, verdict, counts, frame: "", said: "" };
}

function showCounts(element, source, promised) {
  const cells = ["", "OK", "NG", "not judged", "alarms"];
  for (const [name, c] of [["hour", source.hour], ["8 hours", source.shift]]) cells.push(name, c.ok, c.ng, c.not_judged, percent(c.rate));
  element.replaceChildren(...cells.map((text) => make("span", String(text))));
  if (promised !== undefined) element.append(make("span", ""), ...["", "", "promised"].map((text) => make("span", text)), make("span", `≤ ${percent(promised)}`));
}

function showLive(state) {
  state.sources.forEach((source, i) => {
    if (!figures.has(source.name)) figures.set(source.name, card(source.name));
    const f = figures.get(source.name), latest = source.latest, lost = !source.up && !source.ended;
    const verdict = lost ? "not judged" : verdictOf(latest), kind = kindOf(verdict);
    const why = lost ? source.error || "no picture" : !latest ? "no picture yet" : latest.not_judged ? latest.not_judged : latest.severity === null ? `score ${figure(latest.score)}` : `severity ${figure(latest.severity)}`;
    const said = `${verdict}|${why}`;
    if (said !== f.said) { f.said = said; f.verdict.className = `verdict ${kind}`; f.verdict.replaceChildren(shape(kind), make("span", verdict), make("small", why)); }
    showCounts(f.counts, source, state.bundle.promised);
    if (latest && latest.id !== f.frame && !document.hidden) { f.frame = latest.id; f.image.src = `/live/${i}.jpg?${latest.id}`; }
  });
}

function drift(d) {
  if (!d) return ["off", ""];
  if (d.since) return [`${CHANGES[d.change]} since ${time(d.since)}`, "ng"];
  return [d.enough ? `none in ${d.counted} frames` : "not enough frames yet", ""];
}

function showSources(sources) {
  byId("sources").replaceChildren(...sources.map((s) => {
    const row = make("tr"), [text, kind] = drift(s.drift);
    for (const cell of [s.name, s.up ? "up" : s.ended ? "ended" : s.error || "waiting", s.frames, s.dropped, s.losses]) row.append(make("td", String(cell)));
    row.append(make("td", text, kind));
    return row;
  }));
}

function showDoubts(sources) {
  const said = sources.filter((s) => s.doubt).map((s) => `${sources.length > 1 ? `${s.name}: ` : ""}${s.doubt}`);
  if (said.join() === doubts) return;  // an alert is read out when it changes
  doubts = said.join();
  byId("doubts").replaceChildren(...said.map((text) => make("p", text)));
}

function showBundle(bundle, may) {
  byId("bundle").textContent = bundle.name ? `${bundle.name} (${bundle.id})` : "";
  if (bundle.promised !== undefined && !rateTouched) byId("fpr").value = Number(bundle.promised.toPrecision(3));
  byId("rate").hidden = bundle.promised === undefined || !may;
  byId("fpr").title = bundle.least === undefined ? "" : `at least ${figure(bundle.least)}`;
}

async function look() {
  try {
    const state = await ask(`/state?since=${seen}`), anew = state.seen < seen;
    seen = anew ? 0 : state.seen;
    showLive(state); showSources(state.sources); showDoubts(state.sources); showBundle(state.bundle, state.may_decide);
    chart.add(state.sources, state.points, state.remembers, anew);
    gallery.know(state); better.know(state);
    if ((state.odd !== odd && Date.now() - looked > 1500) || Date.now() - looked > 10000) { odd = state.odd; looked = Date.now(); await gallery.look(); }
    byId("notices").replaceChildren(...state.notices.slice(0, 8).map((n) => make("li", `${time(n.at)} ${n.source || ""} ${n.text}`)));
    byId("status").textContent = `${state.seen} frames${state.visitor === "loopback" ? "" : `; you are ${state.visitor}${state.may_decide ? "" : ", and may look"}`}`;
  } catch (error) { byId("status").textContent = `the device does not answer (${error.message})`; }
  setTimeout(look, document.hidden ? 3000 : 500);
}

byId("fpr").oninput = () => { rateTouched = true; };
byId("rate").onsubmit = async (event) => {
  event.preventDefault();
  const answer = await post("/fpr", { fpr: Number(byId("fpr").value) });
  byId("notices").prepend(make("li", answer.error || "rate set"));
  byId("rate").dataset.said = answer.error || "rate set";
  byId("fpr").setCustomValidity(answer.error || ""); byId("fpr").reportValidity(); byId("fpr").setCustomValidity("");
  rateTouched = Boolean(answer.error);
};
chart.onPoint(async (point, source) => {
  const asked = point.minute === undefined ? null : new URLSearchParams({ source, since: point.minute, until: point.minute + 60, order: "worst", most: 1 });
  const frames = (await ask(asked ? `/frames?${asked}` : `/frame/${point.id}`)).done;
  if (frames.length) gallery.open(frames[0]);
});
chart.start(); gallery.start(); better.start(); look();
