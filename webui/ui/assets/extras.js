// The Extras tab: where its pictures come from, which tabs are open, and what is sent when Generate is pressed.
(() => {
  "use strict";
  const TAB = "extras";
  const MODES = { single: "extras_single_tab", batch: "extras_batch_process_tab", directory: "extras_batch_directory_tab" };
  let mode = "single";
  let sized = false; // Scale to, not by

  const single = maple.canvas.standIn("extras_image");
  const several = maple.batch("#extras_image_batch");

  // --- which tabs are open. Gradio tells only by what is drawn; what is not on the page stays as it was seen last.

  const open = (id) => maple.visible(maple.at(`#${id}`));
  function look() {
    mode = Object.keys(MODES).find((name) => open(MODES[name])) ?? mode;
    if (open("extras_scale_to_tab")) sized = true;
    else if (open("extras_scale_by_tab")) sized = false;
  }
  for (const id of [...Object.values(MODES), "extras_scale_to_tab", "extras_scale_by_tab"]) {
    maple.on("click", `[id="${id}-button"]`, () => setTimeout(look, 60));
    maple.whenSeen(`#${id}`, look);
  }

  /** The form, what is open, and the ids of the pictures. */
  async function prepare(values) {
    look();
    const whole = { ...values, extras_mode: mode, extras_scale_to: sized };
    if (mode === "single") {
      if (!single.file) throw new maple.Trouble(maple.say("extras_no_source"));
      whole.extras_picture = await maple.upload(single.file);
    } else if (mode === "batch") {
      if (!several.files.length) throw new maple.Trouble(maple.say("extras_no_source"));
      whole.extras_pictures = await several.sent();
    } else if (!String(values.extras_batch_input_dir ?? "").trim()) throw new maple.Trouble(maple.say("no_batch_folder"));
    return whole;
  }

  const submit = async (values) => maple.ask("internal/extras", { values: await prepare(values) });

  async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new maple.Trouble(maple.say("server_said", { status: answer.status }));
    return answer.blob();
  }

  /** Take a picture (a file, or an address of this page). */
  async function receive(picture) {
    await single.open(picture instanceof Blob ? picture : await fetched(picture));
    maple.tab(TAB);
    mode = "single";
    setTimeout(() => { maple.at(`[id="${MODES.single}-button"]`)?.click(); look(); }, 60);
  }

  maple.on("click", "#upscaling_res_switch_btn", () => maple.attempt(async () => {
    const now = await maple.form.read(TAB);
    await maple.form.write(TAB, { extras_upscaling_resize_w: now.extras_upscaling_resize_h, extras_upscaling_resize_h: now.extras_upscaling_resize_w }, { asTyped: true });
  }));

  maple.tabs[TAB] = { receive, submit };
})();
