"use strict";
const report = (() => {
  const config = {
    displaylogo: false, responsive: true, displayModeBar: window.innerWidth < 600 ? false : "hover", modeBarButtons: [["toImage", "resetScale2d"]],
  };
  const narrow = () => window.innerWidth < 600;

  // On a phone there is little room beside a plot, and a finger that scrolls must not zoom.
  const fit = (layout) => {
    if (!narrow()) return layout;
    layout.font = Object.assign({}, layout.font, { size: 11 });
    layout.dragmode = false;
    return layout;
  };

  for (const figure of document.querySelectorAll("figure")) {
    const source = figure.querySelector("script");
    if (!source) continue;
    const spec = JSON.parse(source.textContent);
    Plotly.newPlot(figure.querySelector(".plot"), spec.data, fit(spec.layout), config);
  }

  const resize = (width) => {
    for (const plot of document.querySelectorAll("figure .js-plotly-plot")) {
      if (plot.closest("figure").querySelector("img.paper")) continue;
      const wanted = width || plot.parentElement.clientWidth;
      if (wanted) Plotly.relayout(plot, { width: wanted, autosize: !width });
    }
  };
  window.addEventListener("beforeprint", () => resize(680)); // A4 less its margins, at 96 dots per inch
  window.addEventListener("afterprint", () => resize(0));

  const font = { family: "Helvetica Neue, Helvetica, Arial, sans-serif", size: 13, color: "#222" };
  return { config, fit, font };
})();
