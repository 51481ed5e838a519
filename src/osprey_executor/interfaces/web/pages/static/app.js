// What a page does by itself: it keeps its pieces fresh, counts down, and shows a run while it goes on.
// Text is only ever set as text. Pieces of HTML come from our own server alone, and no script in them runs.
"use strict";

const CLOSED = 401;
const beginning = performance.now();
let answered = new Date();

function told(address) {
  return fetch(address, { credentials: "same-origin", cache: "no-store" }).then(
    (answer) => {
      if (answer.status === CLOSED) {
        offline("You are signed out: load this page anew to sign in.");
        return null;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      answered = new Date();
      offline("");
      return answer;
    },
  ).catch(() => {
    offline(`No answer from the service since ${answered.toLocaleTimeString()}: what you see may be old.`);
    return null;
  });
}

function offline(words) {
  const place = document.getElementById("offline");
  if (!place || place.textContent === words) return;
  place.textContent = words;
  place.hidden = words === "";
}

// One question after another, and none while nobody looks at the page: a browser has few connections to a service.
function again(seconds, ask) {
  const turn = async () => {
    if (!document.hidden) await ask();
    setTimeout(turn, seconds * 1000);
  };
  setTimeout(turn, seconds * 1000);
  document.addEventListener("visibilitychange", () => document.hidden || ask());
}

function keepFresh(place) {
  let last = null;
  again(Number(place.dataset.every), async () => {
    const answer = await told(place.dataset.live);
    if (!answer) return;
    const text = await answer.text();
    if (text === last) return;
    const first = last === null;
    last = text;
    const fresh = new DOMParser().parseFromString(text, "text/html").body;
    if (first && fresh.textContent.trim() === place.textContent.trim()) return;
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.replaceChildren(...fresh.childNodes);
    if (focused) document.getElementById(focused)?.focus();
    count(place);
    countDown();
  });
  count(place);
}

// The title of the tab tells how many wait, so that another window may lie above it.
const title = document.title;
function count(place) {
  const counted = place.querySelector("[data-count]");
  if (!counted) return;
  const number = Number(counted.dataset.count);
  document.title = number ? `(${number}) ${title}` : title;
}

function span(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

// Counted by the clock of the server, as it was when the page came, and from then on by one that nobody sets: the server
// decides anyway.
function countDown() {
  const now = Number(document.body.dataset.now) + performance.now() - beginning;
  for (const place of document.querySelectorAll("[data-until]")) {
    const seconds = Math.max(0, Math.round((Number(place.dataset.until) - now) / 1000));
    place.textContent = seconds ? `in ${span(seconds)}` : "expired";
    place.classList.toggle("soon", seconds < 300);
    if (!seconds) over("This card has expired: it cannot be approved any more.");
  }
}

function over(words) {
  const place = document.getElementById("over");
  if (!place || !place.hidden) return;
  place.textContent = `${words} `;
  const link = document.createElement("a");
  link.href = location.pathname;
  link.textContent = "Look again";
  place.append(link);
  place.hidden = false;
  for (const control of document.querySelectorAll("form[data-decision] :is(button, input, textarea)")) {
    control.disabled = true;
  }
  document.querySelector(".decide")?.classList.add("over");
}

function paragraph(words, kind) {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = words;
  return made;
}

function watchCard(card) {
  const ask = async () => {
    const answer = await told(card.dataset.card);
    if (!answer) return;
    const now = await answer.json();
    if (now.over) {
      over(now.over);
      return;
    }
    const words = now.in_the_way.map((reason) => `Approved now, it would write nothing: ${reason}`);
    const place = document.getElementById("in-the-way");
    if (place.textContent.trim() !== words.join("")) place.replaceChildren(...words.map((each) => paragraph(each, "banner bad")));
    present(now);
  };
  again(3, ask);
  ask();
}

function plain(shown) {
  const number = Number(shown);
  return shown !== "" && Number.isFinite(number) ? String(Number(number.toPrecision(5))) : shown;
}

function present(now) {
  for (const cell of document.querySelectorAll("[data-present]")) {
    const one = now.present[Number(cell.dataset.present)];
    const words = one ? one.problem || plain(one.shown) || "no valid value" : "cannot be read";
    const drifted = !one || one.drifted;
    const text = drifted ? `⚠ now ${words}` : "✓ unchanged";
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("drifted", drifted);
  }
  const drifted = now.present.filter((one) => one.drifted);
  const place = document.getElementById("drift");
  const names = drifted.slice(0, 4).map((one) => one.channel).join(", ") + (drifted.length > 4 ? ", …" : "");
  let words = "";
  if (now.unreadable) words = `The machine cannot be read at this moment: ${now.unreadable}`;
  else if (drifted.length) words = `⚠ ${drifted.length} of ${now.present.length} channels are not as this card shows (${names}): a run that is approved now would not write them.`;
  if (place.textContent !== words) place.textContent = words;
  place.hidden = words === "";
}

const MOST = 200000;

function watchRun(section) {
  const [stage, output] = [document.getElementById("stage"), document.getElementById("output")];
  const [bar, figures] = [document.getElementById("progress"), document.getElementById("live-figures")];
  let source = null;
  const say = {
    stage: (event) => { stage.textContent = `${event.stage}${event.attempt > 1 ? `, attempt ${event.attempt}` : ""}`; },
    failed: (event) => { stage.textContent = `attempt ${event.attempt} failed: ${event.text}`; },
    progress: (event) => {
      bar.hidden = false;
      bar.firstElementChild.value = event.fraction;
      bar.lastElementChild.textContent = `${Math.round(event.fraction * 100)} % ${event.message}`;
    },
    output: (event) => {
      const atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 8;
      output.append(event.text);
      if (output.textContent.length > MOST) output.textContent = output.textContent.slice(-MOST / 2);
      if (atEnd) output.scrollTop = output.scrollHeight;
    },
    figure: (event) => {
      const id = `live-figure-${event.number}`;
      let picture = document.getElementById(id);
      if (!picture) {
        picture = document.createElement("img");
        picture.id = id;
        picture.alt = `Figure ${event.number}, while the run goes on`;
        figures.append(picture);
      }
      picture.src = `${event.url}?${Date.now()}`;
    },
    finished: () => { source.close(); setTimeout(() => location.reload(), 500); },
  };
  const open = () => {
    source?.close();
    source = null;
    if (document.hidden) return;
    output.textContent = "";
    source = new EventSource(section.dataset.events); // which goes on where it was, should it be cut off
    source.onopen = () => offline("");
    source.onmessage = (message) => {
      answered = new Date();
      const event = JSON.parse(message.data);
      say[event.kind]?.(event);
    };
    source.onerror = () => offline(`No answer from the service since ${answered.toLocaleTimeString()}: what you see may be old.`);
  };
  document.addEventListener("visibilitychange", open);
  open();
}

document.querySelectorAll("[data-live]").forEach(keepFresh);
countDown();
setInterval(countDown, 1000);
document.querySelectorAll("[data-card]").forEach(watchCard);
document.querySelectorAll("[data-events]").forEach(watchRun);
// A second click on a button must not send a form twice.
document.addEventListener("submit", (event) => {
  setTimeout(() => event.target.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
});
// Back to a page that the browser kept: its forms work again, and what it shows is fetched anew.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
