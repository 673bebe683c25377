"use strict";
/* The interest graph, drawn by Cytoscape.js on a canvas: a label on it is pixels, never markup.
   A disc's area is the interest's weight, its slices the domains it is from; lines join interests
   that items have in common. What an interest is related to is drawn when asked for. */

mekb.graph = (() => {
  const MOST = 28;
  const AREA_EACH = 11500;
  const SMALLEST = 13;
  const MIDDLE = "person";
  const REACH = 140;
  const INNER = 0.3;
  const LONE_RING = 0.74;
  const LABEL_WIDTH = 112;
  const LABEL_HEIGHT = 19;
  const LETTER = 6.8;
  const ROUNDS = 120;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const nodeId = (id) => `i${id}`;

  /** The items an interest is from; a person's own words join nothing, for all are in them. */
  const itemsOf = (content, interest) =>
    new Set(interest.passages.map((passage) => passage.item).filter((place) => content.items[place].id !== ""));

  /** The share of items that two interests have in common: the Jaccard index. */
  const likeness = (one, other) => {
    const both = [...one].filter((item) => other.has(item)).length;
    return both / (one.size + other.size - both || 1);
  };

  /** The strongest likenesses among the interests: at most two an interest begins with. */
  const links = (content, interests) => {
    const items = interests.map((interest) => itemsOf(content, interest));
    const found = new Map();
    interests.forEach((interest, row) => {
      interests
        .map((other, column) => ({ other, column, alike: column === row ? 0 : likeness(items[row], items[column]) }))
        .filter(({ alike }) => alike > 0)
        .sort((a, b) => b.alike - a.alike || a.column - b.column)
        .slice(0, 2)
        .forEach(({ column, alike }) => found.set([row, column].sort((a, b) => a - b).join("-"), { row, column, alike }));
    });
    return [...found.values()];
  };

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

  /** How many interests a picture of this size has room for, and how large its discs are. */
  const roomOf = ({ width, height }) => ({
    n: Math.max(6, Math.min(MOST, Math.floor((width * height) / AREA_EACH))),
    largest: Math.max(34, Math.min(64, 0.125 * Math.min(width, height))),
  });

  /** Interests in an order in which neighbours have items in common: each after the one it is most like. */
  const chain = (content, interests) => {
    const rest = interests.map((interest) => ({ interest, items: itemsOf(content, interest) }));
    const ordered = rest.splice(0, 1);
    while (rest.length) {
      const alike = rest.map(({ items }) => likeness(items, ordered.at(-1).items));
      ordered.push(...rest.splice(alike.indexOf(Math.max(...alike)), 1));
    }
    return ordered.map(({ interest }) => interest);
  };

  /** Where interests stand: the heaviest in the inner of up to three rings, like beside like; nothing is random. */
  const placesOf = (content, interests, { width, height }) => {
    const nRings = interests.length <= 6 ? 1 : interests.length <= 14 ? 2 : 3;
    const shares = (nRings * (nRings + 1)) / 2;
    const order = new Map(chain(content, interests).map((interest, place) => [interest.id, place]));
    const places = new Map();
    let first = 0;
    for (let ring = 1; ring <= nRings; ring += 1) {
      const last = ring === nRings ? interests.length : first + Math.round((interests.length * ring) / shares);
      const members = interests.slice(first, last).sort((a, b) => order.get(a.id) - order.get(b.id));
      const reach = nRings === 1 ? LONE_RING : (ring + INNER) / (nRings + INNER);
      members.forEach((interest, place) => {
        const angle = (2 * Math.PI * (place + 0.5 * (ring % 2))) / members.length - 0.55 * Math.PI;
        places.set(interest.id, { x: reach * (width / 2 - 62) * Math.cos(angle), y: reach * (height / 2 - 42) * Math.sin(angle) });
      });
      first = last;
    }
    return places;
  };

  /** The room a disc takes with its label below it. */
  const boxOf = ({ data, position }) => ({
    position,
    halfWidth: Math.max(data.size, Math.min(LABEL_WIDTH, LETTER * data.label.length)) / 2 + 3,
    halfHeight: data.size / 2 + LABEL_HEIGHT / 2,
    lower: LABEL_HEIGHT / 2,
  });

  /** Move discs and labels that overlap apart, a little at a time along the shorter way, and keep all in the frame. */
  const partOverlaps = (nodes, { width, height }) => {
    const boxes = nodes.map(boxOf);
    const person = { position: { x: 0, y: 0 }, halfWidth: 18, halfHeight: 18, lower: 0, isFixed: true };
    const all = [person, ...boxes];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (let i = 0; i < all.length; i += 1) {
        for (let j = i + 1; j < all.length; j += 1) part(all[i], all[j]);
      }
      for (const { position, halfWidth, halfHeight, lower } of boxes) {
        position.x = Math.max(halfWidth - width / 2, Math.min(width / 2 - halfWidth, position.x));
        position.y = Math.max(halfHeight - lower - height / 2, Math.min(height / 2 - halfHeight - lower, position.y));
      }
    }
  };

  const part = (one, other) => {
    const dx = other.position.x - one.position.x;
    const dy = other.position.y + other.lower - one.position.y - one.lower;
    const overX = one.halfWidth + other.halfWidth - Math.abs(dx);
    const overY = one.halfHeight + other.halfHeight - Math.abs(dy);
    if (overX <= 0 || overY <= 0) return;
    const axis = overX < overY ? "x" : "y";
    const move = 0.5 * Math.min(overX, overY) * ((axis === "x" ? dx : dy) < 0 ? -1 : 1);
    if (!one.isFixed) one.position[axis] -= move;
    other.position[axis] += one.isFixed ? 2 * move : move;
  };

  const elementsOf = (content, size) => {
    const room = roomOf(size);
    const shown = content.interests.slice(0, room.n);
    const heaviest = Math.max(...shown.map((interest) => interest.weight));
    const places = placesOf(content, shown, size);
    const nodes = shown.map((interest) => {
      const share = Math.sqrt(interest.weight / heaviest);
      return {
        data: {
          id: nodeId(interest.id), label: interest.label, size: Math.max(SMALLEST, room.largest * share), share,
          ...slices(content, interest),
        },
        classes: `interest ${interest.kind === "wikidata" ? "" : "named"} ${interest.origin}`,
        position: places.get(interest.id),
      };
    });
    partOverlaps(nodes, size);
    const spokes = nodes.map(({ data }) => ({
      data: { id: `s${data.id}`, source: MIDDLE, target: data.id, main: data.main, share: data.share },
      classes: "spoke",
    }));
    const common = links(content, shown).map(({ row, column, alike }) => ({
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
          "text-valign": "bottom", "text-margin-y": 4, "text-wrap": "ellipsis", "text-max-width": LABEL_WIDTH,
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

  /** Directions around a disc: all the way round in the middle of the frame, inwards near its rim. */
  const anglesAround = ({ x, y }, { width, height }, n) => {
    const isCentral = Math.hypot((2 * x) / width, (2 * y) / height) < 0.55;
    const inwards = Math.atan2(-y, -x);
    const step = isCentral ? (2 * Math.PI) / n : Math.min(0.7, 3.6 / n);
    return Array.from({ length: n }, (_, place) => inwards + step * (place - (n - 1) / 2));
  };

  /** A place some way off in a direction, within the frame. */
  const beside = ({ x, y }, angle, { width, height }) => {
    const within = (at, half) => Math.max(-half, Math.min(half, at));
    return {
      x: within(x + 1.25 * REACH * Math.cos(angle), width / 2 - 50),
      y: within(y + 0.8 * REACH * Math.sin(angle), height / 2 - 24),
    };
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
      const angles = anglesAround(node.position(), size, relations.length);
      relations.forEach((relation, place) => {
        const own = cy.getElementById(nodeId(relation.other));
        const target = own.nonempty() ? own.id() : `r${relation.other}`;
        if (cy.getElementById(target).empty()) {
          cy.add({ data: { id: target, label: relation.label }, classes: "related", position: beside(node.position(), angles[place], size) });
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
