// ControlNet units: the accordion in txt2img and img2img. Everything in it is drawn when it is first opened, by us and not
// by Gradio: ten units of thirty controls would cost the page's start dearly. What a unit holds is in `Unit.values`.
(() => {
  "use strict";
  const { make } = maple;
  const FINAL = new Set(["done", "stopped", "failed"]);
  const PICTURES = /\.(png|jpe?g|webp|gif|bmp|avif|tiff?)$/i;
  const MODES = ["Balanced", "My prompt is more important", "ControlNet is more important"];
  const RESIZES = ["Just Resize", "Crop and Resize", "Resize and Fill"];
  const PASSES = ["Both", "Low res only", "High res only"];
  const NONE = "None";
  const ALL = "All";
  const FRESH = {
    enabled: false, low_vram: false, pixel_perfect: false, preview: false, effective_region: false, preview_as_input: false,
    independent: false, source: "single", type: ALL, module: "none", model: NONE, weight: 1, start: 0, end: 1, resolution: 512,
    threshold_a: -1, threshold_b: -1, mode: MODES[0], resize_mode: RESIZES[1], hires: PASSES[0], union_type: "",
    crop_with_inpaint: true, layer_weights: [],
  };

  // --- the table: preprocessors, types, models; asked for once, when something of ours is first in sight

  let table = null;
  let asked = null;

  function load({ again = false } = {}) {
    if (again || !asked) {
      asked = maple.ask("internal/controlnet").then((found) => {
        table = found;
        document.dispatchEvent(new CustomEvent("maple:controlnet"));
        return found;
      });
      asked.catch(() => { asked = null; });
    }
    return asked;
  }

  const row = (module) => table?.detectors[module] ?? { label: module, type: "", a: null, b: null, resolution: false, needs_model: true, needs_picture: true, missing: [] };
  const kind = (name) => table?.types.find((type) => type.name === name);

  /** What a preprocessor's dials begin at. */
  const dialled = (module) => ({ resolution: row(module).default_resolution ?? 512, threshold_a: row(module).a?.default ?? -1, threshold_b: row(module).b?.default ?? -1 });

  // --- shapes. Each is a wrapper with A1111's id, and says how to show what is held.

  function box(held, id, key, label, { title = "" } = {}) {
    const input = make("input", { type: "checkbox", onchange: () => held.set({ [key]: input.checked }) });
    held.shows.push(() => { input.checked = held.values[key]; });
    return make("div", { id, class: "cn-check" }, make("label", { title }, input, make("span", { text: label })));
  }

  function slider(held, id, key, { label, lo, hi, step }) {
    const put = (raw) => { const value = Number(raw); if (raw !== "" && Number.isFinite(value)) held.set({ [key]: Math.min(hi, Math.max(lo, value)) }); };
    const name = make("span", { text: label });
    const number = make("input", { type: "number", min: lo, max: hi, step, onchange: () => { put(number.value); show(); } });
    const range = make("input", { type: "range", min: lo, max: hi, step, "aria-label": label, oninput: () => put(range.value) });
    const element = make("div", { id, class: "cn-slider" }, make("label", {}, name, number), range);
    const show = () => {
      const value = held.values[key];
      if (document.activeElement !== number || Number(number.value) !== value) number.value = value;
      range.value = value;
    };
    held.shows.push(show);
    /** Another dial in the same place: label and range follow the preprocessor. */
    element.become = (dial) => {
      [lo, hi, step] = [dial.lo, dial.hi, dial.step];
      for (const input of [number, range]) Object.assign(input, { min: lo, max: hi, step });
      if (name.dataset.label !== dial.label) { name.dataset.label = dial.label; name.textContent = dial.label; range.setAttribute("aria-label", dial.label); }
    };
    return element;
  }

  function radio(held, id, key, label, names, { plain = false } = {}) {
    const inputs = names.map((value) => make("input", { type: "radio", name: `${id}_radio`, value, onchange: () => held.set({ [key]: value }) }));
    held.shows.push(() => { for (const input of inputs) input.checked = input.value === held.values[key]; });
    return make("fieldset", { id, class: "cn-radio" }, make("legend", { text: label }),
      make("div", { class: "wrap" }, ...inputs.map((input) => make("label", {}, input, make("span", { text: input.value, translate: plain ? false : undefined })))));
  }

  function dropdown(held, id, key, label, { plain = false } = {}) {
    const select = make("select", { "aria-label": label, onchange: () => held.set({ [key]: select.value }) });
    const element = make("div", { id, class: "cn-select" }, make("span", { class: "cn-label", text: label }), select);
    let drawn = "";
    /** entries: [value, text]; a chosen one that is not among them is offered too, so that it is never changed unseen. */
    element.offer = (entries) => {
      const value = held.values[key];
      const whole = entries.some((entry) => entry[0] === value) ? entries : [...entries, [value, value]];
      const sign = JSON.stringify(whole);
      if (sign !== drawn) select.replaceChildren(...whole.map(([each, text]) => make("option", { value: each, text, translate: plain && each !== NONE ? false : undefined })));
      drawn = sign;
      select.value = value;
    };
    return element;
  }

  const tool = (symbol, title, act, properties = {}) => make("button", { type: "button", class: "maple-button cn-tool", text: symbol, title, "aria-label": title, onclick: act, ...properties });

  function isPicture(file) { return file.type.startsWith("image/") || PICTURES.test(file.name); }

  // --- a picture becomes a map, as a job of the queue

  /** Resolves to {map: Blob, poses, notes, job: its id}. `told(text)` hears how far it is. Throws Trouble. */
  async function detect(values, told = () => {}) {
    let job = await maple.ask("internal/controlnet/detect", { values });
    for (let wait = 150; !FINAL.has(job.state); wait = Math.min(1000, wait * 1.4)) {
      told(job.state === "queued" ? (job.position > 0 ? maple.say("waiting_behind", { count: job.position }) : maple.say("waiting")) : `${job.phase_text} ${Math.floor(100 * job.progress)}%`);
      await new Promise((resolve) => setTimeout(resolve, wait));
      job = await maple.ask(`internal/jobs/${job.id}`);
    }
    if (job.state === "failed") throw new maple.Trouble(job.error);
    if (!job.pictures.length) throw new maple.Trouble(maple.say("no_map"));
    const answer = await fetch(maple.address(`internal/picture/${job.id}/0`));
    if (!answer.ok) throw new maple.Trouble(maple.say("server_said", { status: answer.status }));
    return { map: await answer.blob(), poses: job.info.poses?.length ? job.info.poses : null, notes: job.notes, job: job.id };
  }

  /** What a preprocessor needs and does not find, with the place of each file and one button to fetch them. */
  function wanting(module, again) {
    const missing = row(module).missing;
    if (!missing.length) return null;
    const list = make("ul", {}, ...missing.map((file) => make("li", { translate: false }, `${file.name} → `, make("code", { text: file.folder }))));
    const said = make("span", { class: "cn-said", role: "status", translate: false });
    const button = make("button", { type: "button", class: "maple-button", text: "Download the missing files", onclick: () => maple.attempt(async () => {
      button.disabled = true;
      try {
        let job = await maple.ask("internal/controlnet/fetch", { module });
        while (!FINAL.has(job.state)) {
          said.textContent = `${job.phase_text} ${Math.floor(100 * job.progress)}%`;
          await new Promise((resolve) => setTimeout(resolve, 700));
          job = await maple.ask(`internal/jobs/${job.id}`);
        }
        if (job.state === "failed") throw new maple.Trouble(job.error);
        said.textContent = job.notes.join(" ");
        await load({ again: true });
        again();
      } finally { button.disabled = false; }
    }) });
    return make("div", { class: "cn-missing" }, make("span", { text: "This preprocessor needs files that are not here:" }), list, make("div", { class: "cn-row" }, button, said));
  }

  const blobOf = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

  /** A picture of one colour. */
  function plain(width, height, colour) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const paint = canvas.getContext("2d");
    paint.fillStyle = colour;
    paint.fillRect(0, 0, width, height);
    return blobOf(canvas);
  }

  /** Take a picture with the camera; null when it was thought better of. */
  async function photograph(mirrored) {
    if (!navigator.mediaDevices?.getUserMedia) throw new maple.Trouble(maple.say("no_camera_here"));
    let stream;
    try { stream = await navigator.mediaDevices.getUserMedia({ video: true }); } catch { throw new maple.Trouble(maple.say("no_camera")); }
    const video = make("video", { autoplay: true, muted: true, playsInline: true, class: mirrored ? "mirrored" : "" });
    video.srcObject = stream;
    return new Promise((resolve) => {
      let taken = null;
      const take = async () => {
        const canvas = document.createElement("canvas");
        canvas.width = video.videoWidth;
        canvas.height = video.videoHeight;
        if (!canvas.width) return;
        const paint = canvas.getContext("2d");
        if (mirrored) { paint.translate(canvas.width, 0); paint.scale(-1, 1); }
        paint.drawImage(video, 0, 0);
        taken = await blobOf(canvas);
        dialog.close();
      };
      const dialog = make("dialog", { class: "maple-dialog cn-camera" }, video, make("div", { class: "row" },
        make("button", { type: "button", class: "maple-button primary", text: "Take the picture", onclick: take }),
        make("button", { type: "button", class: "maple-button", text: "Cancel", onclick: () => dialog.close() })));
      dialog.addEventListener("close", () => { for (const track of stream.getTracks()) track.stop(); dialog.remove(); resolve(taken); });
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  // --- one unit

  class Unit {
    constructor(tab, number) {
      this.tab = tab;
      this.number = number;
      this.base = `${tab}_controlnet_ControlNet-${number}`;
      this.values = { ...FRESH };
      this.shows = [];
      this.panel = null;
      this.map = null; // {blob, address, poses}: the annotator's result
      this.several = []; // the files of Multi-Inputs
      this.sketching = false; // the picture is drawn on the blank canvas, not loaded
      this.mirrored = false;
      this.busy = 0; // counts previews: an older answer is not shown over a newer
    }

    id(suffix) { return `${this.base}_controlnet_${suffix}`; }

    // the canvases live outside the panel, as they do in img2img
    get picture() { return maple.canvas.get(`${this.base}_input_image_canvas`, { draw: "mask" }); }
    get sketch() { return maple.canvas.get(`${this.base}_sketch_canvas`, { draw: "colour" }); }
    get mask() { return maple.canvas.get(`${this.base}_mask_image_canvas`, { draw: "mask", hint: "Drop the mask here: white is where the unit has effect" }); }
    get editor() { return this.sketching ? this.sketch : this.picture; }
    get own() { return this.tab !== "img2img" || this.values.independent; } // a picture of the unit's own

    set(changes) {
      const { values } = this;
      Object.assign(values, changes);
      if ("type" in changes) this.choose(changes.type);
      else if ("module" in changes && !("threshold_a" in changes)) Object.assign(values, dialled(values.module));
      if ("preview" in changes && !values.preview) this.forgetMap();
      this.show();
      heads[this.tab].draw();
      keepSoon(this.tab);
    }

    /** A control type brings its default preprocessor and model. */
    choose(type) {
      const found = kind(type);
      if (!found || type === ALL) return;
      const module = found.default || found.detectors[0] || "none";
      Object.assign(this.values, { module, model: found.model || NONE, ...dialled(module) });
    }

    build() {
      if (this.panel) return;
      const id = (suffix) => this.id(suffix);
      this.panel = make("div", { class: "cnet-unit-tab", role: "tabpanel", id: `${this.base}_tab`, "aria-labelledby": `${this.base}_tab-button` },
        this.inputs(),
        make("div", { class: "cn-checks controlnet_main_options" },
          box(this, id("enable_checkbox"), "enabled", "Enable"), box(this, id("low_vram_checkbox"), "low_vram", "Low VRAM", { title: "The network leaves the graphics card after each pass" }),
          box(this, id("pixel_perfect_checkbox"), "pixel_perfect", "Pixel Perfect", { title: "The resolution follows from the picture and the size that is drawn" }),
          box(this, id("preprocessor_preview_checkbox"), "preview", "Allow Preview"),
          box(this, id("mask_upload_checkbox"), "effective_region", "Effective Region Mask", { title: "The unit has effect only where the mask is white" }),
          (this.asInput = box(this, id("preview_as_input_checkbox"), "preview_as_input", "Preview as Input", { title: "The map that is shown is used as it is" })),
          this.tab === "img2img" ? box(this, id("same_img2img_checkbox"), "independent", "Upload independent control image") : null,
          this.tab === "img2img" ? (this.crop = box(this, id("inpaint_crop_input_image_checkbox"), "crop_with_inpaint", "Crop input image based on A1111 mask", { title: "With “Only masked”, the unit's picture is cut out as the picture is" })) : null),
        (this.types = radio(this, id("type_filter_radio"), "type", "Control Type", [ALL, ...table.types.map((type) => type.name).filter((name) => name !== ALL)])),
        make("div", { class: "cn-row controlnet_preprocessor_model" },
          (this.modules = dropdown(this, id("preprocessor_dropdown"), "module", "Preprocessor", { plain: true })),
          tool("💥", "Run preprocessor", () => this.preview(), { id: id("trigger_preprocessor") }),
          (this.models = dropdown(this, id("model_dropdown"), "model", "Model", { plain: true })),
          tool("🔄", "Refresh the list", (event) => this.refresh(event.currentTarget), { id: id("refresh_models") })),
        (this.missing = make("div", { class: "cn-missing-place" })),
        (this.union = dropdown(this, id("union_control_type"), "union_type", "Union Control Type", { plain: true })),
        make("div", { class: "cn-row controlnet_weight_steps" },
          slider(this, id("control_weight_slider"), "weight", { label: "Control Weight", lo: 0, hi: 2, step: 0.05 }),
          slider(this, id("start_control_step_slider"), "start", { label: "Starting Control Step", lo: 0, hi: 1, step: 0.01 }),
          slider(this, id("ending_control_step_slider"), "end", { label: "Ending Control Step", lo: 0, hi: 1, step: 0.01 })),
        (this.dials = make("div", { class: "cn-row controlnet_threshold" },
          (this.resolution = slider(this, id("preprocessor_resolution_slider"), "resolution", { label: "Resolution", lo: 64, hi: 2048, step: 8 })),
          (this.a = slider(this, id("threshold_A_slider"), "threshold_a", { label: "Threshold A", lo: 0, hi: 256, step: 1 })),
          (this.b = slider(this, id("threshold_B_slider"), "threshold_b", { label: "Threshold B", lo: 0, hi: 256, step: 1 })))),
        radio(this, id("control_mode_radio"), "mode", "Control Mode", MODES),
        radio(this, id("resize_mode_radio"), "resize_mode", "Resize Mode", RESIZES),
        this.tab === "txt2img" ? (this.hires = radio(this, id("hr_option_radio"), "hires", "Hires-Fix Option", PASSES)) : null);
      this.hires?.classList.add("only-with-hires");
      this.show();
    }

    /** Where the pictures stand: Single Image and Multi-Inputs, the map beside, the mask below. */
    inputs() {
      this.place = make("div", { id: `${this.base}_input_image`, class: "cnet-image cn-canvas" });
      this.masked = make("div", { id: `${this.base}_mask_image`, class: "cnet-mask-image cn-canvas" });
      this.result = make("div", { id: `${this.base}_generated_image`, class: "cnet-generated-image" });
      this.blank = this.canvasForm();
      const id = (suffix) => this.id(suffix);
      this.tools = make("div", { class: "cn-row cn-tools cnet-image-controls" },
        make("span", { class: "hint", text: "Lines on white need “invert” or a line art preprocessor." }),
        tool("📝", "Open new canvas", () => this.blanks(), { id: id("open_new_canvas_button") }),
        tool("🕺", "Pose editor", () => this.edit(), { id: id("pose_editor_button") }),
        tool("📷", "Enable webcam", () => maple.attempt(async () => {
          const photo = await photograph(this.mirrored);
          if (photo) { this.sketching = false; await this.picture.open(photo); this.show(); }
        }), { id: id("webcam_enable") }),
        (this.mirror = tool("⇄", "Mirror webcam", () => { this.mirrored = !this.mirrored; this.show(); }, { id: id("webcam_mirror"), "aria-pressed": "false" })),
        tool("⤴", "Send dimensions to stable diffusion", () => this.dimensions(), { id: id("send_dimen_button") }));
      this.zone = this.multi();
      this.sources = ["single", "multi"].map((source, n) => make("button", { type: "button", role: "tab", class: "cn-tab", text: ["Single Image", "Multi-Inputs"][n], "data-source": source, onclick: () => this.set({ source }) }));
      this.pictures = make("div", { class: "cn-pictures" },
        make("div", { class: "cn-tabs", role: "tablist" }, ...this.sources),
        (this.single = make("div", { class: "cn-single" }, make("div", { class: "cn-column" }, this.place, this.masked), make("div", { class: "cn-column cn-result" }, this.result))),
        this.zone, this.blank, this.tools);
      arrows(this.pictures.firstChild);
      return this.pictures;
    }

    canvasForm() {
      const side = (name) => make("input", { id: this.id(`canvas_${name}`), type: "number", min: 64, max: 4096, step: 8, value: 512, "aria-label": name === "width" ? "New Canvas Width" : "New Canvas Height" });
      this.sides = [side("width"), side("height")];
      return make("div", { class: "cn-row cn-blank", hidden: true },
        make("label", {}, make("span", { text: "New Canvas Width" }), this.sides[0]), make("label", {}, make("span", { text: "New Canvas Height" }), this.sides[1]),
        make("button", { type: "button", class: "maple-button", id: this.id("canvas_create_button"), text: "Create New Canvas", onclick: () => maple.attempt(() => this.newCanvas()) }),
        make("button", { type: "button", class: "maple-button", id: this.id("canvas_cancel_button"), text: "Cancel", onclick: () => { this.blank.hidden = true; } }));
    }

    async blanks() {
      this.blank.hidden = !this.blank.hidden;
      if (this.blank.hidden) return;
      const now = await maple.form.read(this.tab);
      this.sides[0].value = now[`${this.tab}_width`];
      this.sides[1].value = now[`${this.tab}_height`];
    }

    /** White paper with a black pencil. */
    async newCanvas() {
      const [width, height] = this.sides.map((side) => Math.min(4096, Math.max(64, Math.round(Number(side.value) || 512))));
      await this.sketch.open(await plain(width, height, "#fff"));
      this.sketch.dress({ colour: "#000000" });
      this.sketch.resize(Math.max(2, Math.round(Math.min(width, height) / 128)));
      this.sketching = true;
      this.blank.hidden = true;
      this.set({ source: "single", ...(this.tab === "img2img" ? { independent: true } : {}) });
    }

    multi() {
      const input = make("input", { type: "file", accept: "image/*", multiple: true, class: "out-of-sight", tabIndex: -1, "aria-hidden": "true", onchange: () => { this.add(input.files); input.value = ""; } });
      this.list = make("div", { class: "batch-list" });
      const zone = make("div", { class: "batch-zone cn-multi", id: `${this.base}_multi_inputs_gallery` }, input,
        make("button", { type: "button", class: "canvas-empty", onclick: () => input.click() }, make("span", { text: "Drop images here, or click to choose them" })),
        make("div", { class: "batch-bar" }, make("span", { class: "batch-count", text: "Each picture is a control of its own, with these settings." }),
          make("button", { type: "button", class: "maple-button", text: "Add images", onclick: () => input.click() }),
          make("button", { type: "button", class: "maple-button", text: "Remove all", onclick: () => { this.several = []; this.drawSeveral(); } })), this.list);
      for (const type of ["dragenter", "dragover"]) zone.addEventListener(type, (event) => { event.preventDefault(); zone.classList.add("dropping"); });
      zone.addEventListener("dragleave", (event) => { if (!zone.contains(event.relatedTarget)) zone.classList.remove("dropping"); });
      zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("dropping"); this.add(event.dataTransfer.files); });
      return zone;
    }

    add(files) {
      this.several.push(...[...files].filter(isPicture));
      this.drawSeveral();
    }

    drawSeveral() {
      this.zone.classList.toggle("filled", this.several.length > 0);
      for (const image of maple.all("img", this.list)) URL.revokeObjectURL(image.src);
      this.list.replaceChildren(...this.several.map((file, n) => make("button", {
        type: "button", class: "batch-item", title: file.name, translate: false, onclick: () => { this.several.splice(n, 1); this.drawSeveral(); },
      }, make("img", { src: URL.createObjectURL(file), alt: file.name }))));
    }

    // what is shown follows from what is held

    show() {
      if (!this.panel) return;
      const { values } = this;
      for (const show of this.shows) show();
      const found = row(values.module);
      const type = kind(values.type);
      const names = !type || values.type === ALL ? Object.keys(table.detectors) : type.detectors;
      this.modules.offer(names.map((name) => [name, row(name).label]));
      const models = !type || values.type === ALL ? table.models : type.models;
      this.models.offer([[NONE, NONE], ...models.filter((name) => name !== NONE).map((name) => [name, name])]);
      this.models.classList.toggle("unused", !found.needs_model);
      const dials = [[this.resolution, found.resolution && !values.pixel_perfect], [this.a, found.a], [this.b, found.b]];
      for (const [element, dial] of dials) {
        element.hidden = !dial;
        if (dial?.label) element.become(dial);
      }
      this.dials.hidden = !dials.some(([, dial]) => dial);
      this.union.hidden = !/union|promax/i.test(values.model);
      if (!this.union.hidden) this.union.offer([["", maple.language.word("By the preprocessor")], ...table.union_types.map((name) => [name, name])]);
      const missing = JSON.stringify([values.module, found.missing]);
      if (this.missing.dataset.drawn !== missing) {
        this.missing.dataset.drawn = missing;
        this.missing.replaceChildren(...[wanting(values.module, () => this.show())].filter(Boolean));
      }
      this.showPictures();
    }

    showPictures() {
      const { values, own } = this;
      this.pictures.classList.toggle("without-own", !own);
      for (const button of this.sources) {
        const on = button.dataset.source === values.source;
        button.setAttribute("aria-selected", String(on));
        button.tabIndex = on ? 0 : -1;
      }
      this.zone.hidden = values.source !== "multi";
      this.single.hidden = values.source !== "single";
      this.place.hidden = !own;
      if (own && this.editor.element.parentElement !== this.place) this.editor.stand(this.place);
      this.masked.hidden = !values.effective_region;
      if (values.effective_region && this.mask.element.parentElement !== this.masked.lastChild) this.drawMask();
      this.mirror.setAttribute("aria-pressed", String(this.mirrored));
      this.asInput.hidden = !this.map;
      if (this.crop) this.crop.hidden = !own;
      this.result.parentElement.hidden = !values.preview;
      this.drawMap();
    }

    drawMask() {
      const holder = make("div", {});
      this.masked.replaceChildren(make("div", { class: "cn-row" }, make("span", { class: "hint", text: "White is where the unit has effect." }),
        make("button", { type: "button", class: "maple-button", text: "Draw a mask", onclick: () => maple.attempt(async () => {
          const now = await maple.form.read(this.tab);
          const [width, height] = this.editor.file ? [this.editor.width, this.editor.height] : [now[`${this.tab}_width`], now[`${this.tab}_height`]];
          await this.mask.open(await plain(width, height, "#000"));
        }) })), holder);
      this.mask.stand(holder);
    }

    drawMap() {
      const sign = `${this.map?.address ?? ""} ${Boolean(this.map?.poses)} ${this.values.preview}`;
      if (this.result.dataset.drawn === sign) return;
      this.result.dataset.drawn = sign;
      const { map } = this;
      const parts = map ? [make("img", { src: map.address, alt: "", "data-map": "" }), make("div", { class: "cn-row" },
        map.poses ? make("button", { type: "button", class: "maple-button cnet-edit-pose", text: "✏️ Edit", title: "Edit the pose", onclick: () => this.edit() }) : null,
        make("a", { class: "maple-button", text: "💾", title: "Download the map", href: map.address, download: `${this.values.module}.png` }),
        map.poses ? make("a", { class: "maple-button", text: "JSON", title: "Download the pose", href: `data:application/json,${encodeURIComponent(JSON.stringify(map.poses))}`, download: "pose.json" }) : null,
        make("button", { type: "button", class: "maple-button", text: "✕", title: "Close the preview", "aria-label": "Close the preview", onclick: () => this.set({ preview: false }) }))]
        : [make("p", { class: "hint", text: "The preprocessor's map is shown here: press 💥." })];
      this.result.replaceChildren(...parts);
    }

    // deeds

    takeMap({ blob, poses = null }) {
      if (this.map) URL.revokeObjectURL(this.map.address);
      this.map = { blob, poses, address: URL.createObjectURL(blob) };
      this.values.preview = true;
      this.show();
    }

    forgetMap() {
      if (this.map) URL.revokeObjectURL(this.map.address);
      this.map = null;
      this.busy += 1;
      this.values.preview_as_input = false;
    }

    /** The picture of this unit for a preview: its own, or the one img2img starts from. Throws Trouble. */
    async source() {
      if (this.own && this.values.source === "multi") {
        if (!this.several.length) throw new maple.Trouble(maple.say("no_control_picture", { number: this.number }));
        return { picture: await maple.upload(this.several[0]), drawing: "" };
      }
      const { editor } = this;
      if (!this.own) {
        const picture = await maple.tabs.img2img.picture();
        if (!picture) throw new maple.Trouble(maple.say("no_init_image"));
        return { picture: await maple.upload(picture), drawing: "" };
      }
      if (!editor.file) throw new maple.Trouble(maple.say("no_control_picture", { number: this.number }));
      if (this.sketching) return { picture: await maple.upload(await editor.flat()), drawing: "" };
      const drawing = await editor.drawing();
      return { picture: await maple.upload(editor.file), drawing: drawing ? await maple.upload(drawing) : "" };
    }

    preview() {
      return maple.attempt(async () => {
        const mine = ++this.busy;
        const said = make("p", { class: "hint", role: "status", translate: false });
        if (!this.values.preview) { this.values.preview = true; this.show(); }
        const button = maple.at(`[id="${this.id("trigger_preprocessor")}"]`, this.panel);
        button.classList.add("busy");
        try {
          const now = await maple.form.read(this.tab);
          const values = { ...this.values, ...(await this.source()), width: now[`${this.tab}_width`], height: now[`${this.tab}_height`] };
          this.result.dataset.drawn = "";
          this.result.replaceChildren(said);
          const { map, poses, notes } = await detect(values, (text) => { said.textContent = text; });
          if (mine !== this.busy) return;
          this.takeMap({ blob: map, poses });
          for (const note of notes) maple.tell(note);
        } finally {
          button.classList.remove("busy");
          delete this.result.dataset.drawn;
          this.drawMap();
        }
      });
    }

    /** The map's pose, or a new one of the size that is drawn. */
    edit() {
      return maple.attempt(async () => {
        const now = await maple.form.read(this.tab);
        const size = { width: now[`${this.tab}_width`], height: now[`${this.tab}_height`] };
        edit(this.map, this.editor.file, (changed) => { this.takeMap(changed); this.set({ preview_as_input: true }); }, size);
      });
    }

    async dimensions() {
      const editor = this.own ? this.editor : null;
      if (!editor?.file) { maple.tell(maple.say("no_control_picture", { number: this.number })); return; }
      const whole = (value) => Math.min(2048, Math.max(64, Math.round(value / 8) * 8));
      await maple.attempt(() => maple.form.write(this.tab, { [`${this.tab}_width`]: whole(editor.width), [`${this.tab}_height`]: whole(editor.height) }, { asTyped: true }));
    }

    async refresh(button) {
      button.classList.add("busy");
      await maple.attempt(async () => {
        await maple.ask("internal/controlnet/refresh", {});
        await load({ again: true });
      });
      button.classList.remove("busy");
      for (const unit of units()) unit.show();
    }

    /** Take a picture (a file, or an address of this page), perhaps with what made it. */
    async receive(picture, values = {}) {
      const file = picture instanceof Blob ? picture : await (await fetch(picture)).blob();
      this.sketching = false;
      this.forgetMap();
      const taken = await this.picture.open(file);
      const { type = this.values.type, poses = null, ...others } = values;
      if (taken) {
        if (type !== this.values.type) this.set({ type });
        this.set({ enabled: true, source: "single", module: "none", ...(this.tab === "img2img" ? { independent: true } : {}), ...others });
        if (poses) this.takeMap({ blob: file, poses });
      }
      return taken;
    }

    /** What Generate sends of it; pictures go before. Throws Trouble. */
    async told() {
      const { values } = this;
      const whole = { ...values, number: this.number, picture: "", drawing: "", region: "", region_drawing: "", pictures: [] };
      if (values.effective_region && this.mask.file) {
        whole.region = await maple.upload(this.mask.file);
        const drawing = await this.mask.drawing();
        if (drawing) whole.region_drawing = await maple.upload(drawing);
      }
      if (this.map && values.preview_as_input) return { ...whole, module: "none", picture: await maple.upload(this.map.blob) };
      if (!this.own || (!row(values.module).needs_picture && !this.editor.file)) return whole;
      if (values.source === "multi") {
        if (!this.several.length) throw new maple.Trouble(maple.say("no_control_picture", { number: this.number }));
        for (const file of this.several) whole.pictures.push(await maple.upload(file));
        return whole;
      }
      return { ...whole, ...(await this.source()) };
    }
  }

  /** Open the pose editor over a map, or with a figure of its own where there is none; `taken({blob, poses})` gets what comes back. */
  function edit(map, background, taken, size = {}) {
    if (!window.maplePose) { maple.tell(maple.say("no_pose_editor"), "bad"); return; }
    const first = [map?.poses].flat()[0] ?? {};
    window.maplePose.open({
      poses: map?.poses ?? null, width: first.canvas_width ?? size.width, height: first.canvas_height ?? size.height, background: background ?? null,
      onSend: (poses, blob) => { taken({ blob, poses: Array.isArray(poses) ? poses : [poses] }); },
    });
  }

  // --- the units of a tab and their head

  /** Left and right walk through a row of tabs. */
  function arrows(list) {
    list.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return;
      const tabs = [...list.children];
      const next = tabs[(tabs.indexOf(document.activeElement) + way + tabs.length) % tabs.length];
      event.preventDefault();
      next.click();
      next.focus();
    });
  }

  function head(tab) {
    const all = [];
    let root = null, body = null, tabs = null, stage = null, button = null;
    let at = 0;
    let open = false;

    /** What a unit is called: its type, once it is on. */
    function called(unit) {
      const { enabled, type, module } = unit.values;
      const name = type !== ALL ? type : module === "none" ? "" : row(module).type || module;
      return `ControlNet Unit ${unit.number}${enabled && name ? ` [${name}]` : ""}`;
    }

    function ensure() {
      const count = table?.count ?? 0;
      while (all.length < count) all.push(new Unit(tab, all.length));
      return all;
    }

    function draw() {
      if (!root) return;
      const on = all.filter((unit) => unit.values.enabled);
      button.setAttribute("aria-expanded", String(open));
      maple.at(".cn-on", button).textContent = on.length ? on.map((unit) => called(unit).replace("ControlNet Unit ", "")).join(" · ") : "";
      body.hidden = !open;
      if (!open || !table) return;
      ensure();
      if (tabs.children.length !== all.length) {
        tabs.replaceChildren(...all.map((unit, n) => make("button", {
          type: "button", role: "tab", class: "cn-tab", id: `${unit.base}_tab-button`, "aria-controls": `${unit.base}_tab`, translate: false, onclick: () => { at = n; draw(); },
        })));
      }
      at = Math.min(at, all.length - 1);
      all.forEach((unit, n) => {
        const each = tabs.children[n];
        each.textContent = called(unit).replace("ControlNet Unit", maple.language.word("ControlNet Unit"));
        each.classList.toggle("cnet-unit-active", unit.values.enabled);
        each.setAttribute("aria-selected", String(n === at));
        each.tabIndex = n === at ? 0 : -1;
      });
      const unit = all[at];
      unit.build();
      if (stage.firstChild !== unit.panel) stage.replaceChildren(unit.panel);
    }

    function stand(holder) {
      if (!root) {
        tabs = make("div", { class: "cn-tabs cn-units tab-nav", role: "tablist", id: `${tab}_controlnet_tabs` });
        arrows(tabs);
        stage = make("div", { class: "cn-stage" });
        body = make("div", { class: "cn-body", hidden: true }, tabs, stage);
        button = make("button", { type: "button", class: "label-wrap cn-head", "aria-expanded": "false", onclick: () => unfold(!open) },
          make("span", { text: "ControlNet", translate: false }), make("span", { class: "cn-on", translate: false }), make("span", { class: "cn-mark", "aria-hidden": "true" }));
        root = make("div", { id: tab === "txt2img" ? "controlnet" : `${tab}_controlnet_accordion`, class: "controlnet" }, button, body);
      }
      if (root.parentElement !== holder) holder.replaceChildren(root);
      draw();
    }

    async function unfold(wanted) {
      open = wanted;
      if (open && !table) await maple.attempt(load);
      open = open && Boolean(table);
      draw();
      if (open) for (const unit of all) unit.show();
    }

    return { all, draw, stand, unfold, ensure, to(n) { at = n; return unfold(true); }, get at() { return at; } };
  }

  const heads = Object.fromEntries(maple.TABS.map((tab) => [tab, head(tab)]));
  const units = () => maple.TABS.flatMap((tab) => heads[tab].all);

  for (const tab of maple.TABS) {
    maple.whenSeen(`#${tab}_controlnet, #${tab}_controlnet > *`, () => { const holder = maple.inner(`#${tab}_controlnet`); if (holder) heads[tab].stand(holder); });
  }
  for (const type of ["maple:language", "maple:controlnet"]) document.addEventListener(type, () => { for (const tab of maple.TABS) heads[tab].draw(); for (const unit of units()) unit.show(); });
  // A blank canvas that was removed makes room for a picture again.
  document.addEventListener("maple:canvas", ({ detail: { id, what, editor } }) => {
    if (what !== "picture" || editor.file) return;
    const unit = units().find((each) => each.sketching && id === `${each.base}_sketch_canvas`);
    if (unit) { unit.sketching = false; unit.show(); }
  });

  // --- what is set outlives a reload of its tab (pictures do not)

  const KEY = (tab) => `maple.controlnet.${tab}`;
  const keeping = {};
  function keepSoon(tab) {
    clearTimeout(keeping[tab]);
    keeping[tab] = setTimeout(() => {
      const kept = heads[tab].all.map(({ values }) => ({ ...values, preview: false, preview_as_input: false }));
      try { sessionStorage.setItem(KEY(tab), JSON.stringify(kept)); } catch { /* full or refused */ }
    }, 300);
  }

  document.addEventListener("maple:ready", () => maple.attempt(async () => {
    for (const tab of maple.TABS) {
      let kept = null;
      try { kept = JSON.parse(sessionStorage.getItem(KEY(tab))); } catch { /* as if there were none */ }
      if (!kept?.some((each) => JSON.stringify({ ...FRESH, ...each }) !== JSON.stringify(FRESH))) continue;
      await load();
      heads[tab].ensure().forEach((unit, n) => { if (kept[n]) Object.assign(unit.values, kept[n]); unit.show(); });
      heads[tab].draw();
    }
  }));

  // --- what Generate sends

  maple.additions.push(async (tab) => {
    const on = heads[tab].all.filter((unit) => unit.values.enabled);
    if (!on.length) return {};
    const told = [];
    for (const unit of on) told.push(await unit.told());
    return { [`${tab}_controlnet`]: told };
  });

  // --- what a pasted infotext brings

  document.addEventListener("maple:pasted", ({ detail: { found, tab } }) => maple.attempt(async () => {
    if (!found.controlnet?.length) return;
    await load();
    const all = heads[tab].ensure();
    for (const unit of all) if (!found.controlnet.some(({ number }) => number === unit.number)) unit.set({ enabled: false });
    for (const { number, ...values } of found.controlnet) {
      if (!all[number]) { maple.tell(maple.say("no_such_unit", { number, count: all.length })); continue; }
      all[number].set({ ...FRESH, independent: all[number].values.independent, ...values, enabled: true });
    }
    heads[tab].draw();
  }));

  maple.controlnet = {
    load, row, detect, edit, wanting, dialled, shapes: { box, slider, radio, dropdown, tool, arrows }, ALL, NONE, RESIZES,
    get table() { return table; },
    /** The units of a tab, once the table is there. */
    units: async (tab) => { await load(); return heads[tab].ensure(); },
    /** Put a picture into a unit and bring it into sight. */
    async send(picture, tab, number, values = {}) {
      const all = await maple.controlnet.units(tab);
      maple.tab(tab);
      maple.at(`[id="${tab}_generation_tab-button"]`)?.click();
      await heads[tab].to(number);
      return all[number].receive(picture, values);
    },
  };
})();
