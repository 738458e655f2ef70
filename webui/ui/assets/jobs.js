// Jobs: submit, follow, stop. The server keeps them; the page only watches, so closing or reloading it loses nothing.
(() => {
  "use strict";
  const SLOW = 1000; // milliseconds between polls when events do not come through
  const FINAL = new Set(["done", "stopped", "failed"]);
  const final = (job) => FINAL.has(job.state);

  function clock(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return (parts[0] ? parts : parts.slice(1)).map((part) => String(part).padStart(2, "0")).join(":");
  }

  /** What a bar says of a job, in parts. */
  function describe(job) {
    if (job.state === "queued") return [job.position > 0 ? maple.say("waiting_behind", { count: job.position }) : maple.say("waiting")];
    if (!job.steps && job.phase === "sampling") return [maple.say("preparing")];
    const words = job.phase === "sampling" ? [] : [job.phase_text];
    words.push(`${Math.floor(100 * job.progress)}%`);
    if (job.steps) words.push(maple.say("step_of", { step: job.step, steps: job.steps }));
    if (job.batches > 1) words.push(maple.say("batch_of", { batch: Math.min(job.batch + 1, job.batches), batches: job.batches }));
    if (job.eta) words.push(`ETA: ${clock(job.eta)}`);
    return words;
  }

  /** The window's title tells of the last job that had something to tell. */
  function title(job) {
    if (maple.form.lists?.now.show_progress_in_title === false) return;
    if (!job) maple.title("");
    else if (job.state === "queued") maple.title(`[${describe(job)[0]}]`);
    else maple.title(`[${Math.floor(100 * job.progress)}%${job.eta ? ` ETA: ${clock(job.eta)}` : ""}]`);
  }

  /** The jobs of one tab: one is followed, the others wait on the server. */
  function bench(tab) {
    const gallery = maple.gallery.of(tab);
    let followed = null; // {id, job, source, timer, revision}
    let forever = false;
    let last = null; // the job that ended last, however it ended
    let stopping = false;
    let begun = null; // when the running job began, by performance.now() in seconds
    const replaced = new Map(); // id of a job that upscales → where its picture is to stand
    let submitting = false; // a second click on its way is no second job

    async function generate(values) {
      maple.form.keep(tab, values);
      if (maple.tabs[tab]?.submit) { await submit(() => maple.tabs[tab].submit(values)); return; }
      await submit(async () => {
        const whole = { ...(await (maple.tabs[tab]?.prepare?.(values) ?? values)) };
        for (const add of maple.additions) Object.assign(whole, await add(tab));
        return maple.ask("internal/submit", { tab, values: whole });
      });
    }

    /** Hires. fix over the chosen picture; what comes out takes its place, or stands behind it. */
    async function upscale() {
      const made = gallery.selected();
      if (!made) return;
      await submit(async () => {
        const values = await maple.form.read(tab);
        const job = await maple.ask("internal/upscale", { job: made.job, number: made.number, values });
        replaced.set(job.id, { shown: made.shown, at: made.at });
        return job;
      });
    }

    async function submit(ask) {
      if (submitting) return;
      submitting = true;
      await maple.attempt(async () => {
        gallery.log("");
        overlay(true);
        let job;
        try { job = await ask(); } catch (trouble) {
          if (!followed) overlay(false);
          forever = false;
          throw trouble;
        }
        if (!followed) follow(job);
        else maple.tell(maple.say("queued_behind", { count: job.position + 1 }));
      });
      submitting = false;
    }

    /** Watch a job until it is closed. Events first; when they fail, ask every second. */
    function follow(job) {
      leave();
      followed = { id: job.id, job, source: null, timer: 0, revision: 0, failures: 0 };
      stopping = false;
      keep(job.id);
      overlay(true);
      show(job);
      if (typeof EventSource === "function") listen(followed);
      else poll(followed);
    }

    function listen(watch) {
      const source = new EventSource(maple.address(`internal/jobs/${watch.id}/events`));
      watch.source = source;
      source.onmessage = (event) => {
        watch.failures = 0;
        if (watch === followed) arrive(JSON.parse(event.data));
      };
      source.onerror = () => {
        watch.failures += 1;
        if (source.readyState !== EventSource.CLOSED && watch.failures < 2) return;
        source.close();
        watch.source = null;
        if (watch === followed) poll(watch);
      };
    }

    async function poll(watch) {
      if (watch !== followed) return;
      try {
        const job = await maple.ask(`internal/jobs/${watch.id}`);
        watch.failures = 0;
        arrive(job);
      } catch (trouble) {
        if (trouble.status === 404 || trouble.status === 401) { lost(trouble); return; }
        watch.failures += 1;
        if (watch.failures === 5) gallery.log(maple.say("server_away"));
      }
      if (watch === followed) watch.timer = setTimeout(() => poll(watch), Math.min(SLOW * 10, SLOW * 2 ** Math.max(0, watch.failures - 3)));
    }

    function lost(trouble) {
      leave();
      overlay(false);
      progress(null);
      maple.tell(trouble.message, "bad");
    }

    function leave() {
      if (!followed) return;
      followed.source?.close();
      clearTimeout(followed.timer);
      followed = null;
      offer();
    }

    function arrive(job) {
      followed.job = job;
      if (!final(job)) { show(job); return; }
      leave();
      progress(null);
      begun = null;
      gallery.elapsed(null);
      gallery.preview(null);
      overlay(false);
      finished(job);
      next();
    }

    function show(job) {
      progress(job);
      if (!replaced.has(job.id)) gallery.arrived(job);
      if (job.notes?.length) gallery.log(job.notes.join("\n")); // what it will take is said before it is done
      begun = job.state === "running" ? performance.now() / 1000 - job.elapsed : null;
      if (job.preview && job.preview !== followed.revision) {
        followed.revision = job.preview;
        gallery.preview(maple.address(`internal/jobs/${job.id}/preview?rev=${job.preview}`));
      }
    }

    function finished(job) {
      last = job;
      forget();
      const place = replaced.get(job.id);
      if (place && gallery.job?.id === place.shown && job.state !== "failed") {
        gallery.put(job, place.at, { insert: maple.form.lists?.now.hires_insert });
      } else gallery.show(job);
      if (job.state === "failed") {
        forever = false;
        gallery.log(job.error, true);
        maple.tell(job.error, "bad");
      } else if (job.notes?.length) gallery.log(job.notes.join("\n"));
      // A line that is not there is not worth a message.
      document.dispatchEvent(new CustomEvent("maple:ended", { detail: job }));
      maple.ask("internal/memory").then(({ text }) => gallery.took(text), () => {});
      if (document.hidden) notify(job);
    }

    /** For a person who looks elsewhere: a notification where the browser allows it, a mark in the title anywhere. */
    function notify(job) {
      maple.title(job.state === "failed" ? "[✗]" : "[✓]");
      if (typeof Notification !== "function" || Notification.permission !== "granted") return;
      const text = job.state === "failed" ? job.error : maple.say("pictures_ready", { count: job.pictures.length });
      const note = new Notification("Maple WebUI", { body: text, tag: "maple-job" });
      note.onclick = () => { window.focus(); note.close(); };
    }

    // --- 🌀: a job that was followed and lost (the server was away, say) can be found again

    const TASK = `${tab}_task_id`;
    function keep(id) {
      try { if (id) localStorage.setItem(TASK, id); else localStorage.removeItem(TASK); } catch { /* it can be found by a reload too */ }
      offer();
    }
    const forget = () => keep(null);

    function offer() {
      let kept = null;
      try { kept = localStorage.getItem(TASK); } catch { /* refused */ }
      document.documentElement.classList.toggle(`${tab}-restorable`, Boolean(kept) && !followed);
    }

    maple.on("click", `#${tab}_restore_progress`, () => maple.attempt(async () => {
      const jobs = await maple.ask("internal/jobs");
      const kept = jobs.find((job) => { try { return job.id === localStorage.getItem(TASK); } catch { return false; } });
      if (!attach(jobs) && kept && final(kept)) {
        const whole = await maple.ask(`internal/jobs/${kept.id}`);
        finished(whole);
      }
      if (!followed) forget();
    }));

    setInterval(() => { if (begun !== null) gallery.elapsed(performance.now() / 1000 - begun); }, 200);

    /** After a job: another one of this tab's that runs or waits, or once more for Generate forever. */
    async function next() {
      await maple.attempt(async () => {
        const jobs = await maple.ask("internal/jobs");
        if (followed || attach(jobs)) return;
        if (forever) maple.at(`#${tab}_generate`)?.click();
      });
    }

    /** Of these jobs, show the one that ended last and follow the one that runs or waits; whether there is one. */
    function attach(jobs) {
      const ours = jobs.filter((job) => maple.tabOf(job) === tab);
      const active = ours.filter((job) => !final(job)).sort((a, b) => a.created - b.created);
      const ended = ours.filter((job) => final(job) && job.pictures.length).sort((a, b) => b.created - a.created)[0];
      if (ended && !gallery.job) gallery.show(ended);
      if (!active.length) forget();
      if (active.length && !followed) follow(active.find((job) => job.state === "running") || active[0]);
      return active.length > 0;
    }

    // --- progress in the bar and the title

    function progress(job) {
      const panel = maple.inner(`#${tab}_gallery`);
      let bar = panel && maple.at(".progressDiv", panel);
      title(job);
      if (!job) {
        bar?.remove();
        return;
      }
      if (!panel) return;
      if (!bar) {
        bar = maple.make("div", { class: "progressDiv", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", translate: false },
          maple.make("div", { class: "progress" }), maple.make("div", { class: "progress-words" }));
        panel.prepend(bar);
      }
      const percent = Math.floor(100 * job.progress);
      maple.at(".progress", bar).style.width = `${percent}%`;
      maple.at(".progress-words", bar).textContent = describe(job).join("  ");
      bar.setAttribute("aria-valuenow", percent);
    }

    // --- Interrupt, Skip

    async function wish(what) {
      if (!followed) return;
      const id = followed.id;
      await maple.attempt(() => maple.ask(`internal/jobs/${id}/${what}`, {}));
    }

    /** The first Interrupt finishes the picture in work (unless the settings say otherwise), the second stops now. */
    function interrupt() {
      if (!followed) return;
      forever = false;
      const patient = maple.form.lists?.now.interrupt_after_current ?? true;
      const what = patient && !stopping && followed.job.state === "running" ? "finish" : "stop";
      stopping = true;
      overlay(true);
      wish(what);
    }

    function overlay(active) {
      const box = maple.at(`#${tab}_generate_box`);
      if (!box) return;
      box.classList.toggle("running", active);
      box.classList.toggle("stopping", active && stopping);
    }

    maple.on("click", `#${tab}_interrupt, #${tab}_interrupting`, interrupt);
    maple.on("click", `#${tab}_skip`, () => wish("skip"));
    if (tab === "txt2img") maple.on("click", "#txt2img_upscale", upscale);
    maple.whenSeen(`#${tab}_generate_box`, () => overlay(Boolean(followed)));
    maple.whenSeen(`#${tab}_gallery`, () => { if (followed) progress(followed.job); });
    document.addEventListener("maple:language", () => { if (followed) progress(followed.job); });

    return {
      generate, upscale, follow, overlay, attach, interrupt, skip: () => wish("skip"),
      get followed() { return followed; }, get last() { return last; }, get forever() { return forever; },
      set forever(wanted) { forever = wanted; },
    };
  }

  const all = Object.fromEntries(maple.PICTURED.map((tab) => [tab, bench(tab)]));
  const here = () => all[maple.here()];
  const busy = () => Object.values(all).find((one) => one.followed);

  document.addEventListener("visibilitychange", () => { if (!document.hidden && !busy()) maple.title(""); });

  // --- Generate forever

  function menu(tab, event) {
    event.preventDefault();
    maple.at("#maple_menu")?.remove();
    const choose = (label, act) => maple.make("button", { text: label, type: "button", onclick: () => { box.remove(); act(); } });
    const box = maple.make("div", { id: "maple_menu", role: "menu" },
      choose("Generate forever", () => { all[tab].forever = true; if (!all[tab].followed) maple.at(`#${tab}_generate`)?.click(); }),
      choose("Cancel generate forever", () => { all[tab].forever = false; }));
    document.body.append(box);
    box.style.left = `${Math.min(event.clientX, innerWidth - box.offsetWidth - 8)}px`;
    box.style.top = `${Math.min(event.clientY, innerHeight - box.offsetHeight - 8)}px`;
  }
  maple.onTab("contextmenu", "#{t}_generate_box", menu);
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest?.("#maple_menu")) maple.at("#maple_menu")?.remove(); });

  // --- keys

  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const tab = maple.here();
    if (!maple.visible(maple.at(`#${tab}_prompt`))) return;
    const one = all[tab];
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      maple.at(`#${tab}_generate`)?.click();
    } else if (event.key === "Enter" && event.altKey) {
      event.preventDefault();
      one.skip();
    } else if (event.key === "Escape" && one.followed && !maple.at("dialog[open]") && !maple.at("#maple_menu")) {
      if (document.activeElement?.closest?.("[role=listbox], [role=combobox]")) return;
      event.preventDefault();
      one.interrupt();
    } else if (event.key === "Escape") maple.at("#maple_menu")?.remove();
  }, true);

  /** On load: what of ours runs, waits, or ended last, from whichever device it was started. */
  async function attach() {
    const jobs = await maple.ask("internal/jobs");
    for (const one of Object.values(all)) one.attach(jobs);
  }

  maple.jobs = {
    of: (tab) => all[tab],
    generate: (tab, values) => all[tab].generate(values),
    attach,
    /** Any job of ours that is not closed yet, wherever it was started; and what ended last in the tab in sight. */
    get followed() { return here().followed ?? busy()?.followed ?? null; },
    get last() { return here().last; },
  };
  document.addEventListener("maple:ready", () => maple.attempt(attach));
})();
