// The review page: takes are re-rolled and picked here, and the server's events keep the page up to date.

import { applyFilter, countKinds, frames, player, updateFrame, view, viewed } from "./page.js";

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const dialog = one("#reroll");

const CLOSED = "The cutting room is closed: run storyreel review again, and open the address that it prints.";

async function post(address, body) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(address, request).catch(() => {
    throw new Error(CLOSED);
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : "the server refused the request");
  return answer;
}

// A modal dialog hides everything outside it, so the message moves into the one that is open.
function showFailure(message) {
  const failure = one("#failure");
  const top = dialog.open ? dialog : view.open ? view : document.body;
  top.append(failure);
  one("#failure-text").textContent = message;
  failure.hidden = !message;
}

const orShowFailure = (work) => work().catch((error) => showFailure(error.message));

// Picking

document.addEventListener("take-shown", ({ detail: { frame, take } }) => {
  one("[data-pick]").disabled = !take || (take.number === frame.selected && frame.picked);
});

const pick = (frame, take) => orShowFailure(() => post("picks", { key: frame.key, take }));

// Re-rolling: the dialog quotes the price, and the price that was confirmed is sent along.

let reroll = null;

function openReroll(numbers, { reword = false } = {}) {
  const chosen = numbers.map((number) => frames.get(number));
  const [first] = chosen;
  reroll = { keys: chosen.map((frame) => frame.key), quoted_usd: null };
  one("#reroll-title").textContent = chosen.length > 1 ? `Re-roll ${chosen.length} frames` : `Re-roll ${first.name}`;
  one("#reroll-prompt-label").hidden = !reword;
  one("#reroll-prompt").disabled = !reword;
  const take = first.takes.find((each) => each.number === (viewed()?.take ?? first.selected));
  one("#reroll-prompt").value = take?.prompt ?? first.prompt;
  one("#reroll-count").value = 1;
  // Some browsers keep the value of the last confirmation, also when the dialog is then left by Escape.
  dialog.returnValue = "";
  dialog.showModal();
  if (reword) one("#reroll-prompt").focus();
  // Once the price is shown, Enter confirms it.
  quote().then(() => reword || one("#reroll-confirm").focus());
}

function rerollRequest() {
  const prompt = one("#reroll-prompt").disabled ? null : one("#reroll-prompt").value;
  return { keys: reroll.keys, count: Number(one("#reroll-count").value), prompt };
}

async function quote() {
  const request = rerollRequest();
  const current = reroll;
  current.quoted_usd = null;
  const confirm = one("#reroll-confirm");
  confirm.disabled = true;
  if (request.prompt?.trim() === "" || !one("#reroll-count").checkValidity()) {
    one("#reroll-price").textContent = "Write a prompt, and choose 1 to 9 takes.";
    return;
  }
  try {
    const price = await post("quotes", request);
    // The request may have been edited, or another begun, while the quote was on its way.
    if (current !== reroll || JSON.stringify(request) !== JSON.stringify(rerollRequest())) return;
    current.quoted_usd = price.cost_usd;
    const takes = price.images === 1 ? "1 take" : `${price.images} takes`;
    const note = price.simulated ? "Simulated: sketches are free." : `At worst ${price.worst_case_usd} USD, with every re-send.`;
    one("#reroll-price").textContent = `${takes} for ${price.cost_usd} USD.\n${note}`;
    confirm.textContent = `Generate ${takes} for ${price.cost_usd} USD`;
    confirm.disabled = false;
  } catch (error) {
    one("#reroll-price").textContent = error.message;
  }
}

function confirmReroll() {
  const request = rerollRequest();
  const price = reroll.quoted_usd;
  if (price === null) return;
  orShowFailure(() => post("rerolls", { ...request, confirmed_usd: price }));
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

// Events from the server

// The names are those of the run's counters.
function showProgress(counters) {
  const { stage, to_generate, generated, failed, cost_usd, uncertain_usd, segments, segments_done } = counters;
  const progress = one("#progress");
  progress.hidden = !stage;
  if (!stage) return;
  (view.open ? one("#view .side") : document.body).append(progress);
  const generating = generated + failed < to_generate;
  const encoded = segments ? segments_done / segments : 0;
  one("#progress-bar").value = generating ? (generated + failed) / to_generate : encoded;
  const uncertain = Number(uncertain_usd) ? ` and at most ${uncertain_usd} uncertain` : "";
  const takes = to_generate ? ` · ${generated} of ${to_generate} takes · ${cost_usd} USD${uncertain}` : "";
  one("#progress-text").textContent = `${stage}${takes}${failed ? ` · ${failed} failed` : ""}`;
}

function replaceChildren(parent, html) {
  parent.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}

// What stands above the frames. The notes are left alone where they are the same: they may be folded up.
let notes = null;

function showHeader(header) {
  replaceChildren(one("#summary"), header.summary);
  if (header.notes !== notes) replaceChildren(one("#notes"), header.notes);
  notes = header.notes;
  showFilm(header.film);
}

async function refresh(numbers) {
  const response = await fetch(`frames?numbers=${numbers.join(",")}`);
  if (!response.ok) return;
  const { header, frames: changed } = await response.json();
  // New cards come unmarked.
  const kept = new Set(marked());
  for (const { frame, card } of changed) updateFrame(frame, card);
  for (const box of all("[data-mark]")) box.checked = kept.has(Number(box.dataset.mark));
  countKinds();
  applyFilter();
  showHeader(header);
}

// A film that was cut again goes on where the one before it was.
function showFilm(film) {
  const video = player();
  if (!film || (video && video.getAttribute("src") === film.url)) return;
  if (!video) {
    location.reload();
    return;
  }
  const { currentTime, paused } = video;
  const resume = () => {
    video.currentTime = Math.min(currentTime, video.duration || 0);
    if (!paused) video.play().catch(() => undefined);
  };
  video.addEventListener("loadedmetadata", resume, { once: true });
  video.src = film.url;
}

// Whatever has changed since this page was made comes first, and again after a lost connection.
const events = new EventSource(`events?version=${one("meta[name=version]").content}`);
const data = (event) => JSON.parse(event.data);
events.addEventListener("progress", (event) => showProgress(data(event)));
events.addEventListener("changed", (event) => orShowFailure(() => refresh(data(event).numbers)));
events.addEventListener("reloaded", () => location.reload());
events.addEventListener("failure", (event) => showFailure(data(event).message));
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) showFailure(CLOSED);
});

// Keys and clicks

const typing = (target) => target.closest("input:not([type=checkbox]), textarea");
const frameAt = (target) => viewed()?.frame ?? frames.get(Number(target.closest(".card")?.dataset.number));

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || dialog.open) return;
  const frame = frameAt(event.target);
  const key = event.key.toLowerCase();
  if (key === "r" && (frame || marked().length)) openReroll(frame && !marked().length ? [frame.number] : marked());
  else if (key === "p" && frame) openReroll([frame.number], { reword: true });
  else if (key === "x" && frame && !view.open) one(`#f${frame.number} [data-mark]`)?.click();
  else if (key === "enter" && view.open && !event.target.closest("button, summary")) pick(frame, viewed().take);
  else return;
  event.preventDefault();
}

function onClick(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const { frame, take } = viewed() ?? {};
  if ("pick" in button.dataset) pick(frame, take);
  else if ("reroll" in button.dataset) openReroll([frame.number]);
  else if ("reword" in button.dataset) openReroll([frame.number], { reword: true });
  else if ("rerollMarked" in button.dataset) openReroll(marked());
  else if ("unmark" in button.dataset) unmark();
  else if ("cancel" in button.dataset) dialog.close();
  else if ("dismiss" in button.dataset) showFailure("");
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("change", (event) => event.target.matches("[data-mark]") && countMarked());
document.addEventListener("take-chosen", (event) => pick(event.detail.frame, event.detail.number));
dialog.addEventListener("close", () => dialog.returnValue === "confirm" && confirmReroll());
for (const field of ["#reroll-count", "#reroll-prompt"]) one(field).addEventListener("input", quote);
one("#reroll-prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) one("#reroll-confirm").click();
});
countMarked();
