// The page's language. Runs before anything is drawn: a MutationObserver's callback comes before the next paint, so
// English labels are never seen. People's own words (text areas, captions, model names) are left alone.
(() => {
  "use strict";
  const tables = maple.words.labels;
  const LEFT_ALONE = [
    "textarea", "script", "style", "pre", "code", "input", "[translate=no]", ".notranslate",
    "[role=listbox]", "ul.options", ".token", "figcaption",
  ].join(",");
  const ATTRIBUTES = ["title", "placeholder", "aria-label"];
  const SPOKEN = { "zh-CN": "简体中文", en: "English" };
  const originals = new WeakMap(); // text node or element → what it said in English

  function first() {
    const kept = read("maple.language") || maple.boot.language;
    if (kept in SPOKEN) return kept;
    const wanted = (navigator.languages || [navigator.language]).find((tag) => /^(zh|en)\b/i.test(tag)) || "en";
    return /^zh/i.test(wanted) ? "zh-CN" : "en";
  }

  function read(key) {
    try { return localStorage.getItem(key); } catch { return null; }
  }

  function write(key, value) {
    try { localStorage.setItem(key, value); } catch { /* private windows may refuse; the language still changes */ }
  }

  let language = first();

  function lookup(text) {
    const table = tables[language];
    if (!table) return null;
    const bare = text.trim();
    const found = bare && Object.hasOwn(table, bare) ? table[bare] : null;
    return found === null ? null : text.replace(bare, () => found);
  }

  function changeText(node) {
    const kept = originals.get(node);
    const english = kept && node.data === kept.shown ? kept.english : node.data;
    const shown = lookup(english) ?? english;
    if (shown === english && !kept) return;
    originals.set(node, { english, shown });
    if (node.data !== shown) node.data = shown;
  }

  function changeAttribute(element, name) {
    const value = element.getAttribute(name);
    if (!value) return;
    const all = originals.get(element) || {};
    const kept = all[name];
    const english = kept && value === kept.shown ? kept.english : value;
    const shown = lookup(english) ?? english;
    if (shown === english && !kept) return;
    originals.set(element, { ...all, [name]: { english, shown } });
    if (value !== shown) element.setAttribute(name, shown);
  }

  function changeElement(element) {
    for (const name of ATTRIBUTES) if (element.hasAttribute(name)) changeAttribute(element, name);
  }

  function changeBelow(root) {
    if (root.nodeType === Node.TEXT_NODE) {
      if (!root.parentElement?.closest(LEFT_ALONE)) changeText(root);
      return;
    }
    if (root.nodeType !== Node.ELEMENT_NODE && root.nodeType !== Node.DOCUMENT_NODE) return;
    if (root.closest?.("[translate=no], .notranslate")) return;
    const alone = root.closest?.(LEFT_ALONE);
    if (root.nodeType === Node.ELEMENT_NODE) changeElement(root);
    if (alone && !root.matches("ul.options, [role=listbox]")) return;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, {
      acceptNode(node) {
        if (node.nodeType === Node.TEXT_NODE) return NodeFilter.FILTER_ACCEPT;
        if (!node.matches(LEFT_ALONE)) return NodeFilter.FILTER_ACCEPT;
        changeElement(node);
        return NodeFilter.FILTER_REJECT;
      },
    });
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) changeText(node);
      else changeElement(node);
    }
  }

  new MutationObserver((records) => {
    for (const record of records) {
      if (record.type === "childList") record.addedNodes.forEach(changeBelow);
      else if (record.type === "characterData") changeBelow(record.target);
      else if (!record.target.closest("[translate=no]")) changeAttribute(record.target, record.attributeName);
    }
  }).observe(document.documentElement, {
    childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
  });

  function announce() {
    document.documentElement.lang = language;
    document.cookie = `maple_language=${language}; path=/; max-age=31536000; samesite=lax`;
  }

  announce();

  maple.language = {
    get now() { return language; },
    spoken: SPOKEN,
    /** Change the language of what is on the page and of everything that comes. */
    use(wanted) {
      if (!(wanted in SPOKEN) || wanted === language) return;
      language = wanted;
      write("maple.language", wanted);
      announce();
      changeBelow(document.documentElement);
      document.dispatchEvent(new CustomEvent("maple:language", { detail: wanted }));
    },
    /** What the Settings page says: a language, or "auto" for the browser's. */
    follow(wanted) {
      try { localStorage.removeItem("maple.language"); } catch { /* nothing was kept */ }
      maple.boot.language = wanted === "auto" ? "" : wanted;
      const next = first();
      if (next === language) return;
      language = next;
      announce();
      changeBelow(document.documentElement);
      document.dispatchEvent(new CustomEvent("maple:language", { detail: next }));
    },
    /** Add a table {"English": "中文"}: the format of community localisation files. Later tables win. */
    add(tag, table) {
      tables[tag] = { ...(tables[tag] || {}), ...table };
      changeBelow(document.documentElement);
    },
    /** The word for an English label, for places the observer cannot reach. */
    word(label) { return lookup(label) ?? label; },
  };

  /** A sentence of ours by key, with {fields} filled in. */
  maple.say = (key, fields = {}) => {
    const text = maple.words.sentences[`page_${key}`]?.[language] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? String(fields[name]) : whole));
  };

  // Dark or light must be settled before Gradio looks at the address.
  const theme = read("maple.theme") || maple.boot.theme;
  const address = new URL(location.href);
  if (theme && !address.searchParams.has("__theme")) {
    address.searchParams.set("__theme", theme);
    history.replaceState(history.state, "", address);
  }
})();
