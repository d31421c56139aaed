
"use strict";
const main = document.querySelector("main"), heading = document.querySelector("h1");
const search = document.querySelector("input"), found = document.querySelector("output");
const sections = [...main.querySelectorAll("section")];
// Where each picture is, and how large.
const views = new Map(sections.map(section => [section, null]));
let current = sections[0], hits = [], at = -1, pressed = null, moved = false;

const move = () => {
  const { x, y, scale } = views.get(current);
  current.querySelector("svg").style.transform = `translate(${x}px,${y}px) scale(${scale})`;
};
const fit = () => {
  const svg = current.querySelector("svg"), box = main.getBoundingClientRect();
  const width = svg.width.baseVal.value, height = svg.height.baseVal.value;
  const scale = Math.min(1, box.width / width, box.height / height);
  views.set(current, { x: (box.width - width * scale) / 2, y: (box.height - height * scale) / 2, scale });
  move();
};
const zoom = (factor, cx, cy) => {
  const view = views.get(current), next = Math.min(8, Math.max(.05, view.scale * factor));
  view.x = cx - (cx - view.x) * next / view.scale;
  view.y = cy - (cy - view.y) * next / view.scale;
  view.scale = next;
  move();
};
const see = section => {
  current = section;
  for (const other of sections) other.hidden = other !== section;
  heading.textContent = section.dataset.title;
  if (views.get(section)) move(); else fit();
};
const follow = () => see(sections.find(section => "#" + section.id === decodeURIComponent(location.hash)) ?? sections[0]);

main.addEventListener("wheel", event => {
  event.preventDefault();
  const box = main.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
main.addEventListener("pointerdown", event => { pressed = [event.clientX, event.clientY]; moved = false; });
addEventListener("pointermove", event => {
  if (!pressed) return;
  const [dx, dy] = [event.clientX - pressed[0], event.clientY - pressed[1]];
  if (!moved && Math.hypot(dx, dy) < 4) return;
  moved = true;
  pressed = [event.clientX, event.clientY];
  const view = views.get(current);
  view.x += dx;
  view.y += dy;
  move();
});
addEventListener("pointerup", () => { pressed = null; });
// A picture that is moved follows no link.
main.addEventListener("click", event => { if (moved) event.preventDefault(); }, true);
main.addEventListener("dragstart", event => event.preventDefault());

const light = (section, own) => {
  const near = new Set(own ? [own] : []);
  for (const edge of section.querySelectorAll(".edge[data-from]")) {
    const touches = !own || edge.dataset.from === own || edge.dataset.to === own;
    edge.classList.toggle("dim", !touches);
    if (own && touches) near.add(edge.dataset.from).add(edge.dataset.to);
  }
  for (const node of section.querySelectorAll(".node")) node.classList.toggle("dim", Boolean(own) && !near.has(node.dataset.id));
};
for (const section of sections) {
  for (const node of section.querySelectorAll(".node")) {
    node.addEventListener("pointerenter", () => light(section, node.dataset.id));
    node.addEventListener("pointerleave", () => light(section, null));
  }
}

const show = node => {
  const section = node.closest("section");
  if (section !== current) { history.replaceState(null, "", "#" + section.id); see(section); }
  const box = main.getBoundingClientRect(), rect = node.querySelector("rect"), view = views.get(current);
  view.scale = Math.max(view.scale, .8);
  view.x = box.width / 2 - (rect.x.baseVal.value + rect.width.baseVal.value / 2) * view.scale;
  view.y = box.height / 2 - (rect.y.baseVal.value + rect.height.baseVal.value / 2) * view.scale;
  move();
};
search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  hits = [...main.querySelectorAll(".node")].filter(node => {
    const is = Boolean(wanted) && node.dataset.name.includes(wanted);
    node.classList.toggle("found", is);
    return is;
  });
  at = -1;
  found.textContent = wanted ? `${hits.length} found` : "";
});
search.addEventListener("keydown", event => {
  if (event.key === "Enter" && hits.length) show(hits[at = (at + 1) % hits.length]);
});
document.querySelector("#in").addEventListener("click", () => zoom(1.3, main.clientWidth / 2, main.clientHeight / 2));
document.querySelector("#out").addEventListener("click", () => zoom(1 / 1.3, main.clientWidth / 2, main.clientHeight / 2));
document.querySelector("#fit").addEventListener("click", fit);
addEventListener("resize", fit);
addEventListener("hashchange", follow);
follow();
