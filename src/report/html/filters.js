// Filters over the rows of a page, with their state in the address; keys; what is linked to is opened; lines are copied.
(() => {
  "use strict";

  const root = document.documentElement;
  const bar = document.querySelector(".toolbar");
  const rows = [...document.querySelectorAll("[data-row]")];
  const part = (selector) => bar && bar.querySelector(selector);
  const [search, level, area, fences, help, keys, all] = [".search", ".level", ".area", ".fences", ".help", ".keys", ".all"].map(part);
  const choices = bar ? [...bar.querySelectorAll("[data-show]")] : [];
  const state = { q: "", show: new Set(), level: "", area: "", fences: "" };

  const texts = new Map();
  // What a row says of itself and of its scenarios, without what went over the wire: that is most of a page.
  function textOf(row) {
    if (!texts.has(row)) {
      const parts = row.matches("details") ? row.querySelectorAll(":scope > summary, .place, .elsewhere, .case > summary, .summary, .why, .hint, .note") : [row];
      texts.set(row, [...parts].map((each) => each.textContent).join(" ").toLowerCase());
    }
    return texts.get(row);
  }

  function matches(row) {
    if (state.level && row.dataset.level !== state.level) return false;
    if (state.area && row.dataset.area !== state.area) return false;
    if (state.show.size && !row.dataset.status.split(" ").some((status) => state.show.has(status))) return false;
    return state.q.toLowerCase().split(/\s+/).every((word) => !word || textOf(row).includes(word));
  }

  function apply() {
    let shown = 0;
    for (const row of rows) {
      row.hidden = !matches(row);
      if (!row.hidden) shown += 1;
    }
    for (const group of document.querySelectorAll("[data-group]")) group.hidden = !group.querySelector("[data-row]:not([hidden])");
    const nothing = document.querySelector(".nothing");
    if (nothing) nothing.hidden = shown > 0;
    if (state.fences) root.dataset.fences = "hidden";
    else delete root.dataset.fences;
    if (!bar) return;
    const noun = bar.dataset.noun;
    part(".shown").textContent = `${shown} of ${rows.length} ${rows.length === 1 ? noun : `${noun}s`}`;
    for (const choice of choices) choice.setAttribute("aria-pressed", String(state.show.has(choice.dataset.show)));
    if (search.value !== state.q) search.value = state.q;
    if (level) level.value = state.level;
    if (area) area.value = state.area;
    if (fences) fences.checked = !state.fences;
  }

  // The address holds the state, so that what is shown can be sent to somebody.
  function write() {
    const fragment = new URLSearchParams();
    if (state.show.size) fragment.set("show", [...state.show].join(","));
    for (const key of ["level", "area", "q", "fences"]) if (state[key]) fragment.set(key, state[key]);
    const text = fragment.toString().replaceAll("%2C", ",");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    apply();
  }

  function clear() {
    Object.assign(state, { q: "", show: new Set(), level: "", area: "", fences: "" });
  }

  function known(value, element) {
    return element && [...element.options].some((option) => option.value === value) ? value : "";
  }

  function read() {
    let name = location.hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {}
    const target = name && document.getElementById(name);
    if (target) {
      reveal(target);
      return;
    }
    const fragment = new URLSearchParams(location.hash.slice(1));
    clear();
    const shows = choices.map((choice) => choice.dataset.show);
    state.show = new Set((fragment.get("show") || "").split(",").filter((show) => shows.includes(show)));
    state.level = known(fragment.get("level") || "", level);
    state.area = known(fragment.get("area") || "", area);
    state.q = fragment.get("q") || "";
    state.fences = fragment.get("fences") === "no" ? "no" : "";
    apply();
    if (name && bar) bar.scrollIntoView({ block: "start" });
  }

  function reveal(target) {
    const row = target.closest("[data-row]");
    if (row && row.hidden) {
      clear();
      apply();
    }
    for (let each = target; each; each = each.parentElement) if (each.matches("details")) each.open = true;
    target.scrollIntoView({ block: "start" });
    const focus = target.matches("details") ? target.querySelector("summary") : target.querySelector("a") || target;
    focus.focus({ preventScroll: true });
  }

  // What j and k go through: all that can be seen and opened.
  function stops() {
    return [...document.querySelectorAll("[data-row] summary, tr[data-row] th a")].filter((stop) => {
      const row = stop.closest("[data-row]");
      const around = stop.parentElement.matches("details") ? stop.parentElement.parentElement : stop;
      return !row.hidden && !around.closest("details:not([open])");
    });
  }

  function move(by) {
    const list = stops();
    if (!list.length) return;
    const now = list.indexOf(document.activeElement);
    const below = list.findIndex((stop) => stop.getBoundingClientRect().top >= 0);
    const first = by > 0 ? Math.max(below, 0) : (below < 0 ? list.length : below) - 1;
    const next = now < 0 ? first : now + by;
    const stop = list[Math.min(Math.max(next, 0), list.length - 1)];
    stop.focus({ preventScroll: true });
    stop.scrollIntoView({ block: "nearest" });
  }

  function openAll() {
    const shown = rows.filter((row) => !row.hidden && row.matches("details"));
    const open = !shown.every((row) => row.open);
    for (const row of shown) row.open = open;
    if (all) all.textContent = open ? "Close all" : "Open all";
  }

  function showKeys(show) {
    keys.hidden = !show;
    help.setAttribute("aria-expanded", String(show));
  }

  document.addEventListener("keydown", (event) => {
    if (!bar || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input[type=search], select, textarea");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      if (!keys.hidden) showKeys(false);
      else {
        clear();
        write();
      }
    } else if (typing) {
      if (event.key === "Enter") event.target.blur();
      return;
    } else if (event.key === "/") search.focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "o") openAll();
    else if (event.key === "?") showKeys(keys.hidden);
    else return;
    event.preventDefault();
  });

  if (bar) {
    bar.hidden = false;
    const measure = () => root.style.setProperty("--bar", getComputedStyle(bar).position === "sticky" ? `${bar.offsetHeight}px` : "0px");
    new ResizeObserver(measure).observe(bar);
    measure();
    search.addEventListener("input", () => {
      state.q = search.value;
      write();
    });
    for (const choice of choices) {
      choice.addEventListener("click", () => {
        const show = choice.dataset.show;
        if (!state.show.delete(show)) state.show.add(show);
        write();
      });
    }
    for (const [key, element] of [["level", level], ["area", area]]) {
      if (!element) continue;
      element.addEventListener("change", () => {
        state[key] = element.value;
        write();
      });
    }
    if (fences) {
      fences.addEventListener("change", () => {
        state.fences = fences.checked ? "" : "no";
        write();
      });
    }
    all.hidden = !rows.some((row) => row.matches("details"));
    all.addEventListener("click", openAll);
    help.addEventListener("click", () => showKeys(keys.hidden));
  }

  async function copied(text, code) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Pages from files and from plain HTTP may have no clipboard; the older way takes what is selected.
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  }
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      button.textContent = (await copied(code.textContent, code)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }

  const opened = [];
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("[data-alarm], [data-alarm] .case.fail")) {
      if (details.open) continue;
      details.open = true;
      opened.push(details);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened.splice(0)) details.open = false;
  });

  window.addEventListener("hashchange", read);
  if (rows.length) {
    apply();
    if (location.hash) read();
  }
})();
