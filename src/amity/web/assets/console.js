"use strict";
// The console's own script: replaces regions, moves cross-hairs, sends what people do. No library.
window.amity = (() => {
  const byId = (id) => document.getElementById(id);
  const opened = new Map(); // data-key of <details> → whether somebody opened or closed it

  // ---------------------------------------------------------------- regions
  function show(regions) {
    for (const [name, html] of Object.entries(regions)) {
      const region = byId(`r-${name}`);
      if (!region) continue;
      region.innerHTML = html;
      restore(region);
    }
    beat();
  }

  function restore(region) {
    for (const details of region.querySelectorAll("details[data-key]")) {
      if (opened.has(details.dataset.key)) details.open = opened.get(details.dataset.key);
    }
  }

  function beat() {
    const live = byId("live");
    if (!live) return;
    live.classList.remove("beat");
    void live.offsetWidth; // starts the animation again
    live.classList.add("beat");
  }

  function address(relative) {
    history.replaceState(null, "", relative);
  }

  // ---------------------------------------------------------------- what people do
  function send(event, value) {
    if (typeof emitEvent === "function") emitEvent(event, String(value));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-emit]");
    if (button) send(button.dataset.emit, button.dataset.value);
    if (event.target.closest("summary")?.parentElement.dataset.key) remember(event.target.closest("details"));
    if (event.target.closest("#theme")) nextTheme();
    if (event.target.closest("#close-drawer") || event.target.id === "veil") closeDrawer();
    const field = event.target.closest(".field[data-clickable]");
    if (field) ask(field, slotAt(field, event.clientX));
  });

  function remember(details) {
    opened.set(details.dataset.key, !details.open); // the click has not toggled it yet
  }

  let typing;
  document.addEventListener("input", (event) => {
    if (!event.target.matches("input[data-emit]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => send(event.target.dataset.emit, event.target.value), 200);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeDrawer();
    const field = event.target.closest?.(".field");
    if (field) moveByKey(field, event);
  });

  // ---------------------------------------------------------------- theme
  const THEMES = ["auto", "light", "dark"];
  function nextTheme() {
    const root = document.documentElement;
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    root.dataset.theme = theme;
    localStorage.setItem("amity-theme", theme);
  }

  // ---------------------------------------------------------------- charts
  const hovers = new WeakMap();
  function hoverOf(field) {
    if (!hovers.has(field)) hovers.set(field, JSON.parse(field.dataset.hover));
    return hovers.get(field);
  }

  function slotAt(field, clientX) {
    const box = field.getBoundingClientRect();
    const slots = hoverOf(field).times.length;
    return Math.max(0, Math.min(slots - 1, Math.floor(((clientX - box.left) / box.width) * slots)));
  }

  document.addEventListener("pointermove", (event) => {
    const field = event.target.closest?.(".field");
    if (field) point(field, slotAt(field, event.clientX));
    light(event.target.closest?.(".issue[data-meters]"));
  });
  document.addEventListener("pointerout", (event) => {
    const field = event.target.closest?.(".field");
    if (field && !field.contains(event.relatedTarget)) unpoint(field);
  });
  document.addEventListener("focusout", (event) => {
    const field = event.target.closest?.(".field");
    if (field) unpoint(field);
  });

  function point(field, slot) {
    const hover = hoverOf(field);
    const rows = hover.series.filter((series) => series.values[slot] !== null && series.values[slot] !== undefined);
    const share = (slot + 0.5) / hover.times.length;
    const cross = field.querySelector(".cross");
    const tip = field.querySelector(".tip");
    field.dataset.slot = slot;
    cross.hidden = false;
    cross.style.left = `${share * 100}%`;
    tip.replaceChildren(line("b", hover.times[slot]), ...rows.map((series) => tipRow(series, slot)));
    tip.hidden = rows.length === 0;
    tip.style.left = `${share * 100}%`;
    tip.classList.toggle("left", share > 0.6);
  }

  function tipRow(series, slot) {
    const row = line("span", "");
    const sign = line("i", "");
    sign.className = series.kinds ? series.kinds[slot] : series.kind;
    row.append(sign, series.name ? `${series.name} ` : "", line("em", series.values[slot]));
    return row;
  }

  function line(tag, text) {
    const element = document.createElement(tag);
    element.textContent = text;
    return element;
  }

  function unpoint(field) {
    field.querySelector(".cross").hidden = true;
    field.querySelector(".tip").hidden = true;
  }

  function moveByKey(field, event) {
    const slots = hoverOf(field).times.length;
    const at = Number(field.dataset.slot ?? slots - 1);
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -8, PageDown: 8 };
    if (event.key in steps) {
      event.preventDefault();
      point(field, Math.max(0, Math.min(slots - 1, at + steps[event.key])));
    } else if (event.key === "Enter" && field.dataset.clickable !== undefined) {
      ask(field, at);
    }
  }

  function ask(field, slot) {
    const hover = hoverOf(field);
    if (hover.starts && hover.series[0].values[slot] !== null) send("why", hover.starts[slot]);
  }

  // ---------------------------------------------------------------- map
  let lit = null;
  function light(issue) {
    if (issue === lit) return;
    lit = issue ?? null;
    const wanted = new Set(issue ? issue.dataset.meters.split(" ") : []);
    const map = document.querySelector("svg.map");
    map?.classList.toggle("dimmed", wanted.size > 0);
    for (const dot of map?.querySelectorAll("[data-meter]") ?? []) {
      dot.classList.toggle("lit", wanted.has(dot.dataset.meter));
    }
  }

  // ---------------------------------------------------------------- drawer
  let before = null;
  function openDrawer(relative) {
    const drawer = byId("drawer");
    if (drawer.hidden) before = document.activeElement;
    drawer.hidden = byId("veil").hidden = false;
    drawer.scrollTop = 0;
    byId("close-drawer").focus({ preventScroll: true });
    address(relative);
  }

  function closeDrawer() {
    const drawer = byId("drawer");
    if (!drawer || drawer.hidden) return;
    drawer.hidden = byId("veil").hidden = true;
    address(location.search.replace(/&why=[^&]*/, ""));
    before?.focus?.({ preventScroll: true });
  }

  return { show, address, openDrawer };
})();
