// A real board at a serial port: how its line is, and what it has told.
import { act, words } from "./ask.js";

const GOOD = ["up"], UNSURE = ["looking"];
const one = (root, of) => root.querySelector(`[data-of="${of}"]`);

function put(element, text, look) {
  if (element.textContent !== text) element.textContent = text;
  if (look !== undefined && element.className !== look) element.className = look;
}

export function showBoard(place, reader) {
  const { board } = reader;
  const look = GOOD.includes(board.state) ? "good" : UNSURE.includes(board.state) ? "blind" : "bad";
  const why = board.error ? ` · ${board.error}` : "";
  put(one(place, "board-state"), `${words.boards[board.state]} · ${board.url}${why}`, `stance ${look}`);
  put(one(place, "link"), reader.cable ? words.online : words.offline, `chip ${reader.cable ? "online" : "offline"}`);
  put(one(place, "waiting"), reader.waiting ? `${words.waiting} ${reader.waiting}` : "");
  const button = place.querySelector("[data-port]");
  button.setAttribute("aria-pressed", !board.is_cut);
  put(button, board.is_cut ? words.board_take : words.board_let_go);
  const items = board.lines.map(([seq, kind, fields]) => {
    const item = document.createElement("li"), what = document.createElement("b");
    what.textContent = `${seq} ${words.record_kinds[kind] ?? kind}`;
    item.append(what, ` ${fields}`);
    return item;
  });
  const list = one(place, "board-lines");
  list.replaceChildren(...items);
  if (!items.length) list.textContent = words.board_quiet;
}

export function switchPort(button) {
  const isHeld = button.getAttribute("aria-pressed") === "true";
  return act({ do: isHeld ? "cut" : "plug", what: "reader-network", reader: button.closest("[data-reader]").dataset.reader });
}
