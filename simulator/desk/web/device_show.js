// The depths of a device: posture and why, the journal with its chain, flash, heap and console.
import { words } from "./ask.js";

const place = document.getElementById("device");
const one = (of) => place.querySelector(`[data-of="${of}"]`);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

function put(element, text, look) {
  if (element.textContent !== text) element.textContent = text;
  if (look !== undefined && element.className !== look) element.className = look;
}

function row(cells, look, tag = "td") {
  const line = document.createElement("tr");
  line.className = look;
  for (const text of cells) line.append(Object.assign(document.createElement(tag), { textContent: text }));
  return line;
}

export function posture(told) {
  if (!told) return put(one("posture"), words.no_posture, "none");
  put(one("posture"), words.postures[told.posture], `stance ${told.posture}`);
  put(one("that-is"), words.meanings[told.posture] ?? told.that_is);
  const table = place.querySelector(".table-of-postures"), columns = Object.keys(words.conditions);
  table.tHead.replaceChildren(row(columns.map((key) => words.conditions[key]), "", "th"));
  const word = (text, at) => at === columns.length - 1 ? words.postures[text]
    : text === "*" ? "·" : words.condition_words[text];
  const lines = told.rows.map((line, at) => row(line.map(word), at === told.fits ? "fits" : ""));
  const asked = Object.values(told.conditions).map((text) => words.condition_words[text]);
  const above = row([...asked, "→"], "asked");
  table.tBodies[0].replaceChildren(above, ...lines);
  table.querySelector(".fits").setAttribute("aria-current", "true");
}

export function journal(told) {
  const isGood = !told.broken && !told.trouble;
  put(one("chain"), isGood ? words.chain_ok : words.chain_broken, isGood ? "stance good" : "stance bad");
  const torn = told.torn.length ? ` · ${words.torn} ${told.torn.length}` : "";
  put(one("journal-sum"), `${told.records} ${words.records} ${told.first}–${told.last} · ${words.booked_to} ${told.booked}`
    + ` · ${words.receipted} ${told.receipted}${torn}${told.trouble ? ` · ${told.trouble}` : ""}`);
  const mark = (found) => found === "ok" ? "✓" : found === "BROKEN" ? "✗" : found;
  const lines = told.lines.map((line) => row(
    [line.seq, words.record_kinds[line.kind] ?? line.kind, line.time, mark(line.chain), mark(line.seal), line.booked ? "✓" : "…", line.fields],
    line.chain === "BROKEN" || line.seal === "BROKEN" ? "broken" : line.booked ? "" : "waiting"));
  place.querySelector("#records tbody").replaceChildren(...lines);
}

export function flash(told) {
  sectors("flash", words.journal_flash, told.journal);
  sectors("cards", words.card_flash, told.cards);
}

function sectors(of, name, found) {
  const counts = {};
  for (const [state] of found) counts[state] = (counts[state] ?? 0) + 1;
  const named = (state) => words[state === "waiting" ? "waiting_sector" : state];
  const sum = Object.entries(counts).map(([state, count]) => `${named(state)} ${count}`).join(" · ");
  put(one(`${of}-sum`), `${name}: ${found.length} ${words.sectors}`);
  one(of).setAttribute("aria-label", `${name}: ${found.length} ${words.sectors}, ${sum}`);
  one(of).replaceChildren(...found.map(([state, percent, erases], at) => {
    const cell = document.createElement("i"), fill = document.createElement("b");
    cell.className = state;
    cell.title = `${at}: ${named(state)} ${percent}% · ${words.erases} ${erases}`;
    fill.style.height = `${percent}%`;
    cell.append(fill);
    return cell;
  }));
}

export function inside(told) {
  const heap = told.heap, [live, used] = one("heap").children;
  const isVm = told.home === "vm", share = (bytes) => `${heap ? (bytes ?? 0) * 100 / heap.heap : 0}%`;
  put(one("heap-sum"), !heap || !heap.live ? words.heap_none
    : `${kib(heap.heap)} · ${words.heap_live} ${kib(heap.live)} · ${words.heap_free} ${kib(heap.free)} · ${words.heap_peak} ${kib(heap.used_peak)}`);
  one("heap").classList.toggle("none", !isVm);
  live.style.width = share(heap?.live);
  used.style.width = share((heap?.used_peak ?? 0) - (heap?.live ?? 0));
  put(one("stored"), `${words.stored}: ${told.stored.map(([key, bytes]) => `${key} ${bytes} B`).join(" · ")}`);
  put(one("calls"), isVm ? `${told.calls} ${words.calls}` : "");
  const console = place.querySelector("#console");
  put(console, isVm || told.console ? told.console || words.console_quiet : words.console_none,
    told.console ? "" : "silent");
}
