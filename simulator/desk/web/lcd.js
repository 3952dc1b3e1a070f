// A clerk's display, dot by dot. The dots come from the model of the chip; where the desk has no
// font for its character ROM they lack the characters, which are then drawn with the browser's.
const COLUMNS = 128, ROWS = 64, CELL = 16;
const [DARK, GLASS, NOTHING] = [[29, 42, 18, 255], [207, 224, 143, 255], [0, 0, 0, 0]].map(
  (dot) => new Uint32Array(Uint8Array.from(dot).buffer)[0]);
const hasGlyphs = document.body.dataset.glyphs === "1";
const scratch = new OffscreenCanvas(COLUMNS, ROWS).getContext("2d", { willReadFrequently: true });

export function drawLcd(canvas, seen) {
  const bytes = Uint8Array.from(atob(seen.dots), (char) => char.charCodeAt(0));
  const letters = hasGlyphs ? null : lettersOf(seen.text);
  const picture = new ImageData(COLUMNS, ROWS), dots = new Uint32Array(picture.data.buffer);
  const ground = seen.lit ? GLASS : NOTHING;
  for (let at = 0; at < COLUMNS * ROWS; at += 1) {
    const drawn = (bytes[at >> 3] >> (7 - (at & 7))) & 1;
    const isDark = letters ? drawn !== Number(letters[at * 4 + 3] > 110) : drawn;
    dots[at] = isDark ? DARK : ground;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  canvas.classList.toggle("dark", !seen.lit);
  canvas.setAttribute("aria-label", seen.text.join(" / ").trim() || canvas.dataset.name);
}

function lettersOf(lines) {
  scratch.clearRect(0, 0, COLUMNS, ROWS);
  scratch.textBaseline = "top";
  lines.forEach((line, row) => {
    let x = 0;
    for (const letter of line) {
      const isWide = letter.codePointAt(0) > 0xff;
      scratch.font = isWide ? "16px sans-serif" : "14px monospace";
      scratch.fillText(letter, x, row * CELL + (isWide ? 0 : 2), isWide ? 16 : 8);
      x += isWide ? 16 : 8;
    }
  });
  return scratch.getImageData(0, 0, COLUMNS, ROWS).data;
}
