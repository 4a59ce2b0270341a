// The cutting room: takes are asked for and picked here; what happens is told by the server as it happens.

import { applyFilter, countKinds, frames, player, shown, updateFrame, view } from "./page.js";

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const ask = one("#ask");

const CLOSED = "The cutting room is closed: run storyreel review again, and open the address that it prints.";

async function post(address, body) {
  const asked = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(address, asked).catch(() => {
    throw new Error(CLOSED);
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(typeof said.detail === "string" ? said.detail : "this cannot be asked");
  return said;
}

// Trouble is shown where the eyes are: a modal dialog hides what lies beneath it.
function tell(message) {
  const trouble = one("#trouble");
  const top = ask.open ? ask : view.open ? view : document.body;
  top.append(trouble);
  one("#trouble-text").textContent = message;
  trouble.hidden = !message;
}

const attempt = (work) => work().catch((error) => tell(error.message));

// Picking

document.addEventListener("take-shown", ({ detail: { frame, take } }) => {
  one("[data-pick]").disabled = !take || (take.number === frame.shown && frame.picked);
});

const pick = (frame, take) => attempt(() => post("picks", { key: frame.key, take }));

// Asking for more

let wish = null;

function askFor(numbers, { reword = false } = {}) {
  const asked = numbers.map((number) => frames.get(number));
  const [first] = asked;
  wish = { keys: asked.map((frame) => frame.key), quoted: null };
  one("#ask-title").textContent = asked.length > 1 ? `Re-roll ${asked.length} frames` : `Re-roll ${first.name}`;
  one("#ask-prompt-label").hidden = !reword;
  one("#ask-prompt").disabled = !reword;
  const take = first.takes.find((each) => each.number === (shown()?.take ?? first.shown));
  one("#ask-prompt").value = take?.prompt ?? first.prompt;
  one("#ask-count").value = 1;
  ask.showModal();
  if (reword) one("#ask-prompt").focus();
  // With the price in sight, Enter confirms it.
  quote().then(() => reword || one("#ask-confirm").focus());
}

function wished() {
  const prompt = one("#ask-prompt").disabled ? null : one("#ask-prompt").value;
  return { keys: wish.keys, count: Number(one("#ask-count").value), prompt };
}

async function quote() {
  const asked = wished();
  const current = wish;
  current.quoted = null;
  const confirm = one("#ask-confirm");
  confirm.disabled = true;
  if (asked.prompt?.trim() === "" || !one("#ask-count").checkValidity()) {
    one("#ask-price").textContent = "Say what to ask for, and for 1 to 9 takes.";
    return;
  }
  try {
    const price = await post("quotes", asked);
    // Somebody may have typed on meanwhile.
    if (current !== wish || JSON.stringify(asked) !== JSON.stringify(wished())) return;
    current.quoted = price.cost_usd;
    const what = price.images === 1 ? "1 take" : `${price.images} takes`;
    const free = price.simulated ? "\nSimulated: sketches are free." : `\nAt worst ${price.worst_case_usd} USD, with every re-send.`;
    one("#ask-price").textContent = `${what} for ${price.cost_usd} USD.${free}`;
    confirm.textContent = `Buy ${what} for ${price.cost_usd} USD`;
    confirm.disabled = false;
  } catch (error) {
    one("#ask-price").textContent = error.message;
  }
}

function confirmed() {
  const asked = wished();
  const price = wish.quoted;
  if (price === null) return;
  attempt(() => post("rerolls", { ...asked, confirmed_usd: price }));
  unmark();
}

// Marked frames

const marked = () => all("[data-mark]:checked").map((box) => Number(box.dataset.mark));

function countMarked() {
  const count = marked().length;
  one(".marked").hidden = !count;
  one("#marked-count").textContent = `${count} marked`;
}

function unmark() {
  for (const box of all("[data-mark]:checked")) box.checked = false;
  countMarked();
}

// What the server tells

function showWorks({ stage, to_generate, bought, failed, cost_usd, segments, segments_done }) {
  const works = one("#works");
  works.hidden = !stage;
  if (!stage) return;
  (view.open ? one("#view .side") : document.body).append(works);
  const buying = to_generate > 0 && bought + failed < to_generate;
  one("#works-bar").value = buying ? (bought + failed) / to_generate : segments ? segments_done / segments : 0;
  const takes = to_generate ? ` · ${bought} of ${to_generate} takes · ${cost_usd} USD` : "";
  one("#works-text").textContent = `${stage}${takes}${failed ? ` · ${failed} failed` : ""}`;
}

async function refresh(numbers) {
  const answer = await fetch(`frames?numbers=${numbers.join(",")}`);
  if (!answer.ok) return;
  const { head, frames: changed } = await answer.json();
  const kept = new Set(marked());
  for (const { data, card } of changed) updateFrame(data, card);
  for (const box of all("[data-mark]")) box.checked = kept.has(Number(box.dataset.mark));
  const account = new DOMParser().parseFromString(head.head, "text/html").body;
  one("#account").replaceChildren(...account.childNodes);
  countKinds();
  applyFilter();
  showFilm(head.film);
}

// The film that has been cut anew goes on where the old one was.
function showFilm(film) {
  const old = player();
  if (!film || (old && old.getAttribute("src") === film.url)) return;
  if (!old) {
    location.reload();
    return;
  }
  const { currentTime, paused } = old;
  old.addEventListener("loadedmetadata", () => {
    old.currentTime = Math.min(currentTime, old.duration || 0);
    if (!paused) old.play().catch(() => undefined);
  }, { once: true });
  old.src = film.url;
}

const events = new EventSource("events");
const data = (event) => JSON.parse(event.data);
events.addEventListener("progress", (event) => showWorks(data(event)));
events.addEventListener("changed", (event) => attempt(() => refresh(data(event).numbers)));
events.addEventListener("reloaded", () => location.reload());
events.addEventListener("trouble", (event) => tell(data(event).message));
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) tell(CLOSED);
});
// What happened while the connection was lost is not told again.
events.addEventListener("open", () => attempt(() => refresh([])));

// Keys and clicks

const typing = (target) => target.closest("input:not([type=checkbox]), textarea");
const here = (target) => shown()?.frame ?? frames.get(Number(target.closest(".card")?.dataset.number));

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || ask.open) return;
  const frame = here(event.target);
  const key = event.key.toLowerCase();
  if (key === "r" && (frame || marked().length)) askFor(frame && !marked().length ? [frame.number] : marked());
  else if (key === "p" && frame) askFor([frame.number], { reword: true });
  else if (key === "x" && frame && !view.open) one(`#f${frame.number} [data-mark]`)?.click();
  else if (key === "enter" && view.open && !event.target.closest("button, summary")) pick(frame, shown().take);
  else return;
  event.preventDefault();
}

function onClick(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const { frame, take } = shown() ?? {};
  if ("pick" in button.dataset) pick(frame, take);
  else if ("reroll" in button.dataset) askFor([frame.number]);
  else if ("reword" in button.dataset) askFor([frame.number], { reword: true });
  else if ("rerollMarked" in button.dataset) askFor(marked());
  else if ("unmark" in button.dataset) unmark();
  else if ("cancel" in button.dataset) ask.close();
  else if ("dismiss" in button.dataset) tell("");
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("change", (event) => event.target.matches("[data-mark]") && countMarked());
document.addEventListener("take-chosen", (event) => pick(event.detail.frame, event.detail.number));
ask.addEventListener("close", () => ask.returnValue === "confirm" && confirmed());
for (const field of ["#ask-count", "#ask-prompt"]) one(field).addEventListener("input", quote);
one("#ask-prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) one("#ask-confirm").click();
});
countMarked();
