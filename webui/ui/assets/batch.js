// A box for many pictures at once: dropped, chosen, shown small, taken out again one by one.
(() => {
  "use strict";
  const THUMBNAILS = 60; // pictures shown small; the others are counted
  const PICTURE = /\.(png|jpe?g|webp|bmp|gif|avif|tiff?)$/i;

  /** Have a box stand in one of our slots, however often Gradio draws it anew; `files` are those in it. */
  maple.batch = (slot, { onChange = () => {} } = {}) => {
    let files = [];
    const at = (selector) => maple.at(`${slot} ${selector}`);

    function build() {
      const holder = maple.inner(slot);
      if (!holder || at(".batch-zone")) return;
      const input = maple.make("input", { type: "file", accept: "image/*", multiple: true, class: "out-of-sight", tabIndex: -1, "aria-hidden": "true", onchange: () => { add(input.files); input.value = ""; } });
      const box = maple.make("div", { class: "batch-zone" }, input,
        maple.make("button", { type: "button", class: "canvas-empty", onclick: () => input.click() }, maple.make("span", { text: "Drop images here, or click to choose them" })),
        maple.make("div", { class: "batch-bar" }, maple.make("span", { class: "batch-count", translate: false }),
          maple.make("button", { type: "button", class: "maple-button", text: "Add images", onclick: () => input.click() }),
          maple.make("button", { type: "button", class: "maple-button", text: "Remove all", onclick: () => { files = []; changed(); } })),
        maple.make("div", { class: "batch-list" }));
      for (const type of ["dragenter", "dragover"]) box.addEventListener(type, (event) => { event.preventDefault(); box.classList.add("dropping"); });
      box.addEventListener("dragleave", (event) => { if (!box.contains(event.relatedTarget)) box.classList.remove("dropping"); });
      box.addEventListener("drop", (event) => { event.preventDefault(); box.classList.remove("dropping"); add(event.dataTransfer.files); });
      holder.replaceChildren(box);
      draw();
    }

    function add(more) {
      files.push(...[...more].filter((file) => file.type.startsWith("image/") || PICTURE.test(file.name)));
      changed();
    }

    function changed() {
      draw();
      onChange(files);
    }

    function draw() {
      const box = at(".batch-zone");
      if (!box) return;
      box.classList.toggle("filled", files.length > 0);
      at(".batch-count").textContent = maple.say("batch_pictures", { count: files.length });
      const list = at(".batch-list");
      for (const image of maple.all("img", list)) URL.revokeObjectURL(image.src);
      list.replaceChildren(...files.slice(0, THUMBNAILS).map((file, n) => maple.make("button", {
        type: "button", class: "batch-item", title: file.name, translate: false, onclick: () => { files.splice(n, 1); changed(); },
      }, maple.make("img", { src: URL.createObjectURL(file), alt: file.name, loading: "lazy", decoding: "async" }))));
    }

    maple.whenSeen(`${slot}, ${slot} > *`, build);
    document.addEventListener("maple:language", draw);

    return {
      get files() { return files; },
      /** The pictures on the server: [{id, name}]. */
      async sent() {
        const pictures = [];
        for (const file of files) pictures.push({ id: await maple.upload(file), name: file.name });
        return pictures;
      },
    };
  };
})();
