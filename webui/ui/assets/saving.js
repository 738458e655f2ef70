// 💾 and 🗃️: the server keeps the pictures in their folder; links below the buttons bring them to this device.
(() => {
  "use strict";

  /** Keep one picture (its number in the job's result) or all (null); with `archive` as a zip too. */
  function keep(tab, job, number, { archive = false } = {}) {
    return maple.attempt(async () => {
      const answer = await maple.ask("internal/save", { job, number, archive });
      maple.tell(answer.text, "good");
      const holder = maple.inner(`#download_files_${tab}`);
      const links = answer.files.map(({ name, address }) => maple.make("a", { href: maple.address(address), download: name, text: name, translate: false }));
      holder?.replaceChildren(maple.make("div", { class: "downloads" }, ...links,
        maple.make("button", { class: "maple-plain", text: "✕", type: "button", "aria-label": "Close", onclick: () => holder.replaceChildren() })));
      // Who sits at another machine wants the file itself; several at once would make the browser ask.
      if (answer.elsewhere && (archive || links.length === 1)) links[0].click();
    });
  }

  maple.saving = { keep };
})();
