"use strict";
(() => {
  const root = document.documentElement;

  // Colours in plots are names of the page's variables; data arrays are passed on as they are.
  const themed = (value) => {
    if (typeof value === "string" && value.startsWith("--")) {
      return getComputedStyle(root).getPropertyValue(value).trim();
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "object" && value[0] ? value.map(themed) : value;
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
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

  const draw = () => {
    for (const chart of document.querySelectorAll(".chart")) {
      const plot = JSON.parse(chart.dataset.plot);
      const layout = { ...plot.layout, ...page };
      Plotly.react(chart, themed(plot.data), themed(layout), plot.config);
    }
  };

  // Paper is white, whatever the screen is.
  const onPaper = (paper) => () => {
    root.toggleAttribute("data-paper", paper);
    draw();
  };

  const sortBy = (header) => {
    const table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const falling = header.getAttribute("aria-sort") !== "descending";
    const key = (row) => row.children[column].dataset.order ?? row.children[column].textContent;
    const order = new Intl.Collator("en", { numeric: true });
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => order.compare(key(a), key(b)) * (falling ? -1 : 1));
    table.tBodies[0].append(...rows);
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", falling ? "descending" : "ascending");
  };

  for (const button of document.querySelectorAll("table.sortable th button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", onPaper(true));
  addEventListener("afterprint", onPaper(false));
  draw();
})();
