// The pose editor: skeletons as ControlNet's OpenPose models read them, drawn and moved by hand.
//
//   maplePose.open({ poses, width, height, background, onSend })
//     poses       what is there already: OpenPose JSON as text or object ({people, canvas_width, canvas_height}), a list
//                 of such, or a list of people; null: one standing figure
//     width, height   the canvas where `poses` names none; 512 × 512 without
//     background  a picture to lie under the skeleton: Blob, or an address
//     onSend      called with (json: object in OpenPose's format, map: Blob of a PNG); without it there is no button
//   maplePose.read(poses)              → {width, height, people}; throws maple.Trouble with a sentence
//   maplePose.map(poses, width, height) → Promise of the map's PNG Blob, without opening anything
//
// Lengths are canvas pixels throughout. A point is [x, y, on]; off, it is not drawn and written as 0, 0, 0.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const BODY = ["Nose", "Neck", "Right shoulder", "Right elbow", "Right wrist", "Left shoulder", "Left elbow", "Left wrist", "Right hip", "Right knee", "Right ankle", "Left hip", "Left knee", "Left ankle", "Right eye", "Left eye", "Right ear", "Left ear"];
  const LIMBS = [[1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7], [1, 8], [8, 9], [9, 10], [1, 11], [11, 12], [12, 13], [1, 0], [0, 14], [14, 16], [0, 15], [15, 17]];
  // The colours the published models were trained with: one round of hues, a joint's own and a limb's by its number.
  const COLOURS = [[255, 0, 0], [255, 85, 0], [255, 170, 0], [255, 255, 0], [170, 255, 0], [85, 255, 0], [0, 255, 0], [0, 255, 85], [0, 255, 170], [0, 255, 255], [0, 170, 255], [0, 85, 255], [0, 0, 255], [85, 0, 255], [170, 0, 255], [255, 0, 255], [255, 0, 170], [255, 0, 85]];
  const LIMB_SHADE = 0.6;
  const STICK = 4, JOINT = 4, FINGER = 2, FACE = 3; // pixels on a canvas of any size: as published models were shown them
  const BONES = [0, 1, 2, 3, 4].flatMap((finger) => [0, 1, 2, 3].map((bone) => [bone ? finger * 4 + bone : 0, finger * 4 + bone + 1]));
  const PARENT = [1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15];
  const PARTS = { body: ["pose_keypoints_2d", [18]], right: ["hand_right_keypoints_2d", [21]], left: ["hand_left_keypoints_2d", [21]], face: ["face_keypoints_2d", [70, 68]] };
  const PART_NAMES = { body: "Body", right: "Right hand", left: "Left hand", face: "Face" };
  const HELD_BY = { right: 4, left: 7, face: 0 }; // the joint a part goes with
  const ROOT = { right: 0, left: 0, face: 30 }; // the point that carries its whole part: the hand's wrist, the tip of the nose
  const BODY_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]; // OpenPose's newer body, with a joint between the hips
  const LEAST = 64, MOST = 4096; // sides of a canvas
  const MOST_PEOPLE = 50, MOST_TEXT = 8_000_000;
  const MOST_UNDO = 200;
  const ZOOM_STEP = 1.15;

  const clamp = (value, lo, hi) => Math.min(hi, Math.max(lo, value));
  const clone = (value) => structuredClone(value);
  const word = (label) => maple.language.word(label);
  const rgb = (colour, by = 1) => `rgb(${colour.map((part) => Math.trunc(part * by)).join(" ")})`;
  const trouble = (key, fields) => new maple.Trouble(maple.say(key, fields));

  // --- figures of our own: each limb by its direction, degrees from straight down, towards the viewer's right

  const STANDING = { arms: [-12, -6, 12, 6], legs: [-4, -2, 4, 2] };
  const PRESETS = {
    Standing: STANDING,
    "T-pose": { arms: [-90, -90, 90, 90], legs: [-3, -1, 3, 1] },
    Waving: { arms: [-12, -4, 115, 165], legs: [-4, -2, 4, 2] },
    "Arms up": { arms: [-160, -172, 160, 172], legs: [-4, -2, 4, 2] },
    "Hands on hips": { arms: [-48, 40, 48, -40], legs: [-7, -4, 7, 4] },
    Walking: { arms: [24, 44, -24, -6], legs: [22, 6, -18, -36], narrow: 0.6 },
    Running: { lean: 14, arms: [-58, 30, 48, 138], legs: [64, -18, -28, -84], narrow: 0.6 },
    "Star jump": { arms: [-130, -135, 130, 135], legs: [-32, -28, 32, 28] },
    Dancing: { lean: -7, arms: [-112, -168, 68, 22], legs: [-10, -4, 46, -32] },
    Sitting: { arms: [-18, 24, 18, -24], legs: [-24, 0, 24, 0], thigh: 0.4 },
    "Sitting, from the side": { arms: [12, 62, 16, 66], legs: [82, 4, 76, -2], narrow: 0.25 },
    Kneeling: { arms: [-12, -4, 12, 4], legs: [8, -84, 4, -80], narrow: 0.4 },
    Crouching: { lean: 24, arms: [30, 74, 36, 80], legs: [96, -28, 88, -34], narrow: 0.4 },
    Lying: { ...STANDING, turn: 90 },
  };

  /** The 18 points of a figure about one unit high, its neck at 0, 0. */
  function figure({ arms, legs, lean = 0, thigh = 1, narrow = 1, turn = 0 }) {
    const from = ([x, y], length, degrees) => { const a = (degrees * Math.PI) / 180; return [x + length * Math.sin(a), y + length * Math.cos(a)]; };
    const turned = ([x, y], degrees) => { const a = (degrees * Math.PI) / 180; return [x * Math.cos(a) - y * Math.sin(a), x * Math.sin(a) + y * Math.cos(a)]; };
    const neck = [0, 0];
    const torso = (x, y) => turned([x * narrow, y], lean);
    const shoulders = [torso(-0.12, 0.015), torso(0.12, 0.015)], hips = [torso(-0.075, 0.3), torso(0.075, 0.3)];
    const elbows = [from(shoulders[0], 0.165, arms[0]), from(shoulders[1], 0.165, arms[2])];
    const wrists = [from(elbows[0], 0.155, arms[1]), from(elbows[1], 0.155, arms[3])];
    const knees = [from(hips[0], 0.245 * thigh, legs[0]), from(hips[1], 0.245 * thigh, legs[2])];
    const ankles = [from(knees[0], 0.245, legs[1]), from(knees[1], 0.245, legs[3])];
    const head = [[0, -0.12], [-0.028, -0.148], [0.028, -0.148], [-0.062, -0.132], [0.062, -0.132]].map(([x, y]) => turned([x, y], lean));
    return [head[0], neck, shoulders[0], elbows[0], wrists[0], shoulders[1], elbows[1], wrists[1], hips[0], knees[0], ankles[0], hips[1], knees[1], ankles[1], head[1], head[2], head[3], head[4]].map((point) => turned(point, turn));
  }

  /** A person of a preset in the middle of a box [left, top, right, bottom]. */
  function person(preset, [left, top, right, bottom]) {
    const points = figure(PRESETS[preset]);
    const [l, t, r, b] = bounds(points.map(([x, y]) => [x, y, true]));
    const scale = Math.min((right - left) / (r - l), (bottom - top) / (b - t));
    const x0 = (left + right) / 2 - ((l + r) / 2) * scale, y0 = (top + bottom) / 2 - ((t + b) / 2) * scale;
    return { body: points.map(([x, y]) => [x0 + x * scale, y0 + y * scale, true]), right: null, left: null, face: null };
  }

  /** 21 points of an open hand of length 1 that points down: the wrist, then four of each finger from the thumb on. */
  function openHand(mirrored) {
    const fingers = [[-52, 0.24, 0.14], [-20, 0.42, 0.17], [-4, 0.45, 0.18], [10, 0.42, 0.165], [24, 0.38, 0.13]];
    return [[0, 0], ...fingers.flatMap(([degrees, palm, bone]) => [0, 1, 2, 3].map((at) => {
      const a = ((mirrored ? -degrees : degrees) * Math.PI) / 180, length = palm + at * bone;
      return [length * Math.sin(a), length * Math.cos(a)];
    }))];
  }

  /** 70 points of a face of height 1 around the tip of the nose: jaw, brows, nose, eyes, lips, pupils. */
  function plainFace() {
    const arc = (count, from, to, x, y, rx, ry) => Array.from({ length: count }, (_, at) => { const a = ((from + ((to - from) * at) / (count - 1)) * Math.PI) / 180; return [x + rx * Math.cos(a), y + ry * Math.sin(a)]; });
    const ring = (count, x, y, rx, ry) => Array.from({ length: count }, (_, at) => { const a = Math.PI + (2 * Math.PI * at) / count; return [x + rx * Math.cos(a), y + ry * Math.sin(a)]; });
    return [...arc(17, 180, 0, 0, -0.16, 0.42, 0.66), ...arc(5, 200, 340, -0.2, -0.3, 0.13, 0.06), ...arc(5, 200, 340, 0.2, -0.3, 0.13, 0.06),
      [0, -0.24], [0, -0.16], [0, -0.08], [0, 0], ...arc(5, 160, 20, 0, 0.04, 0.09, 0.05), ...ring(6, -0.2, -0.2, 0.085, 0.04), ...ring(6, 0.2, -0.2, 0.085, 0.04),
      ...ring(12, 0, 0.24, 0.16, 0.07), ...ring(8, 0, 0.24, 0.11, 0.03), [-0.2, -0.2], [0.2, -0.2]];
  }

  const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  /** [left, top, right, bottom] of the points that are on, or null. */
  function bounds(points) {
    const on = points.filter((point) => point[2]);
    if (!on.length) return null;
    return [Math.min(...on.map(([x]) => x)), Math.min(...on.map(([, y]) => y)), Math.max(...on.map(([x]) => x)), Math.max(...on.map(([, y]) => y))];
  }

  const everyPoint = (who) => Object.keys(PARTS).flatMap((part) => who[part] ?? []);

  /** Where a joint that is off would be: by its neighbour towards the neck, as on a standing figure of this size. */
  function likely(who, index) {
    const points = figure(STANDING), scale = sizeOf(who);
    if (index === 1) {
      const near = [2, 5, 0, 8, 11].find((at) => who.body[at][2]);
      if (near === undefined) return [128, 128];
      return [who.body[near][0] - points[near][0] * scale, who.body[near][1] - points[near][1] * scale];
    }
    const parent = PARENT[index], from = who.body[parent][2] ? who.body[parent] : likely(who, parent);
    return [from[0] + (points[index][0] - points[parent][0]) * scale, from[1] + (points[index][1] - points[parent][1]) * scale];
  }

  /** How high the whole figure would stand, by the longest of its limbs that are there. */
  function sizeOf(who) {
    const points = figure(STANDING);
    const ratios = LIMBS.filter(([a, b]) => who.body[a][2] && who.body[b][2]).map(([a, b]) => apart(who.body[a], who.body[b]) / apart(points[a], points[b]));
    if (ratios.length) return ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)];
    const box = bounds(everyPoint(who));
    return box ? Math.max(64, box[3] - box[1]) : 256;
  }

  /** A new hand or face where the body has its place for it. */
  function added(who, part) {
    const held = HELD_BY[part], size = sizeOf(who);
    const at = who.body[held][2] ? who.body[held] : likely(who, held);
    if (part === "face") return plainFace().map(([x, y]) => [at[0] + x * size * 0.17, at[1] + y * size * 0.17, true]);
    const elbow = who.body[held - 1][2] ? who.body[held - 1] : likely(who, held - 1);
    const angle = Math.atan2(at[0] - elbow[0], at[1] - elbow[1]), length = size * 0.1;
    // The thumb is on the side of the body: to the viewer's right of the right hand.
    return openHand(part === "right").map(([x, y]) => [at[0] + length * (x * Math.cos(angle) + y * Math.sin(angle)), at[1] + length * (y * Math.cos(angle) - x * Math.sin(angle)), true]);
  }

  // --- OpenPose JSON

  /** Poses of any of the forms above as {width, height, people}. Throws Trouble that says what is wrong and where. */
  function read(given, width = 512, height = 512) {
    let value = given;
    if (typeof value === "string") {
      if (value.length > MOST_TEXT) throw trouble("pose_too_long", {});
      try { value = JSON.parse(value); } catch (error) { throw trouble("pose_no_json", { reason: error.message }); }
    }
    if (Array.isArray(value)) value = value.length && value.every((each) => each && typeof each === "object" && "people" in each) ? value[0] : { people: value };
    if (!value || typeof value !== "object" || !Array.isArray(value.people)) throw trouble("pose_no_people", {});
    if (value.people.length > MOST_PEOPLE) throw trouble("pose_crowd", { given: value.people.length, most: MOST_PEOPLE });
    const side = (name, fallback) => {
      const found = value[name] ?? fallback;
      if (!Number.isFinite(found) || found < 1 || found > 20000) throw trouble("pose_bad_canvas", { field: name, value: String(found) });
      return Math.round(found);
    };
    const canvas = { width: side("canvas_width", width), height: side("canvas_height", height) };
    const people = value.people.map((each, at) => readPerson(each, at + 1));
    // Newer writers give parts of the canvas instead of pixels; no figure in pixels is that small.
    const numbers = people.flatMap(everyPoint).filter((point) => point[2]).flatMap(([x, y]) => [Math.abs(x), Math.abs(y)]);
    if (numbers.length && Math.max(...numbers) <= 2) for (const point of people.flatMap(everyPoint)) { point[0] *= canvas.width; point[1] *= canvas.height; }
    return { ...fitted(canvas, people), people };
  }

  /** A canvas too small or too large for the editor is scaled, and the people with it. */
  function fitted({ width, height }, people) {
    const scale = Math.max(LEAST / Math.min(width, height), 1) * Math.min(MOST / Math.max(width, height), 1);
    if (scale === 1) return { width, height };
    for (const point of people.flatMap(everyPoint)) { point[0] *= scale; point[1] *= scale; }
    return { width: clamp(Math.round(width * scale), LEAST, MOST), height: clamp(Math.round(height * scale), LEAST, MOST) };
  }

  function readPerson(given, number) {
    if (!given || typeof given !== "object") throw trouble("pose_bad_person", { number });
    const made = {};
    for (const [part, [key, counts]] of Object.entries(PARTS)) made[part] = readPoints(given[key], part, counts, number);
    if (!Object.values(made).some(Boolean)) throw trouble("pose_bad_person", { number });
    made.body ??= Array.from({ length: 18 }, () => [0, 0, false]);
    return made;
  }

  function readPoints(numbers, part, counts, number) {
    if (numbers === null || numbers === undefined || (Array.isArray(numbers) && !numbers.length)) return null;
    const name = word(PART_NAMES[part]);
    const allowed = part === "body" ? [...counts, 25] : counts;
    if (!Array.isArray(numbers) || numbers.length % 3 || !allowed.includes(numbers.length / 3)) {
      throw trouble("pose_bad_points", { number, part: name, given: Array.isArray(numbers) ? numbers.length : typeof numbers, wanted: allowed.map((count) => count * 3).join(" / ") });
    }
    if (!numbers.every((each) => Number.isFinite(each) && Math.abs(each) < 1e6)) throw trouble("pose_bad_numbers", { number, part: name });
    let points = Array.from({ length: numbers.length / 3 }, (_, at) => [numbers[at * 3], numbers[at * 3 + 1], numbers[at * 3 + 2] > 0]);
    if (points.length === 25) points = BODY_25.map((at) => points[at]);
    return points.some((point) => point[2]) || part === "body" ? points : null;
  }

  const rounded = (value) => Math.round(value * 100) / 100;

  /** The state as OpenPose writes it. */
  function written({ width, height, people }) {
    const numbers = (points) => points.flatMap(([x, y, on]) => (on ? [rounded(x), rounded(y), 1] : [0, 0, 0]));
    return {
      people: people.map((who) => Object.fromEntries(Object.entries(PARTS).map(([part, [key]]) => [key, who[part] ? numbers(who[part]) : null]))),
      canvas_width: width, canvas_height: height,
    };
  }

  // --- the map

  /** The picture a pose ControlNet reads: black, limbs at six tenths of their colours, joints over them. */
  function drawn({ width, height, people }) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const paint = canvas.getContext("2d");
    const dot = ([x, y], radius, colour) => { paint.fillStyle = colour; paint.beginPath(); paint.arc(x, y, radius, 0, 2 * Math.PI); paint.fill(); };
    paint.fillStyle = "#000";
    paint.fillRect(0, 0, width, height);
    for (const who of people) {
      for (const [at, [a, b]] of LIMBS.entries()) {
        const [from, to] = [who.body[a], who.body[b]];
        if (!from[2] || !to[2]) continue;
        paint.fillStyle = rgb(COLOURS[at], LIMB_SHADE);
        paint.beginPath();
        paint.ellipse((from[0] + to[0]) / 2, (from[1] + to[1]) / 2, apart(from, to) / 2, STICK, Math.atan2(to[1] - from[1], to[0] - from[0]), 0, 2 * Math.PI);
        paint.fill();
      }
      for (const [at, point] of who.body.entries()) if (point[2]) dot(point, JOINT, rgb(COLOURS[at]));
      for (const part of ["left", "right"]) {
        if (!who[part]) continue;
        for (const [at, [a, b]] of BONES.entries()) {
          const [from, to] = [who[part][a], who[part][b]];
          if (!from[2] || !to[2]) continue;
          paint.strokeStyle = `hsl(${(360 * at) / BONES.length} 100% 50%)`;
          paint.lineWidth = FINGER;
          paint.beginPath();
          paint.moveTo(from[0], from[1]);
          paint.lineTo(to[0], to[1]);
          paint.stroke();
        }
        for (const point of who[part]) if (point[2]) dot(point, JOINT, "#00f");
      }
      for (const point of who.face ?? []) if (point[2]) dot(point, FACE, "#fff");
    }
    return canvas;
  }

  const packed = (state) => new Promise((resolve, reject) => drawn(state).toBlob((blob) => (blob ? resolve(blob) : reject(trouble("canvas_no_memory", {}))), "image/png"));

  // --- the editor

  const ICONS = {
    undo: "M8 5 4 9l4 4M4 9h10a5.500 5.500 0 0 1 0 11h-4", redo: "m16 5 4 4-4 4M20 9H10a5.500 5.500 0 0 0 0 11h4",
    add: "M12 3a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM5 21c0-7 2-11 7-11 2 0 3.500.7 4.500 2M18 14v7M14.500 17.500h7", remove: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
    hide: "M3 12s3.500-6 9-6 9 6 9 6-3.500 6-9 6-9-6-9-6ZM12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM4 20 20 4", fit: "M4 12a8 8 0 1 1 2.500 5.800M4 20v-5h5",
    closer: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM16 16l5 5M8 11h6M11 8v6", farther: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM16 16l5 5M8 11h6",
    mirror: "M12 3v18M9 7 3 17h6ZM15 7l6 10h-6Z", help: "M9 9a3 3 0 1 1 4 3c-1 .500-1 1-1 2M12 18v.5",
  };

  function shape(tag, properties = {}, ...children) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const icon = (name) => shape("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" }, shape("path", { d: ICONS[name] }));

  class PoseEditor {
    constructor({ poses = null, width = 512, height = 512, background = null, onSend = null }) {
      const sides = [width, height].map((side) => clamp(Math.round(Number(side)) || 512, LEAST, MOST));
      this.onSend = onSend;
      this.state = { width: sides[0], height: sides[1], people: [] };
      this.past = [];
      this.future = [];
      this.chosen = 0; // the person in hand
      this.point = null; // "person:part:index" last touched
      this.zoom = 1;
      this.x = this.y = 0;
      this.fitted = true;
      this.pointers = new Map();
      this.gesture = null;
      this.opacity = 0.6;
      this.nodes = new Map();
      this.build();
      this.begin(poses);
      this.sent = JSON.stringify(written(this.state));
      if (background) this.lay(background);
    }

    begin(poses) {
      try {
        if (poses !== null && poses !== undefined && poses !== "") this.state = read(poses, this.state.width, this.state.height);
      } catch (error) { this.say(error.message, true); }
      if (!this.state.people.length) this.state.people.push(person("Standing", this.room()));
    }

    /** Where a new person stands: the middle of the canvas. */
    room() {
      const { width, height } = this.state;
      return [width * 0.08, height * 0.08, width * 0.92, height * 0.92];
    }

    // --- the elements

    build() {
      const { make } = maple;
      const tool = (name, title, act) => make("button", { type: "button", class: "canvas-tool", "data-do": name, title, "aria-label": title, onclick: act }, icon(name));
      const file = (accept, act) => { const input = make("input", { type: "file", accept, class: "out-of-sight", tabIndex: -1, "aria-hidden": "true", onchange: () => { if (input.files[0]) act(input.files[0]); input.value = ""; } }); return input; };
      this.openPicture = file("image/*", (chosen) => this.lay(chosen));
      this.openJson = file(".json,application/json", (chosen) => this.take(chosen));
      this.bar = make("div", { class: "canvas-bar pose-bar", role: "toolbar", "aria-label": "Pose" },
        tool("undo", "Undo (Ctrl+Z)", () => this.undo()), tool("redo", "Redo (Ctrl+Shift+Z)", () => this.redo()),
        tool("add", "Add a person (N)", () => this.add()), tool("remove", "Delete the person", () => this.drop()),
        tool("mirror", "Mirror the person", () => this.mirror()), tool("hide", "Hide or show the joint (H, right click)", () => this.toggle(this.point)),
        make("span", { class: "canvas-gap" }),
        tool("farther", "Zoom out", () => this.zoomTo(this.zoom / ZOOM_STEP)), tool("closer", "Zoom in", () => this.zoomTo(this.zoom * ZOOM_STEP)),
        tool("fit", "Reset zoom and position (0)", () => this.fit()), tool("help", "Keys", () => this.keysShown()));
      this.picture = shape("image", { preserveAspectRatio: "xMidYMid meet", visibility: "hidden" });
      this.paper = shape("rect", { class: "pose-paper" });
      this.limbs = shape("g");
      this.frame = shape("g", { class: "pose-frame" });
      this.points = shape("g");
      this.stage = shape("svg", { class: "pose-stage", role: "application" }, this.paper, this.picture, this.limbs, this.frame, this.points);
      this.told = make("span", { class: "canvas-told", translate: false });
      this.port = make("div", { class: "pose-port" }, this.stage, this.told);
      this.status = make("p", { class: "pose-status", role: "status", "aria-live": "polite", translate: false });
      this.dialog = make("dialog", { class: "maple-dialog pose-dialog", "aria-labelledby": "pose_title" },
        make("div", { class: "pose-head" }, make("h3", { id: "pose_title", text: "Pose editor" }), make("button", { type: "button", class: "maple-plain pose-close", text: "✕", "aria-label": "Close", onclick: () => this.leave() })),
        this.bar, make("div", { class: "pose-main" }, this.port, this.side()), this.status, this.foot(), this.openPicture, this.openJson);
      this.listen();
      document.body.append(this.dialog);
      this.dialog.showModal();
      this.resized = new ResizeObserver(() => this.measured());
      this.resized.observe(this.port);
    }

    side() {
      const { make } = maple;
      this.list = make("div", { class: "pose-people", role: "group", "aria-label": "People" });
      this.preset = make("select", { class: "pose-preset", "aria-label": "Preset" }, ...Object.keys(PRESETS).map((name) => make("option", { value: name, text: name })));
      this.parts = Object.fromEntries(["right", "left", "face"].map((part) => [part, make("input", { type: "checkbox", onchange: () => this.part(part, this.parts[part].checked) })]));
      this.joints = BODY.map((_, index) => make("input", { type: "checkbox", onchange: () => this.toggle(`${this.chosen}:body:${index}`) }));
      const side = (name, label) => make("input", { type: "number", min: LEAST, max: MOST, step: 8, "data-side": name, "aria-label": label, onchange: () => this.size() });
      this.sides = { width: side("width", "Width"), height: side("height", "Height") };
      this.slider = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: String(this.opacity), "aria-label": "Opacity of the background", oninput: () => { this.opacity = Number(this.slider.value); this.draw(); } });
      const tick = (input, text) => make("label", { class: "pose-tick" }, input, make("span", { text }));
      return make("div", { class: "pose-side" },
        make("section", {}, this.list, make("div", { class: "pose-row" }, this.preset, this.button("Add person", () => this.add()), this.button("Use for this person", () => this.pose()))),
        make("section", {}, tick(this.parts.right, "Right hand"), tick(this.parts.left, "Left hand"), tick(this.parts.face, "Face")),
        make("details", {}, make("summary", { text: "Joints" }), make("div", { class: "pose-joints" }, ...this.joints.map((input, at) => tick(input, BODY[at])))),
        make("section", { class: "pose-size" }, make("h4", { text: "Canvas" }), make("div", { class: "pose-row" }, this.sides.width, make("span", { text: "×" }), this.sides.height)),
        make("section", {}, make("h4", { text: "Background picture" }), this.slider, make("div", { class: "pose-row" }, this.button("Choose a picture", () => this.openPicture.click()), this.button("Remove the picture", () => this.lay(null)))));
    }

    foot() {
      const { make } = maple;
      this.send = make("button", { type: "button", class: "maple-button primary pose-send", text: "Send to ControlNet unit", hidden: !this.onSend, onclick: () => this.give() });
      return make("div", { class: "row pose-foot" }, this.button("Open JSON", () => this.openJson.click()), this.button("Download JSON", () => this.saveJson()),
        this.button("Download PNG", () => maple.attempt(() => this.savePng())), this.send);
    }

    button(text, act) { return maple.make("button", { type: "button", class: "maple-button", text, onclick: act }); }

    listen() {
      const { dialog, stage } = this;
      dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.leave(); });
      dialog.addEventListener("keydown", (event) => { if (!event.isComposing && this.key(event)) { event.preventDefault(); event.stopPropagation(); } });
      for (const type of ["dragenter", "dragover"]) dialog.addEventListener(type, (event) => { event.preventDefault(); event.stopPropagation(); });
      dialog.addEventListener("drop", (event) => { event.preventDefault(); event.stopPropagation(); this.dropped(event.dataTransfer); });
      stage.addEventListener("pointerdown", (event) => this.down(event));
      stage.addEventListener("pointermove", (event) => this.moved(event));
      for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) stage.addEventListener(type, (event) => this.up(event));
      stage.addEventListener("contextmenu", (event) => event.preventDefault());
      stage.addEventListener("wheel", (event) => { event.preventDefault(); this.zoomTo(this.zoom * ZOOM_STEP ** (event.deltaY < 0 ? 1 : -1), ...this.spot(event)); }, { passive: false });
      stage.addEventListener("focusin", (event) => this.focused(event.target));
      this.pasted = (event) => this.paste(event);
      this.spoken = () => this.draw();
      document.addEventListener("paste", this.pasted, true);
      document.addEventListener("maple:language", this.spoken);
    }

    /** Close, unless there is work that was sent nowhere and the person wants to keep it. */
    leave() {
      if (JSON.stringify(written(this.state)) !== this.sent && !confirm(maple.say("pose_discard"))) return;
      this.close();
    }

    close() {
      document.removeEventListener("paste", this.pasted, true);
      document.removeEventListener("maple:language", this.spoken);
      this.resized.disconnect();
      if (this.address) URL.revokeObjectURL(this.address);
      this.dialog.close();
      this.dialog.remove();
      if (maplePose.editor === this) maplePose.editor = null;
    }

    say(text, bad = false) {
      this.status.textContent = text;
      this.status.classList.toggle("bad", bad);
    }

    // --- changing

    /** Keep what is, for undo; then change it. */
    change(act) {
      this.keep(clone(this.state));
      act();
      this.say("");
      this.draw();
    }

    keep(before) {
      this.past.push(before);
      if (this.past.length > MOST_UNDO) this.past.shift();
      this.future = [];
    }

    swap(from, to) {
      if (this.gesture || !from.length) return;
      to.push(this.state);
      this.state = from.pop();
      this.chosen = clamp(this.chosen, 0, Math.max(0, this.state.people.length - 1));
      this.fitted ? this.fit() : this.draw();
    }

    undo() { this.swap(this.past, this.future); }
    redo() { this.swap(this.future, this.past); }

    get who() { return this.state.people[this.chosen] ?? null; }

    pick(number) { this.chosen = number; this.draw(); }

    add() {
      if (this.state.people.length >= MOST_PEOPLE) { this.say(maple.say("pose_crowd", { given: this.state.people.length + 1, most: MOST_PEOPLE }), true); return; }
      this.change(() => {
        const who = person(this.preset.value, this.room());
        const shift = this.state.width * 0.12 * Math.ceil(this.state.people.length / 2) * (this.state.people.length % 2 ? 1 : -1);
        for (const point of everyPoint(who)) point[0] += shift;
        this.state.people.push(who);
        this.chosen = this.state.people.length - 1;
      });
    }

    drop() {
      if (!this.who) return;
      this.change(() => { this.state.people.splice(this.chosen, 1); this.chosen = Math.max(0, this.chosen - 1); this.point = null; });
    }

    /** The chosen preset for this person, where it stands and as tall. Hands and face follow. */
    pose() {
      if (!this.who) { this.add(); return; }
      this.change(() => {
        const { who } = this;
        const size = sizeOf(who), from = who.body[1][2] ? who.body[1] : likely(who, 1);
        const made = { body: figure(PRESETS[this.preset.value]).map(([x, y]) => [from[0] + x * size, from[1] + y * size, true]), right: null, left: null, face: null };
        for (const part of Object.keys(HELD_BY)) if (who[part]) made[part] = added(made, part);
        this.state.people[this.chosen] = made;
      });
    }

    mirror() {
      const box = this.who && bounds(everyPoint(this.who));
      if (!box) return;
      this.change(() => {
        const { who } = this;
        for (const point of everyPoint(who)) point[0] = box[0] + box[2] - point[0];
        for (const [a, b] of [[2, 5], [3, 6], [4, 7], [8, 11], [9, 12], [10, 13], [14, 15], [16, 17]]) [who.body[a], who.body[b]] = [who.body[b], who.body[a]];
        [who.left, who.right] = [who.right, who.left];
        // A face's points change sides in ways of their own; a plain one is turned about instead.
        if (who.face) who.face = added(who, "face");
      });
    }

    part(name, on) {
      if (!this.who) return;
      this.change(() => { this.who[name] = on ? added(this.who, name) : null; });
    }

    at(key) {
      const [number, part, index] = (key ?? "").split(":");
      return this.state.people[number]?.[part]?.[index] ?? null;
    }

    /** Hide a point, or show it again. */
    toggle(key) {
      if (!this.at(key)) return;
      this.change(() => {
        const point = this.at(key);
        const [number, part, index] = key.split(":");
        if (!point[2] && part === "body" && !point[0] && !point[1]) [point[0], point[1]] = likely(this.state.people[number], Number(index));
        point[2] = !point[2];
      });
    }

    size() {
      const [width, height] = ["width", "height"].map((name) => clamp(Math.round(Number(this.sides[name].value)) || this.state[name], LEAST, MOST));
      if (width === this.state.width && height === this.state.height) { this.draw(); return; }
      this.change(() => {
        const scale = Math.min(width / this.state.width, height / this.state.height);
        const x0 = (width - this.state.width * scale) / 2, y0 = (height - this.state.height * scale) / 2;
        for (const point of this.state.people.flatMap(everyPoint)) { point[0] = x0 + point[0] * scale; point[1] = y0 + point[1] * scale; }
        Object.assign(this.state, { width, height });
      });
      this.fit();
    }

    /** Take poses from text, in place of what is there. What cannot be read changes nothing. */
    import(text) {
      try {
        const found = read(text, this.state.width, this.state.height);
        this.change(() => { this.state = found; this.chosen = 0; this.point = null; });
        this.fit();
        this.say(maple.say("pose_read", { count: found.people.length }));
        return true;
      } catch (error) {
        if (!(error instanceof maple.Trouble)) throw error;
        this.say(error.message, true);
        return false;
      }
    }

    async take(file) {
      if (file.size > MOST_TEXT) { this.say(maple.say("pose_too_long"), true); return; }
      this.import(await file.text());
    }

    async dropped(transfer) {
      const file = transfer.files[0];
      if (file && file.type.startsWith("image/")) await this.lay(file);
      else if (file) await this.take(file);
      else if (transfer.getData("text/plain")) this.import(transfer.getData("text/plain"));
    }

    paste(event) {
      if (event.target?.closest?.("input[type=number]")) return;
      event.preventDefault();
      event.stopPropagation();
      const picture = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
      if (picture) { this.lay(picture); return; }
      const text = event.clipboardData?.getData("text/plain")?.trim();
      if (text) this.import(text);
    }

    /** A picture under the skeleton: Blob or address; null takes it away. */
    async lay(picture) {
      if (this.address) URL.revokeObjectURL(this.address);
      this.address = picture instanceof Blob ? URL.createObjectURL(picture) : null;
      const source = this.address ?? picture;
      if (source) {
        const probe = new Image();
        probe.src = source;
        try { await probe.decode(); } catch { this.say(maple.say("canvas_unreadable", { name: picture.name || "?" }), true); return; }
        this.picture.setAttribute("href", source);
      }
      this.picture.setAttribute("visibility", source ? "visible" : "hidden");
      this.draw();
    }

    // --- what is shown

    measured() {
      this.stage.setAttribute("width", this.port.clientWidth);
      this.stage.setAttribute("height", this.port.clientHeight);
      this.fitted ? this.fit() : this.draw();
    }

    get whole() { return Math.min((this.port.clientWidth - 24) / this.state.width, (this.port.clientHeight - 24) / this.state.height) || 1; }

    fit() {
      this.fitted = true;
      this.zoom = Math.max(0.01, this.whole);
      this.x = (this.port.clientWidth - this.state.width * this.zoom) / 2;
      this.y = (this.port.clientHeight - this.state.height * this.zoom) / 2;
      this.draw();
    }

    zoomTo(zoom, x = this.port.clientWidth / 2, y = this.port.clientHeight / 2) {
      const next = clamp(zoom, this.whole / 4, 40);
      this.x = x - (x - this.x) * (next / this.zoom);
      this.y = y - (y - this.y) * (next / this.zoom);
      this.zoom = next;
      this.fitted = false;
      this.draw();
    }

    pan(by, down) {
      const keep = 40;
      this.x = clamp(this.x + by, keep - this.state.width * this.zoom, this.port.clientWidth - keep);
      this.y = clamp(this.y + down, keep - this.state.height * this.zoom, this.port.clientHeight - keep);
      this.fitted = false;
      this.draw();
    }

    toView([x, y]) { return [x * this.zoom + this.x, y * this.zoom + this.y]; }
    toCanvas([x, y]) { return [(x - this.x) / this.zoom, (y - this.y) / this.zoom]; }

    /** The element of that key in a layer, made when first asked for; elements stay, so that the focus does. */
    node(key, tag, layer, used) {
      let found = this.nodes.get(key);
      if (!found) {
        found = shape(tag);
        found.dataset.key = key;
        this.nodes.set(key, found);
      }
      used.push([key, layer]);
      return found;
    }

    draw() {
      const { width, height, people } = this.state;
      const used = [];
      const place = (element, values) => { for (const [name, value] of Object.entries(values)) if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value); };
      for (const element of [this.paper, this.picture]) place(element, { x: this.x, y: this.y, width: width * this.zoom, height: height * this.zoom });
      this.picture.style.opacity = this.opacity;
      people.forEach((who, number) => this.drawPerson(who, number, place, used));
      this.drawFrame(place, used);
      const kept = new Set(used.map(([key]) => key));
      for (const [key, element] of this.nodes) if (!kept.has(key)) { element.remove(); this.nodes.delete(key); }
      for (const [key, layer] of used) { const element = this.nodes.get(key); if (element.parentNode !== layer) layer.append(element); }
      this.drawSide();
    }

    drawPerson(who, number, place, used) {
      const scale = this.zoom, mine = number === this.chosen;
      for (const [at, [a, b]] of LIMBS.entries()) {
        const [from, to] = [who.body[a], who.body[b]];
        if (!from[2] || !to[2]) continue;
        const [x0, y0] = this.toView(from), [x1, y1] = this.toView(to);
        place(this.node(`limb:${number}:${at}`, "ellipse", this.limbs, used), {
          cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, rx: Math.hypot(x1 - x0, y1 - y0) / 2, ry: Math.max(2, STICK * scale), fill: rgb(COLOURS[at], LIMB_SHADE),
          transform: `rotate(${(Math.atan2(y1 - y0, x1 - x0) * 180) / Math.PI} ${(x0 + x1) / 2} ${(y0 + y1) / 2})`, class: mine ? "pose-limb" : "pose-limb other",
        });
      }
      for (const part of ["left", "right"]) {
        for (const [at, [a, b]] of who[part] ? BONES.entries() : []) {
          const [from, to] = [who[part][a], who[part][b]];
          if (!from[2] || !to[2]) continue;
          const [x1, y1] = this.toView(from), [x2, y2] = this.toView(to);
          place(this.node(`bone:${number}:${part}:${at}`, "line", this.limbs, used), { x1, y1, x2, y2, stroke: `hsl(${(360 * at) / BONES.length} 100% 50%)`, "stroke-width": Math.max(1.5, FINGER * scale), class: mine ? "pose-limb" : "pose-limb other" });
        }
      }
      for (const part of Object.keys(PARTS)) {
        for (const [at, point] of (who[part] ?? []).entries()) {
          const placed = point[0] || point[1];
          if (!point[2] && !(mine && placed)) continue;
          this.drawPoint(`${number}:${part}:${at}`, point, { part, at, number, mine, scale }, place, used);
        }
      }
    }

    drawPoint(key, point, { part, at, number, mine, scale }, place, used) {
      const [cx, cy] = this.toView(point);
      const colour = part === "body" ? rgb(COLOURS[at]) : part === "face" ? "#fff" : "#22f";
      const least = part === "body" ? 5 : part === "face" ? 1.8 : 2.5;
      const first = part === "body" || at === ROOT[part];
      const element = this.node(`point:${key}`, "circle", this.points, used);
      place(element, {
        cx, cy, r: Math.max(least, (part === "face" ? FACE : JOINT) * scale * (part === "body" ? 1 : 0.8)), fill: point[2] ? colour : "none", stroke: point[2] ? "#000" : colour,
        class: `pose-point${mine ? "" : " other"}${point[2] ? "" : " off"}${key === this.point ? " chosen" : ""}`, tabindex: mine && first ? 0 : -1, role: "button",
        "aria-label": maple.say(point[2] ? "pose_joint" : "pose_joint_off", { number: number + 1, name: this.nameOf(part, at), x: Math.round(point[0]), y: Math.round(point[1]) }),
      });
    }

    nameOf(part, at) { return part === "body" ? word(BODY[at]) : `${word(PART_NAMES[part])} ${at + 1}`; }

    /** The box around the person in hand, with handles to size and turn it. */
    get box() {
      const found = this.who && bounds(everyPoint(this.who));
      if (!found) return null;
      const [left, top] = this.toView(found), [right, bottom] = this.toView(found.slice(2));
      return [left - 14, top - 14, right + 14, bottom + 14];
    }

    handles() {
      const { box } = this;
      if (!box) return [];
      const [left, top, right, bottom] = box;
      return [["turn", (left + right) / 2, top - 26], ["nw", left, top], ["ne", right, top], ["sw", left, bottom], ["se", right, bottom]];
    }

    drawFrame(place, used) {
      const { box } = this;
      if (!box) return;
      const [left, top, right, bottom] = box;
      place(this.node("frame", "rect", this.frame, used), {
        x: left, y: top, width: right - left, height: bottom - top, class: "pose-box", tabindex: 0, role: "button",
        "aria-label": maple.say("pose_person_keys", { number: this.chosen + 1 }),
      });
      place(this.node("stem", "line", this.frame, used), { x1: (left + right) / 2, y1: top, x2: (left + right) / 2, y2: top - 26, class: "pose-stem" });
      for (const [name, cx, cy] of this.handles()) place(this.node(`handle:${name}`, "circle", this.frame, used), { cx, cy, r: 6, class: `pose-handle ${name}` });
    }

    drawSide() {
      const { who } = this;
      const { width, height, people } = this.state;
      const names = people.map((_, at) => maple.say("pose_person", { number: at + 1 }));
      if (this.list.dataset.names !== names.join("|")) {
        this.list.dataset.names = names.join("|");
        this.list.replaceChildren(...names.map((text, at) => maple.make("button", { type: "button", class: "maple-button pose-person", text, translate: false, onclick: () => this.pick(at) })));
      }
      [...this.list.children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === this.chosen)));
      for (const [part, input] of Object.entries(this.parts)) { input.checked = Boolean(who?.[part]); input.disabled = !who; }
      this.joints.forEach((input, at) => { input.checked = Boolean(who?.body[at][2]); input.disabled = !who; });
      for (const name of ["width", "height"]) if (document.activeElement !== this.sides[name] || !this.sides[name].value) this.sides[name].value = String(this.state[name]);
      maple.at("[data-do=undo]", this.bar).disabled = !this.past.length;
      maple.at("[data-do=redo]", this.bar).disabled = !this.future.length;
      for (const name of ["remove", "mirror"]) maple.at(`[data-do=${name}]`, this.bar).disabled = !who;
      maple.at("[data-do=hide]", this.bar).disabled = !this.at(this.point);
      this.told.textContent = `${width}×${height} · ${Math.round(this.zoom * 100)}%`;
      this.stage.setAttribute("aria-label", maple.say("pose_stage"));
    }

    // --- pointers

    spot(event) {
      const box = this.stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }

    /** What is under a place of the view: a handle, a point, a person, or nothing. */
    hit(at, coarse) {
      const reach = coarse ? 22 : 11;
      const handle = this.handles().find(([, x, y]) => apart(at, [x, y]) < reach);
      let best = null;
      this.state.people.forEach((who, number) => {
        for (const part of Object.keys(PARTS)) {
          (who[part] ?? []).forEach((point, index) => {
            if (!point[2] && !(number === this.chosen && (point[0] || point[1]))) return;
            // The person in hand comes first, then the small points of hands and faces, which lie close together.
            const far = apart(at, this.toView(point)) - (number === this.chosen ? 3 : 0) + (part === "body" ? 0 : 2);
            if (far < (part === "body" ? reach : Math.min(reach, 8)) && (!best || far < best.far)) best = { far, key: `${number}:${part}:${index}`, number };
          });
        }
      });
      if (best) return best;
      if (handle) return { handle: handle[0] };
      const limb = this.state.people.findLastIndex((who) => LIMBS.some(([a, b]) => who.body[a][2] && who.body[b][2] && offLine(at, this.toView(who.body[a]), this.toView(who.body[b])) < reach * 0.7));
      if (limb >= 0) return { number: limb };
      const { box } = this;
      if (box && at[0] > box[0] && at[0] < box[2] && at[1] > box[1] && at[1] < box[3]) return { number: this.chosen };
      return null;
    }

    down(event) {
      const at = this.spot(event);
      event.preventDefault();
      try { this.stage.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone already */ }
      this.pointers.set(event.pointerId, at);
      if (this.pointers.size === 2) {
        if (this.gesture?.moved) { this.state = this.gesture.before; this.past.pop(); }
        this.gesture = null;
        this.pinch = this.pinched();
        this.draw();
        return;
      }
      if (this.pointers.size > 2) return;
      const under = event.button === 1 ? null : this.hit(at, event.pointerType === "touch");
      if (event.button === 2) {
        if (under?.key) { this.point = under.key; this.chosen = under.number; this.toggle(under.key); }
        return;
      }
      if (under?.number !== undefined) this.chosen = under.number;
      if (under?.key) this.point = under.key;
      const kind = !under ? "pan" : under.key ? "point" : under.handle ? (under.handle === "turn" ? "turn" : "scale") : "move";
      this.gesture = { kind, at, last: at, before: clone(this.state), key: under?.key, handle: under?.handle, box: this.box, branch: event.shiftKey, alone: event.altKey };
      this.draw();
      const target = under?.key ? this.nodes.get(`point:${under.key}`) : kind === "pan" ? null : this.nodes.get("frame");
      target?.focus({ preventScroll: true });
    }

    moved(event) {
      if (!this.pointers.has(event.pointerId)) return;
      const at = this.spot(event);
      this.pointers.set(event.pointerId, at);
      if (this.pinch) { this.pinching(); return; }
      const { gesture } = this;
      if (!gesture) return;
      if (!gesture.moved && apart(at, gesture.at) < 2) return;
      if (gesture.kind === "pan") {
        this.pan(at[0] - gesture.last[0], at[1] - gesture.last[1]);
        gesture.last = at;
        gesture.moved = false;
        gesture.at = [-9, -9];
        return;
      }
      if (!gesture.moved) { gesture.moved = true; this.keep(clone(gesture.before)); this.say(""); }
      this.state = clone(gesture.before);
      const by = [(at[0] - gesture.at[0]) / this.zoom, (at[1] - gesture.at[1]) / this.zoom];
      if (gesture.kind === "point") this.shift(gesture.key, by, gesture);
      else if (gesture.kind === "move") this.all(([x, y]) => [x + by[0], y + by[1]]);
      else if (gesture.kind === "turn") this.turn(at, gesture);
      else this.scale(at, gesture);
      this.draw();
    }

    up(event) {
      if (!this.pointers.delete(event.pointerId)) return;
      if (this.pointers.size < 2) this.pinch = null;
      if (this.pointers.size) return;
      this.gesture = null;
      this.draw();
    }

    pinched() {
      const [a, b] = [...this.pointers.values()];
      return { apart: Math.max(1, apart(a, b)), at: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
    }

    pinching() {
      const now = this.pinched();
      this.x += now.at[0] - this.pinch.at[0];
      this.y += now.at[1] - this.pinch.at[1];
      this.zoomTo((this.zoom * now.apart) / this.pinch.apart, ...now.at);
      this.pinch = now;
    }

    /** Move a point; what hangs on it goes along: a wrist's hand, a face on its nose, with Shift the whole limb. */
    shift(key, by, { branch = false, alone = false } = {}) {
      const [number, part, index] = key.split(":");
      const who = this.state.people[number], at = Number(index);
      const { width, height } = this.state;
      const point = who[part][at];
      if (!point[2]) point[2] = true;
      const to = [clamp(point[0] + by[0], 0, width), clamp(point[1] + by[1], 0, height)];
      const step = [to[0] - point[0], to[1] - point[1]];
      const along = new Set([point]);
      if (!alone) {
        if (part !== "body" && at === ROOT[part]) who[part].forEach((each) => along.add(each));
        if (part === "body") {
          const joints = new Set([at]);
          if (branch) for (let grew = true; grew;) { grew = false; PARENT.forEach((parent, child) => { if (joints.has(parent) && !joints.has(child)) { joints.add(child); grew = true; } }); }
          for (const joint of joints) along.add(who.body[joint]);
          for (const [held, joint] of Object.entries(HELD_BY)) if (joints.has(joint)) who[held]?.forEach((each) => along.add(each));
        }
      }
      for (const each of along) { each[0] += step[0]; each[1] += step[1]; }
    }

    /** Change every point of the person in hand. */
    all(act) { for (const point of everyPoint(this.who)) if (point[0] || point[1]) [point[0], point[1]] = act(point); }

    turn(at, { before, at: from }) {
      const [left, top, right, bottom] = bounds(everyPoint(before.people[this.chosen]));
      const middle = this.toView([(left + right) / 2, (top + bottom) / 2]);
      this.turnBy(Math.atan2(at[1] - middle[1], at[0] - middle[0]) - Math.atan2(from[1] - middle[1], from[0] - middle[0]), [(left + right) / 2, (top + bottom) / 2]);
    }

    turnBy(angle, [x0, y0]) {
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      this.all(([x, y]) => [x0 + (x - x0) * c - (y - y0) * s, y0 + (x - x0) * s + (y - y0) * c]);
    }

    scale(at, { box, handle, before }) {
      const [left, top, right, bottom] = bounds(everyPoint(before.people[this.chosen]));
      const east = handle.includes("e"), south = handle.includes("s");
      const still = [east ? left : right, south ? top : bottom], fixed = [east ? box[0] : box[2], south ? box[1] : box[3]], held = [east ? box[2] : box[0], south ? box[3] : box[1]];
      const factor = clamp(((at[0] - fixed[0]) * (held[0] - fixed[0]) + (at[1] - fixed[1]) * (held[1] - fixed[1])) / apart(held, fixed) ** 2, 0.05, 20);
      this.scaleBy(factor, still);
    }

    scaleBy(factor, [x0, y0]) { this.all(([x, y]) => [x0 + (x - x0) * factor, y0 + (y - y0) * factor]); }

    // --- keys

    focused(element) {
      const key = element.dataset?.key ?? "";
      if (!key.startsWith("point:")) return;
      this.point = key.slice(6);
      this.draw();
    }

    /** Whether the key was for us. */
    key(event) {
      const typing = event.target.closest?.("input:not([type=checkbox]), select");
      const command = event.ctrlKey || event.metaKey;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (typing) return false;
      if (command && name === "z") { if (event.shiftKey) this.redo(); else this.undo(); return true; }
      if (command && name === "y") { this.redo(); return true; }
      if (command || event.altKey) return false;
      const on = event.target.dataset?.key ?? "";
      if (on.startsWith("point:") && this.pointKey(on.slice(6), name, event)) return true;
      if (on === "frame" && this.personKey(name, event)) return true;
      const plain = { n: () => this.add(), 0: () => this.fit(), "+": () => this.zoomTo(this.zoom * ZOOM_STEP), "=": () => this.zoomTo(this.zoom * ZOOM_STEP), "-": () => this.zoomTo(this.zoom / ZOOM_STEP), h: () => this.toggle(this.point) }[name];
      if (!plain) return false;
      plain();
      return true;
    }

    arrow(name, event) {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[name];
      return way && way.map((part) => part * (event.shiftKey ? 10 : 1));
    }

    pointKey(key, name, event) {
      const by = this.arrow(name, event);
      if (by) {
        if (!event.repeat) this.keep(clone(this.state));
        this.shift(key, by);
        this.draw();
        this.say(this.nodes.get(`point:${key}`)?.getAttribute("aria-label") ?? "");
        return true;
      }
      if (name === "h" || name === "Delete" || name === "Backspace") { this.toggle(key); return true; }
      if (name === "[" || name === "]") {
        const shown = maple.all(`[data-key^="point:${this.chosen}:"]`, this.points);
        const here = shown.findIndex((each) => each.dataset.key === `point:${key}`);
        shown.at((here + (name === "]" ? 1 : -1)) % shown.length)?.focus();
        return true;
      }
      return false;
    }

    personKey(name, event) {
      const box = this.who && bounds(everyPoint(this.who));
      if (!box) return false;
      const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], by = this.arrow(name, event);
      const act = by ? () => this.all(([x, y]) => [x + by[0], y + by[1]]) : {
        "+": () => this.scaleBy(1.05, middle), "=": () => this.scaleBy(1.05, middle), "-": () => this.scaleBy(1 / 1.05, middle),
        ",": () => this.turnBy(-Math.PI / 36, middle), ".": () => this.turnBy(Math.PI / 36, middle),
      }[name];
      if (act) {
        if (!event.repeat) this.keep(clone(this.state));
        act();
        this.draw();
        return true;
      }
      if (name === "Delete" || name === "Backspace") { this.drop(); return true; }
      return false;
    }

    keysShown() {
      const rows = [["Tab", "From joint to joint"], ["Arrow keys", "Move the joint (Shift: ten pixels)"], ["[ / ]", "Points of hands and face too"], ["H / Delete / right click", "Hide or show the joint"], ["Shift + drag", "The whole limb goes along"], ["Alt + drag", "Only this point, without hand or face"],
        ["N", "Add a person"], ["+ / − / , / .", "On the frame: larger, smaller, turn"], ["Mouse wheel", "Zoom"], ["0", "Reset zoom and position"], ["Ctrl + Z", "Undo"], ["Ctrl + V", "Paste pose JSON or a background"]];
      const { make } = maple;
      const dialog = make("dialog", { class: "maple-dialog canvas-keys" }, make("h3", { text: "Keys" }),
        make("table", {}, ...rows.map(([keys, what]) => make("tr", {}, make("td", {}, make("kbd", { text: keys })), make("td", { text: what })))),
        make("div", { class: "row" }, make("button", { type: "button", class: "maple-button", text: "Close", onclick: () => dialog.close() })));
      dialog.addEventListener("close", () => dialog.remove());
      document.body.append(dialog);
      dialog.showModal();
    }

    // --- giving away

    save(blob, name) {
      const link = maple.make("a", { href: URL.createObjectURL(blob), download: name });
      this.dialog.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      this.sent = JSON.stringify(written(this.state));
    }

    saveJson() { this.save(new Blob([JSON.stringify(written(this.state))], { type: "application/json" }), "pose.json"); }

    async savePng() { this.save(await packed(this.state), "pose.png"); }

    async give() {
      await maple.attempt(async () => {
        const json = written(this.state);
        await this.onSend(json, await packed(this.state));
        this.sent = JSON.stringify(json);
        this.close();
      });
    }
  }

  /** How far a place is from the line between two others. */
  function offLine(at, a, b) {
    const length = apart(a, b) ** 2;
    const part = length ? clamp(((at[0] - a[0]) * (b[0] - a[0]) + (at[1] - a[1]) * (b[1] - a[1])) / length, 0, 1) : 0;
    return apart(at, [a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])]);
  }

  window.maplePose = {
    /** The editor that is open, or null. */
    editor: null,
    open(options = {}) {
      window.maplePose.editor?.close();
      window.maplePose.editor = new PoseEditor(options);
      return window.maplePose.editor;
    },
    read,
    write: written,
    map: async (poses, width, height) => packed(read(poses, width, height)),
  };
})();
