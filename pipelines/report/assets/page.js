// The page: filters, the film and its chapters, the big view. The review page's script imports what is exported here.

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

export const frames = new Map(JSON.parse(one("#data").textContent).map((frame) => [frame.number, frame]));
// The index of a long report has no frames, and neither view nor search.
export const view = one("#view");

// The numbers of the frame and of the take that the big view shows; null while it is closed.
let currentFrame = null;
let currentTake = null;
export const viewed = () => (currentFrame === null ? null : { frame: frames.get(currentFrame), take: currentTake });

export function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

// Filters

const filter = { kind: "", words: "" };

function matches(frame, card) {
  if (filter.kind && !card.dataset.kinds.split(" ").includes(filter.kind)) return false;
  if (!filter.words) return true;
  const text = [frame.number, frame.name, frame.label, frame.prompt, frame.caption, frame.narration?.text, ...frame.takes.map((take) => take.prompt)];
  return text.join(" ").toLowerCase().includes(filter.words);
}

export function applyFilter() {
  let visible = 0;
  for (const scene of all(".scene")) {
    let visibleInScene = 0;
    for (const card of scene.querySelectorAll(".card")) {
      card.hidden = !matches(frames.get(Number(card.dataset.number)), card);
      visibleInScene += card.hidden ? 0 : 1;
    }
    scene.hidden = !visibleInScene;
    visible += visibleInScene;
  }
  one("#nothing").hidden = visible > 0;
}

function chooseFilter(kind, words) {
  filter.kind = kind;
  filter.words = words.trim().toLowerCase();
  for (const button of all("[data-filter]")) button.ariaPressed = String(button.dataset.filter === kind);
  // In the address, so that a filtered page can be reloaded and sent.
  const state = new URLSearchParams();
  if (kind) state.set("show", kind);
  if (words.trim()) state.set("find", words.trim());
  history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
  applyFilter();
}

export function countKinds() {
  for (const button of all("[data-filter]")) {
    const kind = button.dataset.filter;
    const cards = kind ? all(`.card[data-kinds~="${kind}"]`) : all(".card");
    button.querySelector("span").textContent = cards.length;
  }
}

// The film

export const player = () => one("video#player");

function playFrom(seconds) {
  const film = player();
  if (!film) return false;
  closeView();
  one("#film").scrollIntoView({ block: "start" });
  film.currentTime = seconds;
  film.play().catch(() => undefined);
  film.focus({ preventScroll: true });
  return true;
}

function markChapter() {
  const buttons = all("[data-seek]");
  // A player that jumps may stop a little before the chapter's start.
  const started = buttons.filter((button) => Number(button.dataset.seek) <= player().currentTime + 0.01);
  for (const button of buttons) {
    if (button === started.at(-1)) button.ariaCurrent = "true";
    else button.removeAttribute("aria-current");
  }
}

function watchFilm() {
  const film = player();
  film?.addEventListener("timeupdate", markChapter);
  one("#player")?.addEventListener("error", () => (one("#no-film").hidden = false));
}

// The big view

const visibleCards = () => all(".card:not([hidden])");

function openFrame(number) {
  currentFrame = number;
  currentTake = frames.get(number).selected;
  drawView();
  if (!view.open) view.showModal();
}

function closeView() {
  if (view?.open) view.close();
}

// Narration: the voice of the frame that the big view shows, and its words. Those know when they are spoken.

const voice = one("#voice");
let words = [];
let currentWord = -1;

// What is spoken over a frame began with it, or with one before it; that one may be on another page of the report.
function narrationOf(frame) {
  const first = frame.narration ? frame : frames.get(frame.narrated_from);
  return first?.narration ? { ...first.narration, first } : null;
}

function drawNarration(frame) {
  const narration = narrationOf(frame);
  one("#view-narration").hidden = !narration;
  const key = narration ? `${frame.number} ${narration.sound}` : "";
  if (voice.dataset.key === key) return;
  voice.dataset.key = key;
  voice.pause();
  words = narration?.words ?? [];
  currentWord = -1;
  if (!narration) return;
  one("#no-voice").hidden = true;
  voice.src = narration.sound;
  // Where the voice is by the time that this frame is shown.
  voice.currentTime = Math.max(0, frame.start_s - narration.first.start_s);
  drawWords(narration);
  one("#view-spoken").textContent = spokenWords(frame, narration);
  one("#view-short").textContent = narration.short ?? "";
  one("#view-short").hidden = !narration.short;
}

function drawWords(narration) {
  const parts = words.flatMap(([before, text, start], index) => {
    const word = element("span", { textContent: text, title: `${start.toFixed(2)} s` });
    word.dataset.word = index;
    return [before, word];
  });
  one("#view-words").replaceChildren(...parts);
  // What stands after the last word.
  one("#view-words").append(narration.text.slice(one("#view-words").textContent.length));
  markWord();
}

function spokenWords(frame, narration) {
  const seconds = `${narration.length_s.toFixed(1)} s`;
  const over = narration.frames > 1 ? `, over ${narration.frames} frames` : "";
  const since = narration.first === frame ? "" : `, since frame ${narration.first.number}`;
  return `${narration.voice}, ${words.length === 1 ? "1 word" : `${words.length} words`} in ${seconds}${over}${since}`;
}

// Marks the word that was begun last.
function markWord() {
  const begun = words.findLastIndex(([, , start]) => start <= voice.currentTime + 0.001);
  if (begun === currentWord) return;
  currentWord = begun;
  for (const marked of all("#view-words [aria-current]")) marked.removeAttribute("aria-current");
  const word = one(`#view-words [data-word="${begun}"]`);
  if (word) word.ariaCurrent = "true";
  const [, text, start, end] = words[begun] ?? [];
  one("#view-word").textContent = text ? `${text} · ${start.toFixed(2)} to ${end.toFixed(2)} s` : "";
}

// Four times a second, as a player tells its time by itself, is less often than words change.
function followVoice() {
  markWord();
  if (!voice.paused) requestAnimationFrame(followVoice);
}

function goToWord(index) {
  const word = words[Math.max(0, Math.min(words.length - 1, index))];
  if (!word) return;
  voice.currentTime = word[2];
  markWord();
}

const playVoice = () => voice.play().catch(() => undefined);

function hear(number) {
  const frame = frames.get(number);
  if (!frame || !narrationOf(frame)) return false;
  const shown = currentFrame === number;
  if (!shown) openFrame(number);
  if (shown && !voice.paused) voice.pause();
  else playVoice();
  return true;
}

const wordKeys = {
  ArrowLeft: (forwards) => goToWord(currentWord - forwards),
  ArrowRight: (forwards) => goToWord(currentWord + forwards),
  Home: () => goToWord(0),
  End: () => goToWord(words.length - 1),
  Enter: () => (voice.paused ? playVoice() : voice.pause()),
};

function onWordKey(event) {
  const act = wordKeys[event.key === " " ? "Enter" : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  act(getComputedStyle(event.currentTarget).direction === "rtl" ? -1 : 1);
  event.preventDefault();
  // Elsewhere in the view, these keys do something else.
  event.stopPropagation();
}

function onWordClick(event) {
  const word = event.target.closest("[data-word]");
  if (!word) return;
  goToWord(Number(word.dataset.word));
  playVoice();
}

function watchVoice() {
  if (!voice) return;
  voice.addEventListener("play", () => player()?.pause());
  voice.addEventListener("play", followVoice);
  voice.addEventListener("seeked", markWord);
  voice.addEventListener("error", showNoVoice);
  one("#view-words").addEventListener("click", onWordClick);
  one("#view-words").addEventListener("keydown", onWordKey);
}

function showNoVoice() {
  const address = voice.getAttribute("src");
  Object.assign(one("#voice-address"), { href: address, textContent: address });
  one("#no-voice").hidden = false;
}

function turn(by) {
  const numbers = visibleCards().map((card) => Number(card.dataset.number));
  const index = numbers.indexOf(currentFrame) + by;
  if (index >= 0 && index < numbers.length) openFrame(numbers[index]);
}

function showTake(number) {
  const frame = frames.get(currentFrame);
  if (!frame?.takes.some((take) => take.number === number)) return false;
  currentTake = number;
  drawView();
  return true;
}

function drawView() {
  const frame = frames.get(currentFrame);
  const take = frame.takes.find((each) => each.number === currentTake);
  one("#view-title").textContent = `${frame.name} · ${frame.label}`;
  one("#view-prompt").textContent = take ? take.prompt : frame.prompt;
  one("#view-caption").textContent = frame.caption ?? "";
  one("#view-caption").hidden = !frame.caption;
  const remarks = take?.remarks ?? [];
  one("#view-remarks").textContent = remarks.map((remark) => `This take ${remark}.`).join(" ");
  one("#view-remarks").hidden = !remarks.length;
  drawNarration(frame);
  drawPicture(frame, take);
  one("#view-takes").replaceChildren(...frame.takes.map((each) => takeButton(frame, each)));
  one("#view-attempts").replaceChildren(...frame.attempts.map(attemptRow));
  document.dispatchEvent(new CustomEvent("take-shown", { detail: { frame, take } }));
}

function drawPicture(frame, take) {
  const picture = one("#big");
  picture.hidden = !take;
  one("#no-picture").hidden = Boolean(take);
  if (!take || picture.dataset.source === take.picture) return;
  picture.dataset.source = take.picture;
  picture.alt = `Take ${take.number} of frame ${frame.number}`;
  picture.width = frame.width;
  picture.height = frame.height;
  // The thumbnail is shown until the whole picture is loaded, and instead of one that cannot be loaded.
  picture.src = thumbnail(frame, take);
  const whole = new Image();
  whole.onload = () => {
    if (picture.dataset.source === take.picture) picture.src = take.picture;
  };
  whole.src = take.picture;
}

// The thumbnail of the selected take is only in the card: a data URI is too long to be in the page twice.
const thumbnail = (frame, take) =>
  take.thumbnail || (take.number === frame.selected && one(`#f${frame.number} img`)?.src) || take.picture;

function takeButton(frame, take) {
  const selected = take.number === frame.selected;
  const note = selected ? [element("span", { className: "selected", textContent: " ✓ shown" })] : [];
  const label = element("span", {}, `${take.number} · ${take.cost} USD`, ...note);
  const picture = element("img", { src: thumbnail(frame, take), alt: "", loading: "lazy" });
  const button = element("button", { type: "button", ariaPressed: String(take.number === currentTake) }, picture, label);
  button.dataset.take = take.number;
  return button;
}

function attemptRow(attempt) {
  const words = [attempt.status, attempt.http_status, attempt.error].filter(Boolean).join(" · ");
  const outcome = element("td", { textContent: words });
  outcome.classList.toggle("bad", attempt.status !== "ok");
  const latency = attempt.latency_s === null ? "–" : attempt.latency_s.toFixed(1);
  const cells = [attempt.take, attempt.number, outcome, latency, attempt.cost, attempt.sent_at];
  return element("tr", {}, ...cells.map((cell) => (cell instanceof Node ? cell : element("td", { textContent: cell }))));
}

// Replace a frame that has changed: its data, its card, and the big view if that shows it.
export function updateFrame(frame, html) {
  frames.set(frame.number, frame);
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const card = document.importNode(parsed.querySelector(".card"), true);
  const old = one(`#f${frame.number}`);
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(card);
  if (hadFocus) card.querySelector(".open").focus();
  if (currentFrame === frame.number) {
    if (!frame.takes.some((take) => take.number === currentTake)) currentTake = frame.selected;
    drawView();
  }
}

// Keys and clicks. Where text is typed, keys are left alone.

const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select");

function moveFocus(by) {
  const cards = visibleCards();
  const index = cards.findIndex((card) => card.contains(document.activeElement));
  cards[Math.max(0, Math.min(cards.length - 1, index + by))]?.querySelector(".open").focus();
}

// The grid has as many columns as fit: those cards that are as high up as the first one.
const columns = () => {
  const cards = visibleCards();
  const top = cards[0]?.offsetTop;
  return cards.findIndex((card) => card.offsetTop !== top) || 1;
};

const viewKeys = {
  ArrowLeft: () => turn(-1),
  ArrowRight: () => turn(1),
  " ": () => playFrom(frames.get(currentFrame).start_s),
  n: () => hear(currentFrame),
};
const cardKeys = {
  ArrowLeft: () => moveFocus(-1),
  ArrowRight: () => moveFocus(1),
  ArrowUp: () => moveFocus(-Math.max(1, columns())),
  ArrowDown: () => moveFocus(Math.max(1, columns())),
  " ": (card) => playFrom(frames.get(Number(card.dataset.number)).start_s),
  n: (card) => hear(Number(card.dataset.number)),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || one("dialog:modal:not(#view)")) return;
  const card = event.target.closest(".card");
  if (view?.open) {
    // A space on a button presses the button; a player has keys of its own.
    if (event.target.closest("audio") || (event.key === " " && event.target.closest("button, summary"))) return;
    const digit = /^[1-9]$/.test(event.key);
    if (digit) chooseTake(Number(event.key));
    else if (!viewKeys[event.key]) return;
    else viewKeys[event.key]();
  } else if (card && cardKeys[event.key] && event.target.type !== "checkbox") {
    cardKeys[event.key](card);
  } else return;
  event.preventDefault();
}

function chooseTake(number) {
  if (showTake(number)) document.dispatchEvent(new CustomEvent("take-chosen", { detail: { frame: frames.get(currentFrame), number } }));
}

function onClick(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const { open, listen, filter: kind, seek, turn: by, take } = button.dataset;
  if (listen !== undefined) hear(Number(listen));
  else if (open !== undefined) openFrame(Number(open));
  else if (kind !== undefined) chooseFilter(kind, one("#search").value);
  else if (seek !== undefined) playFrom(Number(seek));
  else if (by !== undefined) turn(Number(by));
  else if (take !== undefined) showTake(Number(take));
  else if ("play" in button.dataset) playFrom(frames.get(currentFrame).start_s);
  else if ("close" in button.dataset) closeView();
}

function onClosed() {
  const card = one(`#f${currentFrame} .open`);
  voice.pause();
  currentFrame = currentTake = null;
  card?.focus();
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
view?.addEventListener("close", onClosed);
one("#search")?.addEventListener("input", (event) => chooseFilter(filter.kind, event.target.value));
watchFilm();
watchVoice();
const state = new URLSearchParams(location.hash.slice(1));
if (one("#search") && (state.has("show") || state.has("find"))) {
  one("#search").value = state.get("find") ?? "";
  chooseFilter(state.get("show") ?? "", state.get("find") ?? "");
}
