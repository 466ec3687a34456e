"use strict";
const PER_PAGE = 100;
const [CASE, LINK, PICTURE, WARNINGS, VALUES] = [0, 1, 2, 3, 4];
const words = new Intl.Collator("en", { numeric: true });

/* Rows by a column; rows that lack the value come last either way. */
function ordered(rows, column, down) {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [a[column], b[column]];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === "string" ? words.compare(x, y) : x - y);
  });
}

/* Rows whose case, texts or warnings have all words; `warned` leaves only those with warnings. */
function matching(rows, text, warned) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (warned && !row[WARNINGS]) return false;
    const own = row.filter((cell, at) => at !== LINK && typeof cell === "string").join(" ").toLowerCase();
    return wanted.every((word) => own.includes(word));
  });
}

function shown(value, digits) {
  if (value === null) return "–";
  return digits === null ? value : value.toFixed(digits);
}

function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

function link(text, address, parent) {
  element("a", text, parent).href = address;
}

function start() {
  const { rows, columns, picture } = JSON.parse(document.getElementById("cases").textContent);
  const part = (name) => document.getElementById(name);
  const titles = [["Case", null, CASE], ...columns.map(([title, digits], at) => [title, digits, VALUES + at])];
  let [column, down, page] = [CASE, false, 0];

  function show() {
    const found = ordered(matching(rows, part("filter").value, part("warned").checked), column, down);
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    page = Math.min(page, pages - 1);
    part("count").textContent = `${found.length} of ${rows.length} cases, page ${page + 1} of ${pages}`;
    part("before").disabled = page === 0;
    part("next").disabled = page === pages - 1;
    part("rows").replaceChildren(...found.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(line));
    for (const head of part("heads").children)
      head.ariaSort = Number(head.dataset.column) !== column ? "none" : down ? "descending" : "ascending";
  }

  function line(row) {
    const made = document.createElement("tr");
    const name = element("th", "", made);
    name.scope = "row";
    link(row[CASE], row[LINK], name);
    if (row[PICTURE]) {
      name.append(" ");
      link("picture", row[LINK] + picture, name);
    }
    columns.forEach(([, digits], at) => element("td", shown(row[VALUES + at], digits), made));
    element("td", row[WARNINGS], made).className = "words";
    return made;
  }

  for (const [title, , at] of titles) {
    const head = document.createElement("th");
    head.scope = "col";
    head.dataset.column = at;
    element("button", title, head).addEventListener("click", () => {
      [down, column, page] = [column === at && !down, at, 0];
      show();
    });
    part("heads").append(head);
  }
  element("th", "What they say", part("heads")).scope = "col";
  const fresh = () => { page = 0; show(); };
  part("filter").addEventListener("input", fresh);
  part("warned").addEventListener("change", fresh);
  part("before").addEventListener("click", () => { page -= 1; show(); });
  part("next").addEventListener("click", () => { page += 1; show(); });
  part("controls").hidden = false;
  show();
}

if (typeof document !== "undefined") start();
