// What a checker of accessible pages looks at, as far as this page can break it. Gives the findings; none is a pass.
() => {
  const findings = [];
  const fail = (what, element) => findings.push(`${what}: ${element ? (element.id || element.tagName) + " " + element.textContent.trim().slice(0, 40) : ""}`);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const named = (element) => {
    const ids = element.getAttribute("aria-labelledby");
    if (ids) return ids.split(" ").map((id) => document.getElementById(id)?.textContent.trim() ?? "").join(" ").trim();
    return (element.getAttribute("aria-label") ?? element.textContent).trim();
  };

  if (!document.documentElement.lang) fail("no language");
  if (!document.title.trim()) fail("no title");
  for (const one of ["body > header", "nav", "main", "body > footer", "h1"]) if (all(one).length !== 1) fail(`not one ${one}`);
  all("h1,h2,h3,h4,h5,h6").reduce((before, heading) => {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) fail("heading skips a level", heading);
    if (!heading.textContent.trim()) fail("empty heading", heading);
    return level;
  }, 0);

  const ids = all("[id]").map((element) => element.id);
  if (new Set(ids).size !== ids.length) fail("an id twice");
  for (const name of ["aria-labelledby", "aria-describedby"]) {
    for (const element of all(`[${name}]`)) {
      for (const id of element.getAttribute(name).split(" ")) if (!document.getElementById(id)) fail(`${name} leads nowhere`, element);
    }
  }
  for (const element of all("a[href^='#']")) if (!document.getElementById(element.getAttribute("href").slice(1))) fail("link leads nowhere", element);
  for (const element of all("a,button,[role=region],[role=img],nav,section")) if (!named(element)) fail("no name", element);
  for (const element of all("svg:not([aria-hidden] svg)")) {
    if (element.getAttribute("role") !== "img" || !element.querySelector(":scope > title") || !element.querySelector(":scope > desc")) fail("drawing without alternative", element);
  }
  for (const table of all("table")) {
    if (!table.caption?.textContent.trim()) fail("table without caption", table);
    for (const head of table.querySelectorAll("thead th")) if (head.scope !== "col") fail("heading without scope", head);
    for (const row of table.querySelectorAll("tbody tr, tfoot tr")) if (row.cells[0].scope !== "row") fail("row without heading", row);
    const widths = new Set(Array.from(table.rows, (row) => row.cells.length));
    if (widths.size !== 1) fail("rows of unlike length", table);
  }
  for (const element of all("*")) {
    const style = getComputedStyle(element);
    const scrolls = ["auto", "scroll"].includes(style.overflowX) || ["auto", "scroll"].includes(style.overflowY);
    if (scrolls && element.scrollWidth + element.scrollHeight > element.clientWidth + element.clientHeight && element.tabIndex < 0) fail("scrolls, but not by keyboard", element);
  }
  for (const button of all("button")) {
    const box = button.getBoundingClientRect();
    if (box.width && (box.width < 24 || box.height < 24)) fail("target below 24 pixels", button);
  }

  const parts = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { alpha, light: [red, green, blue].map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)) };
  };
  const luminance = ({ light: [red, green, blue] }) => 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.alpha === 1) return colour;
    }
    return parts("rgb(255, 255, 255)");
  };
  for (const element of all("body *")) {
    const own = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || ["SCRIPT", "STYLE", "title", "desc"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = parts(element.tagName === "text" ? style.fill : style.color);
    const [darker, lighter] = [luminance(ink), luminance(ground(element))].sort((one, other) => one - other);
    if (ink.alpha !== 1 || (lighter + 0.05) / (darker + 0.05) < 4.5) fail("contrast", element);
  }

  for (const drawing of all("svg[role=img]")) {
    const view = drawing.getBoundingClientRect();
    const labels = Array.from(drawing.querySelectorAll("text"), (label) => [label, label.getBoundingClientRect()]);
    for (const [label, box] of labels) if (box.left < view.left - 1 || box.right > view.right + 1 || box.bottom > view.bottom + 1) fail("label outside", label);
    for (const [label, box] of labels) {
      for (const [other, its] of labels) {
        if (label === other) break;
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left), high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (wide > 1 && high > 4) fail("labels overlap", label);
      }
    }
  }
  return findings;
}
