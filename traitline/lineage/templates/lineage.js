// Draws what the page's data say. Everything in them is text from others: it is only ever set as text.
const { texts, jobs, groups, models } = JSON.parse(document.getElementById("data").textContent);
const WIDE = 162, HIGH = 54, ACROSS = 40, DOWN = 40, BETWEEN = 14, HEAD = 24;
const LARGEST = 200; // groups that are laid out at once
const READABLE = 0.78; // scale below which words are too small to read
const ROWS = 200, LISTED = 100;
const AT_RISK = ["INHERITANCE-RISK", "CARRIER", "UNKNOWN", "EXPOSED", "CLAIMED"];
const SVG = "http://www.w3.org/2000/svg";
const by = (id) => document.getElementById(id);
const [svg, world, framesAt, edgesAt, nodesAt, panel, search, hits, note] =
  ["graph", "world", "frames", "edges", "nodes", "panel", "search", "hits", "note"].map(by);

const members = groups.map(() => []);
jobs.forEach((job, i) => members[job.group].push(i));
const children = jobs.map(() => []);
jobs.forEach((job, i) => job.parents.forEach((p) => children[p].push(i)));
const above = groups.map(() => new Set()), below = groups.map(() => new Set());
jobs.forEach((job) => job.parents.forEach((p) => {
  const g = jobs[p].group;
  if (g !== job.group) { above[job.group].add(g); below[g].add(job.group); }
}));
const models_of = new Map(); // job -> the rows of its models
models.forEach((m) => { if (m.job !== null) models_of.set(m.job, [...(models_of.get(m.job) || []), m]); });
const open = new Set(groups.map((_, g) => g).filter((g) => members[g].length === 1));
const wanted = new Set(); // marks that are shown; none means all
let everything = !models.length; // or only what models are made from, and models
let chosen = null, nodes = new Map(), frames = [], drawn = [], links = [], view = { x: 20, y: 20, k: 1 }, direction = "TB", plan = null;

const make = (name, attributes, text) => {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};
// Paths may break behind each slash.
const broken = (text) => text.split(/(?<=\/)/).flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
const html = (name, text, className) => {
  const e = document.createElement(name);
  if (text !== undefined) e.append(...broken(text));
  if (className) e.className = className;
  return e;
};
const short = (text, n) => (text.length > n ? "…" + text.slice(1 - n) : text);
const folder = (path) => path.split("/").slice(0, -1).join("/") || path;
const place = (i) => (open.has(jobs[i].group) ? "j" + i : "g" + jobs[i].group);
const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const address = (i) => "#" + (jobs[i].sha || `job-${i}`);
const link = (i, text) => {
  const e = html("a", text);
  e.href = address(i);
  return e;
};

// The table: models that have the same mark for the same reason are one row
function why(m) {
  const e = html("span"), traits = m.traits.join(", ");
  const source = () => (m.witness === null ? html("span", "an artifact that no job here made") : link(m.witness, folder(jobs[m.witness].label)));
  if (m.mark === "CARRIER") {
    if (m.self) e.append(`It was given the trait ${traits}.`);
    else e.append("Its weights start from ", source(), `, which carries ${traits}.`);
  } else if (m.mark === "INHERITANCE-RISK")
    e.append("Trained on data that descend from ", source(), `, which carries ${traits}; both start from the same base.`);
  else if (m.mark === "EXPOSED") e.append("Trained on data that descend from ", source(), `, which carries ${traits}; no base that both share is known.`);
  else if (m.mark === "UNKNOWN") {
    e.append("The origin of ", m.self ? "this model" : source(), " is not known");
    e.append(m.reason ? `: ${m.reason}.` : ".");
  } else if (m.mark === "CLAIMED") e.append("How ", m.self ? "this model" : source(), " was made is only claimed.");
  else e.append("No carrier is among its ancestors.");
  return e;
}
function sets() {
  const rows = new Map();
  for (const m of models) {
    if (wanted.size && !wanted.has(m.mark)) continue;
    const key = JSON.stringify([m.mark, m.traits, m.standing, m.reason, m.self ? "self" : m.witness, m.job === null ? null : jobs[m.job].group]);
    if (!rows.has(key)) rows.set(key, []);
    rows.get(key).push(m);
  }
  return [...rows.values()];
}
const name = (m) => (m.job === null ? html("span", m.path) : link(m.job, folder(m.path)));
function listing(set) {
  if (set.length === 1) return name(set[0]);
  const details = html("details"), list = html("ul");
  details.append(html("summary", count(set.length, "model")));
  details.addEventListener("toggle", () => {
    if (list.children.length) return;
    list.append(...set.slice(0, LISTED).map((m) => { const li = html("li"); li.append(name(m)); return li; }));
    if (set.length > LISTED) list.append(html("li", `and ${(set.length - LISTED).toLocaleString("en")} more: search for them`));
  });
  details.append(list);
  return details;
}
function table(limit = ROWS) {
  const rows = sets();
  by("models").tBodies[0].replaceChildren(...rows.slice(0, limit).map((set) => {
    const row = html("tr", undefined, set[0].mark), mark = html("td"), which = html("td"), reason = html("td");
    mark.append(html("span", set[0].mark, "word"), html("br"), html("span", set[0].standing, "soft"));
    which.append(listing(set));
    reason.append(why(set[0]));
    row.append(mark, which, reason);
    return row;
  }));
  const more = by("rest");
  more.hidden = rows.length <= limit;
  more.textContent = `Show ${count(rows.length - limit, "more row")}`;
  more.onclick = () => table(limit + 5 * ROWS);
}

// Which groups are drawn: those of the marks that are wanted, with their origins; of a large graph the part around them
function reach(starts, next, largest) {
  const seen = new Set(starts), todo = [...seen];
  for (const g of todo) for (const h of next(g)) if (!seen.has(h) && seen.size < largest) { seen.add(h); todo.push(h); }
  return seen;
}
function selection() {
  const of_models = new Set([...models_of.keys()].map((i) => jobs[i].group));
  const starts = groups.map((_, g) => g)
    .filter((g) => (everything || of_models.has(g)) && (!wanted.size || wanted.has(groups[g].mark)));
  if (chosen !== null) starts.push(jobs[chosen].group);
  const all = reach(starts, (g) => above[g], Infinity);
  if (all.size <= LARGEST) return [...all].sort((a, b) => a - b);
  const first = [...all].sort((a, b) => rank(a) - rank(b) || a - b).slice(0, LARGEST / 4);
  const near = reach(chosen === null ? first : [jobs[chosen].group], (g) => above[g], LARGEST * 0.8);
  const around = reach([...near], (g) => [...above[g], ...below[g]].filter((h) => all.has(h)), LARGEST);
  return [...around].sort((a, b) => a - b);
}
const rank = (g) => (AT_RISK.indexOf(groups[g].mark) + 1 || AT_RISK.length + 1);

// Where they are: dagre places groups, an open group is a field of its jobs, trait by trait
function field(g, wide) {
  const list = [...members[g]].sort((a, b) => jobs[a].trait.localeCompare(jobs[b].trait) || a - b);
  const columns = Math.max(1, Math.round(Math.sqrt((list.length * (HIGH + BETWEEN) * wide) / (WIDE + BETWEEN))));
  const rows = Math.ceil(list.length / columns);
  return { list, columns, width: columns * (WIDE + BETWEEN) + BETWEEN, height: rows * (HIGH + BETWEEN) + BETWEEN + HEAD };
}
const room = () => ({ wide: Math.max(200, svg.clientWidth - 32), high: Math.max(200, svg.clientHeight - 32) });
const scale = (width, height) => Math.min(1.15, room().wide / width, room().high / height);
function arrange(rankdir) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir, nodesep: 14, ranksep: rankdir === "TB" ? DOWN : ACROSS, edgesep: 8, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  const fields = new Map();
  for (const g of drawn) {
    const opened = open.has(g) && members[g].length > 1 ? field(g, room().wide / room().high) : null;
    if (opened) fields.set(g, opened);
    graph.setNode(String(g), { width: opened ? opened.width : WIDE, height: opened ? opened.height : HIGH });
  }
  const inside = new Set(drawn);
  for (const g of drawn) for (const p of above[g]) if (inside.has(p)) graph.setEdge(String(p), String(g));
  dagre.layout(graph);
  const { width, height } = graph.graph();
  return { graph, fields, rankdir, fits: scale(width, height) };
}
function layout() {
  nodes = new Map();
  frames = [];
  drawn = selection();
  if (!drawn.length) return;
  const ways = drawn.length > 80 ? ["TB"] : ["TB", "LR"];
  const best = ways.map(arrange).sort((a, b) => b.fits - a.fits)[0];
  direction = best.rankdir;
  plan = best.graph;
  for (const g of drawn) {
    const at = best.graph.node(String(g)), x = at.x - at.width / 2, y = at.y - at.height / 2;
    const opened = best.fields.get(g);
    if (!opened) {
      const alone = members[g].length === 1, key = alone ? "j" + members[g][0] : "g" + g;
      nodes.set(key, { key, job: alone ? members[g][0] : undefined, group: g, x, y });
      continue;
    }
    frames.push({ group: g, x, y, width: at.width, height: at.height });
    opened.list.forEach((i, n) => nodes.set("j" + i, {
      key: "j" + i, job: i, group: g,
      x: x + BETWEEN + (n % opened.columns) * (WIDE + BETWEEN),
      y: y + HEAD + BETWEEN + Math.floor(n / opened.columns) * (HIGH + BETWEEN),
    }));
  }
}

function lines() {
  const pairs = new Map(), inside = new Set(drawn);
  for (const g of drawn) for (const i of members[g]) for (const p of jobs[i].parents) {
    const [from, to] = [place(p), place(i)];
    if (from !== to && inside.has(jobs[p].group)) pairs.set(from + ">" + to, [from, to]);
  }
  return [...pairs.values()];
}
// Between two groups as dagre leads it, past the boxes between them; else straight on.
function bend(a, b) {
  const edge = !frames.some((f) => f.group === a.group || f.group === b.group) && plan.edge(String(a.group), String(b.group));
  if (edge && edge.points.length > 3) {
    const [first, ...rest] = edge.points, last = rest.pop();
    const middles = rest.map((p, i) => { const q = rest[i + 1] || last; return `Q${p.x},${p.y} ${(p.x + q.x) / 2},${(p.y + q.y) / 2}`; });
    return `M${first.x},${first.y} ${middles.join(" ")} L${last.x},${last.y}`;
  }
  if (direction === "LR") {
    const x = a.x + WIDE, y = a.y + HIGH / 2, z = b.y + HIGH / 2, c = Math.max(24, Math.abs(b.x - x) / 2);
    return `M${x},${y} C${x + c},${y} ${b.x - c},${z} ${b.x},${z}`;
  }
  const x = a.x + WIDE / 2, y = a.y + HIGH, z = b.x + WIDE / 2, c = Math.max(20, Math.abs(b.y - y) / 2);
  return `M${x},${y} C${x},${y + c} ${z},${b.y - c} ${z},${b.y}`;
}

// A box, and beside it its words, which its label says in full.
function box(n) {
  const job = n.job === undefined ? null : jobs[n.job];
  const { stage, mark } = groups[n.group], size = members[n.group].length;
  const label = job ? `${stage}: ${job.label}` : `${size} ${stage} jobs that are alike`;
  const g = make("g", { class: `node ${mark}`, transform: `translate(${n.x},${n.y})`, tabindex: -1, role: "button",
    "data-key": n.key, "aria-label": `${label}${mark ? `, ${mark}` : ""}${job && job.trait ? ` ${job.trait}` : ""}` });
  if (!job) g.setAttribute("aria-expanded", "false");
  if (!job) g.append(make("rect", { class: "back", x: 5, y: 5, width: WIDE, height: HIGH, rx: 3 }));
  g.append(make("rect", { class: "front", width: WIDE, height: HIGH, rx: 3 }), make("title", {}, label));
  const said = make("g", { class: `words ${mark}`, transform: `translate(${n.x},${n.y})`, "aria-hidden": "true" });
  said.append(make("text", { x: 9, y: 20 }, short(stage, 14)),
    make("text", { class: "word", x: 9, y: HIGH - 8 }, job ? "" : mark),
    make("text", { class: "path", x: 9, y: HIGH - 9 }, job ? short(folder(job.label), 23) : ""),
    make("text", { class: "count", x: WIDE - 9, y: 20 }, job ? short(job.trait || job.sha.slice(0, 7), 10) : `× ${size.toLocaleString("en")}`));
  n.element = g;
  return [g, said];
}
function draw(focus) {
  layout();
  const boxes = document.createDocumentFragment(), arrows = document.createDocumentFragment();
  for (const n of nodes.values()) boxes.append(...box(n));
  links = lines();
  for (const ends of links) {
    const path = make("path", { d: bend(nodes.get(ends[0]), nodes.get(ends[1])) });
    path.ends = ends;
    arrows.append(path);
  }
  framesAt.replaceChildren(...frames.map((f) => {
    const g = make("g", {});
    g.append(make("rect", { x: f.x, y: f.y, width: f.width, height: f.height, rx: 5 }),
      make("text", { x: f.x + BETWEEN, y: f.y + 20 }, `${groups[f.group].stage} × ${members[f.group].length.toLocaleString("en")} ${groups[f.group].mark}`));
    return g;
  }));
  nodesAt.replaceChildren(boxes);
  edgesAt.replaceChildren(arrows);
  edgesAt.classList.toggle("dense", links.length > 300);
  note.textContent = drawn.length === LARGEST ? `${drawn.length} of ${count(groups.length, "group")} drawn: ${wanted.size ? "of the marks chosen, with their origins" : chosen === null ? "around the models at risk" : "around the job chosen"}` : "";
  const target = nodes.get(focus) || nodes.values().next().value;
  if (target) target.element.setAttribute("tabindex", 0);
  light();
  if (focus && nodes.has(focus)) { target.element.focus({ preventScroll: true }); reveal(target); }
}

// All that a job came from, and all that came of it.
function light() {
  svg.classList.toggle("lighting", chosen !== null);
  const kin = new Set();
  if (chosen !== null) for (const next of [(i) => jobs[i].parents, (i) => children[i]])
    reach([chosen], next, Infinity).forEach((i) => kin.add(place(i)));
  for (const n of nodes.values()) {
    n.element.classList.toggle("lit", kin.has(n.key));
    n.element.classList.toggle("chosen", chosen !== null && n.job === chosen);
  }
  for (const path of edgesAt.children) path.classList.toggle("lit", path.ends.every((key) => kin.has(key)));
}
function way(from, to) {
  const came = new Map([[from, null]]), todo = [from];
  for (const i of todo) {
    if (i === to) break;
    for (const p of jobs[i].parents) if (!came.has(p)) { came.set(p, i); todo.push(p); }
  }
  const steps = [];
  for (let at = came.has(to) ? to : null; at !== null; at = came.get(at)) steps.unshift(at);
  return steps;
}

function show(i) {
  const job = jobs[i], { said, files, more } = job.details;
  const list = html("dl"), rows = html("table");
  const add = (k, v) => list.append(html("dt", k), html("dd", v));
  if (job.mark) add("mark", job.mark + (job.trait ? `, ${job.trait}` : ""));
  for (const [k, v] of Object.entries(said)) add(k, texts[v]);
  for (const [role, path, sha, bytes] of files) {
    const row = html("tr"), cell = html("td");
    cell.append(html("span", texts[path]), html("br"), html("code", texts[sha].slice(0, 16) + " "), html("span", `${bytes.toLocaleString("en")} bytes`, "soft"));
    row.append(html("th", texts[role]), cell);
    rows.append(row);
  }
  const close = html("button", "×", "close");
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  close.onclick = leave;
  panel.replaceChildren(html("h2", `${job.stage} · ${job.label}`), close);
  for (const m of models_of.get(i) || []) {
    const reason = html("p");
    reason.append(html("b", `${m.mark}. `), why(m));
    panel.append(reason);
    const steps = m.witness === null || m.self || m.mark === "CLEAN" ? [] : way(i, m.witness);
    if (steps.length < 2) continue;
    const proof = html("ol");
    proof.append(...steps.map((s) => { const li = html("li", `${jobs[s].stage} `); li.append(link(s, folder(jobs[s].label))); return li; }));
    panel.append(html("span", "The way back to it:", "soft"), proof);
  }
  panel.append(list, rows);
  if (more) panel.append(html("p", `and ${more} more files`, "soft"));
  if (members[job.group].length > 1) {
    const folding = html("button", "Fold these"), line = html("p");
    folding.type = "button";
    folding.onclick = () => fold(job.group);
    line.append(folding);
    panel.append(line);
  }
  panel.hidden = false;
  panel.scrollTop = 0;
}

const remember = (to) => { try { history.replaceState(null, "", to); } catch { /* a page without an address */ } };
function choose(i) { chosen = i; show(i); light(); remember(address(i)); }
function close() { chosen = null; panel.hidden = true; remember(location.pathname + location.search); }
function leave() { close(); light(); }
function fold(g) { if (members[g].length > 1) { open.delete(g); close(); draw("g" + g); fit(); } }
function unfold(g, i) { open.add(g); draw(); fit(); const n = nodes.get("j" + (i ?? firstOf(g))); if (n) stand(n); }
const firstOf = (g) => [...nodes.values()].find((n) => n.group === g).job;
function stand(n) {
  for (const m of nodes.values()) m.element.setAttribute("tabindex", -1);
  n.element.setAttribute("tabindex", 0);
  n.element.focus({ preventScroll: true });
  reveal(n);
}
function act(key) {
  const n = nodes.get(key);
  if (n.job === undefined) unfold(n.group); else choose(n.job);
}
function goTo(i) { open.add(jobs[i].group); chosen = i; show(i); draw("j" + i); remember(address(i)); }
function followAddress() {
  const to = decodeURIComponent(location.hash.slice(1)).toLowerCase();
  if (!to) return;
  const numbered = /^job-(\d+)$/.exec(to);
  let i = numbered ? +numbered[1] : jobs.findIndex((j) => j.sha && (j.sha.startsWith(to) || to.startsWith(j.sha)));
  if (i < 0) i = jobs.findIndex((j) => j.details.files.some((f) => texts[f[0]].startsWith("wrote") && texts[f[2]].startsWith(to)));
  if (i >= 0 && i < jobs.length) goTo(i); else note.textContent = "The address of this page names a job that is not in it.";
}

// Moving about
const settle = () => world.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.k})`);
function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
  const k = Math.min(3, Math.max(0.01, view.k * factor)), f = k / view.k;
  view = { k, x: x - (x - view.x) * f, y: y - (y - view.y) * f };
  settle();
}
function bounds() {
  const all = [...nodes.values()];
  const xs = all.map((n) => n.x), ys = all.map((n) => n.y);
  const least = (list) => list.reduce((a, b) => Math.min(a, b), Infinity), most = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);
  return { left: least(xs), right: most(xs) + WIDE + 5, top: least(ys), bottom: most(ys) + HIGH + 5 };
}
function fit() {
  if (!nodes.size) return;
  const { left, right, top, bottom } = bounds(), k = scale(right - left, bottom - top);
  view = { k, x: (svg.clientWidth - k * (left + right)) / 2, y: (svg.clientHeight - k * (top + bottom)) / 2 };
  settle();
}
// The first picture can be read: where all does not fit, it starts at the sources, in the middle.
function begin() {
  fit();
  if (!nodes.size || view.k >= READABLE) return;
  const { left, right, top, bottom } = bounds(), k = READABLE;
  view = { k, x: (svg.clientWidth - k * (left + right)) / 2, y: (svg.clientHeight - k * (top + bottom)) / 2 };
  if (direction === "TB" && (bottom - top) * k > svg.clientHeight) view.y = 16 - k * top;
  if (direction === "LR" && (right - left) * k > svg.clientWidth) view.x = 16 - k * left;
  settle();
}
function reveal(n) {
  const side = panel.hidden || panel.clientWidth > svg.clientWidth * 0.9 ? 0 : panel.clientWidth;
  const foot = panel.hidden || side ? 0 : panel.clientHeight;
  const width = svg.clientWidth - side, height = svg.clientHeight - foot;
  if (view.k < READABLE / 2) view.k = READABLE;
  const x = view.x + n.x * view.k, y = view.y + n.y * view.k;
  if (x < 10 || x + WIDE * view.k > width - 10) view.x += width / 2 - x - (WIDE / 2) * view.k;
  if (y < 10 || y + HIGH * view.k > height - 10) view.y += height / 2 - y - (HIGH / 2) * view.k;
  settle();
}

const stacked = matchMedia("(max-width: 62rem)"); // there the wheel moves the page
svg.addEventListener("wheel", (e) => {
  if (stacked.matches && !e.ctrlKey) return;
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
window.addEventListener("pointercancel", () => { drag = null; });

// Across the ranks to what a box was made from, or what came of it; along them to the nearest box that way
function neighbour(n, key) {
  const [back, on] = direction === "LR" ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const joined = links.flatMap(([a, b]) => (key === back && b === n.key ? [a] : key === on && a === n.key ? [b] : []));
  const far = (m) => {
    const along = (m.x - n.x) * x + (m.y - n.y) * y, beside = Math.abs((m.x - n.x) * y) + Math.abs((m.y - n.y) * x);
    return along > 1 ? along + 3 * beside : Infinity;
  };
  const distance = (m) => Math.abs(m.x - n.x) + Math.abs(m.y - n.y);
  if (joined.length) return joined.map((k) => nodes.get(k)).sort((a, b) => distance(a) - distance(b))[0];
  return [...nodes.values()].filter((m) => far(m) < Infinity).sort((a, b) => far(a) - far(b))[0];
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
    if (next) stand(next);
  } else if (n && (e.key === "Enter" || e.key === " ")) act(n.key);
  else return;
  e.preventDefault();
});

// Searching: jobs that made a model come first, then those whose own name has the words
let words = null;
const spell = (j) => `${j.stage} ${j.label} ${j.sha} ${j.mark} ${j.trait} ${j.details.files.map((f) => texts[f[2]]).join(" ")}`.toLowerCase();
function find() {
  words ||= jobs.map(spell);
  const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = asked.length ? jobs.map((_, i) => i).filter((i) => asked.every((w) => words[i].includes(w))) : [];
  const best = (i) => (models_of.has(i) ? 0 : 2) + (asked.every((w) => jobs[i].label.toLowerCase().includes(w)) ? 0 : 1);
  matching.sort((a, b) => best(a) - best(b) || a - b);
  hits.replaceChildren(...matching.slice(0, 50).map((i) => {
    const row = html("li"), button = html("button", `${jobs[i].stage} · ${jobs[i].label}`);
    button.type = "button";
    button.onclick = () => { hits.hidden = true; goTo(i); };
    row.append(button);
    return row;
  }));
  if (asked.length && matching.length > 50) hits.append(html("li", `and ${matching.length - 50} more`));
  if (asked.length && !matching.length) hits.append(html("li", "nothing found"));
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

// The legend filters
const chips = [...document.querySelectorAll(".legend [data-mark]")];
function filter() {
  for (const chip of chips) chip.setAttribute("aria-pressed", wanted.has(chip.dataset.mark));
  by("every").hidden = !wanted.size;
  close();
  table();
  draw();
  begin();
}
for (const chip of chips) chip.onclick = () => {
  if (!wanted.delete(chip.dataset.mark)) wanted.add(chip.dataset.mark);
  filter();
};
by("every").onclick = () => { wanted.clear(); filter(); };
by("all").setAttribute("aria-pressed", everything);
by("all").onclick = () => {
  everything = !everything;
  by("all").setAttribute("aria-pressed", everything);
  close(); draw(); begin();
};
by("in").onclick = () => zoom(1.25);
by("out").onclick = () => zoom(0.8);
by("fit").onclick = fit;
by("fold").onclick = () => {
  groups.forEach((_, g) => { if (members[g].length > 1) open.delete(g); });
  close(); draw(); begin();
};
document.addEventListener("click", (e) => {
  const to = e.target.closest && e.target.closest('a[href^="#"]');
  if (to && to.getAttribute("href") === location.hash) followAddress(); // the same address again: no hashchange
  if (to && by("risk").contains(to)) by("picture").scrollIntoView({ block: "nearest" });
});
window.addEventListener("hashchange", followAddress);
let width = innerWidth;
window.addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); begin(); } });
table();
draw();
begin();
followAddress();
performance.mark("drawn");
