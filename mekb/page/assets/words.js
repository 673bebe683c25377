"use strict";
/* What all parts of the page share: elements made of text, numbers as words, colours of domains. */
const mekb = {};

/** Make an element. Children that are no elements become text nodes, so that nothing in them is markup. */
mekb.make = (name, traits = {}, ...children) => {
  const made = document.createElement(name);
  for (const [trait, value] of Object.entries(traits)) {
    if (value === null || value === undefined || value === false) continue;
    if (trait === "class") made.className = value;
    else if (trait === "on") for (const [event, heard] of Object.entries(value)) made.addEventListener(event, heard);
    else if (trait === "data") Object.assign(made.dataset, value);
    else made.setAttribute(trait, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined).map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child))));
  return made;
};

mekb.byId = (id) => document.getElementById(id);
mekb.fill = (id, ...children) => mekb.byId(id).replaceChildren(...children.filter(Boolean));
mekb.percent = (share) => `${(100 * share).toFixed(1)} %`;
mekb.count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many ?? `${one}s`}`;
mekb.largest = (numbers) => numbers.reduce((most, number) => Math.max(most, number), 0);
mekb.isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A bar of a share of the largest, with its number as text. */
mekb.measure = (share, largest, text) => {
  const fill = mekb.make("span", { class: "fill" });
  fill.style.width = `${largest > 0 ? Math.max(2, (100 * share) / largest) : 0}%`;
  return mekb.make("span", { class: "measure" },
    mekb.make("span", { class: "track", "aria-hidden": "true" }, fill),
    mekb.make("span", { class: "number" }, text));
};

const N_COLOURS = 6;

/** The name of a domain's colour: the first six domains have one each, as in the pictures. */
mekb.colourOf = (domains, domain) => {
  const place = domains.indexOf(domain);
  return place >= 0 && place < N_COLOURS ? `domain-${place}` : "domain-other";
};

mekb.dot = (domains, domain) =>
  mekb.make("span", { class: `dot ${mekb.colourOf(domains, domain)}`, title: domain, "aria-hidden": "true" });

/** How many items of each domain an interest is from, in order of the domains. */
mekb.domainShares = (content, interest) => {
  const items = new Set(interest.passages.map((passage) => passage.item));
  const counts = new Map(content.domains.map((domain) => [domain, 0]));
  for (const place of items) {
    const { domain } = content.items[place];
    counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > 0);
};

mekb.KINDS = { wikidata: "Wikidata", brand: "brand", category: "category", product: "product", keyword: "keyword" };
mekb.ORIGINS = { added: "added", pinned: "pinned", inferred: "inferred" };

/* Wikidata's properties in words, as statements about the subject and about the object; another goes by its id. */
const MEANINGS = {
  P17: ["country", "country of"],
  P31: ["instance of", "has instance"],
  P50: ["author", "author of"],
  P57: ["director", "director of"],
  P86: ["composer", "composer of"],
  P106: ["occupation", "occupation of"],
  P131: ["located in", "location of"],
  P136: ["genre", "genre of"],
  P144: ["based on", "basis of"],
  P161: ["cast member", "cast member of"],
  P170: ["creator", "creator of"],
  P175: ["performer", "performer of"],
  P179: ["part of the series", "series with"],
  P276: ["location", "location of"],
  P279: ["subclass of", "has subclass"],
  P361: ["part of", "has part"],
  P495: ["country of origin", "origin of"],
  P527: ["has part", "part of"],
  P674: ["character", "character in"],
  P840: ["set in", "setting of"],
  P921: ["main subject", "main subject of"],
};

mekb.meaning = ({ predicate, is_object: isObject }) =>
  MEANINGS[predicate]?.[isObject ? 1 : 0] ?? `${predicate}${isObject ? " of" : ""}`;
