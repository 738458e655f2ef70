// Hires. fix and Refiner: the box and what it opens are one thing; what the second pass will come to is said in its head.
(() => {
  "use strict";
  const ACCORDIONS = ["txt2img_hr", ...maple.TABS.map((tab) => `${tab}_enable`)];
  const SAME = { hr_checkpoint: "Use same checkpoint", hr_sampler: "Use same sampler", hr_scheduler: "Use same scheduler" };
  const mark = (name, on) => document.documentElement.classList.toggle(name, Boolean(on));

  for (const id of ACCORDIONS) {
    maple.whenSeen(`#${id}-checkbox input`, (box) => {
      const draw = () => mark(`${id}-open`, box.checked);
      box.addEventListener("change", draw);
      document.addEventListener("maple:form", () => requestAnimationFrame(draw));
      draw();
    });
  }
  // All of the head opens and closes, not the box alone.
  maple.on("click", ".accordion-head", (event, head) => {
    if (!event.target.closest("label")) maple.at("input[type=checkbox]", head)?.click();
  });

  // --- what the second pass comes to

  /** [width, height] after the second pass; the same rule as catalog.upscalers.hires_size. */
  function size({ scale, wide, tall, width, height }) {
    let whole;
    if (!wide && !tall) whole = [Math.trunc(width * scale), Math.trunc(height * scale)];
    else if (!tall || (wide && width / height < wide / tall)) whole = [wide, Math.trunc((wide * height) / width)];
    else whole = [Math.trunc((tall * width) / height), tall];
    const cut = wide && tall ? [Math.trunc((whole[0] - wide) / 8), Math.trunc((whole[1] - tall) / 8)] : [0, 0];
    return whole.map((side, n) => (Math.trunc(side / 8) - cut[n]) * 8);
  }

  let soon = 0;
  function look() {
    clearTimeout(soon);
    soon = setTimeout(() => maple.attempt(draw), 60);
  }

  async function draw() {
    const holder = maple.inner("#txtimg_hr_finalres");
    // The form may be drawn after what it is shown in; "maple:ready" comes then.
    if (!holder || !maple.at("#txt2img_fill")) return;
    const now = await maple.form.read("txt2img");
    const [width, height] = [now.txt2img_width, now.txt2img_height].map((side) => Math.floor(side / 8) * 8);
    const [wide, tall] = size({ scale: now.txt2img_hr_scale, wide: now.txt2img_hr_resize_x, tall: now.txt2img_hr_resize_y, width, height });
    const text = maple.say("hires_size", { width, height, wide, tall });
    if (holder.textContent !== text) holder.replaceChildren(maple.make("span", { class: "resolution", text, translate: false }));
    const chosen = maple.form.lists?.now ?? {};
    // What a pasted infotext filled in is shown, even where the settings hide the row.
    mark("with-hires-sampler", chosen.hires_show_sampler || Object.entries(SAME).some(([id, same]) => now[id] && now[id] !== same));
    mark("with-hires-prompts", chosen.hires_show_prompts || now.hires_prompt || now.hires_neg_prompt);
  }
  for (const type of ["input", "change", "pointerup"]) maple.on(type, "#txt2img_settings", look);
  maple.on("click", "#txt2img_settings", look);
  document.addEventListener("maple:form", (event) => { if (event.detail.tab === "txt2img") look(); });
  for (const type of ["maple:language", "maple:lists", "maple:ready"]) document.addEventListener(type, look);
  maple.whenSeen("#txtimg_hr_finalres", look);

  maple.onTab("click", "#{t}_checkpoint_refresh", (_, __, button) => maple.form.refresh("checkpoint", button));

  maple.accordions = { SAME, size };
})();
