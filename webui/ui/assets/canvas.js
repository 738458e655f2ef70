// A picture one can draw on: a mask or colours in a layer at the picture's own resolution, whatever size it is shown at.
//
// The layer is never on the page. What is shown is a canvas of the window's size, redrawn only where something changed, so
// that a stroke costs the same on a picture of 512 and of 4096 pixels. While a stroke is being drawn it goes into both the
// layer and its shown copy: reading from the big layer in every frame would have the browser copy it in every frame.
// Undo keeps the squares of TILE pixels that a stroke touched, as they were before it.
(() => {
  "use strict";
  const TILE = 256; // pixels
  const MOST_UNDO = 256 * 1024 * 1024; // bytes kept for undo and redo together
  const MOST_PIXELS = 100_000_000; // a layer beyond that is refused by browsers, or takes their tab down
  const MOST_ZOOM = 40; // times the size at which a picture pixel is a screen pixel
  const ZOOM_STEP = 1.15;
  const CHECK = 8; // side of a square of the mask's pattern, CSS pixels
  const editors = new Map();
  let active = null; // the editor that keys and pasted pictures go to: under the pointer, or with the focus

  const ICONS = {
    brush: "M4 20c3 0 5-1 5-4 0-1.500-1.200-2.500-2.500-2.500C4.500 13.500 5 17 4 20ZM9 14 19 3.500c1-1 2.500.5 1.500 1.500L11 16",
    eraser: "m8 20 12-12-5-5L3.500 14.500 9 20h11M9 9l6 6",
    pick: "m4 20 1-4 9-9 3 3-9 9-4 1ZM13 5l6 6M15 7l3-3c1-1 3 1 2 2l-3 3",
    move: "M12 3v18M3 12h18M12 3 9.500 5.500M12 3l2.500 2.500M12 21l-2.500-2.500M12 21l2.500-2.500M3 12l2.500-2.500M3 12l2.500 2.500M21 12l-2.500-2.500M21 12l-2.500 2.500",
    undo: "M8 5 4 9l4 4M4 9h10a5.500 5.500 0 0 1 0 11h-4",
    redo: "m16 5 4 4-4 4M20 9H10a5.500 5.500 0 0 0 0 11h4",
    clear: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
    fill: "m5 13 7-8 7 7-6 7c-1 1-2 1-3 0l-5-4c-.700-.600-.700-1.300 0-2ZM20 15c1 2 2 3 2 4a1.500 1.500 0 0 1-3 0c0-1 .500-2 1-4Z",
    reset: "M4 12a8 8 0 1 1 2.500 5.800M4 20v-5h5",
    full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
    open: "M12 15V4M8 8l4-4 4 4M4 15v5h16v-5",
    remove: "m6 6 12 12M18 6 6 18",
    help: "M9 9a3 3 0 1 1 4 3c-1 .500-1 1-1 2M12 18v.5",
  };

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) svg.setAttribute(key, value);
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  const clamp = (value, lo, hi) => Math.min(hi, Math.max(lo, value));
  const isTyping = (target) => Boolean(target?.closest?.("input:not([type=range]):not([type=checkbox]):not([type=color]), textarea, select, [contenteditable=true]"));

  /** The pattern of a mask: light and dark squares, to be told from any picture. */
  function checks(context, ratio) {
    const side = Math.max(2, Math.round(CHECK * ratio));
    const square = document.createElement("canvas");
    square.width = square.height = side * 2;
    const paint = square.getContext("2d");
    paint.fillStyle = "#fff";
    paint.fillRect(0, 0, side * 2, side * 2);
    paint.fillStyle = "#444";
    paint.fillRect(0, 0, side, side);
    paint.fillRect(side, side, side, side);
    return context.createPattern(square, "repeat");
  }

  class Editor {
    /** id names the editor, draw is what is drawn: "" nothing, "mask", "colour". */
    constructor({ id, draw = "", hint = "" }) {
      this.id = id;
      this.draw = draw;
      this.file = null; // the picture as it came, byte for byte
      this.width = this.height = 0;
      this.levels = []; // the picture, halved again and again: what is shown small is not read large
      this.layer = null; // canvas at the picture's resolution; made with the first stroke
      this.blank = true; // nothing is drawn
      this.revision = 0; // counts changes of the drawing
      this.past = [];
      this.future = [];
      this.zoom = 1; // screen pixels per picture pixel, CSS pixels
      this.x = this.y = 0; // where the picture's corner is in the view
      this.fitted = true;
      this.size = 0; // of the brush: diameter in picture pixels
      this.colour = draw === "mask" ? "#ffffff" : "#e03131";
      this.tool = "brush";
      this.contrast = true;
      this.pointers = new Map();
      this.stroke = null;
      this.held = null; // a key that pans while it is down
      this.cursor = null; // where the keyboard's brush stands, in picture pixels
      this.dirty = null;
      this.asked = 0;
      this.coming = 0; // the newest picture asked for: one that was slower to open is dropped
      this.build(hint);
    }

    // --- the elements

    build(hint) {
      const { make } = maple;
      const button = (name, title, act, extra = {}) => make("button", { type: "button", class: "canvas-tool", "data-do": name, title, "aria-label": title, onclick: act, ...extra }, icon(name));
      this.input = make("input", { type: "file", accept: "image/*", class: "out-of-sight", tabIndex: -1, "aria-hidden": "true", onchange: () => { if (this.input.files[0]) this.open(this.input.files[0]); this.input.value = ""; } });
      const parts = [];
      if (this.draw) {
        this.slider = make("input", { type: "range", min: 0, max: 100, step: 1, class: "canvas-size", title: "Brush size", "aria-label": "Brush size", oninput: () => this.resize(this.sizeAt(Number(this.slider.value))) });
        this.said = make("span", { class: "canvas-said", translate: false });
        parts.push(button("brush", "Brush (B)", () => this.use("brush")), button("eraser", "Eraser (E); the right mouse button erases too", () => this.use("eraser")));
        if (this.draw === "colour") {
          this.picker = make("input", { type: "color", value: this.colour, title: "Brush colour", "aria-label": "Brush colour", oninput: () => { this.colour = this.picker.value; this.use("brush"); } });
          parts.push(this.picker, button("pick", "Pick a colour from the picture (I)", () => this.use(this.tool === "pick" ? "brush" : "pick")));
        }
        parts.push(make("label", { class: "canvas-size-box" }, this.slider, this.said),
          button("undo", "Undo (Ctrl+Z)", () => this.undo()), button("redo", "Redo (Ctrl+Shift+Z)", () => this.redo()),
          button("fill", this.draw === "mask" ? "Mask everything" : "Fill with the colour", () => this.fill()), button("clear", "Clear the drawing", () => this.clear()));
      }
      this.magnified = make("span", { class: "canvas-told", translate: false });
      parts.push(make("span", { class: "canvas-gap" }),
        button("move", "Move the picture (hold F or Space, or the middle mouse button)", () => this.use(this.tool === "move" ? "brush" : "move")),
        button("reset", "Reset zoom and position (R)", () => this.fit()), button("full", "Fullscreen (S)", () => this.fullscreen()),
        button("open", "Choose another picture", () => this.input.click()), button("remove", "Remove the picture", () => this.remove()),
        button("help", "Keys", () => this.keysShown()));
      this.bar = make("div", { class: "canvas-bar", role: "toolbar", "aria-label": "Drawing" }, ...parts);
      this.view = document.createElement("canvas");
      this.shown = document.createElement("canvas"); // the layer as the view shows it
      this.scratch = document.createElement("canvas");
      this.ring = make("div", { class: "canvas-ring", hidden: true });
      this.empty = make("button", { type: "button", class: "canvas-empty", onclick: () => this.input.click() }, make("span", { text: hint || "Drop an image here, paste one, or click to choose one" }));
      this.port = make("div", { class: "canvas-port", tabIndex: 0, role: "application", "aria-label": "Picture to draw on" }, this.view, this.ring, this.magnified);
      this.element = make("div", { class: "maple-canvas", "data-id": this.id, "data-draw": this.draw || "none" }, this.input, this.bar, this.port, this.empty);
      this.listen();
      new ResizeObserver(() => this.measured()).observe(this.port);
      this.draws();
    }

    /** Put the elements where Gradio drew a place for them (again). */
    stand(holder) {
      if (this.element.parentElement !== holder) holder.replaceChildren(this.element);
      this.measured();
    }

    listen() {
      const { port, element } = this;
      element.addEventListener("pointerenter", () => { active = this; });
      element.addEventListener("pointerleave", () => { if (active === this && !element.contains(document.activeElement) && !this.stroke) active = null; this.ring.hidden = true; });
      element.addEventListener("focusin", () => { active = this; });
      for (const type of ["dragenter", "dragover"]) element.addEventListener(type, (event) => { event.preventDefault(); element.classList.add("dropping"); });
      element.addEventListener("dragleave", (event) => { if (!element.contains(event.relatedTarget)) element.classList.remove("dropping"); });
      element.addEventListener("drop", (event) => { event.preventDefault(); event.stopPropagation(); element.classList.remove("dropping"); this.dropped(event.dataTransfer); });
      port.addEventListener("pointerdown", (event) => this.down(event));
      port.addEventListener("pointermove", (event) => this.moved(event));
      for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) port.addEventListener(type, (event) => this.up(event));
      port.addEventListener("contextmenu", (event) => { if (this.draw) event.preventDefault(); });
      port.addEventListener("auxclick", (event) => event.preventDefault());
      port.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    }

    // --- the picture

    async dropped(transfer) {
      const file = [...transfer.files].find((item) => item.type.startsWith("image/") || /\.(png|jpe?g|webp|gif|bmp|avif|tiff?)$/i.test(item.name));
      if (file) { await this.open(file); return; }
      const address = transfer.getData("text/uri-list").split("\n")[0];
      if (!address) return;
      // Only pictures of this page: another site's would be fetched with the person's cookies, or not at all.
      if (!address.startsWith("data:image/") && !address.startsWith(maple.address("internal/"))) { maple.tell(maple.say("canvas_foreign")); return; }
      await maple.attempt(async () => this.open(await (await fetch(address.replace("?small", ""))).blob()));
    }

    /** Take a picture file. The drawing goes; zoom starts anew. Resolves to whether the browser could open it. */
    async open(file) {
      const mine = ++this.coming;
      let whole;
      try { whole = await createImageBitmap(file); } catch {
        maple.tell(maple.say("canvas_unreadable", { name: file.name || file.type || "?" }), "bad");
        return false;
      }
      if (mine !== this.coming) return false;
      if (whole.width * whole.height > MOST_PIXELS) {
        maple.tell(maple.say("canvas_too_large", { width: whole.width, height: whole.height, most: MOST_PIXELS / 1e6 }), "bad");
        return false;
      }
      for (const level of this.levels) level.close();
      this.levels = [whole];
      this.file = file;
      this.width = whole.width;
      this.height = whole.height;
      this.forget();
      if (!this.size) this.size = Math.max(4, Math.round(Math.min(this.width, this.height) / 12));
      this.draws();
      this.measured();
      this.fit();
      this.resize(this.size);
      this.say("picture");
      await this.halve(mine);
      return true;
    }

    async halve(mine) {
      for (let level = this.levels[0]; Math.min(level.width, level.height) > 512;) {
        const next = await createImageBitmap(level, { resizeWidth: Math.ceil(level.width / 2), resizeHeight: Math.ceil(level.height / 2), resizeQuality: "medium" });
        if (mine !== this.coming) { next.close(); return; }
        this.levels.push((level = next));
      }
      this.redraw();
    }

    remove() {
      this.coming += 1;
      for (const level of this.levels) level.close();
      this.levels = [];
      this.file = null;
      this.width = this.height = 0;
      this.forget();
      if (this.element.classList.contains("fullscreen")) this.fullscreen();
      this.draws();
      this.redraw();
      this.say("picture");
    }

    forget() {
      this.layer = null;
      this.blank = true;
      this.past = [];
      this.future = [];
      this.cursor = null;
      this.revision += 1;
    }

    say(what) { document.dispatchEvent(new CustomEvent("maple:canvas", { detail: { id: this.id, what, editor: this } })); }

    /** The drawing as a transparent PNG of the picture's size, or null when there is none. */
    async drawing() {
      if (this.blank || !this.layer) return null;
      const { revision } = this;
      if (this.packed?.revision === revision) return this.packed.blob;
      const blob = await new Promise((resolve) => this.layer.toBlob(resolve, "image/png"));
      if (!blob) throw new maple.Trouble(maple.say("canvas_no_memory"));
      this.packed = { revision, blob };
      return blob;
    }

    /** Picture and colours as one PNG; the file as it came where no colour is on it. */
    async flat() {
      if (this.draw !== "colour" || this.blank || !this.layer) return this.file;
      const whole = document.createElement("canvas");
      whole.width = this.width;
      whole.height = this.height;
      const paint = whole.getContext("2d");
      paint.drawImage(this.levels[0], 0, 0);
      paint.drawImage(this.layer, 0, 0);
      return new Promise((resolve) => whole.toBlob(resolve, "image/png"));
    }

    // --- what is shown

    draws() {
      const { element } = this;
      element.classList.toggle("filled", Boolean(this.file));
      for (const name of ["brush", "eraser", "pick", "move"]) maple.at(`[data-do=${name}]`, element)?.setAttribute("aria-pressed", String(this.tool === name));
      maple.at("[data-do=undo]", element)?.toggleAttribute("disabled", !this.past.length);
      maple.at("[data-do=redo]", element)?.toggleAttribute("disabled", !this.future.length);
      maple.at("[data-do=clear]", element)?.toggleAttribute("disabled", this.blank);
      this.port.dataset.tool = this.held ? "move" : this.draw ? this.tool : "move";
      if (this.width) this.element.style.setProperty("--aspect", `${this.width} / ${this.height}`);
      if (this.said) this.said.textContent = this.size ? `${this.size} px` : "";
      this.magnified.textContent = this.file ? `${this.width}×${this.height} · ${Math.round(this.zoom * 100)}%` : "";
    }

    get ratio() { return window.devicePixelRatio || 1; }

    measured() {
      const width = this.port.clientWidth, height = this.port.clientHeight;
      if (!width || !height) return;
      const [w, h] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
      if (this.view.width === w && this.view.height === h) return;
      for (const canvas of [this.view, this.shown, this.scratch]) { canvas.width = w; canvas.height = h; }
      this.paints = this.view.getContext("2d");
      this.copies = this.shown.getContext("2d");
      this.mixes = this.scratch.getContext("2d");
      this.pattern = checks(this.mixes, this.ratio);
      if (this.fitted) this.fit();
      else this.place();
    }

    get whole() { return Math.min(this.port.clientWidth / this.width, this.port.clientHeight / this.height) || 1; }

    fit() {
      if (!this.file) return;
      this.fitted = true;
      this.zoom = this.whole;
      this.x = (this.port.clientWidth - this.width * this.zoom) / 2;
      this.y = (this.port.clientHeight - this.height * this.zoom) / 2;
      this.place();
    }

    /** Keep a part of the picture in sight, then draw all anew. */
    place() {
      const keep = 40;
      this.x = clamp(this.x, keep - this.width * this.zoom, this.port.clientWidth - keep);
      this.y = clamp(this.y, keep - this.height * this.zoom, this.port.clientHeight - keep);
      this.stale = true;
      this.redraw();
      this.draws();
    }

    zoomTo(zoom, x = this.port.clientWidth / 2, y = this.port.clientHeight / 2) {
      if (!this.file) return;
      const next = clamp(zoom, this.whole / 4, MOST_ZOOM);
      this.x = x - (x - this.x) * (next / this.zoom);
      this.y = y - (y - this.y) * (next / this.zoom);
      this.zoom = next;
      this.fitted = false;
      this.place();
      this.ringAt(x, y);
    }

    pan(by, down) {
      this.x += by;
      this.y += down;
      this.fitted = false;
      this.place();
    }

    /** Ask for a frame. `box` is what changed, in picture pixels; none: everything. */
    redraw(box = null) {
      const old = this.dirty;
      this.dirty = !this.asked ? { box } : old?.box && box ? { box: joined(old.box, box) } : { box: null };
      if (this.asked) return;
      this.asked = requestAnimationFrame(() => { this.asked = 0; this.frame(this.dirty.box); });
    }

    frame(box) {
      if (!this.paints) return;
      const { ratio, paints } = this;
      const clip = box ? this.toView(box) : [0, 0, this.view.width, this.view.height];
      if (!clip) return;
      const [left, top, width, height] = clip;
      paints.setTransform(1, 0, 0, 1, 0, 0);
      paints.clearRect(left, top, width, height);
      if (!this.file) return;
      if (this.stale) { this.copy(); this.stale = false; }
      this.lay(paints, this.levels[this.levelFor()], left, top, width, height);
      if (this.blank || !this.layer) return;
      if (this.draw === "colour") { paints.drawImage(this.shown, left, top, width, height, left, top, width, height); return; }
      const { mixes } = this;
      mixes.globalCompositeOperation = "copy";
      mixes.save();
      mixes.beginPath();
      mixes.rect(left, top, width, height);
      mixes.clip();
      mixes.drawImage(this.shown, 0, 0);
      mixes.globalCompositeOperation = "source-in";
      mixes.fillStyle = this.contrast ? this.pattern : this.colour;
      mixes.fillRect(left, top, width, height);
      mixes.restore();
      paints.globalAlpha = this.contrast ? 0.62 : 0.7;
      paints.drawImage(this.scratch, left, top, width, height, left, top, width, height);
      paints.globalAlpha = 1;
    }

    levelFor() {
      const shown = this.zoom * this.ratio;
      let at = 0;
      while (at + 1 < this.levels.length && shown * 2 ** (at + 1) <= 1.05) at += 1;
      return at;
    }

    /** Draw a picture (of any resolution) where the picture stands, as far as it falls into a part of the view. */
    lay(paints, picture, left, top, width, height) {
      const { ratio } = this;
      const scale = this.zoom * ratio;
      const x0 = Math.max(0, Math.floor((left - this.x * ratio) / scale) - 2), y0 = Math.max(0, Math.floor((top - this.y * ratio) / scale) - 2);
      const x1 = Math.min(this.width, Math.ceil((left + width - this.x * ratio) / scale) + 2), y1 = Math.min(this.height, Math.ceil((top + height - this.y * ratio) / scale) + 2);
      if (x1 <= x0 || y1 <= y0) return;
      const kx = picture.width / this.width, ky = picture.height / this.height;
      paints.save();
      paints.beginPath();
      paints.rect(left, top, width, height);
      paints.clip();
      paints.imageSmoothingEnabled = scale < 3; // magnified, pixels are to be seen as they are
      paints.drawImage(picture, x0 * kx, y0 * ky, (x1 - x0) * kx, (y1 - y0) * ky,
        this.x * ratio + x0 * scale, this.y * ratio + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale);
      paints.restore();
    }

    /** Make the shown copy of the layer anew. */
    copy() {
      const { copies, shown } = this;
      copies.setTransform(1, 0, 0, 1, 0, 0);
      copies.clearRect(0, 0, shown.width, shown.height);
      if (!this.blank && this.layer) this.lay(copies, this.layer, 0, 0, shown.width, shown.height);
    }

    /** A box of picture pixels [left, top, right, bottom] as a rectangle of the view's pixels, or null when it is out of sight. */
    toView([left, top, right, bottom]) {
      const { ratio } = this;
      const x0 = Math.max(0, Math.floor((left * this.zoom + this.x) * ratio) - 2), y0 = Math.max(0, Math.floor((top * this.zoom + this.y) * ratio) - 2);
      const x1 = Math.min(this.view.width, Math.ceil((right * this.zoom + this.x) * ratio) + 2), y1 = Math.min(this.view.height, Math.ceil((bottom * this.zoom + this.y) * ratio) + 2);
      return x1 > x0 && y1 > y0 ? [x0, y0, x1 - x0, y1 - y0] : null;
    }

    // --- drawing

    begin() {
      if (!this.layer) {
        const layer = document.createElement("canvas");
        layer.width = this.width;
        layer.height = this.height;
        // Kept in main memory: strokes are drawn there as quickly, and undo reads without waiting for the graphics card.
        const context = layer.getContext("2d", { willReadFrequently: true });
        if (!context) { maple.tell(maple.say("canvas_no_memory"), "bad"); return false; }
        this.layer = layer;
        this.context = context;
      }
      return true;
    }

    /** Keep what the squares under a box hold, unless this stroke kept them already. */
    keep(step, [left, top, right, bottom]) {
      const x1 = Math.min(this.width, Math.ceil(right)), y1 = Math.min(this.height, Math.ceil(bottom));
      for (let y = Math.floor(Math.max(0, top) / TILE) * TILE; y < y1; y += TILE) {
        for (let x = Math.floor(Math.max(0, left) / TILE) * TILE; x < x1; x += TILE) {
          const at = `${x} ${y}`;
          if (!step.tiles.has(at)) step.tiles.set(at, this.tile(x, y));
        }
      }
    }

    tile(x, y) {
      const width = Math.min(TILE, this.width - x), height = Math.min(TILE, this.height - y);
      const piece = this.context.getImageData(x, y, width, height);
      // An empty square needs no memory.
      return { x, y, width, height, piece: new Uint32Array(piece.data.buffer).some(Boolean) ? piece : null };
    }

    /** Draw from a to b (picture pixels) with the brush of the stroke. */
    line(a, b) {
      const { stroke, size } = this;
      const reach = size / 2 + 2;
      const box = [Math.min(a[0], b[0]) - reach, Math.min(a[1], b[1]) - reach, Math.max(a[0], b[0]) + reach, Math.max(a[1], b[1]) + reach];
      this.keep(stroke.step, box);
      const scale = this.zoom * this.ratio;
      this.copies.setTransform(scale, 0, 0, scale, this.x * this.ratio, this.y * this.ratio);
      for (const paint of [this.context, this.copies]) {
        paint.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
        paint.strokeStyle = paint.fillStyle = this.colour;
        paint.lineWidth = size;
        paint.lineCap = paint.lineJoin = "round";
        paint.beginPath();
        if (a[0] === b[0] && a[1] === b[1]) {
          paint.arc(a[0], a[1], size / 2, 0, 2 * Math.PI);
          paint.fill();
        } else {
          paint.moveTo(a[0], a[1]);
          paint.lineTo(b[0], b[1]);
          paint.stroke();
        }
        paint.globalCompositeOperation = "source-over";
      }
      this.redraw(box);
    }

    startStroke(at, erase) {
      if (!this.begin()) return false;
      this.stroke = { erase, at, step: { tiles: new Map(), blank: this.blank } };
      if (!erase) this.blank = false;
      this.line(at, at);
      return true;
    }

    endStroke() {
      const { stroke } = this;
      if (!stroke) return;
      this.stroke = null;
      this.last = stroke.at;
      this.done(stroke.step);
    }

    done(step) {
      this.past.push(step);
      this.future = [];
      this.revision += 1;
      this.trim();
      this.draws();
      this.say("drawing");
    }

    trim() {
      const weight = (steps) => steps.reduce((sum, step) => sum + [...step.tiles.values()].reduce((bytes, tile) => bytes + (tile.piece?.data.length ?? 0), 0), 0);
      while (this.past.length > 1 && weight(this.past) + weight(this.future) > MOST_UNDO) this.past.shift();
    }

    swap(from, to) {
      if (this.stroke || !from.length) return;
      const step = from.pop();
      const other = { tiles: new Map(), blank: this.blank };
      for (const [at, tile] of step.tiles) {
        other.tiles.set(at, this.tile(tile.x, tile.y));
        if (tile.piece) this.context.putImageData(tile.piece, tile.x, tile.y);
        else this.context.clearRect(tile.x, tile.y, tile.width, tile.height);
      }
      this.blank = step.blank;
      to.push(other);
      this.revision += 1;
      this.stale = true;
      this.redraw();
      this.draws();
      this.say("drawing");
    }

    undo() { this.swap(this.past, this.future); }
    redo() { this.swap(this.future, this.past); }

    /** Change the whole layer in one step. */
    all(act, blank) {
      if (!this.file || this.stroke || !this.begin()) return;
      const step = { tiles: new Map(), blank: this.blank };
      this.keep(step, [0, 0, this.width, this.height]);
      act(this.context);
      this.blank = blank;
      this.stale = true;
      this.redraw();
      this.done(step);
    }

    clear() { if (!this.blank) this.all((paint) => paint.clearRect(0, 0, this.width, this.height), true); }

    fill() {
      this.all((paint) => { paint.fillStyle = this.colour; paint.fillRect(0, 0, this.width, this.height); }, false);
    }

    /** Lay a picture (a mask or a drawing) into the layer, stretched to its size. For a mask, what is bright is masked. */
    async put(file) {
      const drawn = await createImageBitmap(file);
      this.all((paint) => { paint.clearRect(0, 0, this.width, this.height); paint.drawImage(drawn, 0, 0, this.width, this.height); }, false);
      drawn.close();
    }

    /** How it looks by the settings: a mask as a pattern or as a colour, and the brush's first colour. */
    dress({ contrast, colour = null }) {
      this.contrast = contrast;
      if (/^#[0-9a-f]{6}$/i.test(colour ?? "")) {
        this.colour = colour;
        if (this.picker) this.picker.value = colour;
      }
      this.redraw();
    }

    use(tool) {
      this.tool = tool;
      this.ring.hidden = true;
      this.draws();
    }

    // --- size of the brush: the slider's 100 steps are even in proportion, not in pixels

    get largest() { return Math.max(16, Math.round(Math.min(this.width, this.height) || 512)); }
    sizeAt(step) { return Math.max(1, Math.round(this.largest ** (step / 100))); }

    resize(size) {
      this.size = clamp(Math.round(size), 1, this.largest);
      if (this.slider) this.slider.value = String(Math.round(100 * Math.log(this.size) / Math.log(this.largest)));
      this.draws();
      if (!this.ring.hidden && this.ringed) this.ringAt(...this.ringed);
    }

    grow(sign) { this.resize(sign > 0 ? Math.max(this.size + 1, this.size * 1.12) : Math.min(this.size - 1, this.size / 1.12)); }

    /** The brush's outline where the pointer is. */
    ringAt(x, y) {
      this.ringed = [x, y];
      const shows = this.file && this.draw && !this.held && (this.tool === "brush" || this.tool === "eraser");
      this.ring.hidden = !shows;
      if (!shows) return;
      const side = Math.max(3, this.size * this.zoom);
      this.ring.style.cssText = `width:${side}px;height:${side}px;transform:translate(${x - side / 2}px,${y - side / 2}px)`;
      this.ring.classList.toggle("erasing", this.tool === "eraser");
    }

    // --- pointers: mouse, pen, fingers

    spot(event) {
      const box = this.port.getBoundingClientRect();
      return [event.clientX - box.left - this.port.clientLeft, event.clientY - box.top - this.port.clientTop];
    }

    toPicture([x, y]) { return [(x - this.x) / this.zoom, (y - this.y) / this.zoom]; }

    down(event) {
      if (!this.file) return;
      active = this;
      const at = this.spot(event);
      const pans = event.button === 1 || this.held || this.tool === "move" || !this.draw;
      // A browser scrolls a page by touch; a picture that only stands there lets it, unless it is magnified.
      if (event.pointerType === "touch" && !this.draw && this.fitted && !this.pointers.size) return;
      if (event.pointerType === "touch" && [...this.pointers.values()].some((pointer) => pointer.type === "pen")) return; // the hand that holds the pen
      event.preventDefault();
      this.port.focus({ preventScroll: true });
      try { this.port.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone already */ }
      this.pointers.set(event.pointerId, { at, type: event.pointerType });
      if (this.pointers.size === 2) {
        // The first finger's dot was the beginning of a pinch, no stroke.
        if (this.stroke) { this.endStroke(); this.undo(); this.future = []; this.draws(); }
        this.pinch = this.pinched();
        return;
      }
      if (this.pointers.size > 2) return;
      if (pans) { this.panning = at; this.port.classList.add("panning"); return; }
      if (this.tool === "pick") { this.pick(this.toPicture(at)); return; }
      const erase = this.tool === "eraser" || event.button === 2 || Boolean(event.buttons & 32); // 32: a pen's other end
      const from = event.shiftKey && this.last && !this.blank ? this.last : null;
      const to = this.toPicture(at);
      if (!this.startStroke(from ?? to, erase)) return;
      if (from) { this.line(from, to); this.stroke.at = to; }
    }

    moved(event) {
      const at = this.spot(event);
      const pointer = this.pointers.get(event.pointerId);
      if (event.pointerType !== "touch") this.ringAt(...at);
      if (!pointer) return;
      pointer.at = at;
      if (this.pinch) { this.pinching(); return; }
      if (this.panning) {
        this.pan(at[0] - this.panning[0], at[1] - this.panning[1]);
        this.panning = at;
        return;
      }
      if (!this.stroke) return;
      const steps = event.getCoalescedEvents?.() ?? [];
      for (const step of steps.length ? steps : [event]) {
        const to = this.toPicture(this.spot(step));
        this.line(this.stroke.at, to);
        this.stroke.at = to;
      }
    }

    up(event) {
      if (!this.pointers.delete(event.pointerId)) return;
      if (this.pointers.size < 2) this.pinch = null;
      if (this.pointers.size) return;
      this.panning = null;
      this.port.classList.remove("panning");
      this.endStroke();
    }

    pinched() {
      const [a, b] = [...this.pointers.values()].map((pointer) => pointer.at);
      return { apart: Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])), at: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
    }

    pinching() {
      const now = this.pinched();
      this.x += now.at[0] - this.pinch.at[0];
      this.y += now.at[1] - this.pinch.at[1];
      this.zoomTo(this.zoom * now.apart / this.pinch.apart, ...now.at);
      this.ring.hidden = true;
      this.pinch = now;
    }

    wheel(event) {
      if (!this.file) return;
      const sign = event.deltaY < 0 ? 1 : -1;
      // A trackpad's pinch arrives as a wheel with Ctrl that nobody holds.
      const pinch = event.ctrlKey && !ctrlDown;
      if (event.altKey || pinch || (event.ctrlKey && !this.draw)) {
        event.preventDefault();
        this.zoomTo(this.zoom * (pinch ? Math.exp(-event.deltaY / 120) : ZOOM_STEP ** sign), ...this.spot(event));
      } else if (event.ctrlKey) {
        event.preventDefault();
        this.grow(sign);
      } else if (!this.fitted && (this.element.classList.contains("fullscreen") || event.shiftKey)) {
        event.preventDefault();
        const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
        this.pan(-across, event.shiftKey ? 0 : -event.deltaY);
      }
    }

    pick([x, y]) {
      const dot = document.createElement("canvas");
      dot.width = dot.height = 1;
      const paint = dot.getContext("2d");
      paint.drawImage(this.levels[0], Math.floor(x), Math.floor(y), 1, 1, 0, 0, 1, 1);
      if (this.layer && !this.blank) paint.drawImage(this.layer, Math.floor(x), Math.floor(y), 1, 1, 0, 0, 1, 1);
      const [red, green, blue] = paint.getImageData(0, 0, 1, 1).data;
      this.colour = `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
      this.picker.value = this.colour;
      this.use("brush");
    }

    // --- sizes of the window

    fullscreen() {
      const on = this.element.classList.toggle("fullscreen");
      this.element.classList.remove("overlap");
      document.documentElement.classList.toggle("canvas-fullscreen", on);
      this.fitted = true;
      requestAnimationFrame(() => { this.measured(); this.fit(); });
    }

    overlap() {
      if (this.element.classList.contains("fullscreen")) return;
      const on = this.element.classList.toggle("overlap");
      if (on) this.element.style.setProperty("--left", `${this.element.getBoundingClientRect().left}px`);
      this.fitted = true;
      requestAnimationFrame(() => { this.measured(); this.fit(); });
    }

    // --- keys

    /** Whether the key was for us. */
    key(event) {
      if (!this.file) return false;
      const command = event.ctrlKey || event.metaKey;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (command && this.draw && name === "z") { if (event.shiftKey) this.redo(); else this.undo(); return true; }
      if (command && this.draw && name === "y") { this.redo(); return true; }
      if (command || event.altKey) return false;
      if (name === "Escape" && this.element.classList.contains("fullscreen")) { this.fullscreen(); return true; }
      if (name === "f" || (name === " " && !event.target.closest?.("button"))) { this.hold(name); return true; }
      const plain = {
        r: () => this.fit(), s: () => this.fullscreen(), o: () => this.overlap(), "+": () => this.zoomTo(this.zoom * ZOOM_STEP), "=": () => this.zoomTo(this.zoom * ZOOM_STEP),
        "-": () => this.zoomTo(this.zoom / ZOOM_STEP),
        ...(this.draw ? { q: () => this.grow(-1), w: () => this.grow(1), "[": () => this.grow(-1), "]": () => this.grow(1), b: () => this.use("brush"), e: () => this.use(this.tool === "eraser" ? "brush" : "eraser") } : {}),
        ...(this.draw === "colour" ? { i: () => this.use("pick") } : {}),
      }[name];
      if (plain) { plain(); return true; }
      return document.activeElement === this.port && this.walk(name, event.shiftKey);
    }

    /** Arrows move the brush (or, with nothing to draw, the picture); Enter puts it down and lifts it. */
    walk(name, far) {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[name];
      if (!this.draw || this.tool === "move") {
        if (way) this.pan(-40 * way[0], -40 * way[1]);
        return Boolean(way);
      }
      this.cursor ??= [this.width / 2, this.height / 2];
      if (way) {
        const step = Math.max(1, this.size * (far ? 1 : 0.25));
        const next = [clamp(this.cursor[0] + way[0] * step, 0, this.width), clamp(this.cursor[1] + way[1] * step, 0, this.height)];
        if (this.stroke) { this.line(this.cursor, next); this.stroke.at = next; }
        this.cursor = next;
      } else if (name === "Enter") {
        if (this.stroke) this.endStroke();
        else this.startStroke(this.cursor, this.tool === "eraser");
      } else return false;
      const [x, y] = [this.cursor[0] * this.zoom + this.x, this.cursor[1] * this.zoom + this.y];
      this.ringAt(x, y);
      return true;
    }

    hold(name) {
      if (this.held) return;
      this.held = name;
      this.ring.hidden = true;
      this.draws();
    }

    release(name) {
      if (this.held !== name) return;
      this.held = null;
      this.draws();
    }

    keysShown() {
      const rows = [["Alt + wheel", "Zoom"], ["Ctrl + wheel", "Brush size"], ["Q / W", "Smaller or larger brush"], ["F / Space", "Move the picture"], ["R", "Reset zoom and position"], ["S", "Fullscreen"], ["O", "Lay over what stands beside"], ["E", "Eraser"],
        ["Ctrl + Z", "Undo"], ["Shift + click", "Straight line"], ["Ctrl + V", "Paste a picture"], ["Arrow keys, Enter", "Move the brush, put it down"]];
      const dialog = maple.make("dialog", { class: "maple-dialog canvas-keys" }, maple.make("h3", { text: "Keys" }),
        maple.make("table", {}, ...rows.map(([keys, what]) => maple.make("tr", {}, maple.make("td", {}, maple.make("kbd", { text: keys })), maple.make("td", { text: what })))),
        maple.make("div", { class: "row" }, maple.make("button", { type: "button", class: "maple-button", text: "Close", onclick: () => dialog.close() })));
      dialog.addEventListener("close", () => dialog.remove());
      document.body.append(dialog);
      dialog.showModal();
    }
  }

  const joined = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];

  // --- keys and pasted pictures go to the editor in use

  let ctrlDown = false;
  const dialogOpen = () => Boolean(maple.at("dialog[open]"));
  const inUse = () => (active?.element.isConnected && maple.visible(active.element) ? active : null);

  // On the window, before the page's own keys: Escape leaves fullscreen and does not stop a running job.
  window.addEventListener("keydown", (event) => {
    if (event.key === "Control") ctrlDown = true;
    const editor = inUse();
    if (!editor || event.isComposing || dialogOpen() || isTyping(event.target)) return;
    if (!editor.key(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  window.addEventListener("keyup", (event) => {
    if (event.key === "Control") ctrlDown = false;
    active?.release(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  }, true);
  window.addEventListener("blur", () => { ctrlDown = false; if (active?.held) active.release(active.held); });

  document.addEventListener("paste", (event) => {
    if (dialogOpen()) return;
    const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
    if (!file || (isTyping(event.target) && event.clipboardData.getData("text/plain"))) return;
    const editor = inUse() ?? [...editors.values()].find((each) => maple.visible(each.element));
    if (!editor) return;
    event.preventDefault();
    event.stopPropagation();
    editor.open(file);
  }, true);

  maple.canvas = {
    /** The editor of that name, made when first asked for. */
    get(id, options = {}) {
      if (!editors.has(id)) editors.set(id, new Editor({ id, ...options }));
      return editors.get(id);
    },
    /** Have an editor stand in one of our slots, however often Gradio draws it anew. */
    standIn(id, options = {}) {
      const editor = maple.canvas.get(id, options);
      maple.whenSeen(`#${id}, #${id} > *`, () => { const holder = maple.inner(`#${id}`); if (holder) editor.stand(holder); });
      return editor;
    },
    get active() { return inUse(); },
  };
})();
