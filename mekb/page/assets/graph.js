"use strict";
/* The interest graph, drawn by Cytoscape.js on a canvas: a label on it is pixels, never markup.
   A disc's area is the interest's weight, its slices the domains it is from; lines join interests
   that items have in common. What an interest is related to is drawn when asked for. */

mekb.graph = (() => {
  const { places } = mekb;
  const SMALLEST = 13;
  const MIDDLE = "person";

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const nodeId = (id) => `i${id}`;

  const slices = (content, interest) => {
    const shares = mekb.domainShares(content, interest);
    const total = shares.reduce((sum, [, count]) => sum + count, 0);
    const data = { main: "domain-other" };
    shares.forEach(([domain, count], place) => {
      data[`slice${place}`] = (100 * count) / total;
      data[`colour${place}`] = mekb.colourOf(content.domains, domain);
    });
    if (total) data.main = mekb.colourOf(content.domains, shares.reduce((a, b) => (b[1] > a[1] ? b : a))[0]);
    return data;
  };

  const elementsOf = (content, size) => {
    const room = places.roomOf(size);
    const shown = content.interests.slice(0, room.n);
    const heaviest = mekb.largest(shown.map((interest) => interest.weight));
    const spots = places.placesOf(content, shown, size);
    const nodes = shown.map((interest) => {
      const share = Math.sqrt(interest.weight / heaviest);
      return {
        data: {
          id: nodeId(interest.id), label: interest.label, size: Math.max(SMALLEST, room.largest * share), share,
          ...slices(content, interest),
        },
        classes: `interest ${interest.kind === "wikidata" ? "" : "named"} ${interest.origin}`,
        position: spots.get(interest.id),
      };
    });
    places.partOverlaps(nodes, size);
    const spokes = nodes.map(({ data }) => ({
      data: { id: `s${data.id}`, source: MIDDLE, target: data.id, main: data.main, share: data.share },
      classes: "spoke",
    }));
    const common = places.links(content, shown).map(({ row, column, alike }) => ({
      data: { id: `c${row}-${column}`, source: nodeId(shown[row].id), target: nodeId(shown[column].id), alike },
      classes: "common",
    }));
    const middle = { data: { id: MIDDLE, label: "" }, classes: "middle", position: { x: 0, y: 0 } };
    return [middle, ...spokes, ...common, ...nodes];
  };

  const style = () => {
    const sliced = {};
    for (let place = 0; place < 8; place += 1) {
      sliced[`pie-${place + 1}-background-color`] = (node) => colour(node.data(`colour${place}`) ?? "domain-other");
      sliced[`pie-${place + 1}-background-size`] = (node) => node.data(`slice${place}`) ?? 0;
    }
    const family = getComputedStyle(document.body).fontFamily;
    return [
      { selector: "node", style: { "overlay-opacity": 0, "font-family": family } },
      {
        selector: ".middle",
        style: { width: 26, height: 26, "background-color": colour("ink"), events: "no", "border-width": 5, "border-color": colour("card") },
      },
      {
        selector: ".interest",
        style: {
          width: "data(size)", height: "data(size)", "background-color": (node) => colour(node.data("main")),
          "border-width": 1, "border-color": colour("card"), "pie-size": "100%", ...sliced,
          label: "data(label)", color: colour("ink"), "font-size": (node) => 11 + 3 * node.data("share"),
          "text-valign": "bottom", "text-margin-y": 4, "text-wrap": "ellipsis", "text-max-width": places.LABEL_WIDTH,
          "text-outline-width": 2.5, "text-outline-color": colour("card"), "min-zoomed-font-size": 5,
        },
      },
      { selector: ".named", style: { "pie-hole": "52%", "background-color": colour("card") } },
      { selector: ".inferred", style: { "border-width": 2, "border-style": "dashed", "border-color": colour("quiet"), "background-opacity": 0.4 } },
      { selector: ".chosen", style: { "border-width": 4, "border-color": colour("ink"), "border-style": "solid", "font-weight": 700, "z-index": 9 } },
      {
        selector: ".spoke",
        style: {
          width: (edge) => 1 + 3 * edge.data("share"), "line-color": (edge) => colour(edge.data("main")), opacity: 0.2,
          "curve-style": "straight", events: "no",
        },
      },
      { selector: ".common", style: { width: (edge) => 0.8 + 2 * edge.data("alike"), "line-color": colour("quiet"), opacity: 0.25, "curve-style": "straight", events: "no" } },
      { selector: ".near", style: { "line-color": colour("ink"), opacity: 0.45 } },
      { selector: ".aside", style: { opacity: 0.12, "text-opacity": 0 } },
      {
        selector: ".related",
        style: {
          width: 12, height: 12, shape: "diamond", "background-color": colour("card"), "border-width": 2, "border-color": colour("ink"),
          label: "data(label)", color: colour("ink"), "font-size": 11, "text-valign": "bottom", "text-margin-y": 3,
          "text-wrap": "ellipsis", "text-max-width": 120, "text-outline-width": 2.5, "text-outline-color": colour("card"), events: "no",
        },
      },
      {
        selector: ".relation",
        style: {
          width: 1.5, "line-color": colour("quiet"), "line-style": "dashed", "target-arrow-shape": "vee", "target-arrow-color": colour("quiet"),
          "curve-style": "straight", label: "data(meaning)", "font-size": 9.5, "font-family": family, color: colour("quiet"),
          "text-outline-width": 2.5, "text-outline-color": colour("card"), "text-rotation": "autorotate", opacity: 0.8, events: "no",
        },
      },
    ];
  };

  /** Draw; `onChoose` is told the id of an interest that was chosen in the picture. */
  const draw = (container, content, onChoose) => {
    const size = { width: container.clientWidth, height: container.clientHeight };
    const cy = cytoscape({
      container, elements: elementsOf(content, size), style: style(), layout: { name: "preset", fit: true, padding: 8 },
      userZoomingEnabled: false, userPanningEnabled: matchMedia("(pointer: fine)").matches,
      boxSelectionEnabled: false, autounselectify: true, minZoom: 0.3, maxZoom: 3,
    });
    cy.on("tap", "node.interest", (event) => onChoose(Number(event.target.id().slice(1))));
    cy.on("mouseover", "node.interest", () => container.style.setProperty("cursor", "pointer"));
    cy.on("mouseout", "node.interest", () => container.style.removeProperty("cursor"));

    const fit = () => {
      const view = { fit: { eles: cy.elements(), padding: 8 } };
      if (mekb.isStill()) cy.fit(cy.elements(), 8);
      else cy.animate({ ...view, duration: 350, easing: "ease-in-out" });
    };
    const zoom = (factor) => cy.stop().zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
    const unrelate = () => {
      cy.remove(".related, .relation");
      cy.elements().removeClass("aside");
    };

    const choose = (id) => {
      unrelate();
      cy.elements().removeClass("chosen near");
      const node = cy.getElementById(nodeId(id));
      if (node.empty()) return;
      node.addClass("chosen");
      node.connectedEdges(".common").addClass("near");
    };

    /** Draw what an interest is related to around it, and take all else back. */
    const relate = (id, relations) => {
      unrelate();
      const node = cy.getElementById(nodeId(id));
      if (node.empty()) return;
      const angles = places.anglesAround(node.position(), size, relations.length);
      relations.forEach((relation, place) => {
        const own = cy.getElementById(nodeId(relation.other));
        const target = own.nonempty() ? own.id() : `r${relation.other}`;
        if (cy.getElementById(target).empty()) {
          cy.add({ data: { id: target, label: relation.label }, classes: "related", position: places.beside(node.position(), angles[place], size) });
        }
        cy.add({ data: { id: `e${place}`, source: node.id(), target, meaning: mekb.meaning(relation) }, classes: "relation" });
      });
      const seen = node.union(cy.elements(".relation")).union(cy.elements(".relation").targets());
      cy.elements().difference(seen).addClass("aside");
      fit();
    };

    const restyle = () => cy.style(style());
    const resized = new ResizeObserver(() => { cy.resize(); cy.fit(cy.elements(), 8); });
    resized.observe(container);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", restyle);
    const destroy = () => {
      resized.disconnect();
      scheme.removeEventListener("change", restyle);
      cy.destroy();
    };
    return { cy, choose, relate, unrelate, fit, zoom, destroy };
  };

  return { draw };
})();
