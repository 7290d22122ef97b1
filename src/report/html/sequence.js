// Draws a scenario's sequence diagram from its transcript when it is opened: the same elements as those of what failed, which are in
// the page from the start.
(() => {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const SIDES = { HTTP: "http", WS: "ws" };
  const KINDS = { "·": "here", "⋮": "gap", "✗": "moment", "…": "cut" };
  const FLAGS = { near: "came instead", late: "came too late" };

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function shape(name, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const short = (name) => ([...name].length <= 8 ? name : `${[...name].slice(0, 7).join("")}…`);

  // Characters that are spelt out are marked as such, as in the rest of the page.
  function spelt(text) {
    return text.split(/((?:\\u\{[0-9a-f]+\}|\\[nrt])+)/).map((part, at) => (at % 2 ? element("span", { class: "esc" }, part) : part));
  }

  function draw(pre) {
    const names = pre.dataset.columns.split("\t");
    const actors = Number(pre.dataset.actors);
    const middle = (at) => `${(((at + 0.5) * 100) / names.length).toFixed(2)}%`;

    function arrow(actor, sign) {
      const [direction, side] = sign.split(" ");
      const x = middle(names.slice(0, actors).indexOf(actor));
      const kind = SIDES[side];
      if (kind) {
        const server = middle(names.indexOf(side, actors));
        const to = direction === "→";
        const title = to ? `${actor} to the server, ${side}` : `the server to ${actor}, ${side}`;
        const ends = to ? { x1: x, x2: server } : { x1: server, x2: x };
        const line = { class: to ? kind : `${kind} back`, ...ends, y1: 10, y2: 10, "marker-end": `url(#head-${kind})` };
        return shape("svg", { class: "lanes", role: "img" }, shape("title", {}, title), shape("line", line));
      }
      const drawn = shape("svg", { class: "lanes", "aria-hidden": "true" });
      if (sign === "·" && actor) drawn.append(shape("circle", { cx: x, cy: 10, r: 3.5 }));
      if (sign === "✗") drawn.append(shape("line", { class: "moment", x1: 0, x2: "100%", y1: 10, y2: 10 }));
      return drawn;
    }

    function row(line) {
      const [at, actor, what, text] = line.split("\t");
      const [sign, ...rest] = what.split(" ");
      const side = SIDES[rest[0]] ? rest.shift() : "";
      const parts = element("span", { class: "text" });
      if (actor) parts.append(element("b", { class: "who" }, ...spelt(actor)), " ");
      if (sign === "✗") parts.append("✗ ");
      for (const flag of rest) if (FLAGS[flag]) parts.append(element("span", { class: "flag" }, FLAGS[flag]), " ");
      parts.append(...spelt(text));
      const kind = SIDES[side] || KINDS[sign];
      return element("li", { class: [kind, ...rest].join(" ") }, element("span", { class: "at" }, at), arrow(actor, `${sign} ${side}`.trim()), parts);
    }

    const head = shape("svg", { class: "lanes", "aria-hidden": "true" });
    if (names.length > actors) {
      head.append(shape("text", { class: "server", x: `${(((actors + names.length) * 50) / names.length).toFixed(2)}%`, y: 11 }, "server"));
    }
    const lifelines = shape("svg", { class: "lifelines", "aria-hidden": "true" });
    names.forEach((name, at) => {
      head.append(shape("text", { x: middle(at), y: 26 }, shape("title", {}, name), short(name)));
      lifelines.append(shape("line", { class: at < actors ? "" : "server", x1: middle(at), x2: middle(at), y1: 0, y2: "100%" }));
    });
    const rows = pre.textContent.split("\n").filter(Boolean).map(row);
    const drawn = element("div", { class: "sequence" }, element("div", { class: "names" }, element("span", { class: "at" }, "ms"), head), lifelines, element("ol", {}, ...rows));
    drawn.style.setProperty("--n", names.length);
    pre.replaceWith(drawn);
  }

  // Opening an element of any kind draws what stands in it, and nothing that is still closed.
  function drawWithin(details) {
    for (const pre of details.querySelectorAll("pre.wire")) if (pre.closest("details") === details) draw(pre);
  }
  document.addEventListener("toggle", (event) => event.target.open && drawWithin(event.target), true);
  document.querySelectorAll("details[open]").forEach(drawWithin);
})();
