// From labels to a better bundle: tried beside the one at work, compared, applied, undone.
import { openById } from "/gallery.js";
import { byId, figure, make, percent, post } from "/words.js";

const KINDS = [["new", "alarms on the pictures that join"], ["normal", "alarms on other normal pictures"], ["defects", "labelled defects found"], ["kept", "alarms on kept pictures"]];
let shown = "", finds = null;

const share = (kind) => (one) => one.judged[kind] ? `${one.alarms[kind]} of ${one.judged[kind]}` : null;
const ROWS = [
  ["threshold", (one) => one.threshold === null ? null : figure(one.threshold)],
  ["promised false alarms", (one) => one.promised === null ? null : percent(one.promised)],
  ...KINDS.map(([kind, said]) => [said, share(kind)]),
  ["rate that finds all defects", (one) => one.finds_all === null ? null : percent(one.finds_all)],
  ["pictures in the bank", (one) => String(one.train_images)],
  ["megabytes", (one) => (one.bytes / 1e6).toFixed(1)],
  ["ms a picture", (one) => one.ms === null ? null : figure(one.ms)],
];

function showTable(tried) {
  byId("figures").replaceChildren(...ROWS.flatMap(([said, of]) => {
    const [before, after] = [of(tried.before), of(tried.after)];
    if (before === null && after === null) return [];
    const row = make("tr");
    for (const cell of [said, before ?? "–", after ?? "–"]) row.append(make("td", cell));
    return [row];
  }));
}

function listed(title, pictures, name) {
  const list = make("ul");
  list.append(...pictures.map((one) => {
    const item = make("li"), button = make("button", "look");
    button.type = "button"; button.onclick = () => openById(one.id);
    button.setAttribute("aria-label", `look at the picture with severity ${figure(one.severity)}`);
    item.append(`severity ${figure(one.severity)}; alone it would raise the threshold to ${figure(one.threshold)} `, button);
    return item;
  }));
  return [make("p", title, name), list];
}

function showTried(tried, better, may) {
  byId("tried").hidden = !tried || (!tried.before && !tried.refused.length);
  if (!tried) return;
  const { refused, asked } = tried, doubtful = [];
  if (refused.length) doubtful.push(...listed("Refused: these score beyond what normal pictures do. Look again, and label them otherwise.", refused, "refused"));
  if (asked.length) doubtful.push(...listed("Look again: only one of ten false alarms of normal pictures scores so high.", asked, "asked"));
  byId("doubtful").replaceChildren(...doubtful);
  byId("figures").closest("table").hidden = !tried.before;
  byId("sure-line").hidden = !asked.length || !tried.before;
  if (tried.before) showTable(tried);
  byId("apply").hidden = !tried.before || !better.applies || !may;
}

function showFinds(found, may) {
  byId("finds").hidden = !found;
  finds = found;
  if (!found) return;
  byId("finds-said").textContent = found.rate === null ? "the bundle is not calibrated" : `A false-alarm rate of ${percent(found.rate)} finds all ${found.pictures} labelled defects.`;
  byId("finds-set").hidden = found.rate === null || !may;
}

function showJob(job) {
  byId("stop").hidden = !job || !job.running; byId("done").hidden = !job || !job.running;
  if (!job) return;
  const what = job.what === "try" ? "Trying" : "Looking";
  if (job.running) {
    byId("job").textContent = `${what}: ${job.progress || "starting"}${job.total ? ` ${job.done} of ${job.total}` : ""}, ${Math.round(job.seconds)} s`;
    if (job.total) { byId("done").max = job.total; byId("done").value = job.done; } else byId("done").removeAttribute("value");
  } else byId("job").textContent = job.error ? job.error : `${job.what === "try" ? "tried" : "looked"} in ${Math.round(job.seconds)} s`;
}

function showKept(kept, may) {
  byId("earlier").hidden = !kept.length;
  byId("kept").replaceChildren(...kept.map((one) => make("li", `before ${(one.pictures || []).length} pictures joined${one.who ? ` (${one.who})` : ""}`)));
  byId("back").hidden = !may;
}

export function know(state) {
  const better = state.better;
  byId("better").hidden = !better;
  const now = JSON.stringify([better, state.may_decide]);
  if (!better || now === shown) return;
  shown = now;
  const may = state.may_decide, { labels, job } = better;
  byId("labelled").textContent = `${labels.normal} normal, ${labels.defect} ${labels.defect === 1 ? "defect" : "defects"}, ${labels.unsure} unsure; ${labels.joined} in the bundle`;
  const busy = Boolean(job && job.running);
  for (const id of ["try", "find", "export"]) byId(id).hidden = !may;
  byId("try").disabled = busy || !labels.normal; byId("find").disabled = busy || !labels.defect; byId("export").disabled = !labels.normal;
  byId("requested").hidden = !better.requested;
  showJob(job); showTried(busy ? null : better.tried, better, may); showFinds(busy ? null : better.finds, may); showKept(better.kept, may);
}

async function does(name, body) {
  const answer = await post(`/bundle/${name}`, body);
  if (answer.error) byId("job").textContent = answer.error;
  return answer;
}

export function start() {
  byId("try").onclick = () => does("try");
  byId("find").onclick = () => does("find");
  byId("stop").onclick = () => does("stop");
  byId("apply").onclick = async () => {
    const answer = await does("apply", { sure: byId("sure").checked });
    if (!answer.error) { byId("sure").checked = false; byId("job").textContent = `applied: ${answer.done.pictures} pictures joined`; }
  };
  byId("back").onclick = async () => {
    const answer = await does("undo");
    if (!answer.error) byId("job").textContent = "the bundle before is at work again";
  };
  byId("export").onclick = async () => {
    const answer = await does("request");
    if (!answer.error) location.assign("/request.zip");
  };
  byId("finds-set").onclick = async () => {
    const answer = await post("/fpr", { fpr: finds.rate });
    byId("job").textContent = answer.error || "rate set";
  };
}
