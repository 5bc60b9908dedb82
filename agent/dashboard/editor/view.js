// Draws the editor's state. Words from outside become text nodes only.

const HANDLES = { nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5] };
const WORDS = ["caption", "category"];
const NUMBERS = ["x", "y", "width", "height"]; // of a box, in pixels
const FIELDS = [...WORDS, ...NUMBERS.map((name) => `box-${name}`)];
const SIGNS = {
  hidden: {
    words: ["Hide", "Show", "H"],
    lines: ["M1.5 8c3-5.5 10-5.5 13 0-3 5.5-10 5.5-13 0z", "M8 6.2a1.8 1.8 0 1 0 .01 0"],
    ends: [null, "m2.5 13.5 11-11"], // while it is not, and while it is
  },
  locked: {
    words: ["Lock", "Unlock", "L"],
    lines: ["M3.5 7.5h9V14h-9z"],
    ends: ["M5.5 7.5V5a2.5 2.5 0 0 1 4.8-1", "M5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5"],
  },
};
const PLACES = ["box", "point", "scribble", "mask"];
const LABEL_HEIGHT = 20; // screen pixels

// Neighbours in number are far apart in hue; all are dark enough for white words.
const colourOf = (id) => `oklch(${[0.56, 0.46, 0.52][id % 3]} 0.19 ${(25 + id * 137.5) % 360})`;
const nameOf = ({ category, caption }) => category || caption || "(no caption)";

function draw(editor) {
  const { focused } = editor;
  drawZoom(editor);
  drawStage(editor);
  drawList(editor);
  drawFields(editor);
  drawBar(editor);
  editor.part("status").textContent = editor.message || hintOf(editor);
  // a button that goes or is disabled would take the focus with it, and every key
  if (focused && (!editor.focused || focused.disabled)) editor.part("stage").focus({ preventScroll: true });
  editor.handSelection();
}

function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  return element;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function drawStage(editor) {
  const { screen, selected, hidden, locked } = editor;
  const items = editor.items.filter((item) => !hidden.has(item.id));
  const area = (item) => ((extent) => (extent ? (extent.x1 - extent.x0) * (extent.y1 - extent.y0) : 0))(extentOf(item));
  const order = [...items].sort((a, b) => (a.id === selected) - (b.id === selected) || area(b) - area(a));
  const shapes = order.flatMap((item) => shapesOf(item, item.id === selected, screen, locked));
  const labels = order.map((item) => labelOf(item, editor)).filter(Boolean);
  editor.part("shapes").replaceChildren(...editor.regions.map((region) => outlineOf(region, screen)), ...shapes);
  editor.part("labels").replaceChildren(...editor.regions.map(wordsOf), ...labels);
  drawMasks(editor, order);
}

// A region of which nobody knows what is there, {name, box}; it is seen, and is no instance.
function outlineOf({ box: { x0, y0, x1, y1 } }, { width, height }) {
  const place = { x: x0 * width, y: y0 * height, width: (x1 - x0) * width, height: (y1 - y0) * height };
  return svg("rect", { ...place, class: "region", fill: "none", "stroke-width": 2 });
}

function wordsOf({ name, box }) {
  const label = element("div", "label unsure", `${name}?`);
  label.style.left = `${100 * box.x0}%`;
  label.style.top = `${100 * box.y0}%`;
  return label;
}

function shapesOf(item, chosen, screen, locked) {
  const colour = colourOf(item.id);
  const shapes = [];
  const twice = (tag, attributes, width) => {
    // white below, so that every colour shows on every picture
    shapes.push(svg(tag, { ...attributes, class: "halo", "stroke-width": width + 2 }));
    shapes.push(svg(tag, { ...attributes, stroke: colour, "stroke-width": width }));
  };
  const px = ({ x, y }) => [x * screen.width, y * screen.height];
  if (item.box) {
    const { x0, y0, x1, y1 } = item.box;
    const [left, top] = px({ x: x0, y: y0 });
    const place = { x: left, y: top, width: (x1 - x0) * screen.width, height: (y1 - y0) * screen.height };
    shapes.push(svg("rect", { ...place, fill: colour, "fill-opacity": chosen ? 0.16 : 0.05 }));
    twice("rect", { ...place, fill: "none" }, chosen ? 3 : 2);
    if (chosen && !locked.has(item.id)) shapes.push(...handlesOf(place, colour));
  }
  if (item.scribble) {
    const points = item.scribble.points.map((point) => px(point).join(",")).join(" ");
    twice("polyline", { points, fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" }, chosen ? 4 : 2.5);
    if (item.scribble.points.length === 1) shapes.push(dot(px(item.scribble.points[0]), 3, colour));
  }
  if (item.point) shapes.push(dot(px(item.point), chosen ? 8 : 6, colour));
  return shapes;
}

const dot = ([cx, cy], r, fill) => svg("circle", { cx, cy, r, fill, stroke: "white", "stroke-width": 2 });

function handlesOf({ x, y, width, height }, colour) {
  return Object.entries(HANDLES).flatMap(([name, [right, down]]) => {
    const [cx, cy] = [x + width * right, y + height * down];
    const square = (side) => ({ x: cx - side / 2, y: cy - side / 2, width: side, height: side });
    // the wider one, unseen, is for fingers
    return [
      svg("rect", { ...square(10), rx: 2, fill: "white", stroke: colour, "stroke-width": 2 }),
      svg("rect", { ...square(20), fill: "transparent", "data-handle": name, class: `handle ${name}` }),
    ];
  });
}

function labelOf(item, { items, selected, screen }) {
  const extent = item.box ?? extentOf(item);
  if (!extent) return null;
  const chosen = item.id === selected;
  const label = element("div", chosen ? "label chosen" : "label", `${items.indexOf(item) + 1} ${nameOf(item)}`);
  const top = extent.y0 * screen.height;
  const height = LABEL_HEIGHT + (chosen ? 7 : 0); // clear of the handles
  label.style.top = `${top >= height ? top - height : top}px`;
  if (extent.x0 < 0.7) label.style.left = `${extent.x0 * screen.width}px`;
  else label.style.right = `${(1 - extent.x1) * screen.width}px`;
  label.style.maxWidth = `${Math.min((extent.x0 < 0.7 ? 1 - extent.x0 : extent.x1) * screen.width, 240)}px`;
  label.style.background = colourOf(item.id);
  return label;
}

function drawMasks({ part, selected, painted, size }, order) {
  const canvas = part("masks");
  const scale = Math.min(1, NEW_MASK_SIDE / Math.max(size.width, size.height));
  canvas.width = Math.round(size.width * scale);
  canvas.height = Math.round(size.height * scale);
  const context = canvas.getContext("2d");
  for (const item of order) {
    const live = painted?.id === item.id;
    if (!live && !item.mask) continue;
    context.globalAlpha = item.id === selected ? 0.6 : 0.4;
    const tinted = live ? tint(painted.bitmap, colourOf(item.id)) : tintOf(item.mask, colourOf(item.id));
    context.drawImage(tinted, 0, 0, canvas.width, canvas.height);
  }
}

const tints = new WeakMap(); // mask -> its coloured picture: a mask belongs to one instance
function tintOf(mask, colour) {
  if (!tints.has(mask)) tints.set(mask, tint(bitmapOfMask(mask), colour));
  return tints.get(mask);
}

function tint({ width, height, bits }, colour) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  bits.forEach((bit, index) => {
    if (bit) image.data[4 * index + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour;
  context.fillRect(0, 0, width, height);
  return canvas;
}

// The edge of the brush, around the pointer.
function drawRing({ part, tool, brush, size }, { clientX, clientY }) {
  const ring = part("ring");
  ring.hidden = tool !== "brush" && tool !== "erase";
  const { left, top, width } = part("masks").getBoundingClientRect();
  const side = `${(brush * width) / size.width}px`;
  Object.assign(ring.style, { left: `${clientX - left}px`, top: `${clientY - top}px`, width: side, height: side });
}

// The rows are kept and filled anew, so that the focus stays where it is.
function drawList(editor) {
  const list = editor.part("list");
  while (list.children.length > editor.items.length) list.lastChild.remove();
  while (list.children.length < editor.items.length) {
    const button = element("button", "row");
    button.type = "button";
    button.append(element("span", "swatch"), element("span", "name"), element("span", "places"));
    list.appendChild(element("li", "")).append(button, signButton("hidden"), signButton("locked"));
  }
  editor.items.forEach((item, index) => {
    const button = list.children[index].firstChild;
    const [swatch, name, places] = button.children;
    button.dataset.id = item.id;
    button.setAttribute("aria-pressed", item.id === editor.selected);
    swatch.style.background = colourOf(item.id);
    swatch.textContent = index + 1;
    name.textContent = nameOf(item);
    button.title = item.caption;
    places.textContent = PLACES.filter((place) => item[place]).join(", ");
    for (const sign of list.children[index].querySelectorAll(".sign")) drawSign(sign, editor, item, index);
  });
  const hidden = editor.items.filter((item) => editor.hidden.has(item.id)).length;
  editor.part("told").hidden = !hidden;
  editor.part("hidden-count").textContent = `${hidden} hidden here, and still in the ${editor.whole}.`;
}

// The eye or the lock of a row. The keyboard has H and L for them, so that Tab goes from row to row.
function signButton(what) {
  const button = element("button", "sign");
  Object.assign(button, { type: "button", tabIndex: -1 });
  button.dataset.sign = what;
  button.append(svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }));
  return button;
}

function drawSign(button, editor, item, index) {
  const what = button.dataset.sign;
  const { words, lines, ends } = SIGNS[what];
  const isOn = editor[what].has(item.id);
  const paths = [...lines, ends[Number(isOn)]].filter(Boolean);
  button.firstChild.replaceChildren(...paths.map((d) => svg("path", { d })));
  button.dataset.id = item.id;
  button.setAttribute("aria-pressed", isOn);
  button.title = `${words[Number(isOn)]} (${words[2]})`;
  button.setAttribute("aria-label", `${words[Number(isOn)]} ${index + 1} ${nameOf(item)}`);
  if (what === "hidden") button.parentElement.classList.toggle("hidden", isOn);
}

function drawFields(editor) {
  const { chosen, part } = editor;
  part("fields").hidden = !chosen;
  if (!chosen) return;
  for (const name of WORDS) if (part(name).value !== chosen[name]) part(name).value = chosen[name];
  drawNumbers(editor);
  const places = PLACES.filter((place) => chosen[place]);
  for (const place of PLACES) {
    const button = part(`remove-${place}`);
    button.hidden = !chosen[place];
    button.disabled = places.length === 1 || editor.locked.has(chosen.id);
    button.title = places.length === 1 ? "The only place: delete the instance instead" : `Remove the ${place} of this instance`;
  }
}

// What is typed stands as it is until its field is left.
function drawNumbers({ chosen, part, focused, size, locked }) {
  part("numbers").hidden = !chosen.box;
  const values = chosen.box && numbersOf(chosen.box, size);
  for (const name of NUMBERS) {
    const field = part(`box-${name}`);
    field.disabled = locked.has(chosen.id);
    if (values && field !== focused) field.value = values[name];
  }
}

function drawBar({ part, root, tool, past, future, chosen, brush, items, holding }) {
  for (const button of root.querySelectorAll("button[data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }
  part("brush-size").hidden = tool !== "brush" && tool !== "erase";
  part("brush-value").textContent = `${brush} px`;
  part("undo").disabled = !past.length;
  part("redo").disabled = !future.length;
  part("delete").disabled = part("copy").disabled = !chosen;
  part("count").textContent = items.length;
  part("empty").hidden = items.length > 0;
  part("stage").dataset.tool = holding ? "pan" : tool;
}

function hintOf({ tool, chosen, fixed }) {
  if (fixed && tool === "select") return fixed;
  const name = chosen && `“${nameOf(chosen)}”`;
  const owner = name ? `of ${name}` : "of a new instance";
  const hints = {
    pan: "Drag the picture; + and − zoom, 0 shows all of it.",
    select: name
      ? `Drag ${name} or its handles; arrow keys move it, Delete deletes it.`
      : "Click an instance, or choose a tool to add one.",
    box: name && !chosen.box ? `Drag to draw the box ${owner}.` : "Drag to draw the box of a new instance.",
    point: `Click to put the point ${owner}.`,
    scribble: `Drag to draw the scribble ${owner}.`,
    brush: `Paint the mask ${owner}.`,
    erase: chosen?.mask ? `Erase from the mask ${owner}.` : NO_MASK,
  };
  return hints[tool];
}
