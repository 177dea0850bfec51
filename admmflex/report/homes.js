(() => {
  const stored = document.getElementById("home-data");
  if (!stored) return;
  const homes = JSON.parse(stored.textContent);
  const steps = homes.x.length - 1;
  const select = document.getElementById("home");

  const unpack = (text) => {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new Int16Array(bytes.buffer);
  };
  for (const one of homes.series.concat(homes.energy)) one.whole = unpack(one.bytes);

  // The value of a step is drawn to its end.
  const row = (one, home, shift) => {
    const values = Array.from(one.whole.subarray(home * steps, (home + 1) * steps), (value) => value * one.scale[home]);
    return shift ? [null].concat(values) : values.concat(values[steps - 1]);
  };

  const dashes = { dot: "dot", before: "dash" };
  const traces = (home) => {
    const found = [];
    for (const one of homes.series) {
      const meter = one.form === "meter";
      if (!one.scale[home] && !meter) continue;
      found.push({
        type: "scatter", mode: "lines", name: one.name, x: homes.x, y: row(one, home, false),
        line: { color: one.color, width: meter ? 2.6 : 1.4, dash: dashes[one.form] || "solid", shape: "hv" },
        hovertemplate: "%{y:.2f} kW", visible: one.form === "before" ? "legendonly" : true,
      });
    }
    for (const one of homes.energy) {
      if (!one.scale[home]) continue;
      const before = one.form === "before";
      const band = (limit, more) => ({
        type: "scatter", mode: "lines", x: [homes.x[0], homes.x[steps]], y: [limit, limit], yaxis: "y2",
        line: { color: one.color, width: 0.8, dash: "dash" }, showlegend: false, hoverinfo: "skip", ...more,
      });
      if (!before && (one.low[home] !== null || one.high[home] !== null)) {
        found.push(band(one.low[home] || 0, {}));
        if (one.high[home] !== null) found.push(band(one.high[home], { fill: "tonexty", fillcolor: one.color + "14" }));
      }
      found.push({
        type: "scatter", mode: "lines", name: one.name + ", stored", x: homes.x, y: row(one, home, true), yaxis: "y2",
        line: { color: one.color, width: before ? 1.2 : 1.8, dash: before ? "dot" : "solid" }, hovertemplate: "%{y:.1f} kWh",
      });
    }
    return found;
  };

  const layout = () => report.fit({
    font: report.font,
    margin: { l: 52, r: 12, t: 10, b: 44 }, height: 560, hovermode: "x unified",
    legend: { orientation: "h", y: -0.12, yanchor: "top" },
    xaxis: Object.assign({ gridcolor: "#ececec", anchor: homes.energy.length ? "y2" : "y", showline: true, linecolor: "#999" }, homes.axis),
    yaxis: { domain: [homes.energy.length ? 0.42 : 0, 1], title: { text: "kW", font: { size: 13 } }, gridcolor: "#ececec", zerolinecolor: "#999" },
    yaxis2: { domain: [0, 0.34], title: { text: "kWh stored", font: { size: 13 } }, gridcolor: "#ececec", rangemode: "tozero", visible: homes.energy.length > 0 },
  });

  const plot = document.querySelector("#home-plot .plot");
  const show = () => Plotly.react(plot, traces(Number(select.value)), layout(), report.config);
  const move = (by) => {
    select.selectedIndex = (select.selectedIndex + by + select.length) % select.length;
    show();
  };
  select.addEventListener("change", show);
  document.getElementById("before").addEventListener("click", () => move(-1));
  document.getElementById("next").addEventListener("click", () => move(1));
  show();
})();
