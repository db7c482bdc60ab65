// Runs in the head: the theme before the first paint, and the functions Dash's callbacks call.
(() => {
  const system = window.matchMedia("(prefers-color-scheme: light)");
  const read = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const write = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode: not kept */ } };
  const shown = (choice) => (choice === "system" ? (system.matches ? "light" : "dark") : choice);
  const show = (choice) => {
    const theme = shown(choice);
    document.documentElement.dataset.theme = theme;
    document.documentElement.dataset.mantineColorScheme = theme;
    document.dispatchEvent(new Event("wristlead-theme"));
    return theme;
  };

  let isFirst = true;
  window.wristlead = {
    read,
    write,
    chooseTheme(value) {
      let choice = value;
      if (isFirst) { // the control's value comes from the server, the choice from this browser
        isFirst = false;
        choice = read("wristlead-theme") ?? "dark";
        if (choice !== value) window.dash_clientside.set_props("theme-choice", { value: choice });
      } else {
        write("wristlead-theme", choice);
      }
      return show(choice);
    },
    keepStrip(strip) {
      window.wristlead.eventStrip = strip; // event.mjs draws it
    },
  };
  system.addEventListener("change", () => show(read("wristlead-theme") ?? "dark"));
  show(read("wristlead-theme") ?? "dark");
})();
