// Pictures on their way from one tab to another. A tab that takes pictures says so in `maple.tabs[name]`:
// {receive(picture, subtab)}, where picture is a file or an address of this page.
(() => {
  "use strict";
  const CARRIED = ["prompt", "neg_prompt", "steps", "seed"];

  /** Send a picture, and what its infotext says of prompts, steps, seed and size, to a tab. */
  maple.send = async (picture, tab, subtab, { infotext = "", from = null, width = 0, height = 0 } = {}) => {
    const found = infotext ? await maple.ask(`internal/infotext?tab=${tab}`, { text: infotext }) : null;
    const values = {};
    // What carries no infotext was made with what the form says.
    const now = !found && from ? await maple.form.read(from) : null;
    for (const id of CARRIED) {
      const value = found ? found.values[`${tab}_${id}`] : now?.[`${from}_${id}`];
      if (value !== undefined) values[`${tab}_${id}`] = value;
    }
    if (width && height) Object.assign(values, { [`${tab}_width`]: width, [`${tab}_height`]: height });
    await maple.form.write(tab, values, { asTyped: true });
    maple.tab(tab);
    await maple.tabs[tab].receive(picture, subtab);
  };

  for (const [button, subtab] of [["img2img", "img2img"], ["inpaint", "inpaint"]]) {
    maple.onPictured("click", `#{t}_send_to_${button}`, (tab) => maple.attempt(async () => {
      const made = maple.gallery.of(tab).selected();
      if (made) await maple.send(made.address, "img2img", subtab, { infotext: generated(made.infotext), from: tab, width: made.width, height: made.height });
    }));
  }

  maple.onPictured("click", "#{t}_send_to_extras", (tab) => maple.attempt(async () => {
    const made = maple.gallery.of(tab).selected();
    if (made) await maple.tabs.extras.receive(made.address);
  }));

  /** What made a picture, without what Extras did to it since. */
  const generated = (infotext) => infotext.replace(/(^|\n)Postprocess [^\n]*$/, "");
})();
