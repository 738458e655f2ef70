// The img2img tab: its pictures, which sub-tab is open, sizes by the picture, and the files that go before the form.
(() => {
  "use strict";
  const TAB = "img2img";
  const HOURS = 6 * 3600 * 1000; // how long a picture counts as sent; the server keeps it far longer
  const MODES = {
    img2img: { tab: "img2img_img2img_tab", canvas: "img2img_image", draw: "" },
    sketch: { tab: "img2img_img2img_sketch_tab", canvas: "img2img_sketch", draw: "colour" },
    inpaint: { tab: "img2img_inpaint_tab", canvas: "img2maskimg", draw: "mask" },
    inpaint_sketch: { tab: "img2img_inpaint_sketch_tab", canvas: "inpaint_sketch", draw: "colour" },
    inpaint_upload: { tab: "img2img_inpaint_upload_tab", canvas: "img_inpaint_base", draw: "" },
    batch: { tab: "img2img_batch_tab" },
  };
  const MASK = "img_inpaint_mask";
  let mode = "img2img";
  let by = false; // Resize by, not to
  let fromFolder = false;
  let pix2pix = false;
  let scale = 1;

  for (const { canvas, draw } of Object.values(MODES)) {
    if (canvas) maple.canvas.standIn(canvas, { draw });
  }
  maple.canvas.standIn(MASK, { hint: "Drop the mask here: white is painted anew" });
  const editor = () => (MODES[mode].canvas ? maple.canvas.get(MODES[mode].canvas) : null);

  // --- which tabs are open. Gradio tells only by what is drawn; what is not on the page stays as it was seen last.

  const open = (id) => maple.visible(maple.at(`#${id}`));
  function look() {
    mode = Object.keys(MODES).find((name) => open(MODES[name].tab)) ?? mode;
    if (open("img2img_tab_resize_by")) by = true;
    else if (open("img2img_tab_resize_to")) by = false;
    if (open("img2img_batch_from_dir_tab")) fromFolder = true;
    else if (open("img2img_batch_upload_tab")) fromFolder = false;
    if (document.documentElement.dataset.img2img !== mode) document.documentElement.dataset.img2img = mode;
    preview();
  }
  for (const id of [...Object.values(MODES).map((each) => each.tab), "img2img_tab_resize_by", "img2img_tab_resize_to", "img2img_batch_from_dir_tab", "img2img_batch_upload_tab"]) {
    maple.on("click", `[id="${id}-button"]`, () => setTimeout(look, 60));
    maple.whenSeen(`#${id}`, look);
  }
  document.documentElement.dataset.img2img = mode;

  /** Wait until something is on the page. */
  async function seen(selector, patience = 5000) {
    for (const until = Date.now() + patience; Date.now() < until;) {
      const found = maple.all(selector).find(maple.visible);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    return null;
  }

  async function show(name) {
    maple.tab(TAB);
    const generation = await seen(`[id="${TAB}_generation_tab-button"]`);
    generation?.click();
    (await seen(`[id="${MODES[name].tab}-button"]`))?.click();
    mode = name;
    await seen(`#${MODES[name].tab}`);
    look();
  }

  // --- pictures go before the form, and no picture goes twice

  const sent = new WeakMap(); // a file → {id, at}
  const known = new Map(); // a digest → {id, at}
  const fresh = (entry) => entry && Date.now() - entry.at < HOURS;

  async function digest(file) {
    const bytes = await file.arrayBuffer();
    if (crypto.subtle) return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    // Browsers keep SHA-256 for https; over plain http two sums of 32 bits and the length tell this page's own files apart.
    let [a, b] = [0x811c9dc5, 0x9e3779b9];
    for (const byte of new Uint8Array(bytes)) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 13);
    }
    return `${bytes.byteLength} ${a >>> 0} ${b >>> 0}`;
  }

  async function send(file) {
    if (fresh(sent.get(file))) return sent.get(file).id;
    const sum = await digest(file);
    if (!fresh(known.get(sum))) {
      const form = new FormData();
      form.append("picture", file, file.name || "picture.png");
      const { id } = await maple.ask("internal/blobs", form);
      known.set(sum, { id, at: Date.now() });
    }
    sent.set(file, known.get(sum));
    return known.get(sum).id;
  }

  maple.upload = send;

  /** What Generate sends: the form, what is open, and the ids of the pictures. */
  async function prepare(values) {
    look();
    const whole = { ...values, img2img_mode: mode, img2img_resize_by: by, img2img_pix2pix: pix2pix };
    if (mode === "batch") return withBatch(whole);
    const canvas = editor();
    if (!canvas.file) throw new maple.Trouble(maple.say("no_init_image"));
    whole.img2img_picture = await send(canvas.file);
    if (mode === "inpaint_upload") {
      const mask = maple.canvas.get(MASK);
      if (!mask.file) throw new maple.Trouble(maple.say("no_mask_image"));
      whole.img2img_mask = await send(mask.file);
    }
    const drawing = await canvas.drawing();
    if (drawing) whole.img2img_drawing = await send(drawing);
    else if (mode === "inpaint" || mode === "inpaint_sketch") maple.tell(maple.say("nothing_masked"));
    return whole;
  }

  async function withBatch(whole) {
    if (fromFolder) {
      if (!String(whole.img2img_batch_input_dir ?? "").trim()) throw new maple.Trouble(maple.say("no_batch_folder"));
      return { ...whole, img2img_batch_source: "folder" };
    }
    if (!waiting.files.length) throw new maple.Trouble(maple.say("no_batch_pictures"));
    return { ...whole, img2img_batch_source: "upload", img2img_batch_pictures: await waiting.sent() };
  }

  // --- what arrives from other tabs

  /** Take a picture (a file, or an address of this page) into a sub-tab: "img2img", "sketch", "inpaint", "inpaint_sketch", "inpaint_upload". */
  async function receive(picture, subtab = "img2img") {
    const name = MODES[subtab]?.canvas ? subtab : "img2img";
    const file = picture instanceof Blob ? picture : await fetched(picture);
    const taken = await maple.canvas.get(MODES[name].canvas).open(file);
    await show(name);
    return taken;
  }

  async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new maple.Trouble(maple.say("server_said", { status: answer.status }));
    return answer.blob();
  }

  function copy(target) {
    return maple.attempt(async () => {
      look();
      const from = editor();
      if (!from?.file) { maple.tell(maple.say("no_init_image")); return; }
      if (target === mode) return;
      await maple.canvas.get(MODES[target].canvas).open(await from.flat());
      await show(target);
    });
  }
  for (const name of ["img2img", "sketch", "inpaint", "inpaint_sketch"]) maple.on("click", `#img2img_copy_to_${name}`, () => copy(name));

  // --- sizes by the picture

  const whole8 = (value) => Math.max(64, Math.round(value / 8) * 8);

  maple.on("click", "#img2img_detect_image_size_btn", () => maple.attempt(async () => {
    look();
    const canvas = editor();
    if (!canvas?.file) { maple.tell(maple.say("no_init_image")); return; }
    await maple.form.write(TAB, { img2img_width: whole8(canvas.width), img2img_height: whole8(canvas.height) }, { asTyped: true });
  }));
  maple.on("click", "#img2img_update_resize_to", () => maple.attempt(async () => {
    const canvas = editor();
    if (canvas?.file) await maple.form.write(TAB, { img2img_width: whole8(canvas.width * scale), img2img_height: whole8(canvas.height * scale) }, { asTyped: true });
  }));

  /** Under the scale: from which size to which. */
  function preview() {
    const holder = maple.inner("#img2img_scale_resolution_preview");
    if (!holder) return;
    const box = maple.at("#img2img_scale input[type=number]");
    if (box) scale = Number(box.value) || scale;
    const canvas = editor();
    const text = canvas?.file ? maple.say("resize_from_to", { from: `${canvas.width}×${canvas.height}`, to: `${Math.floor(canvas.width * scale)}×${Math.floor(canvas.height * scale)}` }) : maple.say("resize_no_picture");
    if (holder.textContent !== text) holder.replaceChildren(maple.make("span", { text, translate: false }));
  }
  for (const type of ["input", "change"]) maple.on(type, "#img2img_scale", () => setTimeout(preview, 30));
  for (const type of ["maple:canvas", "maple:form", "maple:language"]) document.addEventListener(type, () => setTimeout(preview, 30));
  maple.whenSeen("#img2img_scale_resolution_preview, #img2img_scale_resolution_preview > *", preview);

  // --- Image CFG is of instruct-pix2pix checkpoints alone

  async function ofModel() {
    const lists = maple.form.lists;
    if (!lists || !maple.at(`#${TAB}_fill`)) return;
    const chosen = (await maple.form.read(TAB)).setting_sd_model_checkpoint;
    pix2pix = lists.checkpoints.find((model) => model.title === chosen)?.variant === "pix2pix";
    document.documentElement.classList.toggle("pix2pix", pix2pix);
  }
  let asking = 0;
  const askSoon = () => { clearTimeout(asking); asking = setTimeout(() => maple.attempt(ofModel), 400); };
  for (const type of ["change", "focusout", "pointerup", "keyup"]) maple.on(type, "#quicksettings", askSoon);
  document.addEventListener("maple:lists", askSoon);

  // --- what the settings say of the canvases; a colour somebody chose stays

  const offered = {};
  document.addEventListener("maple:lists", ({ detail }) => {
    const said = detail.now.canvas;
    if (!said) return;
    document.documentElement.style.setProperty("--canvas-height", `${said.height}px`);
    for (const { canvas } of Object.values(MODES).filter((each) => each.draw)) maple.canvas.get(canvas).dress({ contrast: said.contrast, colour: said[canvas] === offered[canvas] ? null : said[canvas] });
    Object.assign(offered, said);
  });

  // --- many pictures at once

  const waiting = maple.batch("#img2img_batch_upload");
  // Masks for a batch: the inpaint group counts as soon as a folder of masks is named.
  maple.on("input", "#img2img_batch_inpaint_mask_dir", (event) => document.documentElement.classList.toggle("batch-masks", Boolean(event.target.value.trim())));

  /** The size Resize by comes to, as values of the form; null while it is the form's own. */
  function size() {
    look();
    const canvas = editor();
    return by && canvas?.file ? { img2img_width: whole8(canvas.width * scale), img2img_height: whole8(canvas.height * scale) } : null;
  }

  maple.tabs[TAB] = { receive, prepare, show, size, picture: async () => { look(); return editor()?.flat() ?? null; }, get mode() { look(); return mode; } };
})();
