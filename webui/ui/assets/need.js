// Under Generate: the memory the next run will need, asked for when something changed that it depends on.
(() => {
  "use strict";
  const PATIENCE = 700; // milliseconds after the last change
  const NO_MATTER = /_(prompt|neg_prompt|seed|subseed|styles|steps|cfg_scale|sampling|scheduler|batch_count|denoising_strength|subseed_strength)$/;
  const asked = {}; // by tab: what was asked last
  const timers = {};

  function soon(tab, { again = false } = {}) {
    if (again) delete asked[tab];
    clearTimeout(timers[tab]);
    timers[tab] = setTimeout(() => look(tab), PATIENCE);
  }
  const soonAll = () => { for (const tab of maple.TABS) soon(tab, { again: true }); };

  async function look(tab) {
    const holder = maple.inner(`#${tab}_need`);
    // What is out of sight is asked when it is looked at.
    if (!holder || !maple.form.ready || !maple.visible(maple.at(`#${tab}_toprow`)) || document.hidden) return;
    const values = { ...(await maple.form.read(tab)), ...(maple.tabs[tab]?.size?.() ?? {}) };
    const matter = Object.fromEntries(Object.entries(values).filter(([id]) => !NO_MATTER.test(id)));
    const key = JSON.stringify([maple.language.now, matter]);
    if (asked[tab] === key) return;
    asked[tab] = key;
    try {
      const { text, fits } = await maple.ask("internal/need", { tab, values: matter });
      holder.replaceChildren(...(text ? [maple.make("span", { text, title: text, class: `need ${fits}`, translate: false })] : []));
    } catch { delete asked[tab]; } // a line that is not there is not worth a message
  }

  for (const type of ["input", "change", "pointerup", "focusout"]) {
    maple.onTab(type, "#tab_{t}", (tab) => soon(tab));
    maple.on(type, "#quicksettings", () => { for (const tab of maple.TABS) soon(tab); });
  }
  document.addEventListener("maple:form", ({ detail }) => { if (maple.TABS.includes(detail.tab)) soon(detail.tab); });
  for (const type of ["maple:ready", "maple:language", "maple:lists", "maple:ended", "visibilitychange"]) document.addEventListener(type, soonAll);
  for (const tab of maple.TABS) {
    maple.whenSeen(`#${tab}_need, #${tab}_need > *`, () => soon(tab, { again: true }));
    maple.on("click", `[id="tab_${tab}-button"]`, () => soon(tab));
  }
})();
