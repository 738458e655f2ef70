// The Settings tab: a form of our own, drawn when it is first opened.
(() => {
  "use strict";
  const ALL = "*";
  let known = null; // the answer of /internal/settings
  let section = null;
  let changed = {}; // key → value, not yet applied

  const holder = () => maple.inner("#settings_frame");

  async function load() {
    known = await maple.ask("internal/settings");
    section ??= known.sections[0]?.id ?? null;
    draw();
  }

  function control(setting) {
    const value = setting.key in changed ? changed[setting.key] : setting.value;
    const note = (now) => {
      if (JSON.stringify(now) === JSON.stringify(setting.value)) delete changed[setting.key];
      else changed[setting.key] = now;
      row.classList.toggle("changed", setting.key in changed);
      mark();
    };
    const row = maple.make("div", { class: "setting", id: `setting_${setting.id}_row` });
    const label = maple.make("span", { class: "setting-label", text: setting.label });
    const info = setting.info ? maple.make("span", { class: "setting-info", text: setting.info }) : null;
    const common = { id: `setting_${setting.id}`, disabled: setting.fixed };
    let field;
    if (setting.type === "bool") {
      const box = maple.make("input", { ...common, type: "checkbox", checked: value, onchange: () => note(box.checked) });
      row.append(maple.make("label", { class: "check" }, box, label, ...(info ? [info] : [])));
      field = box;
    } else {
      if (setting.choices?.length) {
        const shown = setting.choices.includes(value) ? setting.choices : [value, ...setting.choices];
        field = maple.make("select", { ...common, onchange: () => note(field.value) },
          ...shown.map((choice) => maple.make("option", { value: choice, text: String(choice), selected: choice === value })));
      } else if (setting.type === "list") {
        field = maple.make("input", { ...common, type: "text", value: value.join(", "), onchange: () => note(field.value.split(",").map((item) => item.trim()).filter(Boolean)) });
      } else if (setting.type === "int" || setting.type === "float") {
        field = number(setting, common, value, note);
      } else if (setting.multiline) {
        field = maple.make("textarea", { ...common, rows: 3, value, onchange: () => note(field.value) });
      } else field = maple.make("input", { ...common, type: "text", value, onchange: () => note(field.value) });
      row.append(maple.make("label", {}, label, ...(info ? [info] : []), field));
    }
    if (setting.restart) row.append(maple.make("span", { class: "setting-info", text: "Needs a restart" }));
    row.classList.toggle("changed", setting.key in changed);
    return row;
  }

  function number(setting, common, value, note) {
    const limits = { min: setting.lo ?? undefined, max: setting.hi ?? undefined, step: setting.step ?? (setting.type === "int" ? 1 : "any") };
    const read = (field) => (field.value === "" || Number.isNaN(field.valueAsNumber) ? setting.value : field.valueAsNumber);
    const box = maple.make("input", { ...common, type: "number", ...limits, value, onchange: () => { bar && (bar.value = box.value); note(read(box)); } });
    const ranged = setting.lo !== null && setting.hi !== null && setting.hi - setting.lo <= 4096;
    const bar = ranged ? maple.make("input", { type: "range", disabled: setting.fixed, ...limits, value, "aria-label": setting.label, oninput: () => { box.value = bar.value; note(read(box)); } }) : null;
    return maple.make("span", { class: "number" }, ...(bar ? [bar] : []), box);
  }

  function matches(setting, words) {
    const text = [setting.label, maple.language.word(setting.label), setting.info, setting.id, setting.key].join(" ").toLowerCase();
    return words.every((part) => text.includes(part));
  }

  function draw() {
    const frame = holder();
    if (!frame || !known) return;
    const query = maple.at("#settings_search input")?.value ?? "";
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const menu = maple.make("nav", { class: "settings-menu", id: "settings" },
      ...known.sections.map((item) => tab(item.id, item.label)), tab(ALL, "Show all pages", "settings_show_all_pages"));
    const shown = known.sections.filter((item) => words.length || section === ALL || item.id === section);
    const body = maple.make("div", { class: "settings-body" }, ...shown.map((item) => part(item, words)).filter(Boolean));
    if (!body.childElementCount) body.append(maple.make("p", { class: "hint", text: "No setting found." }));
    const bar = maple.at(".settings-bar", frame) || top();
    frame.replaceChildren(bar, maple.make("div", { class: "settings-columns" }, menu, body));
    mark();
  }

  function tab(id, label, elementId) {
    return maple.make("button", { text: label, type: "button", id: elementId, class: section === id ? "selected" : "", onclick: () => {
      section = id;
      const search = maple.at("#settings_search input");
      if (search) search.value = "";
      draw();
    } });
  }

  function part(item, words) {
    const fitting = item.settings.filter((setting) => matches(setting, words));
    if (!fitting.length) return null;
    return maple.make("section", { id: `settings_${item.id}` }, maple.make("h3", { text: item.label }),
      maple.make("div", { id: `column_settings_${item.id}`, class: "settings-column" }, ...fitting.map(control)));
  }

  function top() {
    const search = maple.make("label", { id: "settings_search" }, maple.make("input", { type: "search", placeholder: "Search settings", oninput: draw }));
    const apply = maple.make("button", { id: "settings_submit", type: "button", class: "maple-button primary", text: "Apply settings", onclick: submit });
    const notes = maple.make("button", { id: "request_notifications", type: "button", class: "maple-button", text: "Request browser notifications", onclick: allow });
    const restart = maple.make("button", { id: "settings_restart_gradio", type: "button", class: "maple-button", text: "Reload UI", onclick: again });
    return maple.make("div", { class: "settings-bar" }, apply, restart, maple.make("span", { id: "settings_result", translate: false }), search, notes);
  }

  /** Some settings count from the next start on: start again, keep what was changed. */
  async function again() {
    if (Object.keys(changed).length) await submit();
    if (Object.keys(changed).length) return;
    maple.at("#settings_result").textContent = maple.say("extensions_restarting");
    await maple.attempt(() => maple.restart());
  }

  /** Browsers ask for this on https and on the machine itself only; elsewhere the title tells. */
  async function allow() {
    const granted = typeof Notification === "function" && isSecureContext ? await Notification.requestPermission() : "denied";
    maple.tell(maple.say(granted === "granted" ? "notifications_on" : "notifications_off"), granted === "granted" ? "good" : "info");
  }

  function mark() {
    const apply = maple.at("#settings_submit");
    if (apply) apply.disabled = !Object.keys(changed).length;
  }

  function submit() {
    return maple.attempt(async () => {
      const sent = { ...changed };
      const answer = await maple.ask("internal/settings", { values: sent });
      known = answer;
      changed = {};
      draw();
      maple.at("#settings_result").textContent = maple.say("settings_applied", { count: Object.keys(sent).length });
      // These two are a browser's own choice: changing the setting here changes this browser too.
      if ("page.language" in sent) maple.language.follow(sent["page.language"]);
      if ("page.theme" in sent) maple.follow(sent["page.theme"]);
      await maple.form.refreshLists({ again: true });
    });
  }

  maple.whenSeen("#settings_frame > *, #settings_frame", () => {
    const frame = holder();
    if (frame && !maple.at(".settings-bar", frame)) maple.attempt(load);
  });
  document.addEventListener("maple:language", () => { if (known && holder()) draw(); });
  addEventListener("beforeunload", (event) => { if (Object.keys(changed).length) event.preventDefault(); });
})();
