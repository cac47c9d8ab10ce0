"use strict";
/* The page is whole without this: it adds the theme's button, and figures under the pointer. */
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
addEventListener("beforeprint", () => { root.dataset.was = root.dataset.theme || ""; root.dataset.theme = "light"; });
addEventListener("afterprint", () => { if (root.dataset.was) root.dataset.theme = root.dataset.was; else delete root.dataset.theme; });

const LEFT = 48, RIGHT = 12, TOP = 22, BOTTOM = 34;
for (const svg of document.querySelectorAll("svg[data-by]")) {
  const figure = svg.closest("figure"), table = figure.querySelector("table"), cursor = svg.querySelector(".cursor");
  const at = table.dataset.at.split(" ").map(Number), rows = [...table.tBodies[0].rows];
  const shown = [figure.querySelector(".at"), ...figure.querySelectorAll("i > b")];
  const { width, height } = svg.viewBox.baseVal, across = svg.dataset.by === "x";
  const scale = svg.dataset.log ? Math.log10 : value => value;
  const low = scale(Number(svg.dataset.low)), high = scale(Number(svg.dataset.high));
  const places = at.map(value => across
    ? LEFT + (scale(value) - low) / (high - low) * (width - LEFT - RIGHT)
    : height - BOTTOM - (scale(value) - low) / (high - low) * (height - TOP - BOTTOM));
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const here = across ? (event.clientX - box.left) / box.width * width : (event.clientY - box.top) / box.height * height;
    let near = 0;
    places.forEach((place, n) => { if (Math.abs(place - here) < Math.abs(places[near] - here)) near = n; });
    [...rows[near].cells].forEach((cell, n) => { if (shown[n]) shown[n].textContent = cell.textContent; });
    const ends = across ? { x1: places[near], x2: places[near], y1: TOP, y2: height - BOTTOM } : { x1: LEFT, x2: width - RIGHT, y1: places[near], y2: places[near] };
    for (const [name, value] of Object.entries(ends)) cursor.setAttribute(name, value);
    cursor.removeAttribute("hidden");
  });
  svg.addEventListener("pointerleave", () => { shown.forEach(one => { one.textContent = ""; }); cursor.setAttribute("hidden", ""); });
}
