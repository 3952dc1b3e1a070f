// Puts what the desk tells on the page: one function for each kind of part.
import { notice, words } from "./ask.js";
import { showBoard } from "./board.js";
import { drawLcd } from "./lcd.js";
import { showCentre, showLinks, showTyped } from "./links.js";
import { showPhone, tickPhone } from "./phone.js";
import { beep } from "./sound.js";

const LONG_MS = 300;
export const seen = {}; // the newest of every part, by its key
const yuan = (fen) => fen === null ? "—" : `${fen < 0 ? "−" : ""}¥${(Math.abs(fen) / 100).toFixed(2)}`;
const one = (root, of) => root.querySelector(`[data-of="${of}"]`);
const byData = (kind, id) => document.querySelector(`[data-${kind}="${CSS.escape(id)}"]`);

function put(place, text, look) {
  if (place.textContent !== text) place.textContent = text;
  if (look !== undefined && place.className !== look) place.className = look;
}

const SHOW = {
  time(now) {
    if (String(now.play) !== document.body.dataset.play) return location.reload();
    const iso = new Date(now.local_s * 1000).toISOString();
    put(document.getElementById("clock"), iso.slice(11, 19));
    put(document.getElementById("date"), iso.slice(0, 10));
    tickPhone(now.local_s);
    const pause = document.getElementById("pause");
    pause.setAttribute("aria-pressed", now.paused);
    put(pause, now.paused ? words.go_on : words.pause);
    for (const button of document.querySelectorAll("[data-speed]")) {
      button.setAttribute("aria-pressed", !now.paused && Number(button.dataset.speed) === now.speed);
    }
    const left = now.jump_left_s;
    const isSlow = !now.paused && now.speed > 1 && now.real_speed < now.speed * 0.8;
    const pace = left ? `${words.jumping} ${Math.floor(left / 3600)} h ${Math.floor(left / 60) % 60} min`
      : isSlow ? `${words.actual} ×${now.real_speed}` : "";
    put(document.getElementById("pace"), pace);
    document.body.dataset.jumping = left ? 1 : 0;
    if (now.fault) notice(`${words.stopped}: ${now.fault}`, "bad");
    if (now.report) showVerdict(now.report);
  },
  sites(sites) {
    for (const [id, site] of Object.entries(sites)) {
      const place = byData("site", id);
      if (!place) continue;
      for (const [key, what] of [["network", "reader-network"], ["mains", "mains"], ["upstream", "upstream"]]) {
        const button = place.querySelector(`[data-plug="${what}"]`);
        button.setAttribute("aria-pressed", site[key]);
        const off = key === "mains" ? words.mains_off : words.pulled;
        put(button.querySelector("b"), site[key] ? words.plugged : off);
      }
      showLinks(place, site);
    }
  },
  reader(reader, name, before) {
    const place = byData("reader", name);
    if (reader.board) return showBoard(place, reader);
    for (const led of ["green", "red"]) one(place, led).classList.toggle("on", reader[led]);
    const link = !reader.on ? "off" : reader.cable ? "online" : "offline";
    put(one(place, "link"), words[link], `chip ${link}`);
    place.classList.toggle("held", reader.holds_card);
    put(one(place, "battery"), `${words.battery} ${reader.battery}%`, reader.battery < 20 ? "meter low" : "meter");
    put(one(place, "waiting"), reader.waiting ? `${words.waiting} ${reader.waiting}` : "");
    const power = place.querySelector("[data-power]");
    put(power, reader.on ? words.kill : words.revive);
    power.dataset.do = reader.on ? "kill" : "revive";
    const canvas = place.querySelector(".lcd");
    if (canvas) drawLcd(canvas, reader);
    place.querySelectorAll(".pole span").forEach((line, at) => put(line, reader.on ? reader.pole[at] : ""));
    if (reader.door) showDoor(place, reader.door);
    if (reader.typed) showTyped(place, reader.typed);
    showBeeps(place, reader.beeps, before ? before.beeps : null);
  },
  centre: showCentre,
  phone: showPhone,
  card(card, name) {
    const place = byData("card", name);
    put(one(place, "fen"), yuan(card.fen));
    const isBad = card.state !== "active";
    const state = card.away ? words.card_away : words.states[card.state] ?? card.state;
    put(one(place, "state"), state, isBad ? "state bad" : "state");
    place.classList.toggle("busy", card.busy);
  },
  money(money) {
    for (const place of document.querySelectorAll("[data-fen]")) put(place, yuan(money[place.dataset.fen]));
    const isEven = money.debits_fen === money.credits_fen;
    hold("balanced", isEven, yuan(money.credits_fen));
    hold("duplicates", money.duplicated === 0, String(money.duplicated));
    hold("lost", money.lost === 0, String(money.lost));
    hold("constant", money.conserved, "");
    const rows = Object.entries(money.kinds).map(([kind, fen]) => row(words.accounts[kind] ?? kind, fen));
    document.getElementById("accounts").replaceChildren(...rows);
    if (money.violations.length) notice(money.violations.join("; "), "bad");
  },
  told(lines) {
    document.getElementById("told").replaceChildren(...lines.map(([, text]) => {
      const item = document.createElement("li"), at = document.createElement("time");
      at.textContent = text.slice(0, 8);
      item.append(at, text.slice(8).trim());
      return item;
    }).reverse());
  },
  steps(steps) {
    const list = document.getElementById("steps");
    if (!list) return;
    const next = steps.find((step) => !step.done);
    list.replaceChildren(...steps.map((step) => stepItem(step, step === next)));
    list.querySelector(".next")?.scrollIntoView({ block: "nearest" });
  },
};

function row(label, fen) {
  const line = document.createElement("div"), what = document.createElement("dt"), much = document.createElement("dd");
  what.textContent = label;
  much.textContent = `${fen < 0 ? words.debit_mark : words.credit_mark} ${yuan(Math.abs(fen))}`;
  line.append(what, much);
  return line;
}

function hold(name, isGood, text) {
  const place = byData("holds", name);
  place.className = isGood ? "good" : "bad";
  put(place.querySelector("span"), text);
}

function stepItem(step, isNext) {
  const item = document.createElement("li"), small = document.createElement("small");
  item.className = `${step.done ? "done" : ""} ${step.fine ? "" : "unlike"} ${isNext ? "next" : ""}`;
  const at = new Date(step.at_s * 1000).toISOString().slice(11, 19);
  const both = [step.expected && `${words.step_expected}: ${step.expected}`,
    step.done && step.happened.length && `${words.step_happened}: ${step.happened.join(" · ")}`];
  small.textContent = both.filter(Boolean).join(" | ");
  item.append(`${at} ${step.do} ${step.what}`, small);
  return item;
}

function showDoor(place, door) {
  put(one(place, "held"), door.held ? words.bolt_held : words.bolt_free, door.held ? "" : "free");
  put(one(place, "open"), door.open ? words.leaf_open : words.leaf_shut, door.open ? "free" : "");
  one(place, "picture").className = `picture ${door.held ? "" : "free"} ${door.open ? "open" : ""}`;
  const fire = place.querySelector('[data-do="fire"]');
  if (fire) fire.setAttribute("aria-pressed", door.fire);
  const handheld = place.querySelector("[data-handheld]");
  if (handheld) handheld.setAttribute("aria-pressed", door.handheld);
}

function showBeeps(place, beeps, before) {
  const last = beeps.at(-1);
  if (!last || !before || String(before.at(-1)) === String(last)) return;
  const isFresh = ([atUs]) => !before.some(([knownUs]) => knownUs === atUs);
  const fresh = beeps.filter(isFresh);
  fresh.forEach(([, ms], at) => setTimeout(() => beep(ms), at * 160));
  const said = last[1] >= LONG_MS ? words.beep_long : `${words.beep}×${fresh.length}`;
  put(one(place, "beep"), said);
  clearTimeout(place.quiet);
  place.quiet = setTimeout(() => put(one(place, "beep"), ""), 2500);
}

function showVerdict(report) {
  const isGood = !report.failures.length;
  const head = isGood ? words.verdict_good : words.verdict_bad;
  notice([head, ...report.failures].join("; "), isGood ? "good" : "bad");
}

export function show(parts) {
  for (const [key, value] of Object.entries(parts)) {
    const [kind, name] = key.split(/:(.*)/);
    SHOW[kind]?.(value, name, seen[key]);
    seen[key] = value;
  }
}
