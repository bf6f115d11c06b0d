"use strict";
(() => {
  const root = document.documentElement;
  const order = new Intl.Collator("en", { numeric: true });

  // A style is computed once for all charts: after each of them the whole page would be looked at.
  const colours = new Map();
  const colour = (name) => {
    if (!colours.has(name)) {
      colours.set(name, getComputedStyle(root).getPropertyValue(name).trim());
    }
    return colours.get(name);
  };

  // Colours in plots are names of the page's variables; data arrays are passed on as they are.
  const themed = (value, key) => {
    if (typeof value === "string" && value.startsWith("--")) return colour(value);
    if (key === "colorscale" && Array.isArray(value)) {
      return value.map(([at, name]) => [at, themed(name)]);
    }
    if (Array.isArray(value)) {
      const isPlain = typeof value[0] !== "object" || !value[0] || Array.isArray(value[0]);
      return isPlain ? value : value.map((inner) => themed(inner));
    }
    if (value && typeof value === "object") {
      const entries = Object.entries(value).map(([name, inner]) => [name, themed(inner, name)]);
      return Object.fromEntries(entries);
    }
    return value;
  };

  const page = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: "--ink", family: "system-ui, sans-serif", size: 13 },
    hoverlabel: { bgcolor: "--card", bordercolor: "--axis", font: { color: "--ink" } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "--muted", activecolor: "--ink" },
  };

  const charts = [...document.querySelectorAll(".chart")];
  // A chart that has several rows says how high it is, before anything is drawn.
  const plots = new Map();
  const plotOf = (chart) => {
    if (!plots.has(chart)) plots.set(chart, JSON.parse(chart.dataset.plot));
    return plots.get(chart);
  };
  const drawOne = (chart) => {
    const plot = plotOf(chart);
    if (plot.layout.height) chart.style.height = `${plot.layout.height}px`;
    const layout = { ...plot.layout, ...page };
    // The library measures a chart once. Afterwards, such as for paper, it is told how wide it is;
    // what was told must not stay, or the chart would keep it when the window changes.
    if (chart.layout) layout.width = chart.clientWidth;
    Plotly.react(chart, themed(plot.data), themed(layout), plot.config);
    delete chart.layout.width;
  };
  const draw = () => {
    colours.clear();
    charts.forEach(drawOne);
  };

  // One chart a task: what stands above the charts is seen and can be used at once.
  const drawInTurn = (left) => {
    if (left.length === 0) {
      performance.mark("charts-drawn");
      return;
    }
    drawOne(left[0]);
    setTimeout(() => drawInTurn(left.slice(1)), 0);
  };

  // What fits on A4 and on letter between the margins that browsers leave, in CSS pixels. A chart
  // is as wide as the screen when paper is asked for, and would be cut.
  const PAPER = 690;

  // Paper is white, whatever the screen is, and nothing can be opened on it.
  let opened = [];
  const onPaper = (paper) => () => {
    root.toggleAttribute("data-paper", paper);
    if (paper) {
      opened.push(...document.querySelectorAll("details:not([open], .numbers)"));
    }
    for (const details of opened) details.open = paper;
    if (!paper) opened = [];
    for (const chart of charts) chart.style.width = paper ? `${PAPER}px` : "";
    draw();
  };

  const tell = (table, text) => {
    const tools = table.closest(".scroll").previousElementSibling;
    const all = [...table.tBodies[0].rows];
    const rows = all.filter((row) => !row.cells[0].classList.contains("rest"));
    const shown = rows.filter((row) => !row.hidden).length;
    tools.querySelector("output").textContent = `${shown} of ${rows.length} rows${text}`;
  };

  const sortBy = (header) => {
    const table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const falling = header.getAttribute("aria-sort") !== "descending";
    const key = (row) => {
      const cell = row.children[column];
      return cell.dataset.order === undefined ? cell.textContent : Number(cell.dataset.order);
    };
    // What has no value comes last whichever way, and what sums up others after that.
    const place = (row) => {
      if (row.cells[0].classList.contains("rest")) return 2;
      return row.children[column].textContent === "–" ? 1 : 0;
    };
    const compare = (a, b) =>
      typeof a === "number" && typeof b === "number" ? a - b : order.compare(a, b);
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => place(a) - place(b) || compare(key(a), key(b)) * (falling ? -1 : 1));
    table.tBodies[0].append(...rows);
    for (const other of header.parentNode.children) other.setAttribute("aria-sort", "none");
    const direction = falling ? "descending" : "ascending";
    header.setAttribute("aria-sort", direction);
    tell(table, `, by ${header.textContent}, ${direction}`);
  };

  const filter = (table, wanted) => {
    const words = wanted.toLowerCase().split(/\s+/);
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].textContent.toLowerCase();
      row.hidden = !words.every((word) => name.includes(word));
    }
    tell(table, "");
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => sortBy(button.closest("th")));
    }
    // Without scripts nothing could be searched, so that the field is shown by one.
    const tools = table.closest(".scroll").previousElementSibling;
    tools.hidden = false;
    const search = tools.querySelector("input");
    search.addEventListener("input", () => filter(table, search.value));
    tell(table, "");
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", onPaper(true));
  addEventListener("afterprint", onPaper(false));
  setTimeout(() => drawInTurn(charts), 0);
})();
