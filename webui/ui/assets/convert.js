// The Models tab: a model in another format. The job runs in the queue, so leaving the page loses nothing.
(() => {
  "use strict";
  const FINAL = new Set(["done", "stopped", "failed"]);
  const TITLES = { safetensors: "Safetensors (.safetensors)", pickle: "PyTorch (.ckpt, .pt)", diffusers: "diffusers folder" };
  const KINDS = { checkpoint: "Checkpoint", vae: "VAE", lora: "Lora", embedding: "Textual Inversion", controlnet: "ControlNet", upscaler: "Upscaler" };
  const PRECISIONS = { "": "As it is", fp16: "float16", bf16: "bfloat16", fp32: "float32" };
  let offered = null;
  let watched = null;

  const holder = () => maple.inner("#models_convert");
  const field = (id) => maple.at(`#convert_${id}`);

  function choice(id, label, options) {
    const select = maple.make("select", { id: `convert_${id}` }, ...options.map(([value, text, plain]) => maple.make("option", { value, text, translate: plain ? false : undefined })));
    return maple.make("label", { class: "convert-field" }, maple.make("span", { class: "setting-label", text: label }), select);
  }

  function check(id, label) {
    return maple.make("label", { class: "check" }, maple.make("input", { id: `convert_${id}`, type: "checkbox" }), maple.make("span", { class: "setting-label", text: label }));
  }

  function draw() {
    const place = holder();
    if (!place || !offered) return;
    const kinds = choice("kind", "Kind", offered.kinds.map(({ kind }) => [kind, KINDS[kind] || kind]));
    place.replaceChildren(maple.make("div", { class: "convert-form" },
      maple.make("h3", { text: "Convert a model" }),
      kinds, choice("model", "Model", []), choice("to", "Format", offered.formats.map((name) => [name, TITLES[name]])),
      choice("precision", "Precision", offered.precisions.map((name) => [name, PRECISIONS[name]])),
      maple.make("label", { class: "convert-field" }, maple.make("span", { class: "setting-label", text: "Name of the result" }),
        maple.make("input", { id: "convert_name", type: "text", spellcheck: false })),
      check("drop_ema", "Leave out EMA weights"), check("overwrite", "Replace an existing file"),
      maple.make("div", { class: "convert-buttons" },
        maple.make("button", { id: "convert_start", class: "maple-button primary", type: "button", text: "Convert", onclick: start }),
        maple.make("button", { id: "convert_stop", class: "maple-button", type: "button", text: "Interrupt", hidden: true, onclick: stop }),
        maple.make("button", { id: "convert_refresh", class: "maple-plain", type: "button", text: "🔄", title: "Refresh the list", onclick: () => maple.attempt(refresh) })),
      maple.make("progress", { id: "convert_progress", max: 1, value: 0, hidden: true }),
      maple.make("p", { id: "convert_said", role: "status", translate: false })));
    field("kind").onchange = list;
    list();
  }

  function list() {
    const rows = offered.kinds.find(({ kind }) => kind === field("kind").value)?.models || [];
    field("model").replaceChildren(...rows.map(({ name, megabytes }) => maple.make("option", { value: name, text: megabytes ? `${name} (${megabytes} MB)` : name, translate: false })));
    field("start").disabled = !rows.length;
    const checkpoint = field("kind").value === "checkpoint";
    maple.at('option[value="diffusers"]', field("to")).disabled = !checkpoint;
    if (!checkpoint && field("to").value === "diffusers") field("to").value = "safetensors";
  }

  async function refresh() {
    for (const kind of ["checkpoint", "vae"]) await maple.ask(`internal/refresh/${kind}`, {});
    await load();
  }

  /** Read what there is; what is filled in stays. */
  async function load() {
    offered = await maple.ask("internal/convert");
    if (!field("start")) { draw(); return; }
    const chosen = field("model").value;
    list();
    field("model").value = chosen;
  }

  function start() {
    const values = { kind: field("kind").value, model: field("model").value, to: field("to").value, precision: field("precision").value,
      name: field("name").value.trim(), drop_ema: field("drop_ema").checked, overwrite: field("overwrite").checked };
    return maple.attempt(async () => { say(""); watch(await maple.ask("internal/convert", { values })); });
  }

  function stop() {
    if (watched) maple.attempt(() => maple.ask(`internal/jobs/${watched.id}/stop`, {}));
  }

  const say = (text) => { if (field("said")) field("said").textContent = text; };

  async function watch(job) {
    watched = job;
    while (watched?.id === job.id && !FINAL.has(job.state)) {
      show(job);
      await new Promise((done) => setTimeout(done, 500));
      try { job = await maple.ask(`internal/jobs/${job.id}`); } catch (trouble) {
        if (trouble.status === 404 || trouble.status === 401) { watched = null; say(trouble.message); return; }
      }
    }
    if (watched?.id !== job.id) return;
    watched = null;
    if (job.state === "done") await maple.attempt(async () => { await load(); await maple.form.refreshLists(); });
    show(job);
  }

  function show(job) {
    const over = FINAL.has(job.state);
    if (!field("progress")) return;
    field("progress").hidden = over;
    field("progress").value = job.progress;
    field("stop").hidden = over;
    field("start").disabled = !over;
    if (job.state === "failed") say(job.error);
    else if (over) say(job.notes.join(" ") || job.phase_text);
    else say(job.state === "queued" ? maple.say("waiting") : `${job.phase_text} ${Math.floor(job.progress * 100)}%`);
  }

  maple.whenSeen("#models_convert > *, #models_convert", () => { if (holder() && !field("start")) maple.attempt(async () => {
    await load();
    const jobs = await maple.ask("internal/jobs");
    const active = jobs.find((job) => job.kind === "convert" && !FINAL.has(job.state));
    if (active) watch(active);
  }); });
})();
