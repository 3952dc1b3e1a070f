// Links between readers and books: how they are, and what is done to them.
import { act, words } from "./ask.js";

// Of a line, what was chosen last: a picture drawn before the answer must not undo it.
const chosen = new Map();
const CHOSEN_MS = 2000; // pictures of before have come by then

const siteOf = (part) => part.closest("[data-site]").dataset.site;

function put(button, isOn, on, off) {
  button.setAttribute("aria-pressed", isOn);
  const text = isOn ? on : off, place = button.querySelector("b");
  if (place.textContent !== text) place.textContent = text;
}

export function showCentre(centre) {
  put(document.querySelector('[data-plug="ledger"]'), centre.ledger, words.up, words.away);
  put(document.querySelector('[data-plug="centre"]'), centre.centre, words.running, words.stopped_broker);
}

export function showLinks(place, site) {
  put(place.querySelector('[data-plug="broker"]'), site.broker, words.running, words.stopped_broker);
  let isBad = !site.broker;
  for (const line of place.querySelectorAll("[data-line]")) {
    const fault = site.faults[line.dataset.line];
    line.querySelector("[data-dark]").setAttribute("aria-pressed", fault.dark);
    for (const select of line.querySelectorAll("[data-slow]")) {
      if (select !== document.activeElement && !chosen.has(line)) select.value = fault[select.dataset.slow];
    }
    isBad ||= fault.dark || fault.delay_ms > 0 || fault.loss_percent > 0;
  }
  place.querySelector(".links").classList.toggle("bad", isBad);
}

export function showTyped(place, typed) {
  put(place.querySelector('[data-plug="desk"]'), typed.pc, words.plugged, words.pulled);
  const output = place.querySelector(".pc output"), text = typed.lines.join("\n") || output.dataset.nothing;
  if (output.textContent !== text) output.textContent = text;
}

const lineOf = (part) => part.closest("[data-line]");

export function slow(select) {
  const line = lineOf(select), step = { do: "slow", what: line.dataset.line, site: siteOf(select) };
  for (const each of line.querySelectorAll("[data-slow]")) step[each.dataset.slow] = Number(each.value);
  chosen.set(line, step);
  return act(step).finally(() => setTimeout(() => chosen.get(line) === step && chosen.delete(line), CHOSEN_MS));
}

export function dark(button) {
  const isDark = button.getAttribute("aria-pressed") === "true";
  return act({ do: isDark ? "plug" : "dark", what: lineOf(button).dataset.line, site: siteOf(button) });
}

// Of a site, of a reader, or of all of it: a plug that stands nowhere is the card centre's.
export function plug(button) {
  const isOn = button.getAttribute("aria-pressed") === "true";
  const step = { do: isOn ? "cut" : "plug", what: button.dataset.plug };
  const reader = button.closest("[data-reader]"), site = button.closest("[data-site]");
  if (reader) step.reader = reader.dataset.reader;
  else if (site) step.site = site.dataset.site;
  return act(step);
}
