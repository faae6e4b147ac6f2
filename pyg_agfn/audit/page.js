"use strict";
// What the page knows: rows (the likeliest wrong label first), the classes, and all pictures once.
const data = JSON.parse(document.getElementById("data").textContent);
const { rows, classes, images } = data;
const find = (id) => document.getElementById(id);
const show = find("show"), pair = find("pair"), search = find("search");

// --- Decisions: the class that was chosen, by row. The browser keeps them under the audit's fingerprint.
const place = `label-audit:${data.fingerprint}`;
const decisions = load();
const history = []; // what to undo: [row, the decision before]

function load() {
  try {
    const kept = Object.entries(JSON.parse(localStorage.getItem(place) ?? "{}"));
    return new Map(kept.map(([i, c]) => [Number(i), c]).filter(([i, c]) => i in rows && c in classes));
  } catch {
    return new Map();
  }
}

function save() {
  try {
    localStorage.setItem(place, JSON.stringify(Object.fromEntries(decisions)));
  } catch {
    say("This browser does not keep the decisions: download them before you close the page.");
  }
}

function put(i, choice) {
  if (choice === undefined) decisions.delete(i);
  else decisions.set(i, choice);
  paint(i);
  count();
  save();
}

function decide(i, choice) {
  if (decisions.get(i) === choice) return;
  history.push([i, decisions.get(i)]);
  say(`${tail(rows[i].file, 60)}: ${choice === undefined ? "no decision" : verdict(rows[i], choice)}`);
  put(i, choice);
}

function verdict(row, choice) {
  if (choice === row.suggested) return `accepted, ${classes[choice]}`;
  return choice === row.given ? `rejected, stays ${classes[choice]}` : `changed to ${classes[choice]}`;
}

function undo() {
  const last = history.pop();
  if (!last) return say("Nothing to undo.");
  say(`${tail(rows[last[0]].file, 60)}: undone`);
  put(...last);
  if (!cards[last[0]].hidden) select(last[0]);
}

// --- The download: a CSV file of "file,label" lines. Cells come quoted; null cannot stand in a list.
function decisionList() {
  const listable = ([i, c]) => rows[i].cell !== null && data.cells[c] !== null;
  const lines = [...decisions].filter(listable).sort(([a], [b]) => a - b);
  const text = lines.map(([i, c]) => `${rows[i].cell},${data.cells[c]}\r\n`).join("");
  return { text: `file,label\r\n${text}`, listed: lines.length };
}

function download() {
  const { text, listed } = decisionList();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = "label_decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  const out = decisions.size - listed;
  const why = out ? ` ${out} left out: a list cannot hold line breaks or bytes that are no text.` : "";
  say(`label_decisions.csv has ${listed} decisions.${why}`);
}

// --- Cards. Pictures and the list of classes are put in when a card comes near the screen.
const near = new IntersectionObserver(
  (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => reveal(Number(e.target.dataset.row))),
  { rootMargin: "800px" },
);
const cards = rows.map(card);

function card(row, i) {
  const li = find("card").content.firstElementChild.cloneNode(true);
  const part = (name) => li.querySelector(`.${name}`);
  const percent = `${Math.min(100 * row.score, 99.9).toFixed(1)}%`;
  const [given, suggested] = [classes[row.given], classes[row.suggested]];
  li.dataset.row = i;
  li.setAttribute("aria-label", `${row.rank}, ${row.file}: given ${given}, suggested ${suggested}, ${percent} likely wrong`);
  write(part("rank"), `#${row.rank}`);
  write(part("percent"), `${percent} likely wrong`);
  write(part("given"), given);
  write(part("suggested"), suggested);
  write(part("file"), row.file, tail(row.file, 34));
  part("labels").title = `given ${given}, suggested ${suggested}`;
  part("accept").setAttribute("aria-label", `Accept ${suggested}`);
  part("reject").setAttribute("aria-label", `Reject, keep ${given}`);
  part("other").setAttribute("aria-label", "Other label");
  for (const [image, label, name] of row.neighbors) {
    const figure = part("neighbors").appendChild(document.createElement("figure"));
    const img = figure.appendChild(new Image(48, 48));
    img.dataset.image = image;
    img.alt = "";
    figure.title = name;
    write(figure.appendChild(document.createElement("figcaption")), label);
  }
  part("image").dataset.image = row.image;
  near.observe(li);
  return li;
}

function write(element, text, shown = text) {
  element.textContent = shown;
  element.title = text;
}

function tail(text, length) { // the end tells paths apart
  return text.length > length ? `…${text.slice(1 - length)}` : text;
}

function reveal(i) {
  near.unobserve(cards[i]);
  for (const img of cards[i].querySelectorAll("img")) img.src = `data:image/webp;base64,${images[img.dataset.image]}`;
  const other = cards[i].querySelector(".other");
  classes.forEach((name, c) => other.add(new Option(name, c)));
  paint(i);
}

function paint(i) {
  const li = cards[i], row = rows[i], choice = decisions.get(i);
  const isOther = choice !== undefined && choice !== row.given && choice !== row.suggested;
  const accepted = choice !== undefined && choice === row.suggested;
  const rejected = choice === row.given && !accepted;
  li.classList.toggle("accepted", accepted);
  li.classList.toggle("rejected", rejected);
  li.classList.toggle("changed", isOther);
  li.querySelector(".accept").setAttribute("aria-pressed", accepted);
  li.querySelector(".reject").setAttribute("aria-pressed", rejected);
  const other = li.querySelector(".other");
  other.value = isOther ? choice : "";
  other.classList.toggle("chosen", isOther);
}

// --- Filters.
let visible = [];

function candidates() {
  return [...rows.keys()].filter((i) => show.value === "all" || rows[i].issue);
}

function pairs() {
  const counts = new Map();
  for (const i of candidates()) {
    const key = `${rows[i].given} ${rows[i].suggested}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const chosen = pair.value;
  pair.replaceChildren(new Option("any", ""));
  for (const [key, times] of [...counts].sort((a, b) => b[1] - a[1])) {
    const [given, suggested] = key.split(" ");
    pair.add(new Option(`${classes[given]} → ${classes[suggested]} (${number(times)})`, key));
  }
  pair.value = counts.has(chosen) ? chosen : "";
}

function filter() {
  const text = search.value.normalize("NFC").toLowerCase();
  const fits = (row) =>
    (!pair.value || pair.value === `${row.given} ${row.suggested}`) &&
    row.file.normalize("NFC").toLowerCase().includes(text);
  visible = candidates().filter((i) => fits(rows[i]));
  const kept = new Set(visible);
  cards.forEach((li, i) => (li.hidden = !kept.has(i)));
  find("none").hidden = visible.length > 0;
  find("shown").textContent = `${number(visible.length)} shown`;
  if (!kept.has(current)) mark(visible[0] ?? -1);
}

function count() {
  const left = rows.filter((row, i) => row.issue && !decisions.has(i)).length;
  find("progress").textContent = `${number(decisions.size)} decided, ${number(left)} left`;
  find("download").disabled = decisions.size === 0;
  find("undo").disabled = history.length === 0;
}

function number(value) {
  return value.toLocaleString("en");
}

function say(text) {
  find("status").textContent = text;
}

// --- Moving. One card is the current one: the keys act on it.
let current = -1;

function mark(i) {
  cards[current]?.removeAttribute("aria-current");
  cards[current]?.setAttribute("tabindex", -1);
  current = i;
  cards[i]?.setAttribute("aria-current", "true");
  cards[i]?.setAttribute("tabindex", 0);
}

function select(i) {
  if (i === undefined) return;
  mark(i);
  cards[i].focus({ preventScroll: true });
  cards[i].scrollIntoView({ block: "nearest" });
}

function move(steps) {
  const at = visible.indexOf(current) + steps;
  select(visible[Math.max(0, Math.min(at, visible.length - 1))]);
}

function answer(choice) {
  if (current < 0) return;
  decide(current, choice);
  const behind = visible.slice(visible.indexOf(current) + 1);
  select(behind.find((i) => !decisions.has(i)) ?? current);
}

// Keys for up to ten classes: their own digit where all are called by one, else 1 to 9 and 0.
const digits = classes.every((name) => /^\d$/.test(name));
const classKeys = classes.length > 10 ? [] : classes.map((name, c) => (digits ? name : `${(c + 1) % 10}`));
const columns = () => getComputedStyle(find("cards")).gridTemplateColumns.split(" ").length;
const keys = {
  j: () => move(1), ArrowRight: () => move(1), k: () => move(-1), ArrowLeft: () => move(-1),
  ArrowDown: () => move(columns()), ArrowUp: () => move(-columns()),
  a: () => answer(rows[current]?.suggested), r: () => answer(rows[current]?.given),
  u: undo, "/": () => search.focus(),
};
classKeys.forEach((key, c) => (keys[key] = () => answer(c)));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === search && event.key === "Escape") return select(current < 0 ? undefined : current);
  if (event.target.closest("select, input") || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});
find("cards").addEventListener("focusin", (event) => mark(Number(event.target.closest("li").dataset.row)));
find("cards").addEventListener("click", (event) => {
  const li = event.target.closest("li"), button = event.target.closest("button");
  if (!button) return;
  const i = Number(li.dataset.row);
  const choice = button.matches(".accept") ? rows[i].suggested : rows[i].given;
  decide(i, decisions.get(i) === choice ? undefined : choice); // a second click takes it back
});
find("cards").addEventListener("change", (event) => {
  const { value } = event.target;
  decide(Number(event.target.closest("li").dataset.row), value === "" ? undefined : Number(value));
});
find("undo").addEventListener("click", undo);
find("download").addEventListener("click", download);
find("reset").addEventListener("click", () => {
  [show.value, search.value] = ["all", ""];
  pairs();
  pair.value = "";
  filter();
});
show.addEventListener("change", () => { pairs(); filter(); });
pair.addEventListener("change", filter);
search.addEventListener("input", filter);

classKeys.forEach((key, c) => {
  const help = document.createElement("span");
  help.append(Object.assign(document.createElement("kbd"), { textContent: key }), ` ${classes[c]}`);
  if (!digits) find("keys").append(help);
});
if (digits) find("keys").append("a digit chooses that label");
if (!rows.some((row) => row.issue)) show.value = "all";
find("cards").classList.toggle("pixelated", data.pixelated);
find("cards").append(...cards);
cards.forEach((_, i) => paint(i));
pairs();
filter();
mark(visible.find((i) => !decisions.has(i)) ?? visible[0] ?? -1);
count();
