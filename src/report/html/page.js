(() => {
  "use strict";

  const themes = ["system", "light", "dark"];
  const remember = {
    get() {
      try {
        return localStorage.getItem("chatspec-theme") || "system";
      } catch {
        return "system";
      }
    },
    set(theme) {
      // A page that was opened from a file may be refused any storage; the switch works all the same.
      try {
        localStorage.setItem("chatspec-theme", theme);
      } catch {}
    },
  };

  const button = document.querySelector("button.theme");
  function use(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.dataset.now = theme;
    button.textContent = `Colours: ${theme}`;
  }
  button.hidden = false;
  use(themes.includes(remember.get()) ? remember.get() : "system");
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.now) + 1) % themes.length];
    use(next);
    remember.set(next);
  });
})();
