"""How the report looks, in light and in dark, on a desk and on a phone; and the few lines that sort its list."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--soft:#555;--line:#ccc;--blue:#0072B2;--orange:#D55E00}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#161616;--soft:#aaa;--line:#444;--blue:#56B4E9;
--orange:#F28E3C}}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:0 1rem 3rem;color:var(--ink);
background:var(--paper)}
h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--line)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.6rem}
.card{border:1px solid var(--line);border-radius:.5rem;padding:.6rem}.card b{display:block;font-size:1.6rem}
.card small,.note,td small{color:var(--soft)}td small{display:block}.bad{color:var(--orange);font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}
svg text{font:13px system-ui,sans-serif;fill:var(--ink)}
.scroll{overflow-x:auto}.list{max-height:32rem;overflow:auto;border:1px solid var(--line)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{white-space:normal}th:first-child,td:first-child{text-align:left}
.list th{position:sticky;top:0;background:var(--paper)}.list td:first-child{white-space:normal;overflow-wrap:anywhere}
th button{font:inherit;font-weight:600;color:inherit;background:none;border:0;padding:0;cursor:pointer}
th button::after{content:" ↕";color:var(--soft)}
th[aria-sort=ascending] button::after{content:" ↑"}th[aria-sort=descending] button::after{content:" ↓"}
.strip{display:grid;grid-template-columns:repeat(4,1fr);gap:.25rem;margin:.25rem 0 .9rem}
.strip img{width:100%;display:block}.strip span,.name{font-size:.8rem;color:var(--soft);overflow-wrap:anywhere}
@media(max-width:36rem){.strip{grid-template-columns:repeat(2,1fr)}td,th{padding:.25rem .35rem;font-size:.85rem}}
"""

SORT = """
document.querySelectorAll("th button").forEach(button => button.onclick = () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0];
  const column = head.cellIndex, up = head.getAttribute("aria-sort") === "descending";
  const key = row => { const text = row.cells[column].dataset.key ?? row.cells[column].textContent;
    return isNaN(parseFloat(text)) || isNaN(text) ? text : Number(text); };
  const order = (a, b) => { const x = key(a), y = key(b);
    return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)); };
  [...body.rows].sort((a, b) => (up ? 1 : -1) * order(a, b)).forEach(row => body.append(row));
  head.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
});
"""
"""Sorts a table by the column whose heading is clicked; without scripts the list is there in its first order."""
