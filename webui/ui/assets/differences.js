// Why does this differ: after a paste, and in PNG Info, what may come out otherwise, each with what puts it right.
(() => {
  "use strict";
  const MODEL = "setting_sd_model_checkpoint";
  const VAE = "setting_sd_vae";
  const shown = {}; // a slot's id → what stands in it

  async function ask(text) {
    const now = await maple.form.read("txt2img");
    return maple.ask("internal/differences", { text, checkpoint: now[MODEL] ?? null, vae: now[VAE] ?? null });
  }

  /** Ask about a text and draw the answer into a slot. `tab`: whose form the buttons change. */
  function show(slot, text, tab, { quietly = false } = {}) {
    const asked = (shown[slot] = { text, tab });
    return maple.attempt(async () => {
      const { differences } = text ? await ask(text) : { differences: [] };
      if (shown[slot] !== asked) return; // another text came meanwhile
      asked.found = differences;
      draw(slot, quietly);
    });
  }

  function clear(slot) {
    shown[slot] = null;
    maple.inner(slot)?.replaceChildren();
  }

  function draw(slot, quietly) {
    const holder = maple.inner(slot);
    const now = shown[slot];
    if (!holder || !now?.found) return;
    const weighty = now.found.filter((each) => each.grade !== "small");
    if (!now.found.length || (quietly && !weighty.length)) { holder.replaceChildren(); return; }
    const title = weighty.length ? maple.say("differs_title", { count: weighty.length }) : maple.say("differs_none");
    const rows = now.found.map((each) => row(each, slot));
    holder.replaceChildren(maple.make("details", { class: "differences", open: weighty.length > 0 },
      maple.make("summary", { text: title, translate: false }),
      maple.make("ul", {}, ...rows)));
  }

  function row(each, slot) {
    const { text, action } = each;
    const item = maple.make("li", { class: each.grade }, maple.make("span", { text, translate: false }));
    if (!action) return item;
    const button = maple.make("button", { class: "maple-plain", type: "button", text: action.label, translate: false, onclick: () => maple.attempt(async () => {
      button.disabled = true;
      const done = await ACTIONS[action.do](action.value, shown[slot].tab);
      if (done) item.classList.add("done");
      button.disabled = done;
    }) });
    item.append(" ", button);
    return item;
  }

  const label = (entry) => String(entry).split(":", 1)[0].trim();

  async function override(entry, tab) {
    const id = `${tab}_override_settings`;
    const before = (await maple.form.read(tab))[id] || [];
    const value = [...before.filter((each) => label(each) !== label(entry)), entry];
    await maple.form.write(tab, { [id]: { __type__: "update", choices: value.map((each) => [each, each]), value } });
    maple.tell(maple.say("differs_done", { value: entry }), "good");
    return true;
  }

  /** Choose a model on the page; an override of the same thing gives way. */
  async function choose(field, list, names, value, tab) {
    const wanted = list.find((each) => each === value) ?? list.find((each) => each.replace(/ \[[0-9a-f]+\]$/, "") === value.replace(/ \[[0-9a-f]+\]$/, "")) ?? list.find((each) => value.startsWith(`${each}.`));
    if (!wanted) { await maple.copy(value); return false; }
    const id = `${tab}_override_settings`;
    const left = ((await maple.form.read(tab))[id] || []).filter((each) => !names.includes(label(each)));
    await maple.form.write(tab, { [field]: wanted, [id]: { __type__: "update", choices: left.map((each) => [each, each]), value: left } });
    await maple.form.watchQuickSettings();
    maple.tell(maple.say("differs_done", { value: wanted }), "good");
    return true;
  }

  const ACTIONS = {
    override,
    checkpoint: (value, tab) => choose(MODEL, maple.form.lists.checkpoints.map((model) => model.title), ["Model hash", "Model"], value, tab),
    vae: (value, tab) => choose(VAE, maple.form.lists.vaes, ["VAE"], value, tab),
    copy: async (value) => { await maple.copy(value); return false; },
  };

  document.addEventListener("maple:pasted", ({ detail: { found, tab } }) => show(`#${tab}_differences`, found.infotext, tab, { quietly: true }));
  // The next picture is its own: what was said of the pasted one has had its time.
  maple.onTab("click", "#{t}_generate", (tab) => clear(`#${tab}_differences`));
  document.addEventListener("maple:language", () => {
    for (const [slot, now] of Object.entries(shown)) if (now) show(slot, now.text, now.tab);
  });

  maple.differences = { show, clear };
})();
