// Pure functions on instances. Every coordinate is a fraction of the picture; a size is {width, height} in pixels.

const SCRIBBLE_POINTS = 20;
const MIN_SIDE = 4; // pixels: what a box can be drawn or made smaller to
const NEW_MASK_SIDE = 512; // pixels along the longer side of a mask that is painted here
const PAINTED_SIDES = [256, 1024]; // masks from elsewhere are painted on as they are within these

const within = (value, low, high) => Math.min(Math.max(value, low), high);
const onPixel = (fraction, side) => Math.round(fraction * side) / side;

const bitmaps = new WeakMap(); // mask -> bitmap: masks are never changed in place
function bitmapOfMask(mask) {
  if (!bitmaps.has(mask)) bitmaps.set(mask, bitmapOf(mask));
  return bitmaps.get(mask);
}

function maskFrom(bitmap) {
  const mask = maskOf(bitmap);
  bitmaps.set(mask, bitmap);
  return mask;
}

const extents = new WeakMap(); // mask -> its tight box, or null if it is empty
function extentOfMask(mask) {
  if (extents.has(mask)) return extents.get(mask);
  const { width, height, bits } = bitmapOfMask(mask);
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!bits[y * width + x]) continue;
      if (x < x0) x0 = x;
      if (y < y0) y0 = y;
      if (x >= x1) x1 = x + 1;
      y1 = y + 1;
    }
  }
  extents.set(mask, x1 ? { x0: x0 / width, y0: y0 / height, x1: x1 / width, y1: y1 / height } : null);
  return extents.get(mask);
}

// The box around all places of an instance; without extent for a bare point, null for a lone empty mask.
function extentOf(item) {
  const boxes = [item.box, item.mask && extentOfMask(item.mask)].filter(Boolean);
  const points = [...(item.point ? [item.point] : []), ...(item.scribble?.points ?? [])];
  boxes.push(...points.map(({ x, y }) => ({ x0: x, y0: y, x1: x, y1: y })));
  if (!boxes.length) return null;
  return {
    x0: Math.min(...boxes.map((box) => box.x0)),
    y0: Math.min(...boxes.map((box) => box.y0)),
    x1: Math.max(...boxes.map((box) => box.x1)),
    y1: Math.max(...boxes.map((box) => box.y1)),
  };
}

// All places of an instance moved by whole pixels of the picture, as far as they stay inside.
function moved(item, dx, dy, size) {
  const extent = extentOf(item);
  if (!extent) return item;
  dx = within(onPixel(dx, size.width), -extent.x0, 1 - extent.x1);
  dy = within(onPixel(dy, size.height), -extent.y0, 1 - extent.y1);
  const point = ({ x, y }) => ({ x: within(x + dx, 0, 1), y: within(y + dy, 0, 1) });
  const corners = ({ x0, y0, x1, y1 }) => [point({ x: x0, y: y0 }), point({ x: x1, y: y1 })];
  const box = ([from, to]) => ({ x0: from.x, y0: from.y, x1: to.x, y1: to.y });
  return {
    ...item,
    box: item.box && box(corners(item.box)),
    point: item.point && point(item.point),
    scribble: item.scribble && { points: item.scribble.points.map(point) },
    mask: item.mask && movedMask(item.mask, dx, dy),
  };
}

function movedMask(mask, dx, dy) {
  const { width, height, bits } = bitmapOfMask(mask);
  const [right, down] = [Math.round(dx * width), Math.round(dy * height)];
  if (!right && !down) return mask;
  const copy = new Uint8Array(bits.length);
  for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
    for (let x = Math.max(0, -right); x < Math.min(width, width - right); x++) {
      copy[(y + down) * width + x + right] = bits[y * width + x];
    }
  }
  return maskFrom({ width, height, bits: copy });
}

// A box with the sides named by the handle ("n", "se", ...) at a place; it keeps an area and stays inside.
function resized(box, handle, { x, y }, size) {
  const [minX, minY] = [MIN_SIDE / size.width, MIN_SIDE / size.height];
  const { x0, y0, x1, y1 } = box;
  return {
    x0: handle.includes("w") ? Math.max(0, Math.min(x, x1 - minX)) : x0,
    y0: handle.includes("n") ? Math.max(0, Math.min(y, y1 - minY)) : y0,
    x1: handle.includes("e") ? Math.min(1, Math.max(x, x0 + minX)) : x1,
    y1: handle.includes("s") ? Math.min(1, Math.max(y, y0 + minY)) : y1,
  };
}

const ACROSS = ["x0", "x1", "width"];
const DOWN = ["y0", "y1", "height"];
const BOX_NUMBERS = { x: ACROSS, width: ACROSS, y: DOWN, height: DOWN };

// {x, y, width, height} of a box in pixels, to a tenth.
function numbersOf({ x0, y0, x1, y1 }, { width, height }) {
  const tenth = (value) => Math.round(10 * value) / 10;
  const [across, down] = [(x1 - x0) * width, (y1 - y0) * height];
  return { x: tenth(x0 * width), y: tenth(y0 * height), width: tenth(across), height: tenth(down) };
}

// A box with one of its numbers set in pixels: x and y move it, width and height leave its top left corner where it is.
// It stays inside, and keeps a pixel.
function boxWith(box, name, pixels, size) {
  const [low, high, side] = BOX_NUMBERS[name];
  const value = pixels / size[side];
  const length = box[high] - box[low];
  if (name === side) return { ...box, [high]: within(box[low] + value, box[low] + 1 / size[side], 1) };
  const start = within(value, 0, 1 - length);
  return { ...box, [low]: start, [high]: Math.min(1, start + length) };
}

// The box between two places, or null if it is too thin to be meant.
function boxBetween(a, b, size) {
  const box = { x0: Math.min(a.x, b.x), y0: Math.min(a.y, b.y), x1: Math.max(a.x, b.x), y1: Math.max(a.y, b.y) };
  const [width, height] = [(box.x1 - box.x0) * size.width, (box.y1 - box.y0) * size.height];
  return Math.min(width, height) < MIN_SIDE - 0.01 ? null : box;
}

const distance = (a, b, size) => Math.hypot((a.x - b.x) * size.width, (a.y - b.y) * size.height);

function pathLength(path, size) {
  return path.slice(1).reduce((sum, point, index) => sum + distance(path[index], point, size), 0);
}

// Points at even distances along a path, both ends included.
function evenly(path, count, size) {
  const step = pathLength(path, size) / (count - 1);
  const points = [path[0]];
  let walked = 0;
  for (let index = 1; index < path.length; index++) {
    const [from, to] = [path[index - 1], path[index]];
    const length = distance(from, to, size);
    while (points.length < count - 1 && walked + length >= step * points.length) {
      const share = length ? (step * points.length - walked) / length : 0;
      points.push({ x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share });
    }
    walked += length;
  }
  while (points.length < count) points.push(path.at(-1));
  return points;
}

function distanceToPath(at, path, size) {
  const nearest = path.map((point, index) => {
    const from = path[Math.max(index - 1, 0)];
    const [dx, dy] = [(point.x - from.x) * size.width, (point.y - from.y) * size.height];
    const along = (at.x - from.x) * size.width * dx + (at.y - from.y) * size.height * dy;
    const share = dx || dy ? within(along / (dx * dx + dy * dy), 0, 1) : 0;
    return distance(at, { x: from.x + (point.x - from.x) * share, y: from.y + (point.y - from.y) * share }, size);
  });
  return Math.min(...nearest);
}

// Which kind of place of an instance is at a place on the screen: "point", "scribble", "mask", "box" or null.
function placeAt(item, at, screen) {
  if (item.point && distance(at, item.point, screen) <= 12) return "point";
  if (item.scribble && distanceToPath(at, item.scribble.points, screen) <= 10) return "scribble";
  if (item.mask) {
    const { width, height, bits } = bitmapOfMask(item.mask);
    const [x, y] = [Math.min(Math.floor(at.x * width), width - 1), Math.min(Math.floor(at.y * height), height - 1)];
    if (bits[y * width + x]) return "mask";
  }
  const { box } = item;
  return box && at.x >= box.x0 && at.x <= box.x1 && at.y >= box.y0 && at.y <= box.y1 ? "box" : null;
}

// A bitmap of an instance's mask to paint on: its own copy, or an empty one.
function canvasFor(mask, size) {
  const scale = Math.min(1, NEW_MASK_SIDE / Math.max(size.width, size.height));
  const [width, height] = [Math.round(size.width * scale), Math.round(size.height * scale)];
  if (!mask) return { width, height, bits: new Uint8Array(width * height) };
  const old = bitmapOfMask(mask);
  const longest = Math.max(old.width, old.height);
  if (longest >= PAINTED_SIDES[0] && longest <= PAINTED_SIDES[1]) return { ...old, bits: old.bits.slice() };
  const bits = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * old.height) / height) * old.width;
    for (let x = 0; x < width; x++) bits[y * width + x] = old.bits[row + Math.floor(((x + 0.5) * old.width) / width)];
  }
  return { width, height, bits };
}

// Set a bitmap to a value under a round brush (diameter in pixels of the picture) drawn from one place to another.
function stroke(bitmap, from, to, brush, value, size) {
  const [radiusX, radiusY] = [(brush / 2 / size.width) * bitmap.width, (brush / 2 / size.height) * bitmap.height];
  const steps = Math.max(1, Math.ceil(distance(from, to, size) / (brush / 4)));
  for (let step = 0; step <= steps; step++) {
    const x = (from.x + ((to.x - from.x) * step) / steps) * bitmap.width;
    const y = (from.y + ((to.y - from.y) * step) / steps) * bitmap.height;
    fillEllipse(bitmap, x, y, Math.max(radiusX, 0.75), Math.max(radiusY, 0.75), value);
  }
}

function fillEllipse({ width, height, bits }, centreX, centreY, radiusX, radiusY, value) {
  const [top, bottom] = [Math.max(0, Math.floor(centreY - radiusY)), Math.min(height - 1, Math.ceil(centreY + radiusY))];
  const [left, right] = [Math.max(0, Math.floor(centreX - radiusX)), Math.min(width - 1, Math.ceil(centreX + radiusX))];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      if (((x + 0.5 - centreX) / radiusX) ** 2 + ((y + 0.5 - centreY) / radiusY) ** 2 <= 1) bits[y * width + x] = value;
    }
  }
}
