"use strict";
// Cost to the right, downtime up, one colour per arm; drawn at the width it is shown in.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const color = (arm) => data.colors[arm] || "#888888";
const box = document.getElementById("plot");

function node(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}

function ticks(low, high, count) {
  const raw = (high - low) / count || 1, power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw), found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) found.push(Number(v.toPrecision(10)));
  return found;
}

function draw() {
  const width = Math.max(box.clientWidth, 260), height = 420, left = 66, right = width - 16, top = 16, bottom = height - 44;
  box.replaceChildren();
  const svg = node(box, "svg", { height, width, viewBox: `0 0 ${width} ${height}`, role: "img" });
  const costs = data.points.map((p) => p.pod_hours), most = Math.max(...data.points.map((p) => p.downtime_s), 1);
  const low = Math.min(...costs) * 0.97, high = Math.max(...costs) * 1.03;
  const x = (v) => left + ((v - low) / (high - low || 1)) * (right - left);
  const y = (v) => bottom - (v / (1.05 * most)) * (bottom - top);
  for (const v of ticks(low, high, width / 110)) {
    node(svg, "line", { x1: x(v), x2: x(v), y1: top, y2: bottom, stroke: "var(--grid)" });
    node(svg, "text", { x: x(v), y: bottom + 17, "text-anchor": "middle" }, v.toLocaleString("en"));
  }
  for (const v of ticks(0, most, 6)) {
    node(svg, "line", { x1: left, x2: right, y1: y(v), y2: y(v), stroke: "var(--grid)" });
    node(svg, "text", { x: left - 7, y: y(v) + 4, "text-anchor": "end" }, v.toLocaleString("en") + " s");
  }
  node(svg, "text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, "pod-hours");
  node(svg, "text", { x: left + 6, y: top + 12 }, "downtime");
  for (const [arm, points] of Object.entries(data.frontiers)) {
    const path = points.map((p) => x(p.pod_hours).toFixed(1) + " " + y(p.harm).toFixed(1)).join("L");
    node(svg, "path", { d: "M" + path, fill: "none", stroke: color(arm), "stroke-width": 2 });
  }
  for (const p of data.points) {
    const dot = node(svg, "circle", { cx: x(p.pod_hours), cy: y(p.downtime_s), r: 5, fill: color(p.arm), "fill-opacity": 0.75, tabindex: 0 });
    const text = `${p.arm}, ${p.knob} = ${p.value}: ${p.downtime_s.toFixed(0)} s down at ${p.pod_hours.toFixed(1)} pod-hours`;
    node(dot, "title", {}, text);
    const read = () => { document.getElementById("readout").textContent = text; };
    dot.addEventListener("pointerenter", read);
    dot.addEventListener("focus", read);
  }
}

const legend = document.getElementById("legend");
for (const arm of Object.keys(data.frontiers)) {
  const item = document.createElement("span"), dot = document.createElement("i");
  dot.className = "dot";
  dot.style.background = color(arm);
  item.style.marginRight = "14px";
  item.append(dot, arm);
  legend.append(item);
}
if (data.points.length) draw();
addEventListener("resize", draw);
