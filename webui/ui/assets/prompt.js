// The prompts: token counters, weights by key, dropped pictures, and the tools beside them.
(() => {
  "use strict";
  const area = (id) => maple.at(`#${id} textarea`);
  const boxes = (tab) => [`${tab}_prompt`, `${tab}_neg_prompt`];

  // --- token counters

  const counting = {};
  const rounds = {};
  function countSoon(tab) {
    clearTimeout(counting[tab]);
    counting[tab] = setTimeout(() => count(tab), 250);
  }
  const countAll = () => maple.TABS.forEach(countSoon);

  async function count(tab) {
    const wanted = maple.form.lists?.now.token_counters ?? true;
    document.documentElement.classList.toggle("without-counters", !wanted);
    if (!wanted || !area(`${tab}_prompt`)) return;
    const mine = (rounds[tab] = (rounds[tab] ?? 0) + 1);
    const [prompt, negative] = boxes(tab).map((id) => area(id)?.value ?? "");
    try {
      const styles = (await maple.form.read(tab))[`${tab}_styles`] || [];
      const { counts } = await maple.ask("internal/tokens", { prompt, negative_prompt: negative, styles });
      if (mine !== rounds[tab]) return;
      ["token_counter", "negative_token_counter"].forEach((id, n) => {
        const counter = maple.at("span", maple.inner(`#${tab}_${id}`));
        if (!counter) return;
        counter.textContent = `${counts[n].tokens}/${counts[n].most}`;
        counter.parentElement.closest(".token-counter")?.classList.toggle("long", counts[n].tokens > 75);
      });
    } catch { /* a counter is not worth a message; the next key asks again */ }
  }
  maple.onTab("input", "#{t}_prompt, #{t}_neg_prompt", countSoon);
  maple.onTab("change", "#{t}_styles", countSoon);
  maple.onTab("focusout", "#{t}_styles", countSoon);
  document.addEventListener("maple:form", (event) => countSoon(event.detail.tab));
  document.addEventListener("maple:ready", countAll);
  document.addEventListener("maple:lists", countAll);
  for (const tab of maple.TABS) maple.whenSeen(`#${tab}_prompt textarea`, () => countSoon(tab));

  // --- weights: Ctrl+Up and Ctrl+Down around the selection or the word; Alt+Left and Alt+Right move a part

  const STEP = { plain: 0.1, network: 0.05 };
  const rounded = (value) => String(Number(value.toFixed(4)));

  function put(box, from, to, text, start, end) {
    box.focus();
    box.setSelectionRange(from, to);
    // insertText keeps the browser's undo; where it is refused the value is set and announced.
    if (!document.execCommand("insertText", false, text)) box.setRangeText(text, from, to, "end");
    box.setSelectionRange(start, end);
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** The innermost bracket pair around a range, as indices of the opening and closing sign, or null. */
  function around(text, from, to, open, close) {
    let depth = 0;
    for (let at = from - 1; at >= 0; at -= 1) {
      if (text[at - 1] === "\\") continue;
      if (text[at] === close) depth += 1;
      else if (text[at] === open && depth > 0) depth -= 1;
      else if (text[at] === open) {
        let inner = 0;
        for (let end = at + 1; end < text.length; end += 1) {
          if (text[end - 1] === "\\") continue;
          if (text[end] === open) inner += 1;
          else if (text[end] === close && inner > 0) inner -= 1;
          else if (text[end] === close) return end >= to ? [at, end] : null;
        }
        return null;
      }
    }
    return null;
  }

  function weigh(box, sign) {
    const text = box.value;
    let [from, to] = [box.selectionStart, box.selectionEnd];
    const network = around(text, from, to, "<", ">");
    if (network) { weighNetwork(box, text, network, sign); return; }
    const weighted = around(text, from, to, "(", ")");
    if (weighted) {
      const inside = text.slice(weighted[0] + 1, weighted[1]);
      const found = inside.match(/^([\s\S]*):\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*$/);
      if (found) {
        const value = Number(found[2]) + sign * STEP.plain;
        const plain = Math.abs(value - 1) < 1e-9;
        const body = plain ? found[1] : `(${found[1]}:${rounded(value)})`;
        const start = weighted[0] + (plain ? 0 : 1);
        put(box, weighted[0], weighted[1] + 1, body, start, start + found[1].length);
        return;
      }
    }
    if (from === to) [from, to] = word(text, from);
    while (to > from && /\s/.test(text[to - 1])) to -= 1;
    if (from === to) return;
    const chosen = text.slice(from, to);
    const whole = `(${chosen}:${rounded(1 + sign * STEP.plain)})`;
    put(box, from, to, whole, from + 1, from + 1 + chosen.length);
  }

  function weighNetwork(box, text, [open, close], sign) {
    const parts = text.slice(open + 1, close).split(":");
    if (parts.length < 2) return;
    const value = Number(parts[2] ?? 1);
    if (Number.isNaN(value)) return;
    parts[2] = rounded(value + sign * STEP.network);
    const whole = `<${parts.join(":")}>`;
    put(box, open, close + 1, whole, open + 1, open + whole.length - 1);
  }

  function word(text, at) {
    const ends = /[\s,.()[\]{}<>:|\\/!?，。；：！？（）【】]/;
    let from = at, to = at;
    while (from > 0 && !ends.test(text[from - 1])) from -= 1;
    while (to < text.length && !ends.test(text[to])) to += 1;
    return [from, to];
  }

  function move(box, by) {
    const parts = box.value.split(",");
    let at = 0, passed = 0;
    while (at < parts.length - 1 && passed + parts[at].length < box.selectionStart) passed += parts[at++].length + 1;
    const other = at + by;
    if (other < 0 || other >= parts.length) return;
    const words = parts.map((part) => part.trim());
    const chosen = words[at];
    [words[at], words[other]] = [words[other], words[at]];
    // The spaces stay where they are; only the words change places.
    const whole = parts.map((part, n) => part.match(/^\s*/)[0] + words[n] + (part.trim() ? part.match(/\s*$/)[0] : "")).join(",");
    const start = whole.split(",").slice(0, other).join(",").length + (other ? 1 : 0) + parts[other].match(/^\s*/)[0].length;
    put(box, 0, box.value.length, whole, start, start + chosen.length);
  }

  document.addEventListener("keydown", (event) => {
    const box = event.target;
    if (event.isComposing || !(box instanceof HTMLTextAreaElement) || !box.closest(".prompt")) return;
    const up = event.key === "ArrowUp", down = event.key === "ArrowDown";
    if ((event.ctrlKey || event.metaKey) && (up || down)) {
      event.preventDefault();
      weigh(box, up ? 1 : -1);
    } else if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      event.preventDefault();
      move(box, event.key === "ArrowLeft" ? -1 : 1);
    }
  });

  // --- reading infotexts: the arrow, and pictures dropped on a prompt

  maple.on("click", "#paste, #img2img_paste", (_, button) => maple.attempt(async () => {
    const tab = button.id === "paste" ? "txt2img" : "img2img";
    const text = area(`${tab}_prompt`)?.value ?? "";
    const found = await maple.ask(`internal/infotext?tab=${tab}`, { text });
    if (!found) { maple.tell(maple.say("nothing_to_paste")); return; }
    await maple.form.fromInfotext(found, tab);
  }));

  const pictureIn = (transfer) => [...(transfer?.files || [])].find((file) => file.type.startsWith("image/"));

  /** The address of a picture dragged from our own gallery: without its "small", which remembers nothing. */
  function ownPicture(transfer) {
    const address = (transfer?.getData("text/uri-list") || "").split(/[\r\n]/)[0];
    return address.startsWith(maple.address("internal/picture/")) ? address.split("?")[0] : null;
  }

  /** Ask the server what a picture remembers, as values for a tab's form. */
  maple.readPicture = (file, tab = "txt2img") => {
    const form = new FormData();
    form.append("picture", file, file.name || "picture.png");
    return maple.ask(`internal/infotext?tab=${tab}`, form);
  };

  const PROMPTS = maple.TABS.flatMap(boxes).map((id) => `#${id}`).join(",");
  const zone = (event) => event.target.closest?.(PROMPTS);
  document.addEventListener("dragover", (event) => {
    if (!zone(event) || ![...(event.dataTransfer?.items || [])].some((item) => item.kind === "file")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    zone(event).classList.add("dropping");
  }, true);
  document.addEventListener("dragleave", (event) => zone(event)?.classList.remove("dropping"), true);
  document.addEventListener("drop", (event) => {
    const box = zone(event);
    if (!box) return;
    box.classList.remove("dropping");
    const dropped = pictureIn(event.dataTransfer);
    const ours = ownPicture(event.dataTransfer);
    if (!dropped && !ours) return;
    event.preventDefault();
    event.stopPropagation();
    maple.attempt(async () => {
      const file = ours ? new File([await (await fetch(ours)).blob()], "picture.png") : dropped;
      const tab = maple.TABS.find((name) => boxes(name).includes(box.id));
      await take(tab, file);
    });
  }, true);

  /** What a picture remembers goes into a tab's form. */
  async function take(tab, file) {
    const found = await maple.readPicture(file, tab);
    if (!found?.infotext) { maple.tell(maple.say("no_infotext", { name: file.name })); return; }
    await maple.form.fromInfotext(found, tab);
  }

  // The place by which scripts hand a picture to the prompt, as in A1111.
  for (const tab of maple.TABS) {
    maple.whenSeen(`#${tab}_prompt_image`, (slot) => {
      const input = maple.make("input", { type: "file", accept: "image/*", tabIndex: -1, "aria-hidden": "true" });
      input.addEventListener("change", () => input.files[0] && maple.attempt(() => take(tab, input.files[0])));
      maple.inner(slot).replaceChildren(input);
    });
  }

  maple.onTab("click", "#{t}_clear_prompt", (tab) => {
    if (!boxes(tab).some((id) => area(id)?.value)) return;
    if (confirm(maple.say("clear_prompt"))) maple.attempt(() => maple.form.write(tab, Object.fromEntries(boxes(tab).map((id) => [id, ""]))));
  });
})();
