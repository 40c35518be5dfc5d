"use strict";
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const all = [...body.rows];
  const control = (name) => document.getElementById(name);
  const [search, outcome, area, dtype] = ["search", "outcome", "area", "dtype"].map(control);
  const tiles = [...document.querySelectorAll("button.tile")];

  // Sorting: each header is a button; rows that are equal keep the order of the suite.
  const key = (row, index) => {
    const value = row.cells[index].dataset.sort;
    const number = Number(value);
    return Number.isNaN(number) ? value : number;
  };
  const sort = (index) => {
    const header = headers[index];
    // Of columns of numbers the worst comes first.
    const first = header.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const direction = header.getAttribute("aria-sort") === first ? second : first;
    headers.forEach((other) => other.setAttribute("aria-sort", other === header ? direction : "none"));
    const sign = direction === "ascending" ? 1 : -1;
    const order = all.map((row, position) => [key(row, index), position, row]);
    order.sort((a, b) => (a[0] === b[0] ? a[1] - b[1] : sign * (a[0] < b[0] ? -1 : 1)));
    body.append(...order.map((entry) => entry[2]));
  };
  headers.forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sort(index));
    header.replaceChildren(button);
  });

  // Filters: of a format only its column is left.
  const has = (row) => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = row.textContent.toLowerCase();
    if (!words.every((word) => text.includes(word))) return false;
    if (area.value && row.dataset.area !== area.value) return false;
    const cells = [...row.querySelectorAll("td.cell")];
    const cell = dtype.value && cells.find((one) => one.dataset.column === dtype.value);
    if (dtype.value && !cell) return false;
    if (!outcome.value) return true;
    return cell ? cell.dataset.outcome === outcome.value : row.dataset.outcomes.split(" ").includes(outcome.value);
  };
  const filter = () => {
    let shown = 0;
    for (const row of all) {
      row.hidden = !has(row);
      shown += row.hidden ? 0 : 1;
      row.querySelectorAll("td[data-column]").forEach((cell) => {
        cell.hidden = Boolean(dtype.value) && cell.dataset.column !== dtype.value;
      });
    }
    headers.forEach((header) => {
      header.hidden = Boolean(dtype.value && header.dataset.column) && header.dataset.column !== dtype.value;
    });
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", String(tile.dataset.outcome === outcome.value)));
    control("shown").textContent = `${shown} of ${all.length} shown`;
  };
  [search, outcome, area, dtype].forEach((one) => one.addEventListener("input", filter));
  tiles.forEach((tile) => tile.addEventListener("click", () => {
    outcome.value = outcome.value === tile.dataset.outcome ? "" : tile.dataset.outcome;
    filter();
    table.scrollIntoView({ block: "nearest" });
  }));
  control("reset").addEventListener("click", () => {
    [search, outcome, area, dtype].forEach((one) => { one.value = ""; });
    filter();
  });
  document.querySelector(".controls").hidden = false;
  filter();
})();
