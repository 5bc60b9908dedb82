// How much of the picture the stage shows: `zoom` is 1 for all of it, `pan` the place of the picture at the stage's top
// left corner, in fractions.

const MAX_ZOOM = 16;
const ZOOM_STEP = 1.5; // of a button or a key
const WHEEL_STEP = 0.0015; // of a pixel that the wheel turns
const LINE = 16; // pixels of a wheel that counts lines

// Zoom, with a place of the picture staying where it is on the screen: by default what is in the middle of the stage.
function zoomTo(editor, zoom, at = middle(editor)) {
  const next = within(zoom, 1, MAX_ZOOM);
  const share = editor.zoom / next;
  const { x, y } = editor.pan;
  editor.zoom = next;
  panTo(editor, { x: at.x - (at.x - x) * share, y: at.y - (at.y - y) * share });
}

const middle = ({ pan, zoom }) => ({ x: pan.x + 0.5 / zoom, y: pan.y + 0.5 / zoom });

// Show the part of the picture that begins at a place, as far as there is picture.
function panTo(editor, { x, y }) {
  const most = 1 - 1 / editor.zoom;
  editor.pan = { x: within(x, 0, most), y: within(y, 0, most) };
  draw(editor);
}

// The wheel zooms at the pointer; where nothing is left to zoom out of, it scrolls the page.
function turn(editor, event) {
  const pixels = event.deltaY * (event.deltaMode === 1 ? LINE : 1);
  if (!pixels || (pixels > 0 && editor.zoom === 1) || editor.gesture) return;
  event.preventDefault();
  zoomTo(editor, editor.zoom * Math.exp(-pixels * WHEEL_STEP), editor.at(event));
}

// Drag the picture under the stage.
function panning(editor, { clientX, clientY }) {
  const { pan } = editor;
  return {
    move(_, event) {
      const { width, height } = editor.screen;
      panTo(editor, { x: pan.x - (event.clientX - clientX) / width, y: pan.y - (event.clientY - clientY) / height });
    },
    end() {},
  };
}

function drawZoom({ part, zoom, pan }) {
  const view = part("view").style;
  view.width = view.height = `${100 * zoom}%`;
  view.left = `${-100 * zoom * pan.x}%`;
  view.top = `${-100 * zoom * pan.y}%`;
  part("whole").textContent = `${Math.round(100 * zoom)}%`;
  part("zoom-out").disabled = zoom === 1;
  part("zoom-in").disabled = zoom === MAX_ZOOM;
}
