// The Extensions tab: what is installed, who takes part from the next start on, what went wrong.
(() => {
  "use strict";
  const STATES = { on: "On", off: "Off", failed: "Failed" };
  const WHO = { none: "None", extra: "All but those that come with Maple", all: "All" };
  const PATIENCE = 120_000; // ms a restart may take before we give up waiting
  let known = null;

  const holder = () => maple.inner("#extensions_installed");

  async function load() {
    known = await maple.ask("internal/extensions");
    draw();
  }

  function trouble(each) {
    if (!each.trouble) return null;
    const said = each.trouble.trim().split("\n");
    return maple.make("details", { class: "extension-trouble", translate: false },
      maple.make("summary", { text: `${maple.say("extensions_failed", { count: each.troubles })} ${said[said.length - 1]}` }),
      maple.make("pre", { text: each.trouble }));
  }

  function row(each) {
    const box = maple.make("input", { type: "checkbox", checked: each.wanted, disabled: each.broken, "data-extension": each.name, "aria-label": each.title });
    const name = each.homepage
      ? maple.make("a", { href: each.homepage, target: "_blank", rel: "noreferrer noopener", text: each.title })
      : maple.make("span", { text: each.title });
    const facts = [each.version, each.author, each.licence, each.calls ? maple.say("extensions_spent", { calls: each.calls, seconds: each.seconds }) : ""];
    return maple.make("div", { class: "extension-row", id: `extension_${each.name}` },
      maple.make("label", { class: "extension-head" }, box,
        maple.make("b", { translate: false }, name),
        maple.make("span", { class: `extension-state ${each.state}`, text: STATES[each.state] })),
      each.about ? maple.make("p", { text: each.about, translate: false }) : null,
      maple.make("p", { class: "hint", translate: false, text: [each.name, ...facts].filter(Boolean).join(" · "), title: each.folder }),
      trouble(each));
  }

  function draw() {
    const place = holder();
    if (!place || !known) return;
    const all = maple.make("select", { id: "extensions_disable_all" },
      ...Object.entries(WHO).map(([value, text]) => maple.make("option", { value, text, selected: value === known.all_off })));
    place.replaceChildren(maple.make("div", { class: "extensions-form" },
      maple.make("div", { class: "extensions-bar" },
        maple.make("button", { id: "extensions_apply", type: "button", class: "maple-button", text: "Apply", onclick: () => maple.attempt(apply) }),
        maple.make("button", { id: "extensions_restart", type: "button", class: "maple-button primary", text: "Apply and restart", disabled: !known.can_restart,
          onclick: () => maple.attempt(async () => { await apply(); await restart(); }) }),
        maple.make("label", {}, maple.make("span", { text: "Disable all extensions" }), all),
        maple.make("button", { id: "extensions_refresh", type: "button", class: "maple-plain", text: "🔄", title: "Refresh the list", onclick: () => maple.attempt(load) })),
      maple.make("p", { id: "extensions_said", role: "status", translate: false }),
      ...known.extensions.map(row),
      maple.make("p", { class: "hint", translate: false, text: maple.say("extensions_folder", { folder: known.folder }) })));
  }

  const say = (text) => { const said = maple.at("#extensions_said"); if (said) said.textContent = text; };

  async function apply() {
    const boxes = maple.all("[data-extension]", holder());
    const named = (checked) => boxes.filter((box) => box.checked === checked).map((box) => box.dataset.extension);
    known = await maple.ask("internal/extensions", { on: named(true), off: named(false), all_off: maple.at("#extensions_disable_all").value });
    draw();
    say(maple.say("extensions_need_restart"));
  }

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  /** Ask for a restart, wait until another start answers, and open the page anew. */
  async function restart() {
    const before = (await maple.ask("internal/extensions")).started;
    await maple.ask("internal/restart", {});
    say(maple.say("extensions_restarting"));
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      await pause(500);
      try {
        const answer = await fetch(maple.address("internal/extensions"), { cache: "no-store" });
        // Not signed in any more is an answer of the new one too: the page will ask for it.
        if (answer.status === 401 || (answer.ok && (await answer.json()).started !== before)) { location.reload(); return; }
      } catch { /* it is not there yet */ }
    }
    say(maple.say("extensions_no_answer"));
  }

  maple.restart = restart;
  maple.whenSeen("#extensions_installed > *, #extensions_installed", () => {
    const place = holder();
    if (place && !maple.at(".extensions-form", place)) maple.attempt(load);
  });
  document.addEventListener("maple:language", () => { if (known && holder()) maple.attempt(load); });
})();
