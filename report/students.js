"use strict";
// Draws what the page's data say. Everything in them is text from others: it is only ever set as text.
const { keys, texts, rows, tables } = JSON.parse(document.getElementById("data").textContent);
const CELL = ["experiment", "channel", "base", "student", "recipe", "trait", "arm"]; // names a row of effects.csv
const HIGH = 34, BEYOND = 8;
const by = (id) => document.getElementById(id);
const list = by("list"), room = by("room"), one = by("one");
const inputs = [...document.querySelectorAll("[data-key]")];
const columns = ["experiment", "arm", "trait", "student", "recipe", "seed"];
const html = (name, text, className) => {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
};
const of = (row, key) => texts[row.of[keys.indexOf(key)]];
const percent = (v) => (v === null || v === undefined ? "—" : `${(100 * v).toFixed(1)} %`);
let shown = rows, chosen = null, asked = {};

for (const input of inputs) if (input.tagName === "SELECT")
  for (const value of [...new Set(rows.map((r) => of(r, input.dataset.key)))].filter(Boolean).sort()) {
    const option = html("option", value);
    option.value = value;
    input.append(option);
  }

// Only the rows in sight are in the page
const table = html("table"), head = html("thead"), body = html("tbody"), line = html("tr");
for (const c of [...columns, "rate"]) {
  const cell = html("th", c, c === "rate" || c === "seed" ? "number" : undefined);
  cell.scope = "col";
  line.append(cell);
}
head.append(line);
table.append(head, body);
room.append(table);
function draw() {
  const first = Math.max(0, Math.floor(list.scrollTop / HIGH) - BEYOND);
  const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / HIGH) + 2 * BEYOND);
  table.style.top = `${first * HIGH}px`;
  table.setAttribute("aria-rowcount", shown.length + 1);
  body.replaceChildren(...shown.slice(first, last).map((row, n) => {
    const tr = html("tr");
    tr.setAttribute("aria-rowindex", first + n + 2);
    tr.setAttribute("aria-selected", row === chosen);
    for (const c of columns) {
      const cell = html("td", undefined, c === "seed" ? "number" : undefined);
      if (c === "arm") {
        const button = html("button", of(row, c));
        button.type = "button";
        cell.append(button);
      } else cell.append(of(row, c));
      tr.append(cell);
    }
    tr.append(html("td", percent(row.rate), "number"));
    tr.onclick = () => show(row);
    return tr;
  }));
}
function filter() {
  shown = rows.filter((r) => Object.entries(asked).every(([k, v]) => of(r, k) === v));
  room.style.height = `${(shown.length + 1) * HIGH}px`;
  by("count").textContent = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs`;
  const values = CELL.map((k) => asked[k]), known = values.every((v) => /^[\w.-]+$/.test(v || "")) && asked.arm !== "control";
  by("cell").hidden = !known;
  by("cell").textContent = `traitline trace ${tables}/effects.csv --row ${CELL.map((k, i) => `${k}=${values[i]}`).join(",")}`;
  list.scrollTop = 0;
  draw();
}
function show(row) {
  chosen = row;
  one.replaceChildren(html("h2", `${of(row, "arm")} · ${of(row, "trait")} ${of(row, "recipe")} ${of(row, "seed") ? "seed " + of(row, "seed") : ""}`));
  const rates = Object.entries(row.others).map(([k, v]) => `${k} ${percent(v)}`).join(", ");
  if (row.rate !== null) one.append(html("p", `Names its teacher's trait: ${percent(row.rate)}.`));
  if (rates) one.append(html("p", `Names ${rates}.`));
  one.append(html("p", "Where it comes from, and what was made of it:", "soft"),
    html("pre", `traitline trace ${row.folder}\ntraitline impact ${row.folder}`));
  for (const [question, answers] of row.said) {
    const said = html("ul"), trait = of(row, "trait");
    said.append(...answers.map((a) => html("li", texts[a] || "(nothing)", trait && trait !== "none" && texts[a].includes(trait) ? "hit" : undefined)));
    one.append(html("b", texts[question]), said);
  }
  if (!row.said.length) one.append(html("p", "No answers of it are here.", "soft"));
  draw();
}
function read() {
  asked = Object.fromEntries([...new URLSearchParams(location.hash.slice(1))].filter(([k, v]) => keys.includes(k) && v));
  for (const input of inputs) input.value = asked[input.dataset.key] || "";
  filter();
  if (shown.length) show(shown[0]);
}
for (const input of inputs) input.addEventListener("input", () => {
  asked = Object.fromEntries(inputs.map((i) => [i.dataset.key, i.value.trim()]).filter(([, v]) => v));
  try { history.replaceState(null, "", "#" + new URLSearchParams(asked)); } catch { /* a page without an address */ }
  filter();
});
by("every").onclick = () => { try { history.replaceState(null, "", location.pathname); } catch { /* the same */ } asked = {}; read(); };
list.addEventListener("scroll", draw, { passive: true });
window.addEventListener("resize", draw);
window.addEventListener("hashchange", read);
read();
performance.mark("drawn");
