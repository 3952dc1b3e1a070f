// What the page asks of the desk: a step of a scenario, a wish about time, another scenario.
const token = document.querySelector('meta[name="desk-token"]').content;
export const words = JSON.parse(document.body.dataset.words);

async function post(path, body) {
  // What is told while the answer is on its way, as that the play has ended, stays.
  const stood = document.getElementById("notice").textContent;
  const headers = { "Content-Type": "application/json", "X-Desk-Token": token };
  try {
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json();
    if (said.refused) notice(`${words.refused}: ${said.refused}`, "bad");
    else if (document.getElementById("notice").textContent === stood) notice("");
    return !said.refused;
  } catch {
    notice(words.lost_link, "bad");
    return false;
  }
}

export const act = (step) => post("act", step);
export const time = (wish) => post("time", wish);
export const load = (wish) => post("load", wish);
export const move = (wish) => post("home", wish);
export const finish = () => post("finish", {});

export function notice(text, look = "") {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.className = `notice ${look}`;
  place.hidden = !text;
}

// What is to be said of the pace: a jump, or that this machine does not keep up.
export function paceOf(now) {
  const left = now.jump_left_s;
  if (left) return `${words.jumping} ${Math.floor(left / 3600)} h ${Math.floor(left / 60) % 60} min`;
  const isSlow = !now.paused && now.real_speed < now.speed * 0.9 && now.lag_s >= 1;
  const behind = now.lag_s >= 1 ? `${words.behind} ${now.lag_s} s` : "";
  return isSlow ? `${words.actual} ×${now.real_speed} · ${behind}` : behind;
}
