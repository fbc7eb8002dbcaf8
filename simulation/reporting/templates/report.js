"use strict";
// Charts are drawn at the width they are shown in, so that text has its true size on every screen.
const data = JSON.parse(document.getElementById("data").textContent);
const shown = new Set(data.shown);
const zoom = { from: 0, to: data.duration_s };
let cursor = null;

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 66, right: 10, top: 8, bottom: 22 };
const color = (arm) => data.colors[arm] || "#888888";
const arms = () => data.arms.filter((a) => shown.has(a.arm));

function clock(t, seconds) {
  const all = Math.round(data.start_s + t), day = Math.floor(all / 86400), s = ((all % 86400) + 86400) % 86400;
  const two = (n) => String(n).padStart(2, "0");
  const text = two(Math.floor(s / 3600)) + ":" + two(Math.floor(s / 60) % 60) + (seconds ? ":" + two(s % 60) : "");
  return data.duration_s > 86400 ? "day " + (day + 1) + " " + text : text;
}

function node(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function niceStep(span, count, steps) {
  const raw = span / count;
  if (steps) return steps.find((s) => s >= raw) || Math.ceil(raw / 86400) * 86400;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return value.toLocaleString("en", { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2 });
}

// --- one chart: scales, grid, faults, series ------------------------------------------------------------------------

function frame(figure, height, y) {
  const width = Math.max(figure.clientWidth, 240);
  figure.replaceChildren();
  const readout = document.createElement("div");
  readout.className = "readout";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("height", height);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  figure.append(readout, svg);
  const inner = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const x = (t) => inner.left + ((t - zoom.from) / (zoom.to - zoom.from)) * (inner.right - inner.left);
  const clip = "c" + Math.random().toString(36).slice(2);
  const path = node(node(svg, "clipPath", { id: clip }), "rect", {
    x: inner.left, y: 0, width: inner.right - inner.left, height,
  });
  void path;
  const plot = { svg, readout, inner, x, y: y && y(inner), clip: `url(#${clip})`, width, height };
  timeAxis(plot);
  return plot;
}

const TIME_STEPS = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

function timeAxis(plot) {
  const { svg, inner, x } = plot;
  const step = niceStep(zoom.to - zoom.from, (inner.right - inner.left) / 75, TIME_STEPS);
  const offset = data.start_s % step;
  for (let t = Math.ceil((zoom.from + offset) / step) * step - offset; t <= zoom.to; t += step) {
    node(svg, "line", { x1: x(t), x2: x(t), y1: inner.top, y2: inner.bottom, stroke: "var(--grid)" });
    const anchor = x(t) > inner.right - 22 ? "end" : "middle";
    node(svg, "text", { x: x(t), y: inner.bottom + 16, "text-anchor": anchor }, clock(t, step < 60));
  }
}

function faultShades(plot) {
  const group = node(plot.svg, "g", { "clip-path": plot.clip });
  for (const f of data.faults) {
    node(group, "rect", {
      x: plot.x(f.start), width: Math.max(plot.x(f.end) - plot.x(f.start), 1),
      y: plot.inner.top, height: plot.inner.bottom - plot.inner.top, fill: "var(--shade)",
    });
  }
}

function linear(low, high) {
  return (inner) => {
    const step = niceStep(high - low || 1, 4), ticks = [];
    const top = Math.max(Math.ceil(high / step) * step, low + step);
    for (let v = low; v <= top + step / 2; v += step) ticks.push(Number(v.toPrecision(10)));
    const at = (v) => inner.bottom - ((v - low) / (top - low)) * (inner.bottom - inner.top);
    return Object.assign(at, { ticks });
  };
}

function logarithmic(low, high) {
  return (inner) => {
    const a = Math.floor(Math.log10(low)), b = Math.max(Math.ceil(Math.log10(high)), a + 1), ticks = [];
    for (let p = a; p <= b; p++) ticks.push(Math.pow(10, p));
    const at = (v) => inner.bottom - ((Math.log10(Math.max(v, low)) - a) / (b - a)) * (inner.bottom - inner.top);
    return Object.assign(at, { ticks });
  };
}

function valueAxis(plot, unit) {
  for (const tick of plot.y.ticks) {
    node(plot.svg, "line", { x1: plot.inner.left, x2: plot.inner.right, y1: plot.y(tick), y2: plot.y(tick), stroke: "var(--grid)" });
    node(plot.svg, "text", { x: plot.inner.left - 7, y: plot.y(tick) + 4, "text-anchor": "end" }, tickText(tick, unit));
  }
}

const tickText = (tick, unit) => (unit === " ms" && tick >= 1000 ? number(tick / 1000) + " s" : number(tick) + unit);

function line(plot, values, step, attributes) {
  let path = "", open = false;
  const first = Math.max(Math.floor(zoom.from / step) - 1, 0), last = Math.min(Math.ceil(zoom.to / step) + 1, values.length);
  for (let i = first; i < last; i++) {
    if (values[i] === null) { open = false; continue; }
    path += (open ? "L" : "M") + plot.x((i + 0.5) * step).toFixed(1) + " " + plot.y(values[i]).toFixed(1);
    open = true;
  }
  const base = { d: path, fill: "none", "stroke-width": 1.8, "stroke-linejoin": "round", "clip-path": plot.clip };
  node(plot.svg, "path", Object.assign(base, attributes));
}

const visible = (values, step) => values.slice(Math.floor(zoom.from / step), Math.ceil(zoom.to / step)).filter((v) => v !== null);
const highest = (lists) => lists.reduce((top, list) => list.reduce((a, b) => Math.max(a, b), top), 0);
const at = (values, step, t) => values[Math.min(Math.max(Math.floor(t / step), 0), values.length - 1)];

// --- the charts -----------------------------------------------------------------------------------------------------

function lines(figure, pick, options) {
  const top = Math.max(highest(arms().map((a) => visible(pick(a), a.step_s))), options.least || 1);
  const scale = options.log ? logarithmic(options.log, top) : linear(0, top);
  const plot = frame(figure, options.height || 190, scale);
  faultShades(plot);
  valueAxis(plot, options.unit);
  if (options.limit) {
    node(plot.svg, "line", {
      x1: plot.inner.left, x2: plot.inner.right, y1: plot.y(options.limit), y2: plot.y(options.limit),
      stroke: "var(--bad)", "stroke-dasharray": "5 4", "clip-path": plot.clip,
    });
    node(plot.svg, "text", { x: plot.inner.right, y: plot.y(options.limit) - 5, "text-anchor": "end" }, "SLO");
  }
  for (const a of arms()) {
    if (options.second) line(plot, options.second(a), a.step_s, { stroke: color(a.arm), "stroke-dasharray": "2 3", "stroke-width": 1 });
    line(plot, pick(a), a.step_s, { stroke: color(a.arm) });
  }
  return finish(plot, (t) => arms().map((a) => [a.arm, number(at(pick(a), a.step_s, t)) + options.unit, color(a.arm)]));
}

function demandChart(figure) {
  const foreseer = arms().find((a) => a.forecasts.length && a.arm === "foresail") || arms().find((a) => a.forecasts.length);
  const any = arms()[0] || data.arms[0];
  const fans = foreseer ? chosenFans(foreseer.forecasts) : [];
  const tops = fans.map((f) => f.high.filter((v, i) => v !== null && f.t[i] >= zoom.from && f.t[i] <= zoom.to));
  const actual = visible(any.demand_rps, any.step_s);
  const plot = frame(figure, 230, linear(0, Math.min(highest([actual, ...tops]), 2.5 * highest([actual]) || 1)));
  faultShades(plot);
  valueAxis(plot, "");
  for (const fan of fans) drawFan(plot, fan);
  line(plot, any.demand_rps, any.step_s, { stroke: "var(--ink)", "stroke-width": 1.6 });
  document.getElementById("fan-note").textContent = foreseer
    ? `Line: requests per second that came. Blue: what ${foreseer.arm} (${foreseer.model}) expected, from the moment of each forecast: middle and 90 % band.` +
      (cursor === null ? "" : " Under the cursor: the forecast issued then.")
    : "Requests per second that came. None of the arms shown forecasts demand.";
  return finish(plot, (t) => {
    const rows = [["came", number(at(any.demand_rps, any.step_s, t)) + "/s", "var(--ink)"]];
    const fan = foreseer && fans.find((f) => t >= f.at_s && t <= f.t[f.t.length - 1]);
    if (fan) {
      const i = fan.t.reduce((best, v, k) => (Math.abs(v - t) < Math.abs(fan.t[best] - t) ? k : best), 0);
      rows.push([`forecast at ${clock(fan.at_s, true)}`, `${number(fan.mid[i])}/s (${number(fan.low[i])} to ${number(fan.high[i])})`, "#2f7ed8"]);
    }
    return rows;
  });
}

// Fans that do not overlap; with a cursor, the one issued last before it.
function chosenFans(all) {
  if (cursor !== null) {
    const issued = all.filter((f) => f.at_s <= cursor);
    return issued.length ? [issued[issued.length - 1]] : [];
  }
  const kept = [];
  for (const fan of all) {
    const last = kept[kept.length - 1];
    const gap = Math.max((zoom.to - zoom.from) / 8, 60);
    if (!last || fan.at_s - last.at_s >= Math.min(gap, last.t[last.t.length - 1] - last.at_s)) kept.push(fan);
  }
  return kept;
}

function drawFan(plot, fan) {
  const cut = cursor === null ? nextFanStart(plot, fan) : Infinity;
  const keep = fan.t.map((t, i) => i).filter((i) => fan.mid[i] !== null && fan.t[i] <= cut);
  if (!keep.length) return;
  const p = (i, v) => plot.x(fan.t[i]).toFixed(1) + " " + plot.y(v[i]).toFixed(1);
  const there = keep.map((i) => p(i, fan.high)), back = keep.slice().reverse().map((i) => p(i, fan.low));
  node(plot.svg, "path", { d: "M" + there.concat(back).join("L") + "Z", fill: "var(--band)", "clip-path": plot.clip });
  node(plot.svg, "path", {
    d: "M" + keep.map((i) => p(i, fan.mid)).join("L"), fill: "none", stroke: "#2f7ed8", "stroke-width": 1.4,
    "stroke-dasharray": "4 3", "clip-path": plot.clip,
  });
}

function nextFanStart(plot, fan) {
  const step = Math.max((zoom.to - zoom.from) / 8, 60);
  return fan.at_s + step;
}

function downChart(figure) {
  const rows = arms(), lanes = faultLanes();
  const phone = figure.clientWidth < 560, lane = 18, row = phone ? 30 : 22;
  const height = MARGIN.top + lanes.length * lane + 6 + rows.length * row + MARGIN.bottom;
  const plot = frame(figure, height);
  const group = node(plot.svg, "g", { "clip-path": plot.clip });
  const shadeTop = plot.inner.top + lanes.length * lane + 6;
  lanes.forEach((lane_, i) => lane_.forEach((f) => {
    const x = plot.x(f.start), width = Math.max(plot.x(f.end) - x, 3), y = plot.inner.top + i * lane;
    node(group, "rect", { x, y, width, height: lane - 4, rx: 2, fill: "var(--shade)", stroke: "var(--shade-edge)" });
    node(group, "rect", { x, y: shadeTop, width, height: plot.inner.bottom - shadeTop, fill: "var(--shade)" });
    const late = x > plot.inner.right - 7 * f.label.length;
    const label = late ? { x: plot.inner.right - 4, "text-anchor": "end" } : { x: Math.max(x, plot.inner.left) + 4 };
    node(group, "text", Object.assign(label, { y: y + 11, class: "strong" }), f.label);
  }));
  rows.forEach((a, i) => {
    const y = shadeTop + i * row;
    const base = phone ? y + row - 3 : y + row - 6;
    node(plot.svg, "line", { x1: plot.inner.left, x2: plot.inner.right, y1: base, y2: base, stroke: color(a.arm), "stroke-width": 2 });
    const seconds = a.down.reduce((sum, d) => sum + d[1] - d[0], 0);
    const label = `${a.arm}: ${number(seconds)} s`;
    node(plot.svg, "text", { x: plot.inner.left + 4, y: y + 12, class: "strong" }, label);
    for (const [from, to] of a.down) {
      node(plot.svg, "rect", {
        x: plot.x(from), width: Math.max(plot.x(to) - plot.x(from), 1.5), y: base - 9, height: 9,
        fill: "var(--bad)", "clip-path": plot.clip,
      });
    }
  });
  return finish(plot, (t) => rows.map((a) => [a.arm, a.down.some((d) => t >= d[0] && t < d[1]) ? "down" : "up", color(a.arm)])
    .concat(data.faults.filter((f) => t >= f.start && t < f.end).map((f) => ["fault", f.label, "var(--soft)"])));
}

// Faults in as few rows as fit without overlap; a label needs room of its own.
function faultLanes() {
  const lanes = [], room = 0.22 * (zoom.to - zoom.from);
  for (const f of [...data.faults].sort((a, b) => a.start - b.start)) {
    if (f.end < zoom.from || f.start > zoom.to) continue;
    const free = lanes.find((lane) => Math.max(lane[lane.length - 1].end, lane[lane.length - 1].start + room) <= f.start);
    if (free) free.push(f); else lanes.push([f]);
  }
  return lanes;
}

// --- cursor and zoom, shared by all charts --------------------------------------------------------------------------

const plots = new Map();

function finish(plot, read) {
  const mark = node(plot.svg, "line", { y1: plot.inner.top, y2: plot.inner.bottom, stroke: "var(--soft)", visibility: "hidden" });
  const brush = node(plot.svg, "rect", { y: plot.inner.top, height: plot.inner.bottom - plot.inner.top, fill: "var(--shade-edge)", visibility: "hidden" });
  const timeOf = (event) => {
    const box = plot.svg.getBoundingClientRect();
    const share = ((event.clientX - box.left) * (plot.width / box.width) - plot.inner.left) / (plot.inner.right - plot.inner.left);
    return zoom.from + Math.min(Math.max(share, 0), 1) * (zoom.to - zoom.from);
  };
  let grabbed = null;
  plot.svg.addEventListener("pointerdown", (e) => { if (e.pointerType === "mouse") { grabbed = timeOf(e); plot.svg.setPointerCapture(e.pointerId); } });
  plot.svg.addEventListener("pointermove", (e) => {
    const t = timeOf(e);
    if (grabbed !== null) {
      brush.setAttribute("visibility", "visible");
      brush.setAttribute("x", plot.x(Math.min(grabbed, t)));
      brush.setAttribute("width", Math.abs(plot.x(t) - plot.x(grabbed)));
    }
    moveCursor(t);
  });
  plot.svg.addEventListener("pointerup", (e) => {
    const from = grabbed, to = timeOf(e);
    grabbed = null;
    if (from !== null && Math.abs(plot.x(to) - plot.x(from)) > 8) zoomTo(Math.min(from, to), Math.max(from, to));
  });
  plot.svg.addEventListener("pointerleave", () => { if (grabbed === null) moveCursor(null); });
  plot.svg.addEventListener("dblclick", () => zoomTo(0, data.duration_s));
  return { plot, mark, read };
}

function zoomTo(from, to) {
  if (to - from < 30) return;
  zoom.from = from; zoom.to = to; cursor = null;
  draw();
}

function moveCursor(t) {
  cursor = t;
  for (const made of plots.values()) showCursor(made);
}

function showCursor({ plot, mark, read }) {
  const inside = cursor !== null && cursor >= zoom.from && cursor <= zoom.to;
  mark.setAttribute("visibility", inside ? "visible" : "hidden");
  plot.readout.replaceChildren();
  if (!inside) return;
  mark.setAttribute("x1", plot.x(cursor));
  mark.setAttribute("x2", plot.x(cursor));
  const say = (parts, style) => {
    const span = document.createElement("span");
    if (style) { const dot = document.createElement("i"); dot.className = "dot"; dot.style.background = style; span.append(dot); }
    const bold = document.createElement("b");
    bold.textContent = parts[1];
    span.append(parts[0] + " ", bold);
    plot.readout.append(span);
  };
  say(["at", clock(cursor, true)]);
  for (const [name, value, style] of read(cursor)) say([name, value], style);
}

// --- page -----------------------------------------------------------------------------------------------------------

const charts = {
  down: downChart,
  demand: demandChart,
  bad: (f) => lines(f, (a) => a.bad_pct, { unit: " %", least: 5 }),
  p99: (f) => lines(f, (a) => a.p99_ms, { unit: " ms", log: 10, least: 2 * data.slo_ms, limit: data.slo_ms }),
  pods: (f) => lines(f, (a) => a.pods, { unit: "", least: 4 }),
};

function draw() {
  for (const figure of document.querySelectorAll("[data-chart]")) {
    plots.set(figure, charts[figure.dataset.chart](figure));
  }
  for (const figure of document.querySelectorAll("[data-service]")) {
    const s = figure.dataset.service;
    plots.set(figure, lines(figure, (a) => a.ready[s], { unit: "", least: 2, height: 120, second: (a) => a.desired[s] }));
  }
  moveCursor(null);
}

function chip(parent, text, pressed, style, onClick) {
  const button = document.createElement("button");
  button.setAttribute("aria-pressed", pressed);
  if (style) { const dot = document.createElement("i"); dot.className = "dot"; dot.style.background = style; button.append(dot); }
  button.append(text);
  button.addEventListener("click", onClick);
  parent.append(button);
}

function armChips() {
  const bar = document.getElementById("arms");
  bar.replaceChildren();
  for (const a of data.arms) {
    chip(bar, a.arm, shown.has(a.arm), color(a.arm), () => {
      if (shown.has(a.arm) && shown.size > 1) shown.delete(a.arm); else shown.add(a.arm);
      armChips();
      draw();
    });
  }
}

const KINDS = [
  ["acts", "Acts", (e) => e.kind === "act" || e.kind === "withheld"],
  ["disruptive", "Disruptive", (e) => e.disruptive],
  ["resizes", "Autoscaler", (e) => e.kind === "resize"],
  ["renewals", "Renewals", (e) => e.kind === "renewal"],
  ["vetoes", "Held back", (e) => e.kind === "veto"],
  ["all", "All", () => true],
];
const listed = { arm: null, kind: null };

function eventList() {
  const owners = document.getElementById("event-arms"), kinds = document.getElementById("event-kinds");
  owners.replaceChildren();
  kinds.replaceChildren();
  for (const a of data.arms) chip(owners, a.arm, a.arm === listed.arm, color(a.arm), () => { listed.arm = a.arm; listed.kind = null; eventList(); });
  const view = data.arms.find((a) => a.arm === listed.arm);
  const counts = KINDS.map(([key, , test]) => [key, view.events.filter(test).length]);
  listed.kind = listed.kind || (counts.find(([, count]) => count > 0) || ["all"])[0];
  KINDS.forEach(([key, label], i) => chip(kinds, `${label} ${counts[i][1]}`, key === listed.kind, null, () => { listed.kind = key; eventList(); }));
  const box = document.getElementById("events");
  box.replaceChildren();
  const test = KINDS.find(([key]) => key === listed.kind)[2];
  for (const e of view.events.filter(test)) box.append(eventRow(e));
  if (!box.childElementCount) box.append(Object.assign(document.createElement("p"), { className: "empty", textContent: "Nothing of this kind happened." }));
  if (view.events_left_out) box.append(Object.assign(document.createElement("p"), { className: "empty", textContent: `${view.events_left_out} more are in decisions.jsonl.` }));
}

function eventRow(e) {
  const row = document.createElement("div");
  row.className = "event";
  const time = Object.assign(document.createElement("time"), { textContent: e.clock });
  const what = Object.assign(document.createElement("span"), { className: "what", textContent: e.workload });
  const why = document.createElement("p");
  why.style.margin = "0";
  const tags = [];
  if (e.disruptive) tags.push(["disruptive", "disruptive"]);
  if (e.fast) tags.push(["fast lane", ""]);
  if (e.kind === "veto") tags.push(["held back", ""]);
  if (e.kind === "withheld") tags.push(["not done: mode", ""]);
  for (const [text, extra] of tags) why.append(Object.assign(document.createElement("span"), { className: "tag " + extra, textContent: text }));
  why.append(e.sentence);
  row.append(time, what, why);
  return row;
}

const replicas = document.getElementById("replicas");
const still = [];
for (const service of Object.keys(data.arms[0].ready)) {
  const counts = new Set(data.arms.flatMap((a) => a.ready[service].concat(a.desired[service])));
  if (counts.size === 1) { still.push(`${service} ${[...counts][0]}`); continue; }
  const holder = document.createElement("div"), figure = document.createElement("figure");
  figure.dataset.service = service;
  holder.append(Object.assign(document.createElement("h3"), { textContent: service }), figure);
  replicas.append(holder);
}
if (still.length) document.getElementById("constant").textContent = `Never changed: ${still.join(", ")}.`;
listed.arm = (data.arms.find((a) => a.arm === "foresail") || data.arms[data.arms.length - 1]).arm;
armChips();
eventList();
draw();
let drawnWidth = innerWidth;
addEventListener("resize", () => { if (innerWidth !== drawnWidth) { drawnWidth = innerWidth; draw(); } });
