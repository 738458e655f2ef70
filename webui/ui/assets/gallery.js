// The pictures: a grid of thumbnails, one large with a strip below, and a lightbox with keys. Our own elements, because a
// hundred pictures must stay quick and nothing may be fetched twice.
(() => {
  "use strict";

  /** The pictures of one tab. */
  function gallery(tab) {
    let job = null; // the job whose pictures are shown
    let chosen = -1; // index of the large picture, -1 for the grid
    let picked = false; // the person chose: new pictures of the same job do not change the view
    let panel = null;
    let memory = ""; // what the last job of this page took, as a sentence

    // The server counts the grid too; whether it is shown is a setting.
    // A picture says which job made it: an upscaled one stands among those of an earlier job.
    const picture = (n) => maple.address(`internal/picture/${job.pictures[n].job}/${job.pictures[n].number}`);
    const small = (n) => `${picture(n)}?small`;

    function withoutGrid(finished) {
      if (maple.form.lists?.now.return_grid ?? true) return finished;
      return { ...finished, pictures: finished.pictures.filter((made) => !made.grid) };
    }

    function stage() {
      panel = maple.inner(`#${tab}_gallery`);
      if (!panel) return null;
      let stand = maple.at(".pictures", panel);
      if (!stand) panel.append((stand = maple.make("div", { class: "pictures" })));
      return stand;
    }

    /** Show a closed job's pictures and what they remember. */
    function show(finished) {
      const same = job && job.id === finished.id;
      finished = withoutGrid(finished);
      if (!finished.pictures.length) return; // what was made before stays in sight
      job = { ...finished, pictures: finished.pictures.map((made) => ({ ...made, job: finished.id })) };
      picked = picked && same;
      if (!picked || chosen >= job.pictures.length) chosen = job.pictures.length === 1 ? 0 : -1;
      draw();
    }

    /** Put the picture of `finished` in the place of the one at `at`, or behind it; it is the chosen one then. */
    function put(finished, at, { insert = false } = {}) {
      const made = finished.pictures.filter((each) => !each.grid).map((each) => ({ ...each, job: finished.id }));
      if (!made.length || !job?.pictures[at]) { show(finished); return; }
      const pictures = [...job.pictures];
      pictures.splice(insert ? at + 1 : at, insert ? 0 : 1, ...made);
      job = { ...job, pictures, edition: (job.edition ?? 0) + 1, started: finished.started, finished: finished.finished, elapsed: finished.elapsed };
      choose(insert ? at + 1 : at);
    }

    /** Pictures of a running job, as they are finished. */
    function arrived(running) {
      if (!running.pictures.length) return;
      if (job?.id === running.id && job.pictures.length === withoutGrid(running).pictures.length) return;
      show(running);
    }

    function draw() {
      const stand = stage();
      if (!stand || !job) return;
      const drawn = `${job.id} ${job.edition ?? 0} ${job.pictures.length} ${chosen < 0 ? "grid" : "large"}`;
      // Walking through many pictures changes one picture and one mark; thumbnails are not made anew.
      if (stand.dataset.drawn !== drawn) stand.replaceChildren(...(chosen < 0 ? [grid()] : [large(), strip()]));
      stand.dataset.drawn = drawn;
      if (chosen >= 0) mark(stand);
      describe();
    }

    function thumbnails() {
      return job.pictures.map((made, n) => maple.make("button", {
        class: "thumbnail-item", type: "button", "data-n": n, "aria-label": `${n + 1}`, onclick: () => choose(chosen === n ? -1 : n),
      }, maple.make("img", { src: small(n), loading: "lazy", decoding: "async", alt: "", width: made.width, height: made.height })));
    }

    function grid() {
      const element = maple.make("div", { class: "grid-wrap" }, ...thumbnails());
      element.style.setProperty("--columns", Math.max(1, Math.min(6, Math.ceil(Math.sqrt(job.pictures.length)))));
      return element;
    }

    const large = () => maple.make("div", { class: "preview" }, maple.make("img", { class: "large", alt: "", onclick: () => lightbox(chosen) }));

    const strip = () => maple.make("div", { class: "thumbnails", hidden: job.pictures.length < 2 }, ...(job.pictures.length > 1 ? thumbnails() : []));

    /** Show the chosen picture large and mark its thumbnail. */
    function mark(stand) {
      const made = job.pictures[chosen];
      const image = maple.at(".large", stand);
      if (image.src !== picture(chosen)) image.src = picture(chosen);
      image.width = made.width;
      image.height = made.height;
      maple.all(".thumbnail-item", stand).forEach((thumb, n) => thumb.classList.toggle("selected", n === chosen));
      const row = maple.at(".thumbnails", stand);
      const thumb = maple.at(".selected", row);
      if (thumb) row.scrollLeft = thumb.offsetLeft - row.clientWidth / 2 + thumb.clientWidth / 2;
    }

    function choose(n) {
      chosen = n;
      picked = true;
      draw();
    }

    function describe() {
      const holder = maple.inner(`#html_info_${tab}`);
      if (!holder || !job) return;
      const at = chosen < 0 ? 0 : chosen;
      const text = job.pictures[at]?.infotext || "";
      const parts = [];
      if (text) {
        parts.push(maple.make("div", { class: "infotext" },
          maple.make("p", { text, translate: false }),
          maple.make("button", { class: "maple-plain", text: "📋", type: "button", title: "Copy", onclick: () => maple.copy(text) })));
      }
      if (job.finished && job.started) parts.push(performance(maple.say("time_taken", { seconds: seconds(job.finished - job.started) }), memory));
      holder.replaceChildren(...parts);
      const facts = maple.inner(`#generation_info_${tab}`);
      if (facts) {
        facts.setAttribute("translate", "no");
        facts.textContent = JSON.stringify({ ...job.info, infotexts: job.pictures.map((made) => made.infotext) });
      }
    }

    const performance = (...texts) => maple.make("p", { class: "performance", text: texts.filter(Boolean).join("  ·  "), translate: false });

    /** What the job that just ended took, beside its time. */
    function took(text) {
      memory = text;
      describe();
    }

    /** How long a running job has been at it, under the pictures; null when it is closed. */
    function elapsed(value) {
      const holder = maple.inner(`#html_info_${tab}`);
      if (!holder) return;
      const text = value === null ? "" : maple.say("elapsed", { seconds: seconds(value) });
      const line = maple.at(".performance", holder);
      if (line && text) line.textContent = text;
      else if (text) holder.append(performance(text));
      else if (line) describe();
    }

    function seconds(value) {
      return value >= 60 ? `${Math.floor(value / 60)} min ${(value % 60).toFixed(1)} s` : `${value.toFixed(1)} s`;
    }

    /** A line under the pictures: what went wrong, what should be known. */
    function log(text, bad = false) {
      const holder = maple.inner(`#html_log_${tab}`);
      if (!holder) return;
      holder.replaceChildren(...(text ? [maple.make("p", { text, translate: false, class: bad ? "bad" : "" })] : []));
    }

    // --- the preview of what is being made, laid over the pictures

    function preview(address) {
      const holder = maple.inner(`#${tab}_gallery`);
      if (!holder) return;
      const old = maple.at(".livePreview", holder);
      if (!address) {
        old?.remove();
        holder.classList.remove("previewing");
        return;
      }
      const next = new Image();
      next.alt = "";
      next.onload = () => {
        if (!maple.jobs.of(tab).followed) return;
        let cover = maple.at(".livePreview", holder);
        if (!cover) holder.append((cover = maple.make("div", { class: "livePreview" })));
        holder.classList.add("previewing");
        cover.replaceChildren(next);
      };
      next.src = address;
    }

    // --- lightbox

    function lightbox(start) {
      let at = start;
      let whole = false;
      const image = maple.make("img", { alt: "" });
      const count = maple.make("span", { class: "count", translate: false });
      const link = maple.make("a", { class: "maple-plain", text: "💾", title: "Save the image to this device.", download: "" });
      const dialog = maple.make("dialog", { id: "lightboxModal" }, maple.make("div", { class: "bar" }, count, link,
        maple.make("button", { class: "maple-plain", text: "✕", type: "button", "aria-label": "Close", onclick: () => dialog.close() })),
      maple.make("button", { class: "turn before", text: "❮", type: "button", "aria-label": "Previous", onclick: () => turn(-1) }), image,
      maple.make("button", { class: "turn after", text: "❯", type: "button", "aria-label": "Next", onclick: () => turn(1) }));
      const draw = () => {
        image.src = picture(at);
        link.href = `${picture(at)}?download`;
        count.textContent = `${at + 1} / ${job.pictures.length}`;
        dialog.classList.toggle("single", job.pictures.length < 2);
        dialog.classList.toggle("whole", whole);
      };
      const turn = (by) => { at = (at + by + job.pictures.length) % job.pictures.length; whole = false; draw(); };
      dialog.addEventListener("keydown", (event) => {
        const act = { ArrowLeft: () => turn(-1), ArrowRight: () => turn(1), z: () => { whole = !whole; draw(); }, s: () => link.click() }[event.key];
        if (!act) return;
        event.preventDefault();
        event.stopPropagation();
        act();
      });
      dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
      image.addEventListener("click", () => { whole = !whole; draw(); });
      dialog.addEventListener("close", () => { dialog.remove(); if (chosen >= 0 && chosen !== at) choose(at); });
      document.body.append(dialog);
      draw();
      dialog.showModal();
    }

    // Arrow keys walk through the pictures while the strip has the focus.
    maple.on("keydown", `#${tab}_gallery`, (event) => {
      if (!job || chosen < 0) return;
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        event.preventDefault();
        choose((chosen + (event.key === "ArrowRight" ? 1 : job.pictures.length - 1)) % job.pictures.length);
        maple.at(`#${tab}_gallery .selected`)?.focus();
      } else if (event.key === "Escape") choose(-1);
    });

    // --- buttons under the pictures

    const current = () => (job && job.pictures.length ? Math.max(0, chosen) : -1);

    /** The chosen picture, or the first; null, and a note to the person, while there is none. */
    function selected() {
      const at = current();
      if (at < 0) { maple.tell(maple.say("no_pictures")); return null; }
      return { ...job.pictures[at], at, shown: job.id, address: picture(at) };
    }

    maple.on("click", `#save_${tab}`, () => {
      const made = selected();
      if (made) maple.saving.keep(tab, chosen < 0 ? job.id : made.job, chosen < 0 ? null : made.number);
    });
    maple.on("click", `#save_zip_${tab}`, () => {
      if (selected()) maple.saving.keep(tab, job.id, null, { archive: true });
    });
    maple.on("click", `#${tab}_open_folder`, () => maple.attempt(async () => {
      const answer = await maple.ask("internal/open-folder", { job: job?.id ?? null, tab });
      if (!answer.opened) maple.tell(maple.say("folder_is", { path: answer.path }));
    }));

    for (const field of ["seed", "subseed"]) {
      maple.on("click", `#${tab}_reuse_${field}`, () => {
        const made = selected();
        if (made && made[field] >= 0) maple.attempt(() => maple.form.write(tab, { [`${tab}_${field}`]: made[field] }, { asTyped: true }));
      });
    }

    maple.whenSeen(`#${tab}_gallery`, () => { if (job) draw(); });
    document.addEventListener("maple:language", describe);

    return { show, put, arrived, preview, log, elapsed, took, selected, get job() { return job; }, get chosen() { return chosen < 0 && job?.pictures.length === 1 ? 0 : chosen; } };
  }

  const all = Object.fromEntries(maple.PICTURED.map((tab) => [tab, gallery(tab)]));

  maple.gallery = {
    of: (tab) => all[tab],
    /** Those of the tab in sight. */
    get job() { return all[maple.here()].job; },
    get selected() { return all[maple.here()].chosen; },
    show: (job) => all[maple.tabOf(job)].show(job),
  };
})();
