// Verdicts in a word, a colour and a shape; numbers and times as the person who looks reads them.
export const byId = (id) => document.getElementById(id);

export function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (name) element.className = name;
  return element;
}

const KINDS = { "OK": "ok", "NG": "ng", "not judged": "odd", "undecided": "odd" };
export const kindOf = (verdict) => KINDS[verdict] || "odd";

export function verdictOf(latest) {
  if (!latest) return "not judged";
  if (latest.not_judged) return "not judged";
  return latest.anomalous === null ? "undecided" : latest.anomalous ? "NG" : "OK";
}

// A tick in a disc, a cross in an octagon, a question in a triangle: told apart without colour, and from afar.
export const shape = (kind) => byId(`shape-${kind}`).content.cloneNode(true);

export const percent = (share) => share === null || share === undefined ? "–" : `${Number((100 * share).toPrecision(share >= 0.0995 ? 3 : 2))} %`;
export const figure = (value) => value === null || value === undefined ? "–" : value.toPrecision(3);

export function time(given) {
  const at = new Date(given), today = new Date().toDateString() === at.toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}

export async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 200));
  return answer.json();
}

export async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "X-Panda-Edge": "1", "Content-Type": "application/json" }, body: JSON.stringify(body || {}) });
  return answer.json();
}
