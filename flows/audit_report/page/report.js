
"use strict";
(() => {
  const said = document.getElementById("said");

  const order = (row, column, number) => {
    const cell = row.cells[column];
    const value = cell.dataset.order ?? cell.textContent.trim();
    return number ? (value === "" ? -Infinity : Number(value)) : value;
  };

  const sort = (head, column) => {
    const table = head.closest("table");
    const number = "number" in head.dataset;
    const now = head.getAttribute("aria-sort");
    // Numbers are most often wanted from the top; a second press turns any order round.
    const descending = now ? now === "ascending" : number;
    const rows = Array.from(table.tBodies[0].rows, (row) => [order(row, column, number), row]);
    rows.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0) * (descending ? -1 : 1));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    const word = descending ? "descending" : "ascending";
    head.setAttribute("aria-sort", word);
    said.textContent = `${table.caption.textContent}: sorted by ${head.textContent.trim()}, ${word}`;
  };

  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sort(head, column));
      head.replaceChildren(button);
    });
  }
})();
