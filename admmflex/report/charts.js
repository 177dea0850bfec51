(() => {
  const stored = document.getElementById("chart-data");
  if (!stored) return;
  const packed = JSON.parse(stored.textContent);
  const selects = ["chart-home", "chart-step"].map((id) => document.getElementById(id));
  const [flat, lifted] = ["plane", "surface"].map((id) => document.querySelector(`#chart-${id} .plot`));
  const image = document.querySelector("#chart-surface img");
  const axes = { p: "active power given, kW", q: "reactive power given, kvar" };

  // The part of a convex polygon where a p + b q <= h.
  const cut = (corners, a, b, h) => {
    const beyond = corners.map(([p, q]) => a * p + b * q - h);
    const kept = [];
    corners.forEach((here, v) => {
      const next = (v + 1) % corners.length;
      const [now, then] = [beyond[v], beyond[next]];
      if (now <= 0) kept.push(here);
      if ((now < 0 && then > 0) || (now > 0 && then < 0)) {
        const share = now / (now - then);
        kept.push(here.map((value, axis) => value + share * (corners[next][axis] - value)));
      }
    });
    return kept;
  };
  const area = (corners) => 0.5 * Math.abs(corners.reduce((sum, [p, q], v) => {
    const [r, s] = corners[(v + 1) % corners.length];
    return sum + p * s - q * r;
  }, 0));

  // Where a piece is the dearest: cut by the worst of the others until none is above it.
  const region = (outline, piece, pieces) => {
    let found = outline;
    let rest = pieces.filter((other) => other !== piece).map((other) => other.map((value, n) => value - piece[n]));
    while (found.length) {
      let worst = null;
      let above = 1e-7;
      for (const one of rest) {
        for (const [p, q] of found) {
          const excess = one[0] * p + one[1] * q + one[2];
          if (excess > above) [worst, above] = [one, excess];
        }
      }
      if (!worst) break;
      if (!worst[0] && !worst[1]) return [];
      found = cut(found, worst[0], worst[1], -worst[2]);
      rest = rest.filter((one) => one !== worst);
    }
    return found;
  };

  // The point of a polygon that is nearest to another.
  const nearest = (corners, point) => {
    const inside = corners.length > 2 && corners.every(([p, q], v) => {
      const [r, s] = corners[(v + 1) % corners.length];
      return (r - p) * (point[1] - q) - (s - q) * (point[0] - p) >= 0;
    });
    if (inside) return point;
    let best = corners[0];
    const far = ([p, q]) => Math.hypot(p - point[0], q - point[1]);
    corners.forEach((here, v) => {
      const along = corners[(v + 1) % corners.length].map((value, axis) => value - here[axis]);
      const length = along[0] ** 2 + along[1] ** 2;
      const share = length ? ((point[0] - here[0]) * along[0] + (point[1] - here[1]) * along[1]) / length : 0;
      const on = here.map((value, axis) => value + Math.min(Math.max(share, 0), 1) * along[axis]);
      if (far(on) < far(best)) best = on;
    });
    return best;
  };

  // Regions, heights above the cheapest point, slopes, and where the home would be by itself.
  const drawn = (chart) => {
    const reach = 4 * (1 + Math.max(...chart.sides.map(([a, b, h]) => Math.abs(h) / Math.hypot(a, b))));
    let outline = [[-reach, -reach], [reach, -reach], [reach, reach], [-reach, reach]];
    for (const [a, b, h] of chart.sides) outline = cut(outline, a, b, h + 1e-6 * Math.hypot(a, b));
    const whole = area(outline);
    const parts = chart.pieces.map((piece) => ({ piece, corners: region(outline, piece, chart.pieces) }))
      .filter((one) => one.corners.length && (area(one.corners) > 1e-7 * whole || chart.pieces.length === 1));
    const cost = ([p, q]) => Math.max(...chart.pieces.map(([a, b, d]) => a * p + b * q + d));
    const least = Math.min(...parts.flatMap((one) => one.corners.map(cost)));
    const cheap = parts.map(({ piece: [a, b, d], corners }) => cut(corners, a, b, least + 1e-9 - d)).filter((one) => one.length);
    const points = cheap.map((one) => nearest(one, chart.chosen));
    const far = (point) => Math.hypot(point[0] - chart.chosen[0], point[1] - chart.chosen[1]);
    const own = points.reduce((best, one) => (far(one) < far(best) ? one : best));
    const shade = (slope) => {
      const half = (packed.shades.length - 1) / 2;
      return Math.round(Math.min(Math.max((100 * slope) / packed.steepest, -1), 1) * half) + half;
    };
    return {
      corners: parts.map((one) => one.corners), heights: parts.map((one) => one.corners.map((corner) => cost(corner) - least)),
      slopes: parts.map(({ piece: [a, b] }) => [(100 * a).toFixed(2), (100 * b).toFixed(2)]),
      shade: parts.map(({ piece }) => shade(piece[0])), moved: far(own), whole,
      own: [...own, cost(own) - least], chosen: [...chart.chosen, cost(chart.chosen) - least],
    };
  };

  // The same axes at all moments of a home.
  const box = (all) => {
    const range = (column) => {
      const values = all.flatMap((one) => one.corners.flat().map((corner) => corner[column]));
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = 0.05 * (high - low) || 0.1;
      return [low - room, high + room];
    };
    return { p: range(0), q: range(1), cost: [0, 1.1 * Math.max(1e-3, ...all.flatMap((one) => one.heights.flat()))] };
  };

  const point = (name, at, symbol, fill, rim) => ({
    name, mode: "markers", marker: { symbol, size: 11, color: fill, line: { color: rim, width: 2 } },
    x: [at[0]], y: [at[1]], hovertemplate: `${name}<br>%{x:.2f} kW, %{y:.2f} kvar<extra></extra>`,
  });
  const points = (one) => [
    point("the home by itself", one.own, "diamond", "#ffffff", "#222222"),
    point("chosen by the grid", one.chosen, "circle", "#222222", "#ffffff"),
  ];

  const plane = (one) => {
    const found = one.corners.map((corners, r) => {
      const ring = corners.concat([corners[0]]);
      return {
        type: "scatter", mode: "lines", fill: "toself", fillcolor: packed.shades[one.shade[r]], hoveron: "fills",
        x: ring.map((corner) => corner[0]), y: ring.map((corner) => corner[1]), line: { color: "#777777", width: 0.7 },
        text: `one more kWh ${one.slopes[r][0]} ct<br>one more kvarh ${one.slopes[r][1]} ct`, hoverinfo: "text",
      };
    });
    return found.concat(points(one).map((mark) => ({ type: "scatter", ...mark })));
  };

  const surface = (one) => {
    const mesh = { x: [], y: [], z: [], i: [], j: [], k: [], facecolor: [] };
    const border = { x: [], y: [], z: [] };
    const top = Math.max(1e-3, ...one.heights.flat());
    one.corners.forEach((corners, r) => {
      const first = mesh.x.length;
      const row = corners.map((corner, v) => [corner[0], corner[1], one.heights[r][v]]);
      for (const [x, y, z] of row) { mesh.x.push(x); mesh.y.push(y); mesh.z.push(z); }
      for (let v = 1; v < row.length - 1; v++) {
        mesh.i.push(first); mesh.j.push(first + v); mesh.k.push(first + v + 1);
        mesh.facecolor.push(packed.shades[one.shade[r]]);
      }
      for (const [x, y, z] of row.concat([row[0]])) { border.x.push(x); border.y.push(y); border.z.push(z + 0.004 * top); }
      for (const axis of ["x", "y", "z"]) border[axis].push(null);
    });
    const light = { ambient: 0.95, diffuse: 0.2, specular: 0 };
    const marks = points(one).map((mark, number) => {
      const height = (number ? one.chosen : one.own)[2];
      const said = mark.hovertemplate.replace("<extra>", `<br>${height.toFixed(3)} EUR/h<extra>`);
      return { type: "scatter3d", ...mark, z: [height + 0.03 * top], marker: { ...mark.marker, size: 7 }, hovertemplate: said };
    });
    return [
      { type: "mesh3d", ...mesh, flatshading: true, hoverinfo: "skip", lighting: light },
      { type: "scatter3d", mode: "lines", ...border, line: { color: "#555555", width: 2 }, hoverinfo: "skip" },
      ...marks,
    ];
  };

  const font = report.font;
  const planeLayout = (range) => report.fit({
    font, showlegend: false, margin: { l: 56, r: 12, t: 8, b: 46 }, hovermode: "closest", plot_bgcolor: "white",
    xaxis: { title: { text: axes.p, font: { size: 13 } }, range: range.p, gridcolor: "#ececec", zerolinecolor: "#888" },
    yaxis: { title: { text: axes.q, font: { size: 13 } }, range: range.q, gridcolor: "#ececec", zerolinecolor: "#888" },
  });
  const surfaceLayout = (range) => {
    const axis = (text, limits) => ({ title: { text }, range: limits, nticks: 6, backgroundcolor: "white", gridcolor: "#dddddd" });
    return {
      font: { ...font, size: 12 }, showlegend: false, margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: "kept",
      scene: {
        xaxis: axis("P, kW", range.p), yaxis: axis("Q, kvar", range.q), zaxis: axis("EUR/h", range.cost),
        camera: { eye: { x: 1.25, y: -1.8, z: 1.12 }, center: { x: 0, y: 0, z: -0.1 } },
        aspectmode: "manual", aspectratio: { x: 1.25, y: 1, z: 0.7 },
      },
    };
  };

  const told = (one) => {
    const [p, q, cost] = one.chosen;
    const does = `The grid chose: ${p < 0 ? "takes" : "gives"} ${Math.abs(p).toFixed(2)} kW, ${q < 0 ? "takes" : "gives"} ${Math.abs(q).toFixed(2)} kvar`;
    if (one.moved <= 0.05) return `${does}. That suits the home best.`;
    return `${does}. That is ${one.moved.toFixed(2)} kVA from what suits the home best and costs it ${(100 * cost).toFixed(1)} ct/h.`;
  };

  const show = async () => {
    const [home, step] = selects.map((select) => Number(select.value));
    const all = packed.charts[home].map(drawn);
    const one = all[step];
    const range = box(all);
    document.getElementById("chart-said").textContent = told(one);
    Plotly.react(flat, plane(one), planeLayout(range), report.config);
    await Plotly.react(lifted, surface(one), surfaceLayout(range), report.config);
    // A scene cannot be drawn anew when the printer asks: paper gets an image of it.
    if (lifted.querySelector("canvas")) image.src = await Plotly.toImage(lifted, { format: "png", width: 660, height: 420 });
  };
  for (const select of selects) select.addEventListener("change", show);
  show();
})();
