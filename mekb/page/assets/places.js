"use strict";
/* Where the discs of the interest graph stand. Nothing is random: the same interests stand in the same places. */

mekb.places = (() => {
  const MOST = 28;
  const AREA_EACH = 11500;
  const INNER = 0.3;
  const LONE_RING = 0.74;
  const LABEL_WIDTH = 112;
  const LABEL_HEIGHT = 19;
  const LETTER = 6.8;
  const ROUNDS = 120;
  const REACH = 140;

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

  return { LABEL_WIDTH, links, roomOf, placesOf, partOverlaps, anglesAround, beside };
})();
