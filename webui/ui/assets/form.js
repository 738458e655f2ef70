// The form's values. Gradio keeps them; one script-only listener reads them and one writes them, so nothing is typed by proxy.
(() => {
  "use strict";
  const pending = []; // writes and reads ({tab, write, resolve}) waiting for a tab's listener to hand over the present values
  const typed = new Set(); // ids the person (or an infotext) has set: a model's own size never overwrites those
  let lists = null;
  let ready = false; // the form has its lists and what was kept of it

  const named = (ids, values) => Object.fromEntries(ids.map((id, at) => [id, values[at]]));

  function press(tab, write) {
    return new Promise((resolve, reject) => {
      const button = maple.at(`#${tab}_fill`);
      if (!button) { reject(new Error(`${tab} has no form`)); return; }
      const entry = { tab, write, resolve };
      pending.push(entry);
      button.click();
      // A button that was drawn a moment ago may not be listened to yet.
      const again = setInterval(() => {
        if (pending.includes(entry)) maple.at(`#${tab}_fill`)?.click();
        else clearInterval(again);
      }, 400);
    });
  }

  /** Called by the listener with what is in the form; answers with what shall be, undefined for what stays. */
  function filled(tab, ids, values) {
    const now = named(ids, values);
    const work = pending.filter((entry) => entry.tab === tab);
    for (const entry of work) pending.splice(pending.indexOf(entry), 1);
    const shall = {};
    for (const { write } of work) Object.assign(shall, write);
    // Gradio takes the answer over after we return: whoever reads next must see it.
    const settled = Object.keys(shall).length ? 20 : 0;
    setTimeout(() => work.forEach(({ resolve }) => resolve(now)), settled);
    return ids.map((id) => (id in shall ? shall[id] : undefined));
  }

  const read = (tab) => press(tab, {});

  async function write(tab, values, { asTyped = false } = {}) {
    if (asTyped) for (const id of Object.keys(values)) typed.add(id);
    const before = await press(tab, values);
    document.dispatchEvent(new CustomEvent("maple:form", { detail: { tab, values } }));
    return before;
  }

  const FIELDS = maple.PICTURED.map((tab) => `[id^=${tab}_]`).join(",");
  const onPage = () => maple.PICTURED.filter((tab) => maple.at(`#${tab}_fill`));

  // What the person typed, dragged or chose. Our own writes do not pass here: they are no input events.
  for (const type of ["input", "change"]) {
    document.addEventListener(type, (event) => {
      if (!event.isTrusted) return;
      const field = event.target.closest?.(FIELDS);
      if (field) typed.add(field.id);
    }, true);
  }

  // --- lists of models and styles

  const choice = (list, value) => ({ __type__: "update", choices: list.map((item) => [item, item]), value });

  function nearest(list, value, otherwise) {
    if (list.includes(value)) return value;
    const bare = String(value ?? "").replace(/ \[[0-9a-f]+\]$/, "");
    return list.find((item) => item === bare || item.replace(/ \[[0-9a-f]+\]$/, "") === bare) ?? otherwise;
  }

  /** Fetch /internal/choices and put them into the drop-downs; what is chosen stays chosen while it exists. */
  async function refreshLists({ first = false, again = false } = {}) {
    lists = await maple.ask("internal/choices");
    const now = first ? {} : await read("txt2img");
    const checkpoints = lists.checkpoints.map((model) => model.title);
    const chosen = {
      checkpoint: nearest(checkpoints, first || again ? lists.now.checkpoint : now.setting_sd_model_checkpoint, checkpoints[0] ?? null),
      vae: nearest(lists.vaes, first || again ? lists.now.vae : now.setting_sd_vae, "Automatic"),
    };
    const values = {
      setting_sd_model_checkpoint: choice(checkpoints, chosen.checkpoint),
      setting_sd_vae: choice(lists.vaes, chosen.vae),
    };
    if (first || again) Object.assign(values, lists.now.quick);
    for (const tab of onPage()) {
      const kept = first ? {} : tab === "txt2img" ? now : await read(tab);
      await write(tab, { ...(tab === "txt2img" ? values : {}), ...own(tab, kept) });
    }
    // What we wrote ourselves is no choice of the person: it is not to be kept on the server.
    if (known) known = quick(await read("txt2img"));
    if (first) await offer(chosen.checkpoint, { quietly: true });
    document.dispatchEvent(new CustomEvent("maple:lists", { detail: lists }));
    return lists;
  }

  /** The drop-downs of one tab alone: styles, and what a second pass or a refiner can use. */
  function own(tab, now) {
    if (tab === "extras") {
      const names = lists.picture_upscalers;
      return Object.fromEntries(["extras_upscaler_1", "extras_upscaler_2"].map((id) => [id, choice(names, nearest(names, now[id], names[0]))]));
    }
    const names = lists.styles.map((style) => style.name);
    const checkpoints = lists.checkpoints.map((model) => model.title);
    const refiner = `${tab}_checkpoint`;
    const shall = {
      [`${tab}_styles`]: choice(names, (now[`${tab}_styles`] || []).filter((name) => names.includes(name))),
      [refiner]: choice(checkpoints, nearest(checkpoints, now[refiner], null)),
    };
    if (tab !== "txt2img") return shall;
    const second = { hr_checkpoint: checkpoints, hr_sampler: lists.samplers, hr_scheduler: lists.schedules };
    for (const [id, same] of Object.entries(maple.accordions.SAME)) {
      const list = choice(second[id], nearest(second[id], now[id], same));
      list.choices.unshift([maple.language.word(same), same]);
      shall[id] = list;
    }
    shall.txt2img_hr_upscaler = choice(lists.upscalers, nearest(lists.upscalers, now.txt2img_hr_upscaler, lists.upscalers[0]));
    return shall;
  }

  // The entries that stand for "the same" are in the page's language.
  document.addEventListener("maple:language", () => maple.attempt(async () => {
    if (lists) await write("txt2img", own("txt2img", await read("txt2img")));
  }));

  /** Put a model's own size, sampler and CFG into fields nobody has set. */
  async function offer(title, { quietly = false } = {}) {
    const model = lists?.checkpoints.find((item) => item.title === title);
    if (!model) return;
    for (const tab of onPage()) {
      const offered = Object.fromEntries(Object.entries(model.offers || {}).map(([id, value]) => [`${tab}_${id}`, value]).filter(([id]) => !typed.has(id)));
      if (!Object.keys(offered).length) continue;
      const before = await write(tab, offered);
      const [width, height] = ["width", "height"].map((side) => offered[`${tab}_${side}`] ?? before[`${tab}_${side}`]);
      const changed = width !== before[`${tab}_width`] || height !== before[`${tab}_height`];
      if (changed && !quietly && tab === maple.here()) maple.tell(maple.say("native_size", { width, height }));
    }
  }

  // --- quick settings: kept on the server when they change

  const isQuick = (id) => id.startsWith("setting_");
  const quick = (values) => Object.fromEntries(Object.entries(values).filter(([id]) => isQuick(id)));
  const MODEL = "setting_sd_model_checkpoint";
  let known = null;

  /** See whether a quick setting changed since we last looked; keep the change, and offer a new model's size. */
  async function watchQuickSettings() {
    const now = quick(await read("txt2img"));
    const changes = {};
    for (const [id, value] of Object.entries(now)) {
      if (known && value !== known[id] && value !== null) changes[id.slice("setting_".length)] = value;
    }
    const model = known && now[MODEL] !== known[MODEL] ? now[MODEL] : null;
    known = now;
    if (model) {
      document.dispatchEvent(new CustomEvent("maple:model", { detail: model }));
      await offer(model);
    }
    if (Object.keys(changes).length) await maple.attempt(() => maple.ask("internal/settings", { values: changes }));
  }

  let looking = 0;
  function lookSoon() {
    clearTimeout(looking);
    looking = setTimeout(() => maple.attempt(watchQuickSettings), 250);
  }
  for (const type of ["change", "focusout", "pointerup", "keyup"]) maple.on(type, "#quicksettings", lookSoon);

  async function refresh(kind, button) {
    button.classList.add("busy");
    await maple.attempt(async () => {
      await maple.ask(`internal/refresh/${kind}`, {});
      await refreshLists();
    });
    button.classList.remove("busy");
  }
  maple.on("click", "#refresh_sd_model_checkpoint", (_, button) => refresh("checkpoint", button));
  maple.on("click", "#refresh_sd_vae", (_, button) => refresh("vae", button));

  // --- small tools of the form

  const set = (tab, values, how) => maple.attempt(() => write(tab, Object.fromEntries(Object.entries(values).map(([id, value]) => [`${tab}_${id}`, value])), how));

  maple.onTab("click", "#{t}_res_switch_btn", (tab) => maple.attempt(async () => {
    const now = await read(tab);
    await set(tab, { width: now[`${tab}_height`], height: now[`${tab}_width`] }, { asTyped: true });
  }));
  maple.onTab("click", "#{t}_random_seed", (tab) => set(tab, { seed: -1 }));
  maple.onTab("click", "#{t}_random_subseed", (tab) => set(tab, { subseed: -1 }));

  // Marks on the document, because Gradio draws its own elements anew whenever it likes.
  const mark = (name, on) => document.documentElement.classList.toggle(name, on);

  for (const tab of maple.TABS) {
    maple.whenSeen(`#${tab}_subseed_show input`, (box) => {
      const draw = () => mark(`${tab}-seed-extras-open`, box.checked);
      box.addEventListener("change", draw);
      document.addEventListener("maple:form", () => requestAnimationFrame(draw));
      draw();
    });
  }

  document.addEventListener("maple:form", ({ detail: { tab, values } }) => {
    const id = `${tab}_override_settings`;
    if (id in values) showOverrides(tab, values[id]);
  });
  maple.onTab("click", "#{t}_override_settings", (tab) => setTimeout(async () => showOverrides(tab, (await read(tab))[`${tab}_override_settings`]), 50));

  function showOverrides(tab, value) {
    const entries = Array.isArray(value) ? value : value?.value;
    mark(`${tab}-overrides-filled`, Boolean(entries?.length));
  }

  /** Put the answer of /internal/infotext?tab=… into that tab's form. */
  async function fromInfotext(found, tab = "txt2img") {
    const overrides = found.overrides || [];
    const values = { ...found.values, [`${tab}_override_settings`]: choice(overrides, overrides) };
    await write(tab, values, { asTyped: true });
    for (const note of found.notes || []) maple.tell(note);
    document.dispatchEvent(new CustomEvent("maple:pasted", { detail: { found, tab } }));
  }

  // --- the form outlives a reload of its tab

  const KEEP = (tab) => `maple.form.${tab}`;
  const keeping = {};
  function keepSoon(tab) {
    clearTimeout(keeping[tab]);
    keeping[tab] = setTimeout(async () => keep(tab, await read(tab)), 600);
  }

  function keep(tab, values) {
    const own = Object.fromEntries(Object.entries(values).filter(([id]) => !isQuick(id))); // the server keeps the others
    const ids = [...typed].filter((id) => id.startsWith(`${tab}_`));
    try { sessionStorage.setItem(KEEP(tab), JSON.stringify({ values: own, typed: ids })); } catch { /* full or refused */ }
  }

  async function restore(tab) {
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(KEEP(tab))); } catch { /* as if there were none */ }
    if (!kept) return;
    const { [`${tab}_override_settings`]: overrides = [], ...values } = kept.values;
    for (const id of kept.typed) typed.add(id);
    const overriding = maple.TABS.includes(tab) ? { [`${tab}_override_settings`]: choice(overrides, overrides) } : {};
    await write(tab, { ...values, ...overriding, ...own(tab, values) });
  }
  for (const type of ["input", "change", "pointerup"]) maple.onPictured(type, "#tab_{t}", keepSoon);
  document.addEventListener("maple:form", (event) => keepSoon(event.detail.tab));

  maple.form = { named, filled, read, write, refreshLists, watchQuickSettings, fromInfotext, keep, refresh, typed, get lists() { return lists; }, get ready() { return ready; } };

  maple.whenSeen("#txt2img_fill", () => setTimeout(() => maple.attempt(async () => {
    await refreshLists({ first: true });
    for (const tab of onPage()) await restore(tab);
    const now = await read("txt2img");
    known = quick(now);
    ready = true;
    document.dispatchEvent(new CustomEvent("maple:ready"));
    // Headers of new models are read behind the page: a model whose size was not known yet may know it soon.
    for (const wait of [2000, 4000, 8000, 16_000, 30_000]) {
      if (lists.checkpoints.find((model) => model.title === known[MODEL])?.known) break;
      await new Promise((resolve) => setTimeout(resolve, wait));
      await refreshLists();
      const chosen = (await read("txt2img"))[MODEL];
      known[MODEL] = chosen;
      await offer(chosen, { quietly: true });
    }
  }), 0));
})();
