// Styles: put the chosen ones into the prompts, and the dialog that edits them.
(() => {
  "use strict";
  const SLOT = "{prompt}";

  /** One style around a prompt: into its {prompt}, or after a comma. */
  function merged(prompt, style) {
    if (!style) return prompt;
    if (style.includes(SLOT)) return style.replace(SLOT, () => prompt);
    return [prompt.trim(), style.trim()].filter(Boolean).join(", ");
  }

  const known = () => maple.form.lists?.styles ?? [];

  maple.onTab("click", "#{t}_style_apply", (tab) => maple.attempt(async () => {
    const now = await maple.form.read(tab);
    const [prompt, negative, names] = ["prompt", "neg_prompt", "styles"].map((id) => now[`${tab}_${id}`]);
    const chosen = (names || []).map((name) => known().find((style) => style.name === name)).filter(Boolean);
    if (!chosen.length) return;
    await maple.form.write(tab, {
      [`${tab}_prompt`]: chosen.reduce((text, style) => merged(text, style.prompt), prompt || ""),
      [`${tab}_neg_prompt`]: chosen.reduce((text, style) => merged(text, style.negative_prompt), negative || ""),
      [`${tab}_styles`]: [],
    });
  }));

  function open(tab) {
    const labelled = (text, control) => maple.make("label", {}, maple.make("span", { text }), control);
    const names = maple.make("datalist", { id: "maple_style_names", translate: false });
    const name = maple.make("input", { id: `${tab}_styles_edit_select`, type: "text", autocomplete: "off", spellcheck: false });
    name.setAttribute("list", "maple_style_names");
    const prompt = maple.make("textarea", { id: `${tab}_edit_style_prompt`, rows: 3 });
    const negative = maple.make("textarea", { id: `${tab}_edit_style_neg_prompt`, rows: 3 });
    const button = (id, text, act, kind = "") => maple.make("button", { id, text, type: "button", class: `maple-button ${kind}`, onclick: act });
    const fill = () => {
      const style = known().find((item) => item.name === name.value);
      remove.disabled = !style;
      if (!style) return;
      prompt.value = style.prompt;
      negative.value = style.negative_prompt;
    };
    const send = (body) => maple.attempt(async () => {
      await maple.ask("internal/styles", body);
      await maple.form.refreshLists();
      list();
      return true;
    });
    const list = () => names.replaceChildren(...known().map((style) => maple.make("option", { value: style.name })));
    const remove = button(`${tab}_edit_style_delete`, "Delete", async () => {
      if (!confirm(maple.say("delete_style", { name: name.value }))) return;
      if (await send({ delete: name.value })) { name.value = prompt.value = negative.value = ""; fill(); }
    });
    const dialog = maple.make("dialog", { id: `${tab}_styles_dialog`, class: "maple-dialog" },
      maple.make("h3", { text: "Styles" }), names, labelled("Style name", name), labelled("Prompt", prompt), labelled("Negative prompt", negative),
      maple.make("p", { class: "hint", text: "Put {prompt} where the main prompt shall stand; without it the style goes at the end." }),
      maple.make("div", { class: "row" },
        button(`${tab}_edit_style_copy`, "Copy main prompt to style", async () => {
          const now = await maple.form.read(tab);
          prompt.value = now[`${tab}_prompt`] || "";
          negative.value = now[`${tab}_neg_prompt`] || "";
        }),
        button(`${tab}_edit_style_save`, "Save", async () => {
          if (!name.value.trim()) { name.focus(); return; }
          if (await send({ name: name.value.trim(), prompt: prompt.value, negative_prompt: negative.value })) { fill(); maple.tell(maple.say("saved"), "good"); }
        }, "primary"), remove,
        button(`${tab}_edit_style_close`, "Close", () => dialog.close())));
    name.addEventListener("input", fill);
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    list();
    maple.form.read(tab).then((now) => { name.value = now[`${tab}_styles`]?.[0] ?? ""; fill(); });
    dialog.showModal();
  }
  maple.onTab("click", "#{t}_styles_edit_button", open);
})();
