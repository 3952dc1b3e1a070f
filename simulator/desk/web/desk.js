// What people do on the page. Every click is a step of a scenario, or a wish about time.
import { act, finish, load, notice, time, words } from "./ask.js";
import { switchPort } from "./board.js";
import { dark, plug, slow } from "./links.js";
import { choosePhone, scan, showCode, switchNet } from "./phone.js";
import { seen, show } from "./show.js";
import { switchSound } from "./sound.js";

const PULL_FULL_MS = 120; // a whole spend takes about so long, from the card that comes to the light
const LONG_MS = 3000;
const CARD_KEYS = "123456789";
// What holding a card there is called, by role.
const TAPS = { pos: "tap", door: "enter", lock: "enter", attendance: "punch", kiosk: "ask", identity: "ask" };
const cards = [...document.querySelectorAll("[data-card]")];
let chosen = null;

function choose(card) {
  chosen = card;
  for (const each of cards) each.setAttribute("aria-pressed", each === card);
  if (card) choosePhone(card.dataset.card, card.querySelector("strong").textContent);
}

function holdMs() {
  const how = document.querySelector('input[name="hold"]:checked').value;
  if (how === "long") return LONG_MS;
  return how === "pull" ? Math.round((PULL_FULL_MS * Number(document.getElementById("pull").value)) / 100) : null;
}

// A POS that waits for a card gets it; to one that does not, merchant and holder come together.
function tap(device) {
  if (!chosen) return notice(words.wallet_hint);
  if (device.querySelector(".board")) return notice(words.board_hint);
  const reader = device.dataset.reader, step = { card: chosen.dataset.card, reader };
  const verb = TAPS[device.dataset.role], hold = holdMs(), other = document.getElementById("with").value;
  if (other && other !== step.card) step.with = [other];
  if (verb !== "tap") return act({ do: verb, ...step, ...(hold && { hold_ms: hold }) });
  if (/^\d+\.\d\d$/.test(seen[`reader:${reader}`].pole[1].trim())) {
    return act({ do: "present", ...step, ...(hold && { hold_ms: hold }) });
  }
  const amount = device.querySelector("[data-amount]").value;
  return act({ do: "tap", ...step, amount, ...(hold && { hold_ms: hold < PULL_FULL_MS ? [hold, 700] : hold }) });
}

function ofCard(verb) {
  if (!chosen) return notice(words.wallet_hint);
  const card = chosen.dataset.card, step = { do: verb, card };
  if (verb === "topup") step.amount = "50.00";
  if (verb === "reissue") step.new = document.querySelector(`[data-card="${CSS.escape(card)}-new"]`)?.dataset.card ?? card;
  return act(step);
}

const amountOf = (device) => device.querySelector("[data-amount]")?.value;

function pullShown() {
  const percent = document.getElementById("pull").value;
  document.getElementById("pull-shown").textContent = `${percent} % · ${Math.round((PULL_FULL_MS * percent) / 100)} ms`;
}

const CLICKS = [
  ["[data-card]", choose],
  ["[data-verb]", (button) => ofCard(button.dataset.verb)],
  ["[data-plug]", plug],
  ["[data-scan]", (button) => scan(button.closest(".device"), amountOf(button.closest(".device")))],
  ["[data-code]", (button) => showCode(button.dataset.code)],
  ["#phone-net", switchNet],
  ["[data-dark]", dark],
  ["[data-port]", switchPort],
  ["[data-tap]", (button) => tap(button.closest(".device"))],
  ["[data-keys]", (button) => act({ do: "press", reader: button.closest(".device").dataset.reader, keys: decodeURIComponent(button.dataset.keys) })],
  ["[data-handheld]", (button) => act({ do: button.getAttribute("aria-pressed") === "true" ? "cut" : "plug", what: "reader-network", reader: button.closest(".device").dataset.reader })],
  ["[data-do]", (button) => act({ do: button.dataset.do, reader: button.closest(".device").dataset.reader })],
  ["[data-speed]", (button) => time({ speed: Number(button.dataset.speed) })],
  ["[data-jump]", (button) => time({ jump_s: Number(button.dataset.jump) || button.dataset.jump })],
  ["#pause", (button) => time({ paused: button.getAttribute("aria-pressed") !== "true" })],
  ["#next-step", () => time({ step: 1 })],
  ["#finish", finish],
  ["#sound", (button) => button.setAttribute("aria-pressed", switchSound())],
];

document.addEventListener("click", (event) => {
  for (const [selector, answer] of CLICKS) {
    const found = event.target.closest(selector);
    if (found) return void answer(found);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select") || event.ctrlKey || event.altKey || event.metaKey) return;
  const number = CARD_KEYS.indexOf(event.key);
  if (number >= 0 && cards[number]) {
    choose(cards[number]);
    cards[number].focus();
  } else if (event.key === " " && !event.target.closest("button, a")) {
    event.preventDefault();
    document.getElementById("pause").click();
  }
});

document.addEventListener("dragstart", (event) => {
  const card = event.target.closest?.("[data-card]");
  if (!card) return;
  choose(card);
  event.dataTransfer.setData("text/plain", card.dataset.card);
});

let isPhone = false; // it is a phone that is dragged
document.addEventListener("dragstart", (event) => {
  isPhone = event.target.id === "glass";
  if (isPhone) event.dataTransfer.setData("text/plain", "phone");
});

function drop(device) {
  if (!isPhone) return tap(device);
  return device.querySelector("[data-scan]") ? scan(device, amountOf(device)) : undefined;
}

for (const device of document.querySelectorAll(".device")) {
  const lit = (isOver) => device.classList.toggle("over", isOver);
  device.addEventListener("dragover", (event) => (event.preventDefault(), lit(true)));
  device.addEventListener("dragleave", () => lit(false));
  device.addEventListener("drop", (event) => (event.preventDefault(), lit(false), drop(device)));
  const canvas = device.querySelector(".lcd");
  if (canvas) canvas.dataset.name = canvas.getAttribute("aria-label");
}

document.getElementById("scenario").addEventListener("change", (event) => load({ name: event.target.value }));
document.getElementById("open-file").addEventListener("change", async (event) => load({ text: await event.target.files[0].text() }));
document.getElementById("other-code").addEventListener("change", (event) => showCode(event.target.value || "payment"));
for (const select of document.querySelectorAll("[data-slow]")) select.addEventListener("change", () => slow(select));
document.getElementById("pull").addEventListener("input", () => {
  pullShown();
  document.querySelector('input[name="hold"][value="pull"]').checked = true;
});

const events = new EventSource("events");
let isDown = false;
events.onmessage = (event) => {
  if (isDown) notice("");
  isDown = false;
  show(JSON.parse(event.data));
  document.body.dataset.ready = 1;
};
events.onerror = () => {
  isDown = true;
  notice(words.lost_link, "bad");
};
choose(cards[0] ?? null);
pullShown();
