// The phone of whoever is chosen: a new code each time it is held there, or the picture of the last.
import { act, notice, words } from "./ask.js";

const DARK = [20, 32, 45, 255];
const place = document.getElementById("phone");
const canvas = document.getElementById("code");
const phones = {}; // the newest of each, by card
let whose = "", shows = "payment", nowS = 0;
// What is done with a phone before a scanner, by role, and the field in which the code is named.
const SCANS = { pos: ["phone", "shows"], door: ["scan", "shows"], kiosk: ["report", "code"] };

export function choosePhone(card, name) {
  whose = card;
  document.getElementById("phone-whose").textContent = name;
  draw();
}

export function showPhone(phone, card) {
  phones[card] = phone;
  if (card === whose) draw();
}

export function tickPhone(localS) {
  nowS = localS;
  if (phones[whose]) drawLife(phones[whose]);
}

export function showCode(kind) {
  shows = kind;
  for (const button of place.querySelectorAll("[data-code]")) button.setAttribute("aria-pressed", button.dataset.code === kind);
  const other = document.getElementById("other-code");
  if (!place.querySelector(`[data-code="${kind}"]`)) return;
  other.value = "";
  if (kind !== "picture") act({ do: "code", card: whose, shows: kind });
}

export function scan(device, amount) {
  if (!phones[whose]) return notice(words.phone_none);
  const [verb, field] = SCANS[device.dataset.role];
  const step = { do: verb, card: whose, reader: device.dataset.reader, [field]: shows };
  return act(verb === "phone" ? { ...step, amount } : step);
}

export function switchNet() {
  return act({ do: phones[whose].online ? "cut" : "plug", what: "phone", card: whose });
}

function draw() {
  const phone = phones[whose];
  place.hidden = !phone;
  if (!phone) return;
  const net = document.getElementById("phone-net");
  net.setAttribute("aria-pressed", phone.online);
  net.querySelector("b").textContent = phone.online ? words.online : words.offline;
  canvas.hidden = !phone.rows;
  drawCode(phone.rows ?? []);
  drawLife(phone);
}

function drawCode(rows) {
  const size = rows.length || 33, picture = new ImageData(size, size);
  rows.forEach((row, y) => [...row].forEach((dot, x) => {
    if (dot === "1") picture.data.set(DARK, (y * size + x) * 4);
  }));
  if (canvas.width !== size) canvas.width = canvas.height = size;
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function drawLife(phone) {
  const age = nowS - phone.made_s, left = phone.life_s - age;
  const text = !phone.rows ? words.code_none
    : phone.used ? words.code_used
    : left > 0 ? words.code_fresh.replace("{}", left) : words.code_old.replace("{}", -left);
  const name = phone.rows ? `${words[`code_${phone.kind}`]} · ${text}` : text;
  const life = document.getElementById("code-life");
  if (life.textContent !== name) life.textContent = name;
  canvas.setAttribute("aria-label", name);
  place.classList.toggle("spent", Boolean(phone.rows) && (phone.used || left <= 0));
  document.getElementById("code-left").value = phone.rows && !phone.used ? Math.max(left, 0) : 0;
}
