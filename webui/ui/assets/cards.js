// The models' cards beside Generation. One list per page for both tabs; only the cards in sight are in the document.
(() => {
  "use strict";
  const PAGES = ["textual_inversion", "hypernetworks", "checkpoints", "lora"];
  const SORTS = [["path", "Path"], ["name", "Name"], ["date_created", "Date Created"], ["date_modified", "Date Modified"]];
  const GAP = 10;
  const CARD = { width: 160, height: 240 };
  const SPARE = 1; // rows drawn beyond what is in sight, above and below
  const ROW = 26; // pixels of a row of the tree
  const ROWS_SPARE = 10;
  const SECRET = 4; // letters from which a search finds what lies in hidden folders
  const FAMILIES = { sd1: "SD 1", sd2: "SD 2", sdxl: "SDXL", "sdxl-refiner": "Refiner", sd3: "SD 3", flux: "FLUX" };
  const MODEL = "setting_sd_model_checkpoint";
  const store = {}; // page → list as the server sent it, made ready for searching
  const loading = {}; // page → promise
  const views = {}; // `${tab}_${page}` → what is drawn and how it is looked at
  const lastBox = {}; // tab → id of the prompt box last used
  let chosen = null; // title of the chosen checkpoint
  const compare = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;

  // --- the list

  function prepare(data) {
    const folders = new Map();
    for (const card of data.cards) {
      card.search = `/${card.path} ${card.title} ${card.also ?? ""}`.toLowerCase();
      card.hidden = /(^|\/)\./.test(card.path);
      const parts = card.path.split("/").slice(0, -1);
      parts.forEach((_, at) => {
        const folder = parts.slice(0, at + 1).join("/");
        folders.set(folder, (folders.get(folder) ?? 0) + 1);
      });
    }
    data.tree = [...folders].sort((one, other) => compare(one[0], other[0]));
    data.byId = new Map(data.cards.map((card) => [card.id, card]));
    data.sorted = {};
    return data;
  }

  function load(page) {
    loading[page] ??= maple.ask(`internal/cards/${page}`).then((data) => {
      store[page] = prepare(data);
      for (const view of Object.values(views)) if (view.page === page) fill(view);
      // What lies beside new models is read behind the page.
      if (data.waiting) setTimeout(() => seen(page) && maple.attempt(() => load(page)), 1500);
    }).finally(() => { delete loading[page]; });
    return loading[page];
  }
  const seen = (page) => Object.values(views).some((view) => view.page === page && maple.visible(view.pane));
  const again = () => PAGES.filter((page) => store[page]).forEach((page) => maple.attempt(() => load(page)));
  document.addEventListener("maple:lists", again);
  document.addEventListener("maple:language", again);

  const KEYS = { path: (card) => card.path, name: (card) => card.title, date_created: (card) => card.created ?? 0, date_modified: (card) => card.modified ?? 0 };
  function sorted(data, sort, down) {
    data.sorted[sort] ??= data.cards.map((card) => [KEYS[sort](card), card])
      .sort(([one], [other]) => (typeof one === "number" ? one - other : compare(one, other))).map(([, card]) => card);
    return down ? data.sorted[sort].toReversed() : data.sorted[sort];
  }

  function matching(data, view) {
    const term = view.search.trim().toLowerCase();
    const words = term.split(/\s+/).filter(Boolean);
    const folder = term.endsWith("/");
    const { hidden_models: hidden, show_all_loras: all } = data.settings;
    return sorted(data, view.sort, view.down).filter((card) => {
      if (card.hidden && hidden !== "Always" && (hidden === "Never" || term.length < SECRET)) return false;
      if (view.page === "lora" && !all && misfit(card)) return false;
      if (!term) return true;
      if (folder) return card.search.includes(term.startsWith("/") ? term : `/${term}`);
      return card.search.includes(term) || (words.length > 1 && words.every((word) => card.search.includes(word)));
    });
  }

  // --- what fits the chosen checkpoint

  function model() { return maple.form.lists?.checkpoints.find((item) => item.title === chosen); }

  /** Why a model is not for the chosen checkpoint, "" when it is or when that is not known. */
  function misfit(card) {
    const wanted = model()?.family;
    if (!wanted || wanted === "unknown" || !card.family || card.family === wanted) return "";
    return maple.say("card_misfit", { family: FAMILIES[card.family] ?? card.family, model: chosen.replace(/ \[[0-9a-f]+\]$/, ""), needed: FAMILIES[wanted] ?? wanted });
  }

  async function lookAtModel() {
    const title = (await maple.form.read("txt2img"))[MODEL] ?? maple.form.lists?.now.checkpoint ?? null;
    if (title === chosen) return;
    chosen = title;
    for (const view of Object.values(views)) arrange(view);
  }
  for (const event of ["maple:ready", "maple:lists", "maple:model"]) document.addEventListener(event, () => maple.attempt(lookAtModel));
  document.addEventListener("maple:form", (event) => { if (MODEL in event.detail.values) maple.attempt(lookAtModel); });

  // --- a page in a tab

  maple.whenSeen("[id$=_cards_html]", (slot) => {
    const [, tab, page] = slot.id.match(/^([a-z0-9]+?)_(.+)_cards_html$/) ?? [];
    if (!maple.TABS.includes(tab) || !PAGES.includes(page)) return;
    const view = (views[`${tab}_${page}`] ??= { tab, page, search: "", sort: null, down: false, folders: null, open: new Set(), top: 0, cards: new Map() });
    build(view, maple.inner(slot));
    if (store[page]) fill(view);
    maple.attempt(() => load(page));
  });

  function build(view, holder) {
    const { tab, page } = view;
    const sort = ([key, label]) => maple.make("button", {
      id: `${tab}_${page}_extra_sort_${key}`, class: "extra-network-control--sort", type: "button", text: label, "data-sortkey": key,
      onclick: () => { view.sort = key; controls(view); arrange(view, { toTop: true }); },
    });
    view.cards = new Map();
    view.field = maple.make("input", {
      id: `${tab}_${page}_extra_search`, class: "extra-network-control--search-text", type: "search", placeholder: "Search", value: view.search,
      autocomplete: "off", spellcheck: false, oninput: searchSoon(view),
    });
    view.count = maple.make("span", { class: "extra-network-count", translate: false });
    view.sorts = maple.make("span", { class: "extra-network-sorts" }, ...SORTS.map(sort));
    view.direction = maple.make("button", {
      id: `${tab}_${page}_extra_sort_dir`, class: "extra-network-control--sort-dir", type: "button", translate: false,
      onclick: () => { view.down = !view.down; controls(view); arrange(view, { toTop: true }); },
    });
    view.foldersButton = maple.make("button", {
      id: `${tab}_${page}_extra_tree_view`, class: "extra-network-control--tree-view", type: "button", text: "📁", title: "Show folders",
      onclick: () => { view.folders = !view.folders; controls(view); measure(view); grow(view); },
    });
    const refresh = maple.make("button", {
      id: `${tab}_${page}_extra_refresh`, class: "extra-network-control--refresh", type: "button", text: "🔄", title: "Refresh the list",
      onclick: (event) => maple.attempt(() => refreshPage(page, event.currentTarget)),
    });
    view.tree = maple.make("div", { id: `${tab}_${page}_tree`, class: "extra-network-tree", translate: false, onscroll: () => grow(view) });
    view.dirs = maple.make("div", { id: `${tab}_${page}_dirs`, class: "extra-network-dirs" });
    view.sizer = maple.make("div", { class: "extra-network-sizer" });
    view.empty = maple.make("div", { class: "extra-network-empty" });
    view.scroller = maple.make("div", { id: `${tab}_${page}_cards`, class: "extra-network-cards", translate: false, onscroll: () => { view.top = view.scroller.scrollTop; draw(view); } }, view.sizer, view.empty);
    view.pane = maple.make("div", { id: `${tab}_${page}_pane`, class: "extra-network-pane" },
      maple.make("div", { id: `${tab}_${page}_controls`, class: "extra-network-control" }, view.field, view.count, view.sorts, view.direction, view.foldersButton, refresh),
      view.dirs, maple.make("div", { class: "extra-network-body" }, view.tree, view.scroller));
    holder.replaceChildren(view.pane);
    view.watch?.disconnect();
    view.watch = new ResizeObserver(() => { measure(view); grow(view); });
    view.watch.observe(view.scroller);
    view.watch.observe(view.tree);
    compatible(tab);
  }

  function searchSoon(view) {
    let waiting = 0;
    return () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { view.search = view.field.value; arrange(view, { toTop: true }); marked(view); }, 150);
    };
  }

  /** Search for `text`, as if it were typed. */
  function look(view, text) {
    view.field.value = view.search = text;
    arrange(view, { toTop: true });
    marked(view);
  }

  function fill(view) {
    if (!view.pane) return;
    const { settings } = store[view.page];
    if (view.sort === null) {
      view.sort = settings.card_order_field.toLowerCase().replace(" ", "_");
      view.down = settings.card_order === "Descending";
      view.folders = settings.tree_view_default_enabled;
    }
    view.pane.style.setProperty("--card-text", settings.card_text_scale);
    view.pane.style.setProperty("--tree-width", `${settings.tree_view_default_width}px`);
    view.pane.classList.toggle("without-descriptions", !settings.card_show_desc);
    controls(view);
    foldersOf(view);
    arrange(view);
  }

  function controls(view) {
    for (const button of view.sorts.children) button.classList.toggle("selected", button.dataset.sortkey === view.sort);
    view.direction.textContent = view.down ? "↓" : "↑";
    view.direction.dataset.sortdir = view.down ? "Descending" : "Ascending";
    view.direction.title = maple.language.word(view.down ? "Descending" : "Ascending");
    view.foldersButton.classList.toggle("selected", Boolean(view.folders));
    const style = store[view.page]?.settings.tree_view_style;
    const any = Boolean(store[view.page]?.tree.length);
    view.tree.hidden = !view.folders || style !== "Tree" || !store[view.page]?.cards.length;
    view.dirs.hidden = !view.folders || style === "Tree" || !any;
  }

  async function refreshPage(page, button) {
    button?.classList.add("busy");
    try {
      const { count } = await maple.ask(`internal/cards/${page}/refresh`, {});
      await load(page);
      await maple.form.refreshLists();
      maple.tell(maple.say("cards_refreshed", { count }), "good");
    } finally { button?.classList.remove("busy"); }
  }

  // --- folders: buttons, or a tree

  function foldersOf(view) {
    const data = store[view.page];
    const shown = data.tree.filter(([folder]) => data.settings.show_hidden_directories || !/(^|\/)\./.test(folder));
    const button = (folder) => maple.make("button", {
      class: `extra-network-dirs-view-button${folder ? "" : " search-all"}`, type: "button", text: folder ? `${folder}/` : "All", translate: folder ? false : undefined,
      "data-folder": folder, onclick: () => look(view, folder && view.search !== `${folder}/` ? `${folder}/` : ""),
    });
    view.dirs.replaceChildren(...(shown.length ? ["", ...shown.map(([folder]) => folder)].map(button) : []));
    view.nodes = shown;
    plant(view);
    marked(view);
  }

  /** Folder ("" above all) → the cards right in it, by name. */
  function within(data) {
    if (data.within) return data.within;
    data.within = new Map();
    for (const card of sorted(data, "path", false)) {
      const folder = card.path.includes("/") ? card.path.slice(0, card.path.lastIndexOf("/")) : "";
      if (data.within.has(folder)) data.within.get(folder).push(card);
      else data.within.set(folder, [card]);
    }
    return data.within;
  }

  /** The tree's rows, top to bottom: open folders with what is in them, folders first. */
  function planted(view) {
    const data = store[view.page];
    const counts = new Map(view.nodes);
    const below = new Map();
    for (const folder of counts.keys()) {
      const up = folder.includes("/") ? folder.slice(0, folder.lastIndexOf("/")) : "";
      below.set(up, [...(below.get(up) ?? []), folder]);
    }
    const rows = [];
    const walk = (inside, depth) => {
      for (const folder of below.get(inside) ?? []) {
        rows.push({ folder, count: counts.get(folder), depth });
        if (view.open.has(folder)) walk(folder, depth + 1);
      }
      for (const item of within(data).get(inside) ?? []) {
        if (!item.hidden || data.settings.hidden_models !== "Never") rows.push({ item, depth });
      }
    };
    walk("", 0);
    return rows;
  }

  function plant(view) {
    view.branches = null;
    grow(view);
  }

  /** Make the rows in sight: ten thousand files are as quick as ten. */
  function grow(view) {
    if (view.tree.hidden || !view.nodes) return;
    if (!view.branches) {
      view.tree.replaceChildren(maple.make("div", { class: "tree-sizer" }));
      view.branches = planted(view);
      view.tree.firstChild.style.height = `${view.branches.length * ROW}px`;
      view.shown = new Map();
    }
    const first = Math.max(0, Math.floor(view.tree.scrollTop / ROW) - ROWS_SPARE);
    const last = Math.min(view.branches.length, Math.ceil((view.tree.scrollTop + view.tree.clientHeight) / ROW) + ROWS_SPARE);
    for (const [at, row] of view.shown) {
      if (at < first || at >= last) { row.remove(); view.shown.delete(at); }
    }
    for (let at = first; at < last; at += 1) {
      if (view.shown.has(at)) continue;
      const branch = view.branches[at];
      const row = maple.make("div", { class: "tree-row" }, ...(branch.item ? leaf(view, branch.item) : twig(view, branch)));
      row.style.paddingLeft = `${branch.depth * 14}px`;
      row.style.transform = `translateY(${at * ROW}px)`;
      view.shown.set(at, row);
      view.tree.firstChild.append(row);
    }
    marked(view);
    press(view);
  }

  function twig(view, { folder, count }) {
    const fold = maple.make("button", {
      class: "tree-fold", type: "button", text: view.open.has(folder) ? "▾" : "▸", "aria-label": folder, "aria-expanded": String(view.open.has(folder)),
      onclick: () => { if (!view.open.delete(folder)) view.open.add(folder); const { scrollTop } = view.tree; plant(view); view.tree.scrollTop = scrollTop; grow(view); },
    });
    const name = maple.make("button", {
      class: "tree-name", type: "button", "data-folder": folder, title: folder,
      onclick: () => look(view, view.search === `${folder}/` ? "" : `${folder}/`),
    }, maple.make("span", { text: folder.split("/").pop() }), maple.make("small", { text: count }));
    return [fold, name];
  }

  /** A file: a click is a click on its card. */
  function leaf(view, item) {
    return [maple.make("span", { class: "tree-fold" }), maple.make("button", {
      class: "tree-name tree-file", type: "button", title: item.path, "data-file": item.id, onclick: () => use(view.tab, view.page, item),
    }, maple.make("span", { text: item.title }))];
  }

  function marked(view) {
    for (const button of maple.all("[data-folder]", view.pane)) {
      const { folder } = button.dataset;
      button.classList.toggle("selected", folder ? view.search === `${folder}/` : view.search === "");
    }
  }

  // --- the grid: every card has a place, only those in sight are made

  function arrange(view, { toTop = false } = {}) {
    const data = store[view.page];
    if (!data || !view.pane) return;
    view.found = matching(data, view);
    view.count.textContent = maple.say("cards_count", { shown: view.found.length, count: data.cards.length });
    for (const element of view.cards.values()) element.remove();
    view.cards.clear();
    view.empty.hidden = view.found.length > 0;
    if (!view.found.length) {
      view.empty.replaceChildren(...(data.cards.length ? [maple.make("p", { text: maple.say("no_cards_found") })]
        : [maple.make("p", { text: maple.say("no_cards") }), maple.make("ul", {}, ...data.folders.map((path) => maple.make("li", { text: path })))]));
    }
    if (toTop) view.scroller.scrollTop = view.top = 0;
    measure(view);
  }

  function measure(view) {
    const data = store[view.page];
    const width = view.scroller?.clientWidth;
    if (!data || !view.found || !width) return;
    const own = data.settings.card_width;
    const wanted = Math.min(own || CARD.width, Math.max(110, (width - GAP) / 2));
    view.columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
    const columns = own ? view.columns : Math.min(view.columns, Math.max(view.found.length, 1));
    // Cards of our own size share the width; few of them do not grow beyond what is wanted.
    view.wide = own || columns < view.columns ? Math.floor(wanted) : Math.floor((width - GAP * (view.columns - 1)) / view.columns);
    view.high = data.settings.card_height || Math.round(CARD.height * Math.min(1, view.wide / CARD.width));
    view.rows = Math.ceil(view.found.length / view.columns);
    view.sizer.style.height = `${Math.max(0, view.rows * (view.high + GAP) - GAP)}px`;
    for (const element of view.cards.values()) element.remove();
    view.cards.clear();
    if (view.scroller.scrollTop !== view.top) view.scroller.scrollTop = view.top;
    draw(view);
  }

  function draw(view) {
    if (!view.found || !view.columns || !view.scroller.clientHeight) return;
    const step = view.high + GAP;
    const first = Math.max(0, Math.floor(view.scroller.scrollTop / step) - SPARE) * view.columns;
    const last = Math.min(view.found.length, (Math.ceil((view.scroller.scrollTop + view.scroller.clientHeight) / step) + SPARE) * view.columns);
    const wanted = new Map();
    for (let at = first; at < last; at += 1) wanted.set(view.found[at].id, at);
    for (const [id, element] of view.cards) {
      if (!wanted.has(id)) { element.remove(); view.cards.delete(id); }
    }
    for (const [id, at] of wanted) {
      if (view.cards.has(id)) continue;
      const element = card(view, view.found[at]);
      element.style.width = `${view.wide}px`;
      element.style.height = `${view.high}px`;
      element.style.transform = `translate(${(at % view.columns) * (view.wide + GAP)}px, ${Math.floor(at / view.columns) * step}px)`;
      view.cards.set(id, element);
      view.sizer.append(element);
    }
    press(view);
  }

  function card(view, item) {
    const { page } = view;
    const why = item.problem || misfit(item);
    const thumbnail = item.preview && maple.make("img", {
      class: "preview", alt: "", loading: "lazy", decoding: "async", draggable: false,
      src: maple.address(`internal/cards/${page}/${item.id}/thumbnail?v=${item.preview}`), onerror: (event) => event.currentTarget.remove(),
    });
    const small = (kind, symbol, title) => maple.make("button", { class: `${kind} card-button`, type: "button", text: symbol, title: maple.language.word(title), "aria-label": maple.language.word(title) });
    return maple.make("div", {
      class: `card${why ? " misfit" : ""}${item.preview ? "" : " plain"}`, role: "button", tabindex: "0", title: why ? `${item.title}\n${why}` : item.title,
      "data-id": item.id, "data-name": item.title, "data-page": page, "data-sort-path": item.path.toLowerCase(), "data-sort-name": item.title.toLowerCase(),
      "data-sort-date_created": item.created ?? 0, "data-sort-date_modified": item.modified ?? 0,
    },
    thumbnail || maple.make("span", { class: "letter", text: [...item.title][0]?.toUpperCase() ?? "" }),
    item.family ? maple.make("span", { class: "family", text: FAMILIES[item.family] ?? item.family }) : null,
    maple.make("div", { class: "button-row" }, small("copy-path-button", "📋", "Copy path"), small("metadata-button", "ⓘ", "Metadata"), small("edit-button", "✎", "Edit")),
    maple.make("div", { class: "actions" }, maple.make("span", { class: "name", text: item.title }),
      item.description ? maple.make("span", { class: "description", text: item.description }) : null));
  }

  /** Show which cards are in the prompts now. */
  function press(view) {
    const box = (id) => maple.at(`#${view.tab}_${id} textarea`)?.value ?? "";
    const [prompt, negative] = [box("prompt"), box("neg_prompt")];
    const leaves = [...(view.shown?.values() ?? [])].map((row) => maple.at("[data-file]", row)).filter(Boolean).map((element) => [element.dataset.file, element]);
    for (const [id, element] of [...view.cards, ...leaves]) {
      const item = store[view.page].byId.get(id);
      if (!item) continue;
      const there = view.page === "checkpoints" ? item.name === chosen
        : view.page === "textual_inversion" ? embedded(prompt, item.name) || embedded(negative, item.name) : hasNetwork(prompt, view.page, item);
      element.setAttribute("aria-pressed", String(there));
    }
  }
  let pressing = false;
  function pressSoon() {
    if (pressing) return;
    pressing = true;
    setTimeout(() => { pressing = false; for (const view of Object.values(views)) if (maple.visible(view.pane)) press(view); }, 120);
  }
  maple.on("input", ".prompt textarea", pressSoon);
  document.addEventListener("maple:form", pressSoon);

  // --- prompts

  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const names = (item) => [...new Set([item.name, item.title, item.path.replace(/\.[^./]+$/, ""), item.path])].map(escaped).join("|");
  const network = (page, item) => new RegExp(`<(?:${page === "lora" ? "lora|lyco" : "hypernet"}):(?:${names(item)})(?::[^<>]*)?>`, "gi");
  const hasNetwork = (text, page, item) => network(page, item).test(text);
  const EDGE = "[\\s,.;:()\\[\\]{}|<>，。]";
  const word = (name) => new RegExp(`(?<=^|${EDGE})${escaped(name)}(?=$|${EDGE})`, "gi");
  const embedded = (text, name) => word(name).test(text);

  /** Take `from`…`to` out of a text with what separated it from its surroundings. */
  function without(text, from, to, separator) {
    let before = text.slice(0, from), after = text.slice(to);
    if (separator && before.endsWith(separator)) before = before.slice(0, -separator.length);
    else before = before.replace(/[ \t]$/, "");
    if (/,\s*$/.test(before) && /^\s*(,|$)/.test(after)) before = before.replace(/,\s*$/, "");
    if (!before.trim()) after = after.replace(/^[\s,]+/, "");
    return before + after;
  }

  function withText(text, added, separator) { return text.trim() ? text + separator + added : added; }

  function addNetwork(text, page, item, settings) {
    const weight = page === "lora" ? item.weight || settings.default_multiplier : settings.default_multiplier;
    const tag = `<${page === "lora" ? "lora" : "hypernet"}:${item.name}:${weight}>`;
    return withText(text, item.activation && page === "lora" ? `${tag} ${item.activation}` : tag, settings.add_text_separator);
  }

  function removeNetwork(text, page, item, settings) {
    for (let found; (found = network(page, item).exec(text));) {
      let end = found.index + found[0].length;
      const gap = text.slice(end).match(/^[\s,]*/)[0].length;
      const rest = text.slice(end + gap);
      // The words that came with it go with it, if they still stand behind it.
      if (item.activation && rest.startsWith(item.activation) && /^($|[\s,.])/.test(rest.slice(item.activation.length))) end += gap + item.activation.length;
      text = without(text, found.index, end, settings.add_text_separator);
    }
    return text;
  }

  function removeText(text, part, separator) {
    const at = text.lastIndexOf(part);
    return at < 0 ? text : without(text, at, at + part.length, separator);
  }

  function toggleEmbedding(text, name, settings) {
    const weighted = new RegExp(`\\(\\s*${escaped(name)}\\s*:\\s*[-+\\d.]+\\s*\\)`, "i").exec(text);
    const found = weighted ?? word(name).exec(text);
    return found ? without(text, found.index, found.index + found[0].length, settings.add_text_separator) : withText(text, name, settings.add_text_separator);
  }

  for (const tab of maple.TABS) {
    for (const id of [`${tab}_prompt`, `${tab}_neg_prompt`]) maple.on("focusin", `#${id} textarea`, () => { lastBox[tab] = id; });
  }

  /** The prompts of a tab after a click on a card: {id: text} of what changes. */
  function clicked(tab, page, item, settings, now) {
    const [positive, negative] = [`${tab}_prompt`, `${tab}_neg_prompt`];
    const text = (id) => now[id] ?? "";
    if (page === "textual_inversion") {
      const box = lastBox[tab] ?? positive;
      return { [box]: toggleEmbedding(text(box), item.name, settings) };
    }
    if (hasNetwork(text(positive), page, item)) {
      const left = { [positive]: removeNetwork(text(positive), page, item, settings) };
      if (item.negative) left[negative] = removeText(text(negative), item.negative, settings.add_text_separator);
      return left;
    }
    const grown = { [positive]: addNetwork(text(positive), page, item, settings) };
    if (item.negative && !text(negative).includes(item.negative)) grown[negative] = withText(text(negative), item.negative, settings.add_text_separator);
    return grown;
  }

  let turn = Promise.resolve();
  function use(tab, page, item) {
    if (item.problem) { maple.tell(`${item.title}: ${item.problem}`, "bad"); return; }
    // One after the other: the second click must see what the first has written.
    turn = turn.then(() => maple.attempt(async () => {
      if (page === "checkpoints") { await choose(item.name); return; }
      const now = await maple.form.read(tab);
      const change = clicked(tab, page, item, store[page].settings, now);
      await maple.form.write(tab, change);
      const why = misfit(item);
      if (why && Object.entries(change).some(([id, text]) => text.length > (now[id] ?? "").length)) maple.tell(`${item.title}: ${why}`);
    }));
  }

  async function choose(title) {
    if (!maple.form.lists.checkpoints.some((item) => item.title === title)) await maple.form.refreshLists();
    if (MODEL in await maple.form.read("txt2img")) {
      await maple.form.write("txt2img", { [MODEL]: title });
      await maple.form.watchQuickSettings();
    } else {
      await maple.ask("internal/settings", { values: { sd_model_checkpoint: title } });
      await maple.form.refreshLists({ again: true });
    }
    await lookAtModel();
  }

  const at = (element) => {
    const view = Object.values(views).find((one) => one.pane?.contains(element));
    const item = view && store[view.page]?.byId.get(element.closest(".card")?.dataset.id);
    return item ? [view, item] : [null, null];
  };
  maple.on("click", ".extra-network-cards .card", (event, element) => {
    const [view, item] = at(element);
    if (!item) return;
    const button = event.target.closest(".card-button");
    if (!button) { use(view.tab, view.page, item); return; }
    maple.attempt(async () => {
      const told = await maple.ask(`internal/cards/${view.page}/${item.id}`);
      if (button.classList.contains("copy-path-button")) await maple.copy(told.file);
      else if (button.classList.contains("metadata-button")) showMetadata(told);
      else edit(view, item, told);
    });
  });
  maple.on("keydown", ".extra-network-cards .card", (event, element) => {
    if (!event.target.matches(".card") || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    const [view, item] = at(element);
    if (item) use(view.tab, view.page, item);
  });

  // --- dialogs

  const button = (text, act, kind = "") => maple.make("button", { text, type: "button", class: `maple-button ${kind}`, onclick: act });

  function dialog(id, told, ...children) {
    const made = maple.make("dialog", { id, class: "maple-dialog card-dialog" }, maple.make("h3", { text: told.title, translate: false }), ...children);
    made.addEventListener("close", () => made.remove());
    made.addEventListener("click", (event) => { if (event.target === made) made.close(); });
    document.body.append(made);
    made.showModal();
    return made;
  }

  const bytes = (size) => (size < 1e6 ? `${(size / 1e3).toFixed(1)} KB` : size < 1e9 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(2)} GB`);

  function table(told) {
    const rows = [["Filename", told.file], ["File size", bytes(told.size)], ["Hash", told.hash], ["Date Modified", new Date(told.modified * 1000).toLocaleString()],
      ["Stable Diffusion version", FAMILIES[told.family] ?? ""], ...told.facts];
    return maple.make("table", { class: "card-facts" }, maple.make("tbody", {}, ...rows.filter(([, value]) => value).map(([label, value]) =>
      maple.make("tr", {}, maple.make("th", { text: label }), maple.make("td", { text: value, translate: false })))));
  }

  function showMetadata(told) {
    const text = JSON.stringify(told.metadata, null, 4);
    const any = Object.keys(told.metadata).length > 0;
    const made = dialog("card_metadata", told, table(told),
      any ? maple.make("pre", { class: "card-metadata", text }) : maple.make("p", { class: "hint", text: maple.say("no_metadata") }),
      maple.make("div", { class: "row" }, any ? button("Copy", () => maple.copy(text)) : null, button("Close", () => made.close())));
  }

  const FIELDS = {
    description: ["Description", "area"], notes: ["Notes", "area"], activation_text: ["Activation text", "text"], negative_text: ["Negative prompt", "text"],
    preferred_weight: ["Preferred weight", "weight"], sd_version: ["Stable Diffusion version", ["Unknown", "SD1", "SD2", "SDXL", "SD3"]], vae: ["Preferred VAE", "vae"],
    prediction_type: ["Prediction type", ["Automatic", "Epsilon", "V-prediction"]],
  };
  const HINTS = { activation_text: "Will be added to prompt along with Lora", negative_text: "Will be added to negative prompts", preferred_weight: "0: the default multiplier" };

  function control(name, told) {
    const [, kind] = FIELDS[name];
    const properties = { id: `card_${name}`, value: told.notes[name], disabled: !told.own };
    const options = kind === "vae" ? (maple.form.lists?.vaes ?? []) : kind;
    if (Array.isArray(options)) {
      const value = told.notes[name] || options[0];
      const listed = options.includes(value) ? options : [...options, value];
      const made = maple.make("select", { ...properties, translate: false }, ...listed.map((item) => maple.make("option", { value: item, text: item })));
      made.value = value;
      return made;
    }
    if (kind === "weight") return maple.make("input", { ...properties, type: "number", min: 0, max: 2, step: 0.01 });
    return maple.make("textarea", { ...properties, rows: kind === "area" ? 3 : 2, placeholder: told.told[name] ?? "" });
  }

  function edit(view, item, told) {
    const controls = Object.fromEntries(told.fields.map((name) => [name, control(name, told)]));
    const labelled = (name) => maple.make("label", {}, maple.make("span", { text: FIELDS[name][0] }), controls[name],
      HINTS[name] ? maple.make("small", { class: "hint", text: HINTS[name] }) : null);
    const save = async () => {
      const values = Object.fromEntries(Object.entries(controls).map(([name, box]) => [name, name === "preferred_weight" ? Number(box.value) || 0 : box.value]));
      await maple.attempt(async () => {
        await maple.ask(`internal/cards/${view.page}/${item.id}/notes`, values);
        made.close();
        maple.tell(maple.say("saved"), "good");
        await load(view.page);
      });
    };
    const replace = () => maple.attempt(async () => {
      if (await replacePreview(view.tab, `internal/cards/${view.page}/${item.id}/preview`, {})) { made.close(); await load(view.page); }
    });
    const made = dialog("card_editor", told,
      told.own ? null : maple.make("p", { class: "hint", text: maple.say("card_not_ours") }),
      ...told.fields.filter((name) => name !== "notes").map(labelled), ...trainingTags(told, controls.activation_text),
      labelled("notes"), maple.make("details", {}, maple.make("summary", { text: "File and training" }), table(told)),
      maple.make("div", { class: "row" }, told.own ? button("Replace preview", replace) : null, told.own ? button("Save", save, "primary") : null, button("Close", () => made.close())));
  }

  /** Tags of the training captions as buttons that go into the activation text, and a prompt drawn from them. */
  function trainingTags(told, activation) {
    if (!told.tags.length || !activation) return [];
    const parts = () => activation.value.split(",").map((part) => part.trim()).filter(Boolean);
    const chips = told.tags.slice(0, 24).map(([tag, count]) => maple.make("button", {
      class: "card-tag", type: "button", translate: false, disabled: !told.own, onclick: () => {
        const now = parts();
        activation.value = (now.includes(tag) ? now.filter((part) => part !== tag) : [...now, tag]).join(", ");
      },
    }, maple.make("span", { text: tag }), maple.make("small", { text: count })));
    const drawn = maple.make("textarea", { id: "card_random_prompt", rows: 2, readOnly: true });
    const roll = () => {
      const most = told.tags[0][1];
      const some = told.tags.filter(([, count]) => count > Math.random() * most).map(([tag]) => tag.replace(/[()[\]{}]/g, "\\$&"));
      drawn.value = some.sort().join(", ");
    };
    roll();
    return [maple.make("div", { class: "card-tags" }, maple.make("span", { class: "hint", text: "Training dataset tags" }), ...chips),
      maple.make("label", {}, maple.make("span", { text: "Random prompt" }), maple.make("div", { class: "card-random" }, drawn, button("🎲", roll), button("Copy", () => maple.copy(drawn.value))))];
  }

  // --- previews from the gallery

  async function replacePreview(tab, address, body) {
    const made = maple.gallery.of(tab).selected();
    if (!made) return false;
    await maple.ask(address, { ...body, job: made.job, number: made.number });
    maple.tell(maple.say("preview_replaced"), "good");
    return true;
  }

  /** A1111's hidden pair, by which extensions make the selected picture a model's preview. */
  function compatible(tab) {
    if (maple.at(`#${tab}_save_preview`)) return;
    const path = maple.make("textarea", { tabindex: "-1", "aria-hidden": "true" });
    const save = maple.make("button", {
      id: `${tab}_save_preview`, type: "button", class: "out-of-sight", tabindex: "-1", "aria-hidden": "true",
      onclick: () => maple.attempt(async () => {
        if (await replacePreview(tab, "internal/cards/preview", { filename: path.value })) again();
      }),
    });
    document.body.append(maple.make("div", { id: `${tab}_preview_filename`, class: "out-of-sight" }, path), save);
  }

  maple.cards = { load, clicked, misfit, get store() { return store; }, get views() { return views; } };
})();
