// The wall: one glyph per device, changed where something has changed, summed up once a frame.
import { notice, words } from "./ask.js";

const LOOKS = ["fine", "limited", "stopped", "dark", "unseen"];
const places = new Map([...document.querySelectorAll("a.glyph")].map((place) => [place.dataset.name, place]));
const sites = [...document.querySelectorAll("#wall section")];
const told = new Map();
let isDue = false;

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showGlyph(name, glyph) {
  const place = places.get(name);
  if (!place) return;
  const [look, posture, isOnline, waiting] = glyph;
  told.set(name, glyph);
  place.classList.remove(...LOOKS);
  place.classList.add(look);
  place.classList.toggle("offline", !isOnline && look !== "dark");
  place.classList.toggle("has-waiting", waiting > 0);
  const link = look === "dark" ? "" : ` · ${isOnline ? words.online : words.offline}`;
  const more = waiting ? ` · ${words.waiting} ${waiting}` : "";
  place.setAttribute("aria-label", `${place.title}: ${words.postures[posture] ?? posture}${link}${more}`);
  const says = place.querySelector("span");
  if (says) put(says, `${words.postures[posture] ?? posture}${more}`);
  if (!isDue) requestAnimationFrame(sum);
  isDue = true;
}

function sum() {
  isDue = false;
  const counts = Object.fromEntries(LOOKS.map((look) => [look, 0]));
  let online = 0, waiting = 0;
  for (const [look, , isOnline, count] of told.values()) {
    counts[look] += 1;
    online += isOnline;
    waiting += count;
  }
  for (const place of document.querySelectorAll("[data-sum]")) put(place, String(counts[place.dataset.sum]));
  put(document.getElementById("online"), `${online} / ${places.size}`);
  put(document.getElementById("waiting"), String(waiting));
  for (const site of sites) {
    const all = [...site.querySelectorAll(".glyph")];
    put(site.querySelector("[data-told]"), `${all.filter((place) => told.get(place.dataset.name)?.[2]).length} ${words.all_online}`);
  }
  if (told.size === places.size) document.body.dataset.ready = 1;
}

function showTime(now) {
  if (String(now.play) !== document.body.dataset.play) return location.reload();
  const iso = new Date(now.local_s * 1000).toISOString();
  put(document.getElementById("clock"), iso.slice(11, 19));
  put(document.getElementById("date"), iso.slice(0, 10));
  if (now.fault) notice(`${words.stopped}: ${now.fault.split("\n")[0]}`, "bad");
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.getElementById("back").click();
});

const events = new EventSource("events?view=wall");
let isDown = false;
events.onmessage = (event) => {
  if (isDown) notice("");
  isDown = false;
  for (const [key, value] of Object.entries(JSON.parse(event.data))) {
    if (key === "time") showTime(value);
    else if (key.startsWith("wall:")) showGlyph(key.slice(5), value);
  }
};
events.onerror = () => {
  isDown = true;
  notice(words.lost_link, "bad");
};
