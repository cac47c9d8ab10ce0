"use strict";
const by = id => document.getElementById(id);
const CHARTS = [
  { title: "Requests", unit: "", lines: [["running", "running", "a"], ["waiting", "waiting", "b"]] },
  { title: "Tokens a second", unit: "", lines: [["generation_tokens_rate", "out", "a"], ["prompt_tokens_rate", "in", "b"]] },
  { title: "Time to first token", unit: "s", lines: [["ttft_p50", "p50", "a"], ["ttft_p90", "p90", "b"], ["ttft_p99", "p99", "c"]] },
  { title: "Inter-token latency", unit: "s", lines: [["itl_p50", "p50", "a"], ["itl_p90", "p90", "b"], ["itl_p99", "p99", "c"]] },
  { title: "KV cache in use", unit: "%", lines: [["kv_cache_usage", "in use", "a"]] },
  { title: "Prefix cache hits", unit: "%", lines: [["prefix_hit_share", "hits", "d"]] },
  { title: "Errors, preemptions a second", unit: "", lines: [["errors_rate", "errors", "c"], ["preemptions_rate", "preemptions", "b"]] },
  { title: "Replicas", unit: "", whole: true, lines: [["wanted", "wanted", "b"], ["ready", "ready", "a"]] },
];
const page = { columns: [], rows: [], range: 300, whose: "", state: null, points: {}, chosen: 0, key: sessionStorage.getItem("stoker-key") || "", charts: [], log: "", last: Date.now(), ahead: 0, told: "", tested: null, plays: [], drawn: -1 };
const moment = () => Date.now() / 1000 + page.ahead;  // the clock of the server, whose times the figures carry

/* figures as people read them */
function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "%") return Math.round(value * 100) + " %";
  if (unit === "s") return value < 0.001 && value > 0 ? "<1 ms" : value < 1 ? Math.round(value * 1000) + " ms" : value < 10 ? value.toFixed(2) + " s" : value.toFixed(1) + " s";
  if (value !== 0 && Math.abs(value) < 10 && value % 1) return value.toFixed(value < 1 ? 2 : 1);
  return Math.round(value).toLocaleString("en");
}
function age(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60]]) if (seconds >= size) return Math.floor(seconds / size) + unit;
  return Math.max(0, Math.floor(seconds)) + "s";
}
function clock(at) { return new Date(at * 1000).toLocaleTimeString("en-GB"); }
function of(point, name) { const n = page.columns.indexOf(name); return point && n >= 0 ? point[n] : null; }
function make(tag, text, kind) { const one = document.createElement(tag); if (text !== undefined) one.textContent = text; if (kind) one.className = kind; return one; }
function color(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }

/* charts */
function build() {
  for (const one of page.charts) one.plot.destroy();
  by("charts").replaceChildren();
  const boxes = CHARTS.filter(one => !one.whole || !page.whose).map(one => {
    const box = make("div", undefined, "chart"), head = make("h3", one.title);
    const marks = one.lines.map(([, label, hue]) => { const mark = make("i", label); mark.style.setProperty("--k", `var(--${hue})`); head.append(mark); return mark; });
    box.append(head); by("charts").append(box);
    return { one, box, marks };
  });
  page.charts = boxes.map(({ one, box, marks }) => {
    const axis = { stroke: color("dim"), grid: { stroke: color("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const plot = new uPlot({
      width: Math.max(200, box.clientWidth - 22), height: 150, legend: { show: false }, cursor: { sync: { key: "all" }, points: { size: 6 }, drag: { x: false, y: false } },
      padding: [8, 20, 0, 0],
      scales: { x: { time: true, range: () => [moment() - page.range, moment()] }, y: { range: (u, low, high) => [0, one.unit === "%" ? 1 : one.whole ? Math.max(2, high + 1) : high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, space: 52, size: 26, values: (u, ticks) => ticks.map(at => new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) }, { ...axis, size: 52, values: (u, ticks) => ticks.map(v => figure(v, one.unit)) }],
      series: [{}, ...[undefined, [5, 4]].flatMap(dash => one.lines.map(([, label, hue]) => ({ label, dash, stroke: color(hue), width: 1.6, spanGaps: false, points: { show: false }, paths: one.whole ? uPlot.paths.stepped({ align: 1 }) : undefined })))],
      hooks: { setCursor: [u => legend(u.cursor.idx)] },
    }, data(one), box);
    return { one, plot, box, marks };
  });
  legend();
}
/* what was measured, and behind it, dashed, what a simulation says */
function data(one) {
  const foreseen = page.whose ? undefined : page.plays[page.drawn];
  const table = (rows, columns) => [rows.map(row => row[0]), ...one.lines.map(([name]) => { const n = columns.indexOf(name); return rows.map(row => (row[n] === undefined ? null : row[n])); })];
  if (foreseen) return uPlot.join([table(page.rows, page.columns), table(foreseen.rows, foreseen.columns)]);
  return [...table(page.rows, page.columns), ...one.lines.map(() => page.rows.map(() => null))];
}
function near(values, at) { while (at > 0 && values[at] === undefined) at--; return values[at]; }
function legend(at) {
  const now = at === null || at === undefined, row = page.rows[page.rows.length - 1], foreseen = !page.whose && page.plays[page.drawn];
  for (const { one, marks, plot } of page.charts) one.lines.forEach(([name, label], n) => {
    const said = now ? of(row, name) : near(plot.data[n + 1], at), other = now || !foreseen ? null : near(plot.data[n + 1 + one.lines.length], at);
    marks[n].textContent = label + " " + figure(said, one.unit) + (other === null || other === undefined ? "" : " (simulated " + figure(other, one.unit) + ")");
  });
}
function draw() {
  for (const { one, plot } of page.charts) plot.setData(data(one));
  if (!page.charts.some(({ plot }) => plot.cursor.idx !== null && plot.cursor.left >= 0)) legend();
}
async function history() {
  const whose = page.whose, range = page.range;
  try {
    const found = await (await fetch(`api/history?since=${range}&replica=${encodeURIComponent(whose)}`)).json();
    if (whose !== page.whose || range !== page.range) return;
    page.columns = found.columns.filter(name => name !== "replica");
    page.rows = found.rows;
  } catch { page.rows = []; }
  build();
}

/* the page */
function tiles(point) {
  const all = [
    ["ready", page.state ? `${page.state.ready} / ${page.state.wanted}` : "–", "ready"],
    ["running", figure(of(point, "running")), "running"], ["waiting", figure(of(point, "waiting")), "waiting"],
    ["out", figure(of(point, "generation_tokens_rate")), "tokens/s out"], ["in", figure(of(point, "prompt_tokens_rate")), "tokens/s in"],
    ["ttft", figure(of(point, "ttft_p99"), "s"), "TTFT p99"], ["itl", figure(of(point, "itl_p99"), "s"), "ITL p99"],
    ["kv", figure(of(point, "kv_cache_usage"), "%"), "KV cache"], ["prefix", figure(of(point, "prefix_hit_share"), "%"), "prefix hits"],
    ["errors", figure(of(point, "errors_rate")), "errors/s"],
  ];
  if (!by("tiles").children.length) for (const [id, , label] of all) { const one = make("div", undefined, "tile"); one.dataset.tile = id; one.append(make("b"), make("span", label)); by("tiles").append(one); }
  all.forEach(([, text], n) => { by("tiles").children[n].firstChild.textContent = text; });
}
function kindOf(phase) { return phase === "Ready" ? "good" : phase === "Failed" ? "bad" : "warn"; }
function cell(row, text, kind) { row.append(make("td", text, kind)); return row.lastChild; }
function replicas(now) {
  const body = document.querySelector("#replicas tbody"), rows = [], marked = getSelection();
  // a press or a selection that has begun in the table is not taken away
  if (body.querySelector(":active") || (!marked.isCollapsed && body.contains(marked.anchorNode))) return;
  now.state.replicas.forEach((one, n) => {
    const point = now.points[one.name], row = make("tr");
    row.dataset.replica = one.name; row.className = n === page.chosen ? "on" : ""; row.setAttribute("aria-selected", String(n === page.chosen));
    cell(row, one.name);
    const silent = now.silent[one.name], phase = cell(row, "", "wide");
    phase.append(make("span", one.phase, kindOf(one.phase)), document.createTextNode(one.detail ? "  " + one.detail : ""));
    if (silent) phase.append(make("span", "  " + silent, "bad"));
    else if (one.words && one.phase !== "Ready") phase.append(make("span", "  " + one.words, "dim"));
    cell(row, age(now.at - (one.phase === "Ready" ? one.since : one.started || one.since)), "num");
    cell(row, one.on || "–");
    for (const [name, unit] of [["running", ""], ["waiting", ""], ["kv_cache_usage", "%"], ["generation_tokens_rate", ""], ["ttft_p99", "s"], ["itl_p99", "s"]]) cell(row, figure(of(point, name), unit), "num");
    cell(row, one.restarts, "num");
    const log = make("button", "Log"); log.type = "button"; log.setAttribute("aria-label", "log of replica " + one.name); log.onclick = () => openLog(one.name);
    cell(row, "").append(log);
    rows.push(row);
    if (one.ranks.length > 1) for (const rank of one.ranks) { const line = make("tr", undefined, "rank"); cell(line, "  rank " + rank.index); cell(line, rank.phase); cell(line, ""); cell(line, rank.host + (rank.pid ? " pid " + rank.pid : "")).colSpan = 9; rows.push(line); }
  });
  for (const one of now.state.services) {
    const row = make("tr", undefined, "rank"); cell(row, one.role); cell(row, one.phase + (one.detail ? "  " + one.detail : ""), kindOf(one.phase)); cell(row, "").colSpan = 8;
    cell(row, one.restarts, "num"); const log = make("button", "Log"); log.type = "button"; log.setAttribute("aria-label", "log of " + one.role); log.onclick = () => openLog(one.role); cell(row, "").append(log); rows.push(row);
  }
  if (body.contains(document.activeElement)) { const label = document.activeElement.getAttribute("aria-label"); body.replaceChildren(...rows); [...body.querySelectorAll("button")].find(b => b.getAttribute("aria-label") === label)?.focus(); }
  else body.replaceChildren(...rows);
}
function whose(now) {
  const names = ["", ...now.state.replicas.map(one => one.name)], list = by("whose");
  if (names.join() !== [...list.options].map(one => one.value).join()) {
    list.replaceChildren(...names.map(name => { const one = make("option", name ? "replica " + name : "whole fleet"); one.value = name; return one; }));
    if (!names.includes(page.whose)) { page.whose = ""; history(); }
    list.value = page.whose;
  }
}
function said(now) {
  const told = JSON.stringify([now.why, now.findings, now.busy]), lines = [];
  if (told === page.told) return;  // who has it read aloud hears it once
  page.told = told;
  if (now.why) lines.push(make("p", now.why, "bad"));
  for (const one of now.findings || []) { const p = make("p"); p.append(make("b", one.what), document.createTextNode(one.fix ? "  Fix: " + one.fix : "")); if (one.why) p.append(make("br"), make("span", one.why, "dim")); lines.push(p); }
  if (now.busy) lines.push(make("p", now.busy + " …", "warn"));
  by("said").replaceChildren(...lines);
}
function testing(test) {
  by("test").hidden = !test;
  if (!test) return;
  by("testtext").textContent = test.text;
  if (typeof test.share === "number") by("testshare").value = test.share; else by("testshare").removeAttribute("value");
}
function show(now) {
  page.last = Date.now();
  page.ahead = now.at - page.last / 1000;
  said(now);
  by("slowed").textContent = now.slowed || "";
  if (!now.state) { pill("dim", now.why || "looking"); return; }
  const state = page.state = now.state, point = now.points[""];
  page.points = now.points;
  pill(state.stopping ? "warn" : state.ready >= state.wanted && state.wanted ? "good" : state.ready ? "warn" : "bad", state.stopping ? "being taken down" : `${state.ready} of ${state.wanted} ready`);
  by("where").textContent = `${state.target} · revision ${state.revision}${state.supervised ? "" : " · nobody watches over it"}`;
  by("scaling").hidden = !state.scaling; by("scaling").textContent = state.scaling;
  tiles(point); replicas(now); whose(now); testing(now.test); played(now.tested);
  const mine = now.points[page.whose];
  if (mine && page.columns.length && !page.rows.some(row => row[0] === mine[0])) {
    while (page.rows.length && page.rows[page.rows.length - 1][0] > mine[0]) page.rows.pop();  // its clock was set back
    page.rows.push(mine);
    const from = now.at - page.range;
    while (page.rows.length && page.rows[0][0] < from) page.rows.shift();
    if (!document.hidden) draw();
  }
}
function pill(kind, text) { by("pill").className = "pill " + kind; by("pill").textContent = text; }
function happened(list) {
  const box = by("events");
  if (list.length && box.querySelector("li.dim")) box.replaceChildren();
  for (const one of list) {
    const line = make("li"); line.append(make("time", clock(one.at), "dim"));
    const text = make("span"); text.append(make("b", one.subject + " ", one.mark === "fail" ? "bad" : one.mark === "warn" ? "warn" : one.mark === "ok" ? "good" : "dim"), document.createTextNode(one.text + (one.took ? `  after ${age(one.took)}` : "")));
    line.append(text); box.prepend(line);
  }
  while (box.children.length > 300) box.lastChild.remove();
}

/* a stream carries no key: what logs said is asked for by who holds it */
async function whole(now) {
  if (!page.key) return now;
  try { const answer = await fetch("api/now", { headers: bearer() }); return answer.ok ? await answer.json() : now; } catch { return now; }
}

/* one stream a page; it comes back by itself, and a silent one is shown as such */
function listen() {
  const stream = new EventSource("api/stream");
  stream.addEventListener("now", async event => show(await whole(JSON.parse(event.data))));
  stream.addEventListener("happened", event => happened(JSON.parse(event.data)));
  stream.addEventListener("open", () => { by("events").replaceChildren(make("li", "nothing yet", "dim")); history(); });
  stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000); });  // refused for good
}
setInterval(() => { if (Date.now() - page.last > 6000) pill("bad", "this page's server does not answer"); }, 1000);

/* logs */
let logTimer = 0;
async function readLog() {
  const box = document.querySelector("#log pre");
  try {
    const answer = await fetch(`api/log?name=${encodeURIComponent(page.log)}`, { headers: bearer() });
    const found = await answer.json();
    const text = answer.ok ? found.lines.join("\n") : found.error;
    if (box.textContent !== text) { box.textContent = text; if (by("follow").checked) box.scrollTop = box.scrollHeight; }
  } catch { box.textContent = "this page's server does not answer"; }
}
function openLog(name) {
  page.log = name; by("logname").textContent = "Log of " + name; document.querySelector("#log pre").textContent = "reading …";
  by("log").showModal(); readLog(); clearInterval(logTimer); logTimer = setInterval(() => { if (by("log").open && by("follow").checked && !document.hidden) readLog(); }, 1000);
}
by("log").addEventListener("close", () => clearInterval(logTimer));
for (const one of document.querySelectorAll("[data-close]")) one.onclick = () => one.closest("dialog").close();

/* the key */
function bearer() { return page.key ? { Authorization: "Bearer " + page.key } : {}; }
async function act(path, body) {
  for (const id of ["less", "more", "restart"]) by(id).disabled = true;
  try {
    const answer = await fetch("api/" + path, { method: "POST", headers: { "Content-Type": "application/json", ...bearer() }, body: JSON.stringify(body) });
    if (!answer.ok) { page.told = ""; by("said").replaceChildren(make("p", (await answer.json()).error, "bad")); }
    return answer.ok;
  } catch { page.told = ""; by("said").replaceChildren(make("p", "the page's server does not answer", "bad")); return false;
  } finally { for (const id of ["less", "more", "restart"]) by(id).disabled = false; }
}
function unlocked(yes) { by("acts").hidden = !yes || !page.acts; by("unlock").hidden = yes || !page.lockable; }
async function tryKey() {
  const answer = await fetch("api/key", { headers: bearer() }), found = await answer.json();
  page.lockable = found.lockable; page.acts = found.acts; unlocked(found.unlocked);
  return found.unlocked;
}
by("unlock").onclick = () => { by("wrong").textContent = ""; by("lock").showModal(); by("key").focus(); };
by("lock").addEventListener("submit", async event => {
  event.preventDefault();
  page.key = by("key").value.trim();
  if (await tryKey()) { sessionStorage.setItem("stoker-key", page.key); by("key").value = ""; by("lock").close(); } else { page.key = ""; by("wrong").textContent = "not the key"; }
});
by("less").onclick = () => page.state && act("scale", { replicas: Math.max(0, page.state.wanted - 1) });
by("more").onclick = () => page.state && act("scale", { replicas: page.state.wanted + 1 });
by("restart").onclick = () => confirm("Replace every replica, one after another?") && act("restart", {});

/* the newest load test, simulated */
const FORESEEN = [["ttft_p50", "TTFT p50", "s"], ["ttft_p99", "TTFT p99", "s"], ["itl_p50", "ITL p50", "s"], ["itl_p99", "ITL p99", "s"], ["e2e_p50", "E2E p50", "s"], ["e2e_p99", "E2E p99", "s"], ["output_rate", "tokens/s out", ""], ["completed", "requests/s", ""], ["attainment", "objectives kept", "%"], ["failed", "failed", ""], ["replicas", "replicas", ""]];
function played(tested) {
  const at = tested ? tested.at : null;
  by("foresee").hidden = !tested;
  if (!tested || at === page.tested) return;
  page.tested = at;
  by("testedat").textContent = clock(at); by("testedat").title = tested.words;
  if (page.plays.length) { page.plays = []; page.drawn = -1; foreseen(); draw(); }
}
function foreseen() {
  const box = by("foreseen"), shown = page.plays[page.drawn];
  box.hidden = by("clear").hidden = !page.plays.length;
  box.replaceChildren();
  if (!shown) return;
  const table = make("table"), head = make("tr"), body = make("tbody"), measured = [...page.plays].reverse().find(one => Object.keys(one.measured).length);
  const pace = shown.own ? "the pace that this test itself gave" : "the pace of " + shown.profile;
  const caption = make("caption", `Dashed: ${shown.label}, simulated with ${pace}` + (shown.missed === null ? "" : `, which misses by ${figure(shown.missed, "%")}`) + shown.findings.map(one => ". " + one).join(""));
  head.append(make("th"), make("th", measured ? "measured" : "measured: still under way", "num"));
  page.plays.forEach((one, n) => { const cell = make("th", undefined, "num"), choose = make("button", one.label); choose.type = "button"; choose.title = "draw " + one.label; choose.setAttribute("aria-pressed", String(n === page.drawn)); choose.onclick = () => { page.drawn = n; foreseen(); draw(); }; cell.append(choose); head.append(cell); });
  for (const [name, label, unit] of FORESEEN) {
    const values = [measured && measured.measured[name], ...page.plays.map(one => one.simulated[name])];
    if (values.every(one => one === null || one === undefined)) continue;
    const row = make("tr"); row.append(make("td", label), ...values.map(one => make("td", figure(one, unit), "num"))); body.append(row);
  }
  const top = make("thead"); top.append(head); table.append(caption, top, body); box.append(table);
}
by("foresee").addEventListener("submit", async event => {
  event.preventDefault();
  const text = by("sets").value.trim(), sets = text ? text.split(/\s+(?=[a-z][\w.-]*=)/) : [], tested = page.tested;
  by("play").disabled = true; by("playing").className = "dim"; by("playing").textContent = "simulating …";
  try {
    const answer = await fetch("api/foresee", { method: "POST", headers: { "Content-Type": "application/json", ...bearer() }, body: JSON.stringify({ sets }) }), found = await answer.json();
    if (!answer.ok) { by("playing").className = "bad"; by("playing").textContent = found.error; return; }
    by("playing").textContent = "";
    if (tested !== page.tested) return;
    found.label = text || "as it was";
    page.plays = [...page.plays.filter(one => one.label !== found.label), found].slice(-4); page.drawn = page.plays.length - 1;
    foreseen(); draw();
  } catch { by("playing").className = "bad"; by("playing").textContent = "the page's server does not answer";
  } finally { by("play").disabled = false; }
});
by("clear").onclick = () => { page.plays = []; page.drawn = -1; by("playing").textContent = ""; foreseen(); draw(); };

/* themes, ranges, keys */
function theme(next) { if (next) { document.documentElement.dataset.theme = next; localStorage.setItem("stoker-theme", next); } if (page.columns.length) build(); }
by("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "light" : "dark");
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme());
function range(seconds) { page.range = seconds; for (const one of document.querySelectorAll("[data-range]")) one.setAttribute("aria-pressed", String(Number(one.dataset.range) === seconds)); history(); }
for (const one of document.querySelectorAll("[data-range]")) one.onclick = () => range(Number(one.dataset.range));
by("whose").onchange = () => { page.whose = by("whose").value; history(); };
by("help").onclick = () => by("keys").showModal();
addEventListener("keydown", event => {
  if (event.target.closest("input, select, dialog, pre") || event.ctrlKey || event.metaKey || event.altKey) return;
  const names = page.state ? page.state.replicas.map(one => one.name) : [], at = names[page.chosen];
  const move = step => { page.chosen = Math.max(0, Math.min(names.length - 1, page.chosen + step)); document.querySelectorAll("#replicas tr[data-replica]").forEach((row, n) => { row.className = n === page.chosen ? "on" : ""; row.setAttribute("aria-selected", String(n === page.chosen)); if (n === page.chosen) row.scrollIntoView({ block: "nearest" }); }); event.preventDefault(); };
  const keys = { 1: () => range(300), 2: () => range(900), 3: () => range(3600), ArrowUp: () => move(-1), ArrowDown: () => move(1), c: () => { location.href = "chat/"; }, t: () => by("theme").click(), "?": () => by("keys").showModal(), f: () => { if (at) { page.whose = by("whose").value = at; history(); } }, F: () => { page.whose = by("whose").value = ""; history(); } };
  if (event.key === "Enter" && !event.target.closest("button, a") && at) openLog(at);
  else if (keys[event.key]) keys[event.key]();
});
let sized = 0;
addEventListener("resize", () => { clearTimeout(sized); sized = setTimeout(() => { for (const { plot, box } of page.charts) plot.setSize({ width: Math.max(200, box.clientWidth - 22), height: 150 }); }, 100); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) { draw(); look(); } });
by("copy").onclick = async () => {
  let done = true;
  try { await navigator.clipboard.writeText(by("curl").textContent); } catch {  // a page that is not on this machine and not https has no clipboard
    getSelection().selectAllChildren(by("curl")); done = document.execCommand("copy");
  }
  by("copy").textContent = done ? "Copied" : "Press Ctrl-C";
  setTimeout(() => { by("copy").textContent = "Copy"; }, 1500);
};
async function look() {
  try {
    const now = await (await fetch("fleet", { cache: "no-store" })).json();
    by("door").textContent = now.chat_why ? now.chat + ": " + now.chat_why : now.chat;
    if (now.chat === "ready") clearInterval(doors);
  } catch { by("door").textContent = "unknown"; }
}
const doors = setInterval(() => { if (!document.hidden) look(); }, 2000);
const chosen = localStorage.getItem("stoker-theme");
if (chosen) document.documentElement.dataset.theme = chosen;
tiles(); look(); tryKey().catch(() => {}); listen();
