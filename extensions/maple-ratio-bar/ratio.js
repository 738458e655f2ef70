// Buttons below the height slider of each tab that generates: another shape, as many pixels.
(() => {
  "use strict";
  const RATIOS = ["1:1", "5:4", "4:3", "3:2", "16:9", "21:9"];
  const GRID = 8;
  let upright = false;

  maple.language.add("zh-CN", {
    "Keep the number of pixels, change the shape": "保持像素总数，改变比例",
    "Upright or wide": "竖幅或横幅",
  });

  const rounded = (side) => Math.max(64, Math.min(2048, Math.round(side / GRID) * GRID));

  /** [width, height] of a ratio with about as many pixels as there are now. */
  function shaped(ratio, width, height) {
    const [wide, high] = ratio.split(":").map(Number);
    const aspect = upright ? high / wide : wide / high;
    const area = width * height;
    return [rounded(Math.sqrt(area * aspect)), rounded(Math.sqrt(area / aspect))];
  }

  async function take(tab, ratio) {
    const now = await maple.form.read(tab);
    const [width, height] = shaped(ratio, now[`${tab}_width`], now[`${tab}_height`]);
    await maple.form.write(tab, { [`${tab}_width`]: width, [`${tab}_height`]: height }, { asTyped: true });
  }

  function bar(tab) {
    const hint = maple.language.word("Keep the number of pixels, change the shape");
    const buttons = RATIOS.map((ratio) => maple.make("button", {
      type: "button", text: ratio, title: hint, "data-ratio": ratio,
      onclick: () => maple.attempt(() => take(tab, ratio)),
    }));
    const turn = maple.make("button", {
      type: "button", text: "⇅", title: maple.language.word("Upright or wide"), "aria-pressed": "false",
      onclick: () => {
        upright = !upright;
        for (const each of maple.all(".ratio-bar")) {
          each.lastElementChild.setAttribute("aria-pressed", String(upright));
          maple.all("[data-ratio]", each).forEach((button) => {
            button.textContent = upright ? button.dataset.ratio.split(":").reverse().join(":") : button.dataset.ratio;
          });
        }
      },
    });
    return maple.make("div", { class: "ratio-bar", id: `${tab}_ratio_bar`, role: "group", "aria-label": hint }, ...buttons, turn);
  }

  for (const tab of maple.TABS) {
    maple.whenSeen(`#${tab}_height`, (height) => {
      maple.at(`#${tab}_ratio_bar`)?.remove();
      height.after(bar(tab));
    });
  }
})();
