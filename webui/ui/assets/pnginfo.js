// PNG Info: drop a picture, see every text it carries, send its parameters to the form.
(() => {
  "use strict";
  let found = null;
  let picture = null; // the file that was dropped

  function zone(slot) {
    const holder = maple.inner(slot);
    if (!holder || maple.at("input[type=file]", holder)) return;
    const input = maple.make("input", { type: "file", accept: "image/*", class: "out-of-sight", onchange: () => input.files[0] && read(input.files[0]) });
    const hint = maple.make("span", { class: "drop-hint", text: "Drop an image here, or click to choose one" });
    const shown = maple.make("img", { alt: "", hidden: true });
    const box = maple.make("label", { class: "drop-box", tabIndex: 0 }, input, hint, shown);
    for (const type of ["dragover", "dragenter"]) box.addEventListener(type, (event) => { event.preventDefault(); box.classList.add("dropping"); });
    box.addEventListener("dragleave", () => box.classList.remove("dropping"));
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      box.classList.remove("dropping");
      if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
    });
    box.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); input.click(); } });
    holder.replaceChildren(box);
  }

  function read(file) {
    return maple.attempt(async () => {
      const box = maple.at("#pnginfo_image .drop-box");
      const shown = maple.at("img", box);
      if (shown.src) URL.revokeObjectURL(shown.src);
      shown.src = URL.createObjectURL(file);
      shown.hidden = false;
      maple.at(".drop-hint", box).hidden = true;
      found = null;
      picture = file;
      draw();
      maple.differences.clear("#pnginfo_differences");
      found = await maple.readPicture(file);
      draw();
      await maple.differences.show("#pnginfo_differences", found.infotext, "txt2img");
    });
  }

  function draw() {
    const text = maple.inner("#pnginfo_generation_info");
    const table = maple.inner("#pnginfo_html");
    if (!text || !table) return;
    text.replaceChildren(...(found?.infotext ? [maple.make("div", { class: "infotext" },
      maple.make("p", { text: found.infotext, translate: false }),
      maple.make("button", { class: "maple-plain", text: "📋", type: "button", title: "Copy", onclick: () => maple.copy(found.infotext) }))]
      : found ? [maple.make("p", { class: "hint", text: "Nothing found in the image." })] : []));
    // A text chunk that was shown above is not shown twice.
    const items = (found?.items || []).filter((item) => item.text !== found.infotext);
    const rows = items.map((item) => maple.make("tr", {}, maple.make("th", { text: item.key, translate: false }),
      maple.make("td", {}, maple.make("span", { text: item.text, translate: false, class: item.text.length > 600 ? "long" : "" }))));
    const notes = (found?.notes || []).map((note) => maple.make("p", { class: "hint", text: note, translate: false }));
    table.replaceChildren(...notes, ...(rows.length ? [maple.make("table", { class: "chunks" }, maple.make("tbody", {}, ...rows))] : []));
    maple.at("#txt2img_tab")?.toggleAttribute("disabled", !found?.infotext);
    for (const id of ["img2img_tab", "inpaint_tab", "extras_tab"]) maple.at(`#${id}`)?.toggleAttribute("disabled", !picture || !found);
  }

  /** What the picture tells goes into a tab's form; into img2img the picture itself goes along. */
  function sendTo(tab, subtab) {
    return maple.attempt(async () => {
      if (!found || (!subtab && !found.infotext)) return;
      if (subtab) await maple.tabs.img2img.receive(picture, subtab);
      else maple.tab(tab);
      if (!found.infotext) return;
      const told = tab === "txt2img" ? found : await maple.readPicture(picture, tab);
      await maple.form.fromInfotext(told, tab);
    });
  }

  maple.whenSeen("#pnginfo_image > *, #pnginfo_image", () => { zone("#pnginfo_image"); draw(); });
  maple.whenSeen("#txt2img_tab", draw);
  maple.on("click", "#txt2img_tab", () => sendTo("txt2img"));
  maple.on("click", "#img2img_tab", () => sendTo("img2img", "img2img"));
  maple.on("click", "#inpaint_tab", () => sendTo("img2img", "inpaint"));
  maple.on("click", "#extras_tab", () => { if (picture && found) maple.attempt(() => maple.tabs.extras.receive(picture)); });
})();
