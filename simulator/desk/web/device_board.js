// A real board in large: its line, and everything that it has told, link by link.
import { notice, time, words } from "./ask.js";
import { showBoard, switchPort } from "./board.js";
import { journal } from "./device_show.js";

const place = document.getElementById("device");
const pause = document.getElementById("pause");

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-port]")) switchPort(event.target.closest("[data-port]"));
  if (event.target.closest("#pause")) time({ paused: pause.getAttribute("aria-pressed") !== "true" });
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.getElementById("back").click();
});

const SHOW = {
  time(told) {
    if (String(told.play) !== document.body.dataset.play) return location.assign(document.getElementById("back").href);
    const iso = new Date(told.local_s * 1000).toISOString();
    document.getElementById("clock").textContent = iso.slice(11, 19);
    document.getElementById("date").textContent = iso.slice(0, 10);
    pause.setAttribute("aria-pressed", told.paused);
    pause.textContent = told.paused ? words.go_on : words.pause;
    if (told.fault) notice(`${words.stopped}: ${told.fault.split("\n")[0]}`, "bad");
  },
  reader(told) {
    showBoard(place, told);
    document.body.dataset.ready = 1;
  },
  journal,
};

const events = new EventSource(`events?view=${encodeURIComponent(`device:${place.dataset.reader}`)}`);
let isDown = false;
events.onmessage = (event) => {
  if (isDown) notice("");
  isDown = false;
  for (const [key, value] of Object.entries(JSON.parse(event.data))) SHOW[key.split(":")[0]]?.(value);
};
events.onerror = () => {
  isDown = true;
  notice(words.lost_link, "bad");
};
