// The page of a sweep: filters, selects, sorts and follows the values that layersweep/studies/pages/page_values.py makes.
"use strict";
const byId = (id) => document.getElementById(id);
const parsed = (id) => JSON.parse(byId(id).textContent);
const DEFAULTS = {state: "", arm: "", text: "", x: "epochs", clock: "epochs", top: "10", lines: "auto", cost: "",
  matrix: "", key: "", arms_by: "", trials_by: "", arms_columns: "", trials_columns: ""};
const MAX_ROWS = 200, MAX_LINES = 60, NARROW = 700, POLL_MS = 2000;
const DASHES = ["solid", "dashed", "dotted", "dashdot"];
const AXES = {epochs: "epochs of all trials", seconds: "seconds since the start", slot_seconds: "seconds of slots"};
const view = {...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1)))};
const config = parsed("config"), data = parsed("values"), models = new Map();
const named = (name, type) => (models.get(name) ?? []).filter((model) => !type || model.type === type);
let isSelecting = false;

function element(tag, properties, ...children) {  // a text becomes a text node, never HTML
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
function shownText(x) {
  if (typeof x !== "number") return String(x ?? "");
  const size = Math.abs(x);
  return Number.isInteger(x) ? String(x) : size < 1e-3 ? x.toExponential(1) : x.toFixed(size < 10 ? 4 : 1);
}

// The filter, for all views: a trial is shown or not, an arm is shown with one of its trials.
const isFiltered = () => Boolean(view.state || view.arm || view.text);
function shownTrials() {
  const t = data.sources.trials, words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (i) => Object.entries(t).map(([name, column]) => `${name.replace("config ", "")}=${column[i]}`).join(" ");
  return [...t.key.keys()].filter((i) => (!view.state || t.state[i] === view.state) && (!view.arm || t.arm[i] === view.arm)
    && (!words.length || words.every((word) => text(i).toLowerCase().includes(word))));
}
function applyFilter(trials) {
  const t = data.sources.trials, top = Number(view.top) || Infinity;
  const keys = new Set(trials.flatMap((i) => [t.key[i], t.arm[i]]));
  const isKept = (rows, i) => (!rows.key || !isFiltered() || keys.has(rows.key[i]) || rows.key[i] === "");
  for (const [name, rows] of Object.entries(data.sources)) {
    const isCurve = ["seeds", "means", "bands", "best"].includes(name);
    const booleans = Array.from(Object.values(rows)[0], (_, i) => isKept(rows, i) && (!isCurve || rows.rank[i] < top)
      && (name !== "pareto" || rows.cost[i] === view.cost) && (name !== "confusion" || rows.which[i] === view.matrix));
    for (const filter of named(`${name} shown`)) filter.booleans = booleans;
    if (name === "seeds") for (const line of named("seeds", "GlyphRenderer"))
      line.visible = view.lines === "all" || (view.lines === "auto" && booleans.filter(Boolean).length <= MAX_LINES);
  }
  byId("shown").textContent = `${trials.length} of ${t.key.length} trials`;
}

// The figures.
function fillFigures() {
  for (const [name, rows] of Object.entries(data.sources)) {
    const dash = rows.style?.map((style) => DASHES[Math.floor(Number(style) / config.light.length)] ?? "solid");
    for (const source of named(name, "ColumnDataSource")) source.data = dash ? {...rows, dash} : rows;
    for (const section of document.querySelectorAll(`[data-source="${name}"]`)) section.hidden = !Object.values(rows)[0].length;
    for (const range of named(name, "FactorRange")) range.factors = [...new Set(rows[range.tags[0]])].reverse();
    for (const range of named(name, "FactorRange")) if (range.tags[1]) named(name, "Figure")[0].height = 90 + 22 * range.factors.length;
  }
  for (const name of ["bands", "seeds", "means"]) for (const line of named(name, "GlyphRenderer")) line.glyph.xs = {field: view.x};
  for (const line of named("best", "GlyphRenderer")) line.glyph.xs = {field: view.clock};
  const label = {curves: view.x === "epochs" ? "epoch" : "seconds of the trial", best: AXES[view.clock], pareto: view.cost};
  for (const [name, text] of Object.entries(label)) named(name, "Figure")[0].below[0].axis_label = text;
}
function setColours() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches;
  const [ink, lines] = ["--muted", "--grid"].map((name) => getComputedStyle(document.body).getPropertyValue(name).trim());
  const palette = isDark ? config.dark : config.light;
  for (const mapper of named("arm colours")) mapper.palette = mapper.factors.map((_, i) => palette[i % palette.length]);
  for (const figure of config.figures.flatMap((name) => named(name, "Figure"))) {
    for (const axis of [...figure.below, ...figure.left]) Object.assign(axis, {major_label_text_color: ink, axis_label_text_color: ink});
    for (const part of figure.center) if (part.type === "Grid") part.grid_line_color = lines;
  }
  for (const text of named("text")) text.glyph.text_color = {value: ink};
}

// The tables; a row is {key, arm, cells, values}.
function compared(x, y) {
  const isEmpty = (value) => value === null || value === "";
  return isEmpty(x) || isEmpty(y) ? isEmpty(x) - isEmpty(y) : x < y ? -1 : Number(x > y);
}
function table(id, columns, rows) {
  const [by, down] = view[`${id}_by`].split(":"), at = columns.findIndex((column) => column.name === by);
  if (at >= 0) rows = [...rows].sort((a, b) => compared(a.values[at], b.values[at]));
  if (at >= 0 && down) rows = [...rows.filter((row) => row.values[at] !== null).reverse(), ...rows.filter((row) => row.values[at] === null)];
  const chosen = view[`${id}_columns`].split(",").filter(Boolean), isWide = innerWidth > NARROW;
  const places = [...columns.keys()].filter((i) => chosen.length ? chosen.includes(columns[i].name) : columns[i][isWide ? "shown" : "narrow"]);
  const kind = (i) => columns[i].is_text ? "text" : "number";
  const head = places.map((i) => element("th", {scope: "col", className: kind(i), ariaSort: i !== at ? "none" : down ? "descending" : "ascending"},
    element("button", {type: "button", onclick: () => set({[`${id}_by`]: i !== at ? columns[i].name : down ? "" : `${by}:down`})}, columns[i].heading)));
  const mark = (row) => element("span", {className: "mark", style: `background: var(--arm-${data.styles[row.arm] % config.light.length})`});
  const body = rows.slice(0, MAX_ROWS).map((row) => element("tr", {className: row.key === view.key ? "selected" : "", onclick: () => select(row.key)},
    ...places.map((i) => element("td", {className: kind(i)}, ...(columns[i].name === "arm" ? [mark(row)] : []), row.cells[i]))));
  byId(id).replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  byId(`${id}-more`).textContent = rows.length > MAX_ROWS ? `${rows.length - MAX_ROWS} more rows: sort or filter to see them.` : "";
  const choose = (column) => set({[`${id}_columns`]: columns.filter((c, i) => (c === column) !== places.includes(i)).map((c) => c.name).join(",")});
  byId(`${id}-columns`).replaceChildren(...columns.map((column, i) => element("label", {},
    element("input", {type: "checkbox", checked: places.includes(i), onchange: () => choose(column)}), ` ${column.heading}`)));
}
function fillTables(trials) {
  const t = data.sources.trials, arms = new Set(trials.map((i) => t.arm[i]));
  const rows = data.arms.rows.filter((row) => !isFiltered() || arms.has(row.arm));
  table("arms", data.arms.columns, rows.map((row) => ({...row, key: row.arm})));
  table("trials", data.trial_columns, trials.map((i) => {
    const values = data.trial_columns.map(({name}) => t[name][i]);
    return {key: t.key[i], arm: t.arm[i], values, cells: values.map(shownText)};
  }));
}

// The selection: a trial or an arm, in all views.
const select = (key) => set({key: view.key === key ? "" : key});
function showSelection() {
  const t = data.sources.trials, place = t.key.indexOf(view.key), arm = place < 0 ? view.key : t.arm[place];
  isSelecting = true;
  for (const [name, rows] of Object.entries(data.sources)) if (rows.key) {
    const column = rows.key.includes(view.key) ? rows.key : rows.arm;
    const indices = view.key ? column.flatMap((key, i) => key === view.key || key === arm ? [i] : []) : [];
    for (const source of named(name, "ColumnDataSource")) source.selected.indices = indices;
  }
  isSelecting = false;
  byId("trial").hidden = place < 0;
  if (place >= 0) showTrial(place);
}
function grid(caption, head, rows) {
  const cells = (row, tag) => element("tr", {}, ...row.map((cell) => element(tag, {}, shownText(cell))));
  return element("table", {}, element("caption", {}, caption), element("thead", {}, cells(head, "th")), element("tbody", {}, ...rows.map((row) => cells(row, "td"))));
}
async function showTrial(i) {
  const t = data.sources.trials, id = t.key[i], isOpen = ["running", "waiting"].includes(t.state[i]);
  if (config.live && (isOpen || !data.details[id])) data.details[id] = await ask(`trial?${config.query}&id=${id}`) ?? data.details[id];
  if (view.key !== id) return;
  const more = data.details[id], parts = [element("h2", {}, `${t.arm[i]}, seed ${t.seed[i]}`)];
  parts.push(element("p", {}, [`trial ${id}`, t.state[i], `epoch ${t.epoch[i]} of ${t.epochs[i]}`, t.reason[i]].filter(Boolean).join(" · ")));
  if (config.live && isOpen) parts.push(element("button", {type: "button", id: "stop-trial", onclick: () => request({action: "stop_trial", trial_id: id})}, "Stop this trial"));
  if (more) {
    const attempt = (a) => [a.attempt, a.outcome, a.epochs, a.seconds, a.host, a.error || a.reason];
    parts.push(grid("Attempts", ["attempt", "end", "epochs", "seconds", "host", "reason"], more.attempts.map(attempt)));
    if (more.layers) parts.push(grid(`Layers after epoch ${more.layers.epoch}`, config.layers, more.layers.rows));
    parts.push(grid("Configuration", ["key", "this trial", "the leader"], more.config));
    for (const row of parts.at(-1).tBodies[0].rows) row.className = row.cells[1].textContent === row.cells[2].textContent ? "quiet" : "differs";
    for (const [title, text] of [["Error", more.traceback], ["Log", more.log]])
      if (text) parts.push(element("details", {open: title === "Error"}, element("summary", {}, title), element("pre", {}, text)));
  } else parts.push(element("p", {}, `layersweep records show ${data.sweep} ${id}`));
  byId("trial").replaceChildren(...parts);
}

// The state of the page is in its address.
function set(change) {
  Object.assign(view, change);
  const changed = Object.entries(view).filter(([name, value]) => value !== DEFAULTS[name]);
  history.replaceState(null, "", `${location.pathname}${location.search}#${new URLSearchParams(changed)}`);
  render();
}
function options(name, values, texts = values) {
  const select = byId("controls").elements[name] ?? document.querySelector(`select[name=${name}]`);
  select.replaceChildren(...values.map((value, i) => element("option", {value}, texts[i])));
  if (!values.includes(view[name])) view[name] = values[0] ?? "";
}
function render() {
  const {trials, pareto, confusion} = data.sources, choices = (column, all) => [...(all ? [""] : []), ...new Set(column)];
  options("state", choices(trials.state, true), ["all states", ...new Set(trials.state)]);
  options("arm", choices(trials.arm, true), ["all arms", ...new Set(trials.arm)]);
  options("cost", choices(pareto.cost)), options("matrix", choices(confusion.which));
  for (const input of document.querySelectorAll("[name]")) if (input.name in view && input !== document.activeElement) input.value = view[input.name];
  const shown = shownTrials();
  fillFigures(), applyFilter(shown), fillTables(shown), showSelection();
  for (const part of document.querySelectorAll("[data-text]")) part.textContent = part.dataset.text.split(".").reduce((value, name) => value?.[name], data) ?? "";
  byId("notes").replaceChildren(...[...data.cautions, ...data.notes].map((text) => element("li", {}, text)));
}

// While a sweep runs: what has changed, and requests to it.
async function ask(path, init) {
  try {
    const response = await fetch(path, init);
    const answer = await response.json();
    byId("connection").textContent = response.ok ? "" : answer.error;
    return response.ok ? answer : null;
  } catch { byId("connection").textContent = "The server has ended or cannot be reached: this is what it sent last."; return null; }
}
async function request(action) {
  const headers = {"Content-Type": "application/json", "X-Layersweep": "1"}, body = JSON.stringify({sweep: data.sweep, ...action});
  const answer = await ask("request", {method: "POST", headers, body});
  if (answer) byId("connection").textContent = answer.sentence;
}
function changedRows(rows, {columns, rows: fresh, keys = rows.key}) {
  if (columns) return columns;
  const old = new Map(rows.key.map((key, i) => [key, i])), now = new Map(fresh.key.map((key, i) => [key, i]));
  return Object.fromEntries(Object.keys(fresh).map((name) => [name, keys.map((key) => now.has(key) ? fresh[name][now.get(key)] : rows[name][old.get(key)])]));
}
async function poll() {
  const news = await ask(`updates?${config.query}&since=${config.version}`);
  if (news?.reload) return location.reload();
  if (news && news.version !== config.version) {
    const {sources = {}, details = {}, version, ...texts} = news;
    for (const [name, part] of Object.entries(sources)) data.sources[name] = changedRows(data.sources[name], part);
    Object.assign(data.details, details), Object.assign(data, texts), config.version = version;
    render();
  }
  setTimeout(poll, document.hidden ? 5 * POLL_MS : POLL_MS);
}
async function start() {
  await Promise.all(parsed("figures").map((item) => Bokeh.embed.embed_item(item)));
  for (const doc of Bokeh.documents) for (const model of doc._all_models.values()) if (model.name) models.set(model.name, [...named(model.name), model]);
  for (const [name, rows] of Object.entries(data.sources)) if (rows.key) for (const source of named(name, "ColumnDataSource"))
    source.selected.properties.indices.change.connect(() => { if (!isSelecting) set({key: data.sources[name].key[source.selected.indices[0]] ?? ""}); });
  for (const input of document.querySelectorAll("[name]")) input.addEventListener("input", () => set({[input.name]: input.value}));
  for (const button of document.querySelectorAll("[data-action]")) button.addEventListener("click", () => request(JSON.parse(button.dataset.action)));
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", setColours);
  setColours(), render();
  if (config.live) poll();
}
start();
