// COCO run lengths <-> bitmaps. A bitmap is {width, height, bits}, bits a Uint8Array of 0 and 1, row by row;
// run lengths go column by column and start with a run of zeros.

function readCounts(text) {
  const counts = [];
  let position = 0;
  while (position < text.length) {
    let value = 0;
    let shift = 0;
    let chunk;
    do {
      chunk = text.charCodeAt(position++) - 48;
      value |= (chunk & 31) << shift;
      shift += 5;
    } while (chunk & 32);
    if (chunk & 16) value -= 2 ** shift; // runs are stored as differences, which may be negative
    counts.push(counts.length > 2 ? value + counts.at(-2) : value);
  }
  return counts;
}

function writeCounts(counts) {
  const letters = [];
  counts.forEach((count, index) => {
    let value = index > 2 ? count - counts[index - 2] : count;
    for (let done = false; !done; ) {
      const chunk = value & 31;
      value >>= 5;
      done = value === (chunk & 16 ? -1 : 0);
      letters.push(String.fromCharCode(chunk + (done ? 0 : 32) + 48));
    }
  });
  return letters.join("");
}

function bitmapOf({ size: [height, width], counts }) {
  const bits = new Uint8Array(width * height);
  let start = 0;
  readCounts(counts).forEach((count, index) => {
    if (index % 2) {
      for (let at = start; at < start + count; at++) bits[(at % height) * width + Math.floor(at / height)] = 1;
    }
    start += count;
  });
  return { width, height, bits };
}

function maskOf({ width, height, bits }) {
  const counts = [];
  let run = 0;
  let value = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++, run++) {
      if (bits[y * width + x] === value) continue;
      counts.push(run);
      run = 0;
      value = 1 - value;
    }
  }
  counts.push(run);
  return { size: [height, width], counts: writeCounts(counts) };
}
