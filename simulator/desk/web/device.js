// One device in large: what people do with it, and how it is told. Every click is a step or a wish.
import { act, move, notice, time, words } from "./ask.js";
import { flash, inside, journal, posture } from "./device_show.js";
import { drawLcd } from "./lcd.js";

const LONG_MS = 300; // of a beep
const place = document.getElementById("device");
const { reader, role, site } = place.dataset;
const one = (of) => place.querySelector(`[data-of="${of}"]`);
const isOn = (button) => button.getAttribute("aria-pressed") === "true";
let now = null; // the reader as it was told last
let quiet = 0;

// A POS that waits for a card gets it; to one that does not, merchant and holder come together.
function tap() {
  const step = { card: document.getElementById("card").value, reader };
  if (role !== "pos") return act({ do: place.dataset.tap, ...step });
  if (/^\d+\.\d\d$/.test(now.pole[1].trim())) return act({ do: "present", ...step });
  return act({ do: "tap", ...step, amount: document.getElementById("amount").value });
}

async function moveHome(button) {
  if (isOn(button)) return;
  for (const each of place.querySelectorAll("[data-home]")) each.disabled = true;
  if (button.dataset.home === "vm") notice(words.moving);
  await move({ reader, home: button.dataset.home });
  for (const each of place.querySelectorAll("[data-home]")) each.disabled = false;
}

const CLICKS = [
  ["#tap", tap],
  ["[data-keys]", (button) => act({ do: "press", reader, keys: decodeURIComponent(button.dataset.keys) })],
  ["[data-do]", (button) => act({ do: button.dataset.do, reader })],
  ["[data-power]", (button) => act({ do: now.on ? "kill" : "revive", reader })],
  ["[data-cable]", (button) => act({ do: isOn(button) ? "cut" : "plug", what: "reader-network", reader })],
  ["[data-mains]", (button) => act({ do: isOn(button) ? "cut" : "plug", what: "mains", site })],
  ["[data-case]", (button) => act({ do: isOn(button) ? "shut" : "open", reader })],
  ["[data-home]", moveHome],
  ["[data-speed]", (button) => time({ speed: Number(button.dataset.speed) })],
  ["#pause", (button) => time({ paused: !isOn(button) })],
];

document.addEventListener("click", (event) => {
  for (const [selector, answer] of CLICKS) {
    const found = event.target.closest(selector);
    if (found) return void answer(found);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select")) return;
  if (event.key === "Escape") document.getElementById("back").click();
  if (event.key === " " && !event.target.closest("button, a")) {
    event.preventDefault();
    document.getElementById("pause").click();
  }
});

function put(element, text, look) {
  if (element && element.textContent !== text) element.textContent = text;
  if (element && look !== undefined && element.className !== look) element.className = look;
}

function switched(selector, on, texts) {
  const button = place.querySelector(selector);
  if (!button) return;
  button.setAttribute("aria-pressed", on);
  put(button, texts[on ? 0 : 1]);
}

const SHOW = {
  time(told) {
    if (String(told.play) !== document.body.dataset.play) return location.assign(document.getElementById("back").href);
    const iso = new Date(told.local_s * 1000).toISOString();
    put(document.getElementById("clock"), iso.slice(11, 19));
    put(document.getElementById("date"), iso.slice(0, 10));
    const pause = document.getElementById("pause");
    pause.setAttribute("aria-pressed", told.paused);
    put(pause, told.paused ? words.go_on : words.pause);
    for (const button of document.querySelectorAll("[data-speed]")) {
      button.setAttribute("aria-pressed", !told.paused && Number(button.dataset.speed) === told.speed);
    }
    const isSlow = !told.paused && told.speed > 1 && told.real_speed < told.speed * 0.8;
    put(document.getElementById("pace"), isSlow ? `${words.actual} ×${told.real_speed}` : "");
    if (told.fault) notice(`${words.stopped}: ${told.fault.split("\n")[0]}`, "bad");
  },
  sites(sites) {
    switched("[data-mains]", sites[site].mains, [words.plugged, words.mains_off]);
  },
  reader(told) {
    for (const led of ["green", "red"]) one(led).classList.toggle("on", told[led]);
    const link = !told.on ? "off" : told.cable ? "online" : "offline";
    put(one("link"), words[link], `chip ${link}`);
    put(one("battery"), `${told.battery}%`, told.battery < 20 ? "low" : "");
    put(one("waiting"), String(told.waiting));
    put(place.querySelector("[data-power]"), told.on ? words.kill : words.revive);
    switched("[data-cable]", told.cable, [words.plugged, words.pulled]);
    const canvas = place.querySelector(".lcd");
    if (canvas) drawLcd(canvas, told);
    place.querySelectorAll(".pole span").forEach((line, at) => put(line, told.on ? told.pole[at] : ""));
    if (told.door) showDoor(told.door);
    if (now) showBeeps(told.beeps, now.beeps);
    now = told;
  },
  inside(told) {
    put(one("boots"), String(told.boots));
    switched("[data-case]", told.case_open, [words.case_open, words.case_shut]);
    for (const button of place.querySelectorAll("[data-home]")) {
      button.setAttribute("aria-pressed", button.dataset.home === told.home);
    }
    inside(told);
  },
  posture,
  journal,
  flash,
};

function showDoor(door) {
  put(one("held"), door.held ? words.bolt_held : words.bolt_free, door.held ? "" : "free");
  put(one("open"), door.open ? words.leaf_open : words.leaf_shut, door.open ? "free" : "");
  one("picture").className = `picture ${door.held ? "" : "free"} ${door.open ? "open" : ""}`;
}

function showBeeps(beeps, before) {
  const fresh = beeps.filter(([atUs]) => !before.some(([knownUs]) => knownUs === atUs));
  if (!fresh.length) return;
  put(one("beep"), fresh.at(-1)[1] >= LONG_MS ? words.beep_long : `${words.beep}×${fresh.length}`);
  clearTimeout(quiet);
  quiet = setTimeout(() => put(one("beep"), ""), 2500);
}

const canvas = place.querySelector(".lcd");
if (canvas) canvas.dataset.name = canvas.getAttribute("aria-label");
const events = new EventSource(`events?view=${encodeURIComponent(`device:${reader}`)}`);
let isDown = false;
events.onmessage = (event) => {
  if (isDown) notice("");
  isDown = false;
  for (const [key, value] of Object.entries(JSON.parse(event.data))) SHOW[key.split(":")[0]]?.(value);
  if (place.querySelector("#records tbody tr")) document.body.dataset.ready = 1;
};
events.onerror = () => {
  isDown = true;
  notice(words.lost_link, "bad");
};
