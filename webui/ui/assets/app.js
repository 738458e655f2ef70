// The ground everything else stands on: finding elements, hearing clicks, asking the server, telling the person.
(() => {
  "use strict";
  /** Tabs that generate, by the beginning of their ids. What each can be sent is in `maple.tabs` (see `send.js`). */
  maple.TABS = ["txt2img", "img2img"];
  /** Tabs that show the pictures of jobs. */
  maple.PICTURED = [...maple.TABS, "extras"];
  maple.tabs = {};
  /** Who else has something to send when Generate is pressed: `async (tab) => values`. */
  maple.additions = [];
  const SILENT = new Set(["convert", "detect", "fetch-annotator"]); // jobs whose results are shown in no gallery
  /** The tab a job's pictures are shown in: a kind is a tab's name, perhaps with more behind a hyphen. */
  maple.tabOf = (job) => maple.PICTURED.find((tab) => tab === job.kind.split("-")[0]) ?? (SILENT.has(job.kind) ? null : "txt2img");

  const TITLES = {
    refresh_sd_model_checkpoint: "Refresh the list",
    refresh_sd_vae: "Refresh the list",
    paste: "Read generation parameters from prompt or last generation if prompt is empty into user interface.",
    img2img_paste: "Read generation parameters from prompt or last generation if prompt is empty into user interface.",
    "{t}_clear_prompt": "Clear prompt",
    "{t}_style_apply": "Apply all selected styles to prompts.",
    "{t}_styles_edit_button": "Edit styles",
    "{t}_res_switch_btn": "Switch width/height",
    img2img_detect_image_size_btn: "Auto detect size from img2img",
    "{t}_random_seed": "Set seed to -1, which will cause a new random number to be used every time",
    "{t}_reuse_seed": "Reuse seed from last generation, mostly useful if it was randomized",
    "{t}_random_subseed": "Set seed to -1, which will cause a new random number to be used every time",
    "{t}_reuse_subseed": "Reuse seed from last generation, mostly useful if it was randomized",
    "{t}_restore_progress": "Restore progress",
    "{t}_send_to_img2img": "Send image and generation parameters to img2img tab.",
    "{t}_send_to_inpaint": "Send image and generation parameters to img2img inpaint tab.",
    "{t}_send_to_extras": "Send image and generation parameters to extras tab.",
    upscaling_res_switch_btn: "Switch width/height",
    txt2img_upscale: "Create an upscaled version of the current image using hires fix settings.",
    "{t}_open_folder": "Open images output directory.",
    "save_{t}": "Save the image to a dedicated directory; a link brings it to this device.",
    "save_zip_{t}": "Save all images and a zip archive to a dedicated directory; links bring them to this device.",
    "{t}_interrupt": "First click: finish the current picture, then end. Second click: stop now.",
    "{t}_skip": "Skip this picture and go on with the next.",
    "{t}_generate": "Right-click: Generate forever",
  };

  maple.at = (selector, from = document) => from.querySelector(selector);
  maple.all = (selector, from = document) => [...from.querySelectorAll(selector)];

  /** Make an element: tag, properties (class, text, html attributes, on…), children. */
  maple.make = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === undefined || value === null || value === false) continue;
      if (name === "text") element.textContent = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "class") element.className = value;
      else if (name in element && !name.startsWith("aria")) element[name] = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  // --- hearing: one listener on the document for every control, however often Gradio draws it anew

  maple.on = (type, selector, act) => {
    document.addEventListener(type, (event) => {
      const target = event.target instanceof Element ? event.target.closest(selector) : null;
      if (target) act(event, target);
    }, type === "scroll" || type === "error" || type === "load");
  };

  const onEach = (tabs, type, selector, act) => {
    for (const tab of tabs) maple.on(type, selector.replaceAll("{t}", tab), (event, element) => act(tab, event, element));
  };
  /** `maple.on` for each tab that generates: {t} in `selector` is its name, which `act(tab, event, element)` is told. */
  maple.onTab = (type, selector, act) => onEach(maple.TABS, type, selector, act);
  /** The same for each tab that shows pictures. */
  maple.onPictured = (type, selector, act) => onEach(maple.PICTURED, type, selector, act);

  const waiting = [];
  /** Call `act(element)` each time an element for `selector` appears (again). */
  maple.whenSeen = (selector, act) => {
    waiting.push({ selector, act, seen: new WeakSet() });
    look();
  };

  function look() {
    for (const { selector, act, seen } of waiting) {
      for (const element of document.querySelectorAll(selector)) {
        if (seen.has(element)) continue;
        seen.add(element);
        act(element);
      }
    }
  }

  let asked = false;
  new MutationObserver(() => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; look(); });
  }).observe(document.documentElement, { childList: true, subtree: true });

  // --- asking the server

  class Trouble extends Error {
    constructor(message, status) { super(message); this.status = status; }
  }

  /** What a person is told and no fault of ours: `maple.attempt` says it and leaves the console alone. */
  maple.Trouble = Trouble;

  maple.address = (path) => new URL(path, document.baseURI).href;

  /** GET, or POST when there is a body. Throws Trouble with a sentence for the person. */
  maple.ask = async (path, body, method) => {
    const options = { method: method || (body === undefined ? "GET" : "POST"), headers: { "X-Maple-Language": maple.language.now } };
    if (body instanceof FormData) options.body = body;
    else if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers["Content-Type"] = "application/json";
    }
    let answer;
    try { answer = await fetch(maple.address(path), options); } catch { throw new Trouble(maple.say("no_answer"), 0); }
    if (answer.status === 401) throw new Trouble(maple.say("sign_in_again"), 401);
    const text = await answer.text();
    let value = null;
    try { value = text ? JSON.parse(text) : null; } catch { /* a proxy's HTML page, say */ }
    if (!answer.ok) throw new Trouble((typeof value?.detail === "string" ? value.detail : null) ?? maple.say("server_said", { status: answer.status }), answer.status);
    return value;
  };

  // --- telling the person

  /** A note in the corner. kind: "info", "good", "bad". Bad ones stay until they are closed. */
  maple.tell = (text, kind = "info") => {
    let shelf = maple.at("#maple_notes");
    if (!shelf) document.body.append((shelf = maple.make("div", { id: "maple_notes", role: "status", "aria-live": "polite" })));
    if ([...shelf.children].some((note) => note.firstChild.textContent === text)) return;
    const note = maple.make("div", { class: `maple-note ${kind}` }, maple.make("span", { text, translate: false }),
      maple.make("button", { text: "✕", "aria-label": "Close", onclick: () => note.remove() }));
    shelf.append(note);
    if (kind !== "bad") setTimeout(() => note.remove(), 5000);
  };

  /** Run something that may fail; failures are told. */
  maple.attempt = async (work) => {
    try { return await work(); } catch (trouble) {
      maple.tell(trouble.message || String(trouble), "bad");
      if (!(trouble instanceof Trouble)) console.error(trouble);
      return undefined;
    }
  };

  /** Copy text; on plain http, where the clipboard is closed to us, by way of a hidden text area. */
  maple.copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = maple.make("textarea", { value: text, class: "out-of-sight" });
      (maple.at("dialog[open]") || document.body).append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) { maple.tell(maple.say("copy_refused"), "bad"); return; }
    }
    maple.tell(maple.say("copied"), "good");
  };

  maple.remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* nothing lost but the memory */ } };

  // --- tabs, theme, language

  maple.tab = (name) => maple.at(`#tab_${name}-button`)?.click();
  let lastHere = "txt2img";
  /** The generating tab in sight, or the one that was last. */
  maple.here = () => {
    lastHere = maple.TABS.find((tab) => maple.visible(maple.at(`#${tab}_toprow`))) ?? lastHere;
    return lastHere;
  };
  maple.visible = (element) => Boolean(element && element.getClientRects().length);

  /** What the Settings page says: "dark", "light", or "auto" for the system's. */
  maple.follow = (theme) => {
    try { localStorage.removeItem("maple.theme"); } catch { /* nothing was kept */ }
    const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.body.classList.toggle("dark", dark);
  };

  function isDark() { return document.body.classList.contains("dark"); }

  function corner(slot) {
    const languages = maple.make("button", {
      id: "maple_language", class: "maple-plain", translate: false, type: "button",
      onclick: () => maple.language.use(maple.language.now === "en" ? "zh-CN" : "en"),
    });
    const theme = maple.make("button", {
      id: "maple_theme", class: "maple-plain", type: "button", title: "Dark or light",
      onclick: () => {
        document.body.classList.toggle("dark");
        maple.remember("maple.theme", isDark() ? "dark" : "light");
        const address = new URL(location.href);
        address.searchParams.delete("__theme");
        history.replaceState(history.state, "", address);
        draw();
      },
    });
    const leave = maple.make("button", {
      id: "maple_sign_out", class: "maple-plain", text: "Sign out", type: "button", hidden: true,
      onclick: async () => { await fetch(maple.address("gate/sign-out"), { method: "POST" }); location.reload(); },
    });
    const draw = () => {
      const account = maple.form?.lists?.account ?? "";
      leave.hidden = !account;
      leave.title = account;
      languages.textContent = maple.language.now === "en" ? "中文" : "English";
      languages.title = maple.language.now === "en" ? "切换为简体中文" : "Switch to English";
      theme.textContent = isDark() ? "☀️" : "🌙";
    };
    document.addEventListener("maple:language", draw);
    document.addEventListener("maple:lists", draw);
    new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    draw();
    slot.replaceChildren(theme, languages, leave);
  }

  maple.whenSeen("#maple_corner > *, #maple_corner", () => {
    const holder = maple.inner("#maple_corner");
    if (holder && !maple.at("#maple_language", holder)) corner(holder);
  });

  /** The element inside one of our slots that Gradio draws once and leaves alone. */
  maple.inner = (selector) => {
    const slot = typeof selector === "string" ? maple.at(selector) : selector;
    return slot ? maple.at(".prose, .html-container", slot) || slot : null;
  };

  for (const [id, title] of Object.entries(TITLES)) {
    for (const tab of id.includes("{t}") ? maple.PICTURED : [""]) {
      maple.whenSeen(`#${id.replace("{t}", tab)}`, (element) => element.setAttribute("title", title));
    }
  }

  // --- the footer and the page's title

  maple.title = (text) => { document.title = text ? `${text} Maple WebUI` : "Maple WebUI"; };
})();
