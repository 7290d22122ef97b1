(() => {
  "use strict";

  // A box that shows only those elements in whose text each of its words stands.
  for (const box of document.querySelectorAll("[data-filters]")) {
    const input = box.querySelector("input");
    const said = box.querySelector("[aria-live]");
    const all = [...document.querySelectorAll(box.dataset.filters)].map((element) => [element, element.textContent.toLowerCase()]);
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [element, text] of all) {
        element.hidden = !words.every((word) => text.includes(word));
        shown += element.hidden ? 0 : 1;
      }
      said.textContent = words.length ? `${shown} of ${all.length}` : "";
    };
    box.hidden = false;
    input.addEventListener("input", show);
    // A browser that goes back to the page fills the box again.
    show();
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.target.closest("input, textarea, select")) {
        event.preventDefault();
        input.focus();
      } else if (event.key === "Escape" && event.target === input) {
        input.value = "";
        show();
        input.blur();
      }
    });
  }
})();
