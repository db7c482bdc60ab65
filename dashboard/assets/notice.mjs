// The notice of research use: over everything at first use, later when it is asked for.

const ACCEPTED = "wristlead-notice";
const WHO = "wristlead-who";

export class Notice {
  constructor() {
    const { read, write } = window.wristlead;
    const node = document.getElementById("notice");
    const who = document.getElementById("notice-who");
    const open = () => {
      who.value = read(WHO) ?? "";
      node.showModal();
    };
    node.addEventListener("cancel", (event) => { // Escape closes only what was accepted before
      if (read(ACCEPTED) === null) event.preventDefault();
    });
    document.getElementById("notice-accept").addEventListener("click", () => {
      if (who.value.trim()) write(WHO, who.value.trim());
      write(ACCEPTED, "1");
      node.close();
    });
    document.getElementById("notice-open").addEventListener("click", open);
    if (read(ACCEPTED) === null) open();
  }
}
