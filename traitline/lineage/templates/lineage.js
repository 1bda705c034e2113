"use strict";
// Draws what the page's data say. Everything in them is text from others: it is only ever set as text.
const { jobs, groups } = JSON.parse(document.getElementById("data").textContent);
const WIDE = 172, HIGH = 54, ACROSS = 44, DOWN = 16;
const SVG = "http://www.w3.org/2000/svg";
const by = (id) => document.getElementById(id);
const [svg, world, edgesAt, nodesAt, panel, search, hits] =
  ["graph", "world", "edges", "nodes", "panel", "search", "hits"].map(by);

const members = groups.map(() => []);
jobs.forEach((job, i) => members[job.group].push(i));
const children = jobs.map(() => []);
jobs.forEach((job, i) => job.parents.forEach((p) => children[p].push(i)));
const open = new Set(groups.map((_, g) => g).filter((g) => members[g].length === 1));
let chosen = null, nodes = new Map(), view = { x: 20, y: 20, k: 1 };

const make = (name, attributes, text) => {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};
const html = (name, text, className) => {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
};
const short = (text, n) => (text.length > n ? "…" + text.slice(1 - n) : text);
const folder = (path) => path.split("/").slice(0, -1).join("/") || path;
const place = (i) => (open.has(jobs[i].group) ? "j" + i : "g" + jobs[i].group);

// Which boxes there are, and where: columns from left to right, each near the middle of what it was made from.
function layout() {
  nodes = new Map();
  const columns = [];
  groups.forEach((group, g) => {
    const column = (columns[group.column] ||= []);
    if (open.has(g)) members[g].forEach((i) => column.push({ key: "j" + i, job: i, group: g }));
    else column.push({ key: "g" + g, group: g });
  });
  columns.forEach((column, c) => {
    for (const n of column) {
      const above = new Set((n.job === undefined ? members[n.group].slice(0, 50) : [n.job])
        .flatMap((i) => jobs[i].parents.map(place)));
      const ys = [...above].map((k) => nodes.get(k)).filter(Boolean).map((m) => m.y);
      n.wish = ys.length ? ys.reduce((a, b) => a + b, 0) / ys.length : 0;
    }
    column.sort((a, b) => a.wish - b.wish || a.group - b.group || (a.job ?? 0) - (b.job ?? 0));
    const middle = column.reduce((sum, n) => sum + n.wish, 0) / column.length;
    column.forEach((n, r) => {
      n.x = c * (WIDE + ACROSS);
      n.y = c ? middle + (r - (column.length - 1) / 2) * (HIGH + DOWN) : r * (HIGH + DOWN);
      n.column = c; n.row = r;
      nodes.set(n.key, n);
    });
  });
}

function lines() {
  const found = new Map();
  jobs.forEach((job, i) => job.parents.forEach((p) => {
    const [from, to] = [place(p), place(i)];
    if (from !== to && nodes.has(from)) found.set(from + ">" + to, [from, to]);
  }));
  return [...found.values()];
}

function draw(focus) {
  layout();
  const boxes = document.createDocumentFragment(), arrows = document.createDocumentFragment();
  for (const n of nodes.values()) {
    const job = n.job === undefined ? null : jobs[n.job];
    const { stage, mark } = groups[n.group], count = members[n.group].length;
    const name = job ? `${stage}: ${job.label}` : `${count} ${stage} jobs that are alike`;
    const g = make("g", { class: `node ${mark}`, transform: `translate(${n.x},${n.y})`, tabindex: -1, role: "button",
      "data-key": n.key, "aria-label": `${name}${mark ? `, ${mark}` : ""}${job && job.trait ? ` ${job.trait}` : ""}` });
    if (!job) g.setAttribute("aria-expanded", "false");
    if (!job) g.append(make("rect", { class: "back", x: 5, y: 5, width: WIDE, height: HIGH, rx: 3 }));
    g.append(make("rect", { class: "front", width: WIDE, height: HIGH, rx: 3 }),
      make("text", { x: 9, y: 20 }, job ? stage : `${stage}`),
      make("text", { class: "word", x: 9, y: HIGH - 7 }, job ? "" : mark),
      make("text", { class: "path", x: 9, y: HIGH - 8 }, job ? short(folder(job.label), 25) : ""),
      make("text", { class: "count", x: WIDE - 9, y: 20 }, job ? short(job.trait || job.sha.slice(0, 7), 10) : `× ${count}`),
      make("title", {}, name));
    n.element = g;
    boxes.append(g);
  }
  for (const [from, to] of lines()) {
    const a = nodes.get(from), b = nodes.get(to), x = a.x + WIDE, y = a.y + HIGH / 2, z = b.y + HIGH / 2;
    const bend = Math.max(30, (b.x - x) / 2);
    const path = make("path", { d: `M${x},${y} C${x + bend},${y} ${b.x - bend},${z} ${b.x},${z}` });
    path.ends = [from, to];
    arrows.append(path);
  }
  nodesAt.replaceChildren(boxes);
  edgesAt.replaceChildren(arrows);
  const target = nodes.get(focus) || nodes.values().next().value;
  if (target) target.element.setAttribute("tabindex", 0);
  light();
  if (focus && nodes.has(focus)) { target.element.focus({ preventScroll: true }); reveal(target); }
}

// All that a job came from, and all that came of it.
function light() {
  svg.classList.toggle("lighting", chosen !== null);
  const kin = new Set();
  if (chosen !== null) for (const next of [(i) => jobs[i].parents, (i) => children[i]]) {
    const seen = new Set([chosen]), todo = [chosen];
    while (todo.length) for (const i of next(todo.pop())) if (!seen.has(i)) { seen.add(i); todo.push(i); }
    seen.forEach((i) => kin.add(place(i)));
  }
  for (const n of nodes.values()) {
    n.element.classList.toggle("lit", kin.has(n.key));
    n.element.classList.toggle("chosen", chosen !== null && n.job === chosen);
  }
  for (const path of edgesAt.children) path.classList.toggle("lit", path.ends.every((key) => kin.has(key)));
}

function show(i) {
  const job = jobs[i], { said, files, more } = job.details;
  const list = html("dl"), table = html("table");
  const add = (k, v) => list.append(html("dt", k), html("dd", v));
  if (job.mark) add("mark", job.mark + (job.trait ? `, ${job.trait}` : ""));
  for (const [k, v] of Object.entries(said)) add(k, v);
  for (const [made, role, path, sha, bytes] of files) {
    const row = html("tr"), cell = html("td");
    cell.append(html("span", path), html("br"), html("code", sha.slice(0, 16) + " "), html("span", `${bytes.toLocaleString("en")} bytes`, "soft"));
    row.append(html("th", `${made} ${role}`), cell);
    table.append(row);
  }
  const close = html("button", "Fold these");
  close.type = "button";
  close.onclick = () => fold(job.group);
  panel.replaceChildren(html("h2", `${job.stage} · ${job.label}`), list, table);
  if (more) panel.append(html("p", `and ${more} more files`, "soft"));
  if (members[job.group].length > 1) panel.append(html("p"), close);
  panel.hidden = false;
}

function choose(i) { chosen = i; show(i); light(); }
function leave() { chosen = null; panel.hidden = true; light(); }
function fold(g) { if (members[g].length > 1) { open.delete(g); chosen = null; panel.hidden = true; draw("g" + g); } }
function unfold(g, i) { open.add(g); draw("j" + (i ?? members[g][0])); }
function act(key) {
  const n = nodes.get(key);
  if (n.job === undefined) unfold(n.group); else choose(n.job);
}
function goTo(i) { if (!open.has(jobs[i].group)) open.add(jobs[i].group); chosen = i; draw("j" + i); show(i); }

// Moving about
const settle = () => world.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.k})`);
function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
  const k = Math.min(3, Math.max(0.01, view.k * factor)), f = k / view.k;
  view = { k, x: x - (x - view.x) * f, y: y - (y - view.y) * f };
  settle();
}
function fit() {
  const all = [...nodes.values()];
  if (!all.length) return;
  const [left, right] = [Math.min(...all.map((n) => n.x)), Math.max(...all.map((n) => n.x)) + WIDE];
  const [top, bottom] = [Math.min(...all.map((n) => n.y)), Math.max(...all.map((n) => n.y)) + HIGH];
  const k = Math.min(1.2, (svg.clientWidth - 40) / (right - left), (svg.clientHeight - 40) / (bottom - top));
  view = { k, x: (svg.clientWidth - k * (left + right)) / 2, y: (svg.clientHeight - k * (top + bottom)) / 2 };
  settle();
}
function reveal(n) {
  if (view.k < 0.45) { view.k = 0.8; }
  const x = view.x + n.x * view.k, y = view.y + n.y * view.k;
  if (x < 10 || x + WIDE * view.k > svg.clientWidth - 10) view.x += svg.clientWidth / 2 - x - (WIDE / 2) * view.k;
  if (y < 10 || y + HIGH * view.k > svg.clientHeight - 10) view.y += svg.clientHeight / 2 - y - (HIGH / 2) * view.k;
  settle();
}

svg.addEventListener("wheel", (e) => {
  e.preventDefault();
  const r = svg.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY / 400), e.clientX - r.left, e.clientY - r.top);
}, { passive: false });
let drag = null;
svg.addEventListener("pointerdown", (e) => { drag = { x: e.clientX, y: e.clientY, far: 0 }; });
window.addEventListener("pointermove", (e) => {
  if (!drag) return;
  drag.far += Math.abs(e.clientX - drag.x) + Math.abs(e.clientY - drag.y);
  view.x += e.clientX - drag.x; view.y += e.clientY - drag.y;
  drag.x = e.clientX; drag.y = e.clientY;
  if (drag.far > 4) svg.classList.add("drag");
  settle();
});
window.addEventListener("pointerup", (e) => {
  const still = drag && drag.far <= 4, at = e.target.closest && e.target.closest(".node");
  drag = null;
  svg.classList.remove("drag");
  if (still && at) act(at.dataset.key);
  else if (still && svg.contains(e.target)) leave();
});

function neighbour(n, key) {
  const beside = [...nodes.values()].filter((m) => (key === "ArrowLeft" ? m.column < n.column : m.column > n.column));
  if (key === "ArrowUp" || key === "ArrowDown")
    return [...nodes.values()].find((m) => m.column === n.column && m.row === n.row + (key === "ArrowUp" ? -1 : 1));
  const joined = new Set(lines().flatMap(([a, b]) => (key === "ArrowLeft" ? (b === n.key ? [a] : []) : a === n.key ? [b] : [])));
  const close = beside.filter((m) => joined.has(m.key));
  return (close.length ? close : beside).sort((a, b) =>
    Math.abs(a.column - n.column) - Math.abs(b.column - n.column) || Math.abs(a.y - n.y) - Math.abs(b.y - n.y))[0];
}
document.addEventListener("keydown", (e) => {
  if (e.target === search) return;
  const n = e.target.dataset && nodes.get(e.target.dataset.key);
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/") { search.focus(); search.select(); }
  else if (e.key === "+" || e.key === "=") zoom(1.25);
  else if (e.key === "-") zoom(0.8);
  else if (e.key === "0") fit();
  else if (e.key === "Escape") {
    if (chosen !== null) leave(); else if (n && n.job !== undefined) fold(n.group);
  } else if (n && e.key.startsWith("Arrow")) {
    const next = neighbour(n, e.key);
    if (next) { n.element.setAttribute("tabindex", -1); next.element.setAttribute("tabindex", 0); next.element.focus({ preventScroll: true }); reveal(next); }
  } else if (n && (e.key === "Enter" || e.key === " ")) act(n.key);
  else return;
  e.preventDefault();
});

// Searching
const words = jobs.map((j) => `${j.stage} ${j.label} ${j.sha} ${j.mark} ${j.trait} ${j.details.files.map((f) => f[3]).join(" ")}`.toLowerCase());
function find() {
  const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = asked.length ? jobs.map((_, i) => i).filter((i) => asked.every((w) => words[i].includes(w))) : [];
  hits.replaceChildren(...found.slice(0, 50).map((i) => {
    const row = html("li"), button = html("button", `${jobs[i].stage} · ${jobs[i].label}`);
    button.type = "button";
    button.onclick = () => { hits.hidden = true; goTo(i); };
    row.append(button);
    return row;
  }));
  if (asked.length && found.length > 50) hits.append(html("li", `and ${found.length - 50} more`));
  if (asked.length && !found.length) hits.append(html("li", "nothing found"));
  hits.hidden = !asked.length;
}
search.addEventListener("input", find);
search.addEventListener("keydown", (e) => {
  if (e.key === "Escape") { hits.hidden = true; search.blur(); }
  const first = hits.querySelector("button");
  if (e.key === "Enter" && first) first.click();
  if (e.key === "ArrowDown" && first) { e.preventDefault(); first.focus(); }
});
hits.addEventListener("keydown", (e) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[e.key];
  if (step) {
    e.preventDefault(); e.stopPropagation();
    const next = e.target.parentElement[step];
    (next && next.querySelector("button") || search).focus();
  } else if (e.key === "Enter") e.stopPropagation();
  else if (e.key === "Escape") { hits.hidden = true; search.focus(); e.stopPropagation(); }
});

by("in").onclick = () => zoom(1.25);
by("out").onclick = () => zoom(0.8);
by("fit").onclick = fit;
by("fold").onclick = () => {
  groups.forEach((_, g) => { if (members[g].length > 1) open.delete(g); });
  chosen = null; panel.hidden = true; draw(); fit();
};
draw();
fit();
