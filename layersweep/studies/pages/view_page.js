// The page of a sweep: filters, selects, sorts and follows the values that layersweep/studies/pages/page_values.py makes.
"use strict";
const byId = (id) => document.getElementById(id), parsed = (id) => JSON.parse(byId(id).textContent);
const config = parsed("config"), data = parsed("values"), models = new Map();
const DEFAULTS = {state: "", arm: "", text: "", x: "epochs", clock: "epochs", top: "10", lines: "auto", key: "",
  cost: config.costs[0], matrix: config.matrices[0], arms_by: "", trials_by: "", arms_columns: "", trials_columns: ""};
const MAX_ROWS = 200, MAX_LINES = 60, NARROW = 700, POLL_MS = 2000;
const view = {...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1)))};
const named = (name, type) => (models.get(name) ?? []).filter((model) => !type || model.type === type);
const sources = (name) => named(name, "ColumnDataSource"), drawn = (name) => named(name, "GlyphRenderer");
let isSelecting = false;

function element(tag, properties, ...children) {  // a text becomes a text node, never HTML
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
function shownText(x) {
  if (typeof x !== "number" || Number.isInteger(x)) return String(x ?? "");
  return Math.abs(x) < 1e-3 ? x.toExponential(1) : x.toFixed(Math.abs(x) < 10 ? 4 : 1);
}

// The filter, for all views: a trial is shown or not, an arm is shown with one of its trials.
const isFiltered = () => Boolean(view.state || view.arm || view.text);
function shownTrials() {
  const t = data.sources.trials, words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  const texts = Object.entries(t).map(([name, column]) => [name.replace("config ", ""), column]);
  const text = (i) => texts.map(([name, column]) => `${name}=${column[i]}`).join(" ").toLowerCase();
  const isShown = (i) => (!view.state || t.state[i] === view.state) && (!view.arm || t.arm[i] === view.arm);
  const hasWords = (i) => !words.length || words.every((word) => text(i).includes(word));
  return [...t.key.keys()].filter((i) => isShown(i) && hasWords(i));
}
function applyFilter(trials) {
  const t = data.sources.trials, keys = new Set(trials.flatMap((i) => [t.key[i], t.arm[i]])), top = Number(view.top) || Infinity;
  const limits = {pareto: (rows, i) => rows.cost[i] === view.cost, confusion: (rows, i) => rows.which[i] === view.matrix};
  for (const name of ["seeds", "means", "bands", "labels", "best"]) limits[name] = (rows, i) => rows.rank[i] < top;
  for (const [name, rows] of Object.entries(data.sources)) {
    const isKept = (i) => !rows.key || !isFiltered() || keys.has(rows.key[i]) || rows.key[i] === "";
    const booleans = Array.from(Object.values(rows)[0], (_, i) => isKept(i) && (limits[name]?.(rows, i) ?? true));
    for (const filter of named(`${name} shown`)) filter.booleans = booleans;
    const isVisible = view.lines === "all" || (view.lines === "auto" && booleans.filter(Boolean).length <= MAX_LINES);
    if (name === "seeds") for (const line of drawn(name)) line.visible = isVisible;
  }
  byId("shown").textContent = `${trials.length} of ${t.key.length} trials`;
}

// The figures.
function fillFigures() {
  for (const [name, rows] of Object.entries(data.sources)) {
    const gaps = rows.ys && {ys: rows.ys.map((line) => line.map((y) => y ?? NaN))};  // Bokeh would draw null at 0
    for (const source of sources(name)) source.data = {...rows, ...gaps};
    for (const part of document.querySelectorAll(`[data-source="${name}"]`)) part.hidden = !Object.values(rows)[0].length;
    for (const range of named(name, "FactorRange")) {
      const [column, isTall, isAcross] = range.tags, factors = [...new Set(rows[column])];
      range.factors = isAcross ? factors : factors.reverse();  // the first at the left, or at the top
      if (isTall) named(name, "Figure")[0].height = 90 + 22 * range.factors.join("\n").split("\n").length;
    }
  }
  for (const name of ["bands", "seeds", "means"]) for (const line of drawn(name)) line.glyph.xs = {field: view.x};
  for (const text of drawn("labels")) text.glyph.x = {field: view.x};
  for (const line of drawn("best")) line.glyph.xs = {field: view.clock};
  const labels = {curves: config.axes[view.x], best: config.clocks[view.clock], pareto: view.cost};
  for (const [name, text] of Object.entries(labels)) named(name, "Figure")[0].below[0].axis_label = text;
}
function setColours() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches;
  const css = getComputedStyle(document.body), palette = isDark ? config.dark : config.light;
  const [ink, lines, strong] = ["--muted", "--grid", "--ink"].map((name) => css.getPropertyValue(name).trim());
  for (const legend of named("legend")) legend.label_text_color = ink;
  for (const mapper of named("arm colours")) mapper.palette = mapper.factors.map((_, i) => palette[i % palette.length]);
  for (const figure of config.figures.flatMap((name) => named(name, "Figure"))) {
    const colours = {major_label_text_color: ink, axis_label_text_color: ink}, value = figure.name === "confusion" ? strong : ink;
    for (const axis of [...figure.below, ...figure.left]) Object.assign(axis, colours);
    for (const part of figure.center) if (part.type === "Grid") part.grid_line_color = lines;
    for (const {glyph, name} of figure.renderers) if (glyph.type === "Text" && name !== "labels") glyph.text_color = {value};
  }
}

// The tables; a row is {key, arm, cells, values}.
function sorted(rows, at, isDown) {
  const isEmpty = (row) => row.values[at] === null || row.values[at] === "";
  const order = ({values: {[at]: x}}, {values: {[at]: y}}) => (x < y ? -1 : Number(x > y)) * (isDown ? -1 : 1);
  return [...rows.filter((row) => !isEmpty(row)).sort(order), ...rows.filter(isEmpty)];
}
function table(id, columns, rows) {
  const [by, isDown] = view[`${id}_by`].split(":"), at = columns.findIndex((column) => column.name === by);
  const chosen = view[`${id}_columns`].split(",").filter(Boolean), isWide = innerWidth > NARROW;
  const isChosen = (column) => chosen.length ? chosen.includes(column.name) : column[isWide ? "shown" : "narrow"];
  const places = [...columns.keys()].filter((i) => isChosen(columns[i])), kind = (i) => columns[i].is_text ? "text" : "number";
  const head = places.map((i) => {
    const sort = () => set({[`${id}_by`]: i !== at ? columns[i].name : isDown ? "" : `${by}:down`});
    const ariaSort = i !== at ? "none" : isDown ? "descending" : "ascending";
    const button = element("button", {type: "button", onclick: sort}, columns[i].heading);
    return element("th", {scope: "col", className: kind(i), ariaSort}, button);
  });
  const body = (at < 0 ? rows : sorted(rows, at, isDown)).slice(0, MAX_ROWS).map((row) => {
    const style = `background: var(--arm-${data.styles[row.arm] % config.light.length})`;
    const mark = (i) => columns[i].name === "arm" ? [element("span", {className: "mark", style})] : [];
    const cells = places.map((i) => element("td", {className: kind(i)}, ...mark(i), row.cells[i]));
    const className = view.key && [row.key, row.arm].includes(view.key) ? "selected" : "";  // also the trials of an arm
    const select = () => set({key: row.key === view.key ? "" : row.key});
    return element("tr", {className, tabIndex: 0, onclick: select, onkeydown: (e) => e.key === "Enter" && select()}, ...cells);
  });
  byId(id).replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  byId(`${id}-more`).textContent = `${Math.min(rows.length, MAX_ROWS)} of ${rows.length} rows`;
  byId(`${id}-columns`).replaceChildren(...columns.map((column, i) => {
    const names = columns.filter((_, n) => (n === i) !== places.includes(n)).map(({name}) => name).join(",");
    const box = {type: "checkbox", checked: places.includes(i), onchange: () => set({[`${id}_columns`]: names})};
    return element("label", {}, element("input", box), ` ${column.heading}`);
  }));
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

// The selection: a trial or an arm, in all views; a trial's own part of the page is HTML that Python has made.
function showSelection() {
  const t = data.sources.trials, place = t.key.indexOf(view.key), arm = place < 0 ? view.key : t.arm[place];
  isSelecting = true;
  for (const [name, rows] of Object.entries(data.sources)) if (rows.key) {
    const column = rows.key.includes(view.key) ? rows.key : rows.arm;
    const indices = view.key ? column.flatMap((key, i) => key === view.key || key === arm ? [i] : []) : [];
    for (const source of sources(name)) source.selected.indices = indices;
  }
  isSelecting = false;
  byId("trial").hidden = place < 0;
  if (place >= 0) showTrial(view.key, ["running", "waiting"].includes(t.state[place]));
}
async function showTrial(id, isOpen) {
  if (config.live && (isOpen || !data.details[id])) {
    const answer = await ask(`trial?${config.query}&id=${encodeURIComponent(id)}`);
    if (answer) data.details[id] = answer.html;
  }
  if (view.key === id) byId("trial").innerHTML = data.details[id] ?? byId("no-details").innerHTML;
  for (const button of byId("trial").querySelectorAll("button")) button.hidden = !config.live || !isOpen;
}

// What is shown is in the address; a notebook's output has none.
function set(change) {
  Object.assign(view, change);
  const changed = new URLSearchParams(Object.entries(view).filter(([name, value]) => value !== DEFAULTS[name]));
  if (location.protocol !== "about:") history.replaceState(null, "", `${config.live ? `?${config.query}` : ""}#${changed}`);
  render();
}
function render() {
  for (const input of document.querySelectorAll("[name]:not(:focus)")) input.value = view[input.name] ?? "";
  const trials = shownTrials();
  for (const step of [fillFigures, applyFilter, fillTables, showSelection]) step(trials);
  const read = (path) => path.split(".").reduce((value, name) => value?.[name], data) ?? "";
  for (const part of document.querySelectorAll("[data-text]")) part.textContent = read(part.dataset.text);
  if (config.live) byId("actions").hidden = !data.state.running;
  byId("sentences").replaceChildren(...data.sentences.map((text) => element("p", {}, text)));
  for (const name of ["cautions", "notes"]) byId(name).replaceChildren(...data[name].map((text) => element("li", {}, text)));
}

// While a sweep runs: what has changed, and requests to it.
async function ask(path, init) {
  try {
    const response = await fetch(path, init), answer = await response.json();
    byId("connection").textContent = response.ok ? answer.sentence ?? "" : answer.error;
    return response.ok ? answer : null;
  } catch {
    byId("connection").textContent = "The server has ended or cannot be reached. This page shows what it sent last.";
    return null;
  }
}
function request(action) {
  const headers = {"Content-Type": "application/json", "X-Layersweep": "1"};
  ask("request", {method: "POST", headers, body: JSON.stringify({sweep: data.sweep, ...JSON.parse(action)})});
}
function changedRows(rows, {columns, rows: fresh, keys = rows?.key}) {
  if (columns) return columns;
  const old = new Map(rows.key.map((key, i) => [key, i])), now = new Map(fresh.key.map((key, i) => [key, i]));
  const cell = (name, key) => now.has(key) ? fresh[name][now.get(key)] : rows[name][old.get(key)];
  return Object.fromEntries(Object.keys(fresh).map((name) => [name, keys.map((key) => cell(name, key))]));
}
async function poll() {
  const news = await ask(`updates?${config.query}&since=${config.version}`);
  const isNewLook = news?.provenance && JSON.stringify(news.provenance) !== JSON.stringify(data.provenance);
  if (isNewLook) return location.reload();  // what the page has as HTML is of the look before
  if (news && news.version !== config.version) {
    const {sources: parts = {}, version, ...texts} = news;
    for (const [name, part] of Object.entries(parts)) data.sources[name] = changedRows(data.sources[name], part);
    Object.assign(data, texts);
    config.version = version;
    render();
  }
  setTimeout(poll, document.hidden ? 5 * POLL_MS : POLL_MS);
}
async function start() {
  Bokeh.set_log_level("error");
  await Promise.all(parsed("figures").map((item) => Bokeh.embed.embed_item(item)));
  const all = Bokeh.documents.flatMap((doc) => [...doc._all_models.values()]).filter((model) => model.name);
  for (const model of all) models.set(model.name, [...named(model.name), model]);
  for (const [name, rows] of Object.entries(data.sources)) if (rows.key) for (const source of sources(name)) {
    const pick = () => isSelecting || set({key: data.sources[name].key[source.selected.indices[0]] ?? ""});
    source.selected.properties.indices.change.connect(pick);
  }
  for (const input of document.querySelectorAll("[name]")) input.oninput = () => set({[input.name]: input.value});
  document.addEventListener("click", ({target}) => target.dataset.action && request(target.dataset.action));
  const media = ["(prefers-color-scheme: dark)", "print"].map((query) => matchMedia(query));
  for (const query of media) query.addEventListener("change", setColours);
  setColours();
  set({});  // takes the token out of the address: the cookie has it
  document.body.dataset.ready = "yes";
  if (config.live) poll();
}
start();
