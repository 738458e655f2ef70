// The ControlNet tab: a picture becomes a map, to be saved, downloaded, edited, or sent to a unit, and nothing is generated.
(() => {
  "use strict";
  const { make } = maple;
  const { shapes, ALL } = maple.controlnet;
  const CANVAS = "controlnet_page_canvas";
  const held = {
    values: { type: ALL, module: "none", resolution: 512, threshold_a: -1, threshold_b: -1, pixel_perfect: false, width: 512, height: 512, resize_mode: maple.controlnet.RESIZES[1], unit: "txt2img 0" },
    shows: [],
    set(changes) {
      Object.assign(held.values, changes);
      if ("type" in changes) choose(changes.type);
      else if ("module" in changes) Object.assign(held.values, maple.controlnet.dialled(held.values.module));
      show();
    },
  };
  let page = null;
  let parts = {};
  let map = null; // {blob, address, poses, job}: job is null once it was changed by hand
  let busy = 0;

  function choose(type) {
    const found = maple.controlnet.table.types.find((each) => each.name === type);
    if (!found || type === ALL) return;
    const module = found.default || found.detectors[0] || "none";
    Object.assign(held.values, { module, ...maple.controlnet.dialled(module) });
  }

  function build() {
    const id = (name) => `controlnet_page_${name}`;
    const { box, slider, radio, dropdown, tool } = shapes;
    parts = {
      place: make("div", { class: "cn-canvas", id: id("image") }),
      result: make("div", { class: "cnet-generated-image", id: id("map") }),
      modules: dropdown(held, id("preprocessor_dropdown"), "module", "Preprocessor", { plain: true }),
      missing: make("div", { class: "cn-missing-place" }),
      resolution: slider(held, id("preprocessor_resolution_slider"), "resolution", { label: "Resolution", lo: 64, hi: 2048, step: 8 }),
      a: slider(held, id("threshold_A_slider"), "threshold_a", { label: "Threshold A", lo: 0, hi: 256, step: 1 }),
      b: slider(held, id("threshold_B_slider"), "threshold_b", { label: "Threshold B", lo: 0, hi: 256, step: 1 }),
      width: slider(held, id("width"), "width", { label: "Target width", lo: 64, hi: 2048, step: 8 }),
      height: slider(held, id("height"), "height", { label: "Target height", lo: 64, hi: 2048, step: 8 }),
      unit: dropdown(held, id("unit"), "unit", "Send to a unit", { plain: true }),
      run: tool("💥", "Run preprocessor", run, { id: id("run") }),
      all: make("div", { id: id("missing") }),
    };
    parts.target = make("div", { class: "cn-row" }, parts.width, parts.height);
    parts.resizes = radio(held, id("resize_mode_radio"), "resize_mode", "Resize Mode", maple.controlnet.RESIZES);
    parts.deeds = make("div", { class: "cn-row cn-deeds", hidden: true });
    const types = maple.controlnet.table.types.map((type) => type.name).filter((name) => name !== ALL);
    page = make("div", { class: "cn-tabpage", id: "controlnet_page" }, make("div", { class: "cn-columns" },
      make("div", { class: "cn-column" }, parts.place,
        radio(held, id("type_filter_radio"), "type", "Control Type", [ALL, ...types]),
        make("div", { class: "cn-row" }, parts.modules, parts.run, tool("🕺", "Pose editor", () => edit(), { id: id("pose_editor") })), parts.missing,
        make("div", { class: "cn-row" }, parts.resolution, parts.a, parts.b),
        box(held, id("pixel_perfect_checkbox"), "pixel_perfect", "Pixel Perfect", { title: "The resolution follows from the picture and the size that is drawn" }),
        parts.target, parts.resizes),
      make("div", { class: "cn-column" }, parts.result, parts.deeds)), parts.all);
    maple.canvas.get(CANVAS, { draw: "" }).stand(parts.place);
    show();
  }

  function show() {
    if (!page) return;
    const { values } = held;
    for (const each of held.shows) each();
    const { table, row } = maple.controlnet;
    const found = row(values.module);
    const type = table.types.find((each) => each.name === values.type);
    const names = !type || values.type === ALL ? Object.keys(table.detectors) : type.detectors;
    parts.modules.offer(names.map((name) => [name, row(name).label]));
    for (const [element, dial] of [[parts.resolution, found.resolution && !values.pixel_perfect], [parts.a, found.a], [parts.b, found.b]]) {
      element.hidden = !dial;
      if (dial?.label) element.become(dial);
    }
    parts.target.hidden = parts.resizes.hidden = !values.pixel_perfect;
    parts.unit.offer(maple.TABS.flatMap((tab) => Array.from({ length: table.count }, (_, n) => [`${tab} ${n}`, `${maple.language.word(tab)} · ${maple.language.word("ControlNet Unit")} ${n}`])));
    const wanted = JSON.stringify([values.module, found.missing]);
    if (parts.missing.dataset.drawn !== wanted) {
      parts.missing.dataset.drawn = wanted;
      parts.missing.replaceChildren(...[maple.controlnet.wanting(values.module, show)].filter(Boolean));
    }
    listMissing();
    drawMap();
  }

  /** Every preprocessor that lacks files, with the place of each; a file of several stands once. */
  function listMissing() {
    const { detectors } = maple.controlnet.table;
    const files = new Map();
    for (const [name, { missing }] of Object.entries(detectors)) for (const file of missing) files.set(file.name, { ...file, of: [...(files.get(file.name)?.of ?? []), name] });
    const sign = JSON.stringify([...files]);
    if (parts.all.dataset.drawn === sign) return;
    parts.all.dataset.drawn = sign;
    const rows = [...files.values()].map((file) => make("tr", {}, make("td", { text: file.name, translate: false }), make("td", { text: file.folder, translate: false }), make("td", { text: file.of.join(", "), translate: false })));
    parts.all.replaceChildren(...(rows.length ? [make("details", {}, make("summary", {}, make("span", { text: "Missing files of preprocessors" }), make("span", { text: ` (${rows.length})`, translate: false })),
      make("p", { class: "hint", text: "Put a file into the folder beside it, or choose its preprocessor above and download it." }),
      make("div", { class: "cn-table" }, make("table", {}, make("thead", {}, make("tr", {}, make("th", { text: "File" }), make("th", { text: "Folder" }), make("th", { text: "Preprocessor" }))), make("tbody", {}, ...rows))))] : []));
  }

  function drawMap() {
    const sign = map?.address ?? "";
    parts.deeds.hidden = !map;
    if (parts.result.dataset.drawn === sign) return;
    parts.result.dataset.drawn = sign;
    if (!map) { parts.result.replaceChildren(make("p", { class: "hint", text: "Choose a picture, then press 💥." })); return; }
    parts.result.replaceChildren(make("img", { src: map.address, alt: "", "data-map": "" }));
    const button = (text, act, more = {}) => make("button", { type: "button", class: "maple-button", onclick: () => maple.attempt(act), ...more }, make("span", { text }));
    parts.deeds.replaceChildren(...[
      map.job ? button("💾 Save", save, { id: "controlnet_page_save" }) : null,
      make("a", { class: "maple-button", href: map.address, download: `${held.values.module}.png`, id: "controlnet_page_download" }, make("span", { text: "⬇ Download" })),
      map.poses ? button("✏️ Edit", async () => edit(), { id: "controlnet_page_edit", title: "Edit the pose" }) : null,
      map.poses ? make("a", { class: "maple-button", text: "JSON", title: "Download the pose", translate: false, href: `data:application/json,${encodeURIComponent(JSON.stringify(map.poses))}`, download: "pose.json" }) : null,
      button("Use this result as the picture", async () => maple.canvas.get(CANVAS).open(map.blob)),
      parts.unit, button("Send", send, { id: "controlnet_page_send", class: "maple-button primary" }),
    ].filter(Boolean));
  }

  function take(found) {
    if (map) URL.revokeObjectURL(map.address);
    map = { job: null, ...found, address: URL.createObjectURL(found.blob) };
    drawMap();
  }

  function run() {
    return maple.attempt(async () => {
      const editor = maple.canvas.get(CANVAS);
      if (!editor.file) throw new maple.Trouble(maple.say("no_picture_for_map"));
      const mine = ++busy;
      parts.run.classList.add("busy");
      const said = make("p", { class: "hint", role: "status", translate: false });
      try {
        const picture = await maple.upload(editor.file);
        parts.result.dataset.drawn = "";
        parts.result.replaceChildren(said);
        const found = await maple.controlnet.detect({ ...held.values, picture }, (text) => { said.textContent = text; });
        if (mine !== busy) return;
        take({ blob: found.map, poses: found.poses, job: found.job });
        for (const note of found.notes) maple.tell(note);
      } finally {
        parts.run.classList.remove("busy");
        if (parts.result.contains(said)) { delete parts.result.dataset.drawn; drawMap(); }
      }
    });
  }

  async function save() {
    const answer = await maple.ask("internal/save", { job: map.job, number: 0 });
    maple.tell(answer.text, "good");
  }

  const edit = () => maple.controlnet.edit(map, maple.canvas.get(CANVAS).file, (changed) => take(changed));

  /** The map goes into the chosen unit as it is: its preprocessor is none, its type says which models fit. */
  async function send() {
    const [tab, number] = held.values.unit.split(" ");
    const { type: chosen, module } = held.values;
    const type = chosen !== ALL ? chosen : map.poses ? "OpenPose" : module === "none" ? ALL : maple.controlnet.row(module).type;
    await maple.controlnet.send(map.blob, tab, Number(number), { type: type || ALL, poses: map.poses });
  }

  maple.whenSeen("#controlnet_tab, #controlnet_tab > *", () => maple.attempt(async () => {
    const holder = maple.inner("#controlnet_tab");
    if (!holder || page?.parentElement === holder) return;
    await maple.controlnet.load();
    if (!page) build();
    holder.replaceChildren(page);
    show();
  }));
  for (const type of ["maple:language", "maple:controlnet"]) document.addEventListener(type, show);
})();
