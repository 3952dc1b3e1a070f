// What the pages do beside HTML: a wall looks again, "/" leads to the search, and a form that is under way is not sent
// twice by an impatient finger. Without this file everything works all the same.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const search = document.getElementById("search");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// Access keys are the browser's, each with other keys beside them; here they are all with Alt.
document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  const letter = event.code.replace(/^(Key|Digit)/, "").toLowerCase();
  const wanted = document.querySelector(`[accesskey="${CSS.escape(letter)}"]`);
  if (!wanted) return;
  event.preventDefault();
  wanted.focus(); // a field is typed into, a link followed
  wanted.click();
});

// A reader at the counter types a number and Enter: that leads on to the next field, and sends nothing.
document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key !== "Enter" || !("tap" in field.dataset) || !field.form) return;
  event.preventDefault();
  const fields = [...field.form.querySelectorAll("input:not([type=hidden]), select, button")];
  const next = fields[fields.indexOf(field) + 1];
  if (next) next.focus();
});

// What comes as a file leaves the page as it is, and may be asked for again: its form says so.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if ("file" in form.dataset) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});

// Back from the next page by the browser's own memory: it may be sent again, and is done once.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// A wall looks again by itself, but not while somebody reads it with the keyboard in hand.
const wall = document.querySelector("[data-again-s]");
if (wall) {
  let touched = 0;
  for (const kind of ["keydown", "pointerdown"]) {
    document.addEventListener(kind, () => { touched = Date.now(); });
  }
  const again = Number(wall.dataset.againS) * 1000;
  setInterval(() => { if (Date.now() - touched >= again) location.reload(); }, again);
}

const refusal = document.getElementById("refusal");
if (refusal) refusal.scrollIntoView({ block: "nearest" });
// Whoever works with the keyboard begins where the page does, behind the menu; its keys lead back there.
const main = document.getElementById("main");
if (main && !document.querySelector("[autofocus]") && !location.hash) main.focus({ preventScroll: true });
document.body.dataset.ready = "1";
